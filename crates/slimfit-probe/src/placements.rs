//! Tells apart where a pool's threads lay at each look, from what a barrier took them then.
//!
//! A hypervisor moves a virtual machine's processors between cores that share a cache and cores that do not. A barrier
//! takes several times as long between the latter, so the times of many looks fall into two groups, or into one.

use slimfit_kernels::pool::Pool;
use std::time::Instant;

/// Barriers of one stretch, and stretches of one look, of which the fastest counts: others met an interruption.
const BARRIERS: usize = 250;
const STRETCHES: usize = 3;
/// Two groups have medians that are so many times apart: no cores lie farther from each other than the most, and what takes
/// longer is a thread that waits for its turn on a busy machine.
const APART: std::ops::RangeInclusive<f64> = 2.0..=20.0;
/// And between their nearer tenths, a gap of so many times.
const GAP: f64 = 1.25;
/// A group has so many looks at least, and so large a share of all.
const FEWEST: usize = 3;
const LEAST_SHARE: f64 = 0.02;
/// Looks before and after a run that differ by more than this saw two placements.
const MOVED: f64 = 1.6;

/// Seconds of a barrier of all threads of `pool`, now.
pub fn barrier_seconds(pool: &Pool) -> f64 {
    let stretch = || {
        let start = Instant::now();
        pool.run(|worker| (0..BARRIERS).for_each(|_| worker.barrier()));
        start.elapsed().as_secs_f64() / BARRIERS as f64
    };
    (0..STRETCHES).map(|_| stretch()).fold(f64::INFINITY, f64::min)
}

/// Where the threads lay while something was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lay {
    /// One thread lies nowhere in particular.
    Alone,
    /// A barrier took so many seconds.
    At(f64),
    /// They were moved meanwhile.
    Moved,
}

impl Lay {
    /// Of looks before and after; none for one thread.
    pub fn between(before: Option<f64>, after: Option<f64>) -> Self {
        match (before, after) {
            (Some(before), Some(after)) if (before / after).ln().abs() > MOVED.ln() => Self::Moved,
            (Some(before), Some(after)) => Self::At((before * after).sqrt()),
            _ => Self::Alone,
        }
    }
}

/// Which of two groups of looks, by the length of a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Shorter barriers, or all where there is one group.
    Near,
    /// Longer ones.
    Far,
}

/// What the looks at one pool say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Looks {
    /// Ascending.
    seconds: Vec<f64>,
    border: Option<f64>,
}

impl Looks {
    /// Adds one.
    pub fn add(&mut self, seconds: f64) {
        let place = self.seconds.partition_point(|known| *known < seconds);
        self.seconds.insert(place, seconds);
        self.border = border(&self.seconds);
    }

    /// Whether they fall into two groups.
    pub fn are_two(&self) -> bool {
        self.border.is_some()
    }

    /// The group of a look that took so long.
    pub fn group(&self, seconds: f64) -> Group {
        if self.border.is_some_and(|border| seconds > border) { Group::Far } else { Group::Near }
    }

    /// Looks of a group, ascending.
    pub fn of(&self, group: Group) -> &[f64] {
        let near = self.seconds.partition_point(|seconds| self.group(*seconds) == Group::Near);
        if group == Group::Near { &self.seconds[..near] } else { &self.seconds[near..] }
    }

    /// Share of the looks that a group has; 0 without any.
    pub fn share(&self, group: Group) -> f64 {
        self.of(group).len() as f64 / self.seconds.len().max(1) as f64
    }

    /// The larger group.
    pub fn usual(&self) -> Group {
        if self.share(Group::Far) > 0.5 { Group::Far } else { Group::Near }
    }
}

/// The seconds that part two groups of ascending looks: where the spread of logarithms within the groups is least,
/// provided that the groups lie apart.
fn border(seconds: &[f64]) -> Option<f64> {
    let n = seconds.len();
    let fewest = FEWEST.max((n as f64 * LEAST_SHARE).ceil() as usize);
    if n < 2 * fewest {
        return None;
    }
    let logs: Vec<f64> = seconds.iter().map(|seconds| seconds.ln()).collect();
    let total: f64 = logs.iter().sum();
    let (mut before, mut best) = (logs[..fewest - 1].iter().sum::<f64>(), (0.0, 0));
    for split in fewest..=n - fewest {
        before += logs[split - 1];
        let (left, right) = (split as f64, (n - split) as f64);
        let between = left * right * (before / left - (total - before) / right).powi(2);
        if between > best.0 {
            best = (between, split);
        }
    }
    let (near, far) = seconds.split_at(best.1);
    if near.is_empty() {
        return None;
    }
    let (last, first) = (near[(near.len() - 1) * 9 / 10], far[far.len() / 10]);
    let apart = APART.contains(&(far[far.len() / 2] / near[near.len() / 2]));
    (apart && first / last >= GAP).then(|| (last * first).sqrt())
}

/// Which samples of a pool count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    looks: &'a [(u32, Looks)],
    usual: bool,
}

impl<'a> View<'a> {
    /// Those of each thread count's larger group.
    pub fn usual(looks: &'a [(u32, Looks)]) -> Self {
        Self { looks, usual: true }
    }

    /// Those of its smaller group, of thread counts that have two.
    pub fn other(looks: &'a [(u32, Looks)]) -> Self {
        Self { looks, usual: false }
    }

    /// Whether a sample that was taken so counts.
    pub fn admits(&self, threads: u32, lay: Lay) -> bool {
        let two = self.looks.iter().find(|(count, looks)| *count == threads && looks.are_two());
        match (two, lay) {
            (None, _) => self.usual,
            (Some(_), Lay::Alone) => true,
            (Some((_, looks)), Lay::At(seconds)) => (looks.group(seconds) == looks.usual()) == self.usual,
            (Some(_), Lay::Moved) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(seconds: impl IntoIterator<Item = f64>) -> Looks {
        let mut looks = Looks::default();
        seconds.into_iter().for_each(|seconds| looks.add(seconds));
        looks
    }

    /// `count` values spread evenly over `center` ± `spread`.
    fn around(center: f64, spread: f64, count: usize) -> impl Iterator<Item = f64> {
        (0..count).map(move |index| center * (1.0 + spread * (2.0 * index as f64 / count as f64 - 1.0)))
    }

    #[test]
    fn two_groups_are_told_apart_and_the_larger_is_the_usual_one() {
        let looks = looks(around(34e-9, 0.2, 30).chain(around(190e-9, 0.2, 70)));
        assert!(looks.are_two());
        assert_eq!((looks.group(40e-9), looks.group(150e-9)), (Group::Near, Group::Far));
        assert_eq!((looks.usual(), looks.of(Group::Near).len()), (Group::Far, 30));
        assert!((looks.share(Group::Near) - 0.3).abs() < 1e-12);
    }

    #[test]
    fn one_group_with_stragglers_is_one() {
        assert!(!looks(around(40e-9, 0.3, 100)).are_two());
        assert!(
            !looks(around(40e-9, 0.1, 100).chain([900e-9, 2e-6])).are_two(),
            "two stragglers are no group"
        );
        // Spread out evenly over a factor of four: nowhere a gap.
        assert!(!looks((0..200).map(|index| 30e-9 * 4_f64.powf(f64::from(index) / 200.0))).are_two());
        // A busy machine: one look in four waits for a thread's turn.
        assert!(!looks(around(40e-9, 0.2, 75).chain(around(30e-6, 0.9, 25))).are_two());
        assert!(!looks([]).are_two());
        assert_eq!(looks([1.0]).usual(), Group::Near);
    }

    #[test]
    fn a_view_takes_the_samples_of_its_group() {
        let all = [(2, looks(around(34e-9, 0.2, 30).chain(around(190e-9, 0.2, 10)))), (3, looks([1e-7]))];
        let (usual, other) = (View::usual(&all), View::other(&all));
        let (near, far) = (Lay::At(40e-9), Lay::At(200e-9));
        assert!(usual.admits(2, near) && !usual.admits(2, far) && !usual.admits(2, Lay::Moved));
        assert!(other.admits(2, far) && !other.admits(2, near) && !other.admits(2, Lay::Moved));
        for lay in [near, far, Lay::Moved, Lay::Alone] {
            assert!(usual.admits(1, lay) && usual.admits(3, lay), "one group has all samples");
            assert!(!other.admits(1, lay) && !other.admits(3, lay), "and no other has any");
        }
    }

    #[test]
    fn looks_that_differ_saw_a_move() {
        assert_eq!(Lay::between(None, None), Lay::Alone);
        assert_eq!(Lay::between(Some(40e-9), Some(190e-9)), Lay::Moved);
        assert!(matches!(Lay::between(Some(40e-9), Some(50e-9)), Lay::At(_)));
    }

    #[test]
    fn a_barrier_takes_time() {
        let pool = Pool::new(2).unwrap();
        assert!(barrier_seconds(&pool) > 1e-9);
    }
}
