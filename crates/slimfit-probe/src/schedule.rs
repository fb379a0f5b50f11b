//! Spreads a budget of seconds over cells: interleaved, each bracketed by a sentinel, each measured twice, the disturbed
//! ones again; what runs on several threads twice in each placement that they are found in.

use crate::ProbeError;
use crate::placements::{Group, Lay, Looks, View};
use slimfit_quantity::{Bracketed, Figure, Measured, Source, median, quantile, sample_until};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long one sample should last: long beside the clock's resolution, short beside a scheduler's tick.
pub(crate) const SAMPLE_SECONDS: f64 = 3e-4;
/// Samples per visit while there is time: of three, one disturbed sample moves no median.
const FEWEST_SAMPLES: usize = 3;
/// Samples per visit of a cell that are enough for its median and quartiles.
const MOST_SAMPLES: usize = 15;
/// Visits of a cell in each placement: test and retest.
const VISITS: usize = 2;
/// Visits of one that stays disturbed.
const MOST_VISITS: usize = 4;
/// Share of the time that the visits are spread over; the rest is for those that were disturbed.
const SPREAD_SHARE: f64 = 0.85;
/// A sentinel that moved by more than this between the two sides of a run flags the run.
const SENTINEL_MOVE: f64 = 0.10;
/// Test and retest that differ by more than this flag the cell.
const RETEST_MOVE: f64 = 0.10;

/// Share of a sentinel's rates left aside at each end when its drift is stated.
const DRIFT_TAIL: f64 = 0.1;

/// Raw samples of one cell, each with where the threads lay, shared by the closure that takes them and by whoever reads
/// them at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<Sample>>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    value: f64,
    lay: Lay,
    /// The visit that took it, where a schedule did.
    visit: Option<usize>,
    /// Taken while the machine was another one than it mostly was, and again when it was not.
    set_aside: bool,
}

impl Log {
    pub fn push(&self, value: f64, lay: Lay) {
        self.0.borrow_mut().push(Sample { value, lay, visit: None, set_aside: false });
    }

    fn push_in(&self, visit: usize, value: f64, lay: Lay) {
        self.0.borrow_mut().push(Sample { value, lay, visit: Some(visit), set_aside: false });
    }

    /// Leaves the samples of a visit out of the figures.
    fn set_aside(&self, visit: usize) {
        for sample in self.0.borrow_mut().iter_mut().filter(|sample| sample.visit == Some(visit)) {
            sample.set_aside = true;
        }
    }

    /// The figure of all samples: median and quartiles.
    pub fn figure(&self) -> Figure {
        self.figure_where(|_| true)
    }

    /// The figure of those samples of `threads` threads that `view` admits.
    pub fn figure_in(&self, view: View<'_>, threads: u32) -> Figure {
        self.figure_where(|lay| view.admits(threads, lay))
    }

    fn figure_where(&self, counts: impl Fn(Lay) -> bool) -> Figure {
        let samples = self.0.borrow();
        let counted = samples.iter().filter(|sample| !sample.set_aside && counts(sample.lay));
        Self::figure_of(counted.map(|sample| sample.value).collect())
    }

    fn figure_of(samples: Vec<f64>) -> Figure {
        match Measured::new(samples) {
            Some(measured) => measured.figure(),
            None => Figure::unavailable("the budget ended before this was measured"),
        }
    }

    fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// Which sentinel brackets a task, and whose placement it depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The place of the pool that runs it.
    pub pool: usize,
    /// Whether it reads from memory: the sentinel then does too.
    pub far: bool,
}

impl Beside {
    /// What a pool does in its near caches.
    pub fn near(pool: usize) -> Self {
        Self { pool, far: false }
    }
}

/// One thing to measure.
pub(crate) struct Task<'a> {
    pub name: String,
    /// Takes one sample.
    pub take: Box<dyn FnMut() -> f64 + 'a>,
    /// What brackets it.
    pub beside: Beside,
    /// Its samples.
    pub log: Log,
    /// Takes before the first sample of a visit, as far as its time allows: see [`settling_passes`](crate::settling_passes).
    pub settling: usize,
}

/// A rate per second of the machine at this moment, or seconds of a barrier.
pub(crate) type SentinelRun<'a> = Box<dyn Fn() -> f64 + 'a>;

/// What is looked at before and after every visit, by the place of a pool.
pub(crate) struct Sentinels<'a> {
    /// Rates of what happens in the near caches.
    pub near: Vec<SentinelRun<'a>>,
    /// Rates of memory.
    pub far: Vec<SentinelRun<'a>>,
    /// Seconds of a barrier; none for one thread.
    pub barriers: Vec<Option<SentinelRun<'a>>>,
    /// Threads.
    pub threads: Vec<u32>,
}

/// What the measurement says about its own quality.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quality {
    pub drift: Figure,
    pub flagged: u64,
    pub repeated: u64,
    /// What the looks at each thread count say of where threads lie.
    pub looks: Vec<(u32, Looks)>,
}

/// Told the share done and the name of the step; answers whether to go on.
pub(crate) type Progress<'a> = dyn FnMut(&str, f64) -> bool + 'a;

/// One visit of a cell.
#[derive(Debug, Clone, Copy)]
struct Visit {
    /// Counts all visits.
    number: usize,
    lay: Lay,
    run: Bracketed,
    samples: usize,
}

impl Visit {
    /// The machine's rate meanwhile.
    fn sentinel(&self) -> f64 {
        (self.run.before_per_s + self.run.after_per_s) / 2.0
    }
}

/// What the sentinels of each pool mostly said: by pool, near and far, and placement.
struct Ordinary(Vec<Option<f64>>);

impl Ordinary {
    fn place(Beside { pool, far }: Beside, group: Group) -> usize {
        4 * pool + 2 * usize::from(far) + usize::from(group == Group::Far)
    }

    /// By how much the machine was another one during a visit.
    fn distance(&self, visit: &Visit, place: usize) -> f64 {
        self.0[place].map_or(0.0, |ordinary| (visit.sentinel() / ordinary - 1.0).abs())
    }
}

/// What is known so far.
struct Course<'s, 'a> {
    sentinels: &'s Sentinels<'a>,
    looks: Vec<Looks>,
    /// By task.
    visits: Vec<Vec<Visit>>,
    beside: Vec<Beside>,
}

/// Measures all tasks until `deadline`: each twice where its threads are found, then the disturbed ones again with what is
/// left of the time.
pub(crate) fn measure(
    tasks: &mut [Task<'_>],
    sentinels: &Sentinels<'_>,
    deadline: Instant,
    span: (f64, f64),
    progress: &mut Progress<'_>,
) -> Result<Quality, ProbeError> {
    let start = Instant::now();
    let available = deadline.saturating_duration_since(start);
    let spread_end = start + available.mul_f64(SPREAD_SHARE);
    let mut course = Course {
        sentinels,
        looks: vec![Looks::default(); sentinels.barriers.len()],
        visits: vec![Vec::new(); tasks.len()],
        beside: tasks.iter().map(|task| task.beside).collect(),
    };
    loop {
        let barriers = course.look();
        let in_time = Instant::now() < deadline;
        let Some(index) = course.next(&barriers, in_time) else { break };
        let task = &mut tasks[index];
        let spent = start.elapsed().as_secs_f64() / available.as_secs_f64().max(1e-9);
        if !progress(&task.name, span.0 + (span.1 - span.0) * spent.min(1.0)) {
            return Err(ProbeError::Stopped);
        }
        let left = spread_end.saturating_duration_since(Instant::now());
        let share = match course.outstanding() {
            _ if !in_time => Duration::ZERO,
            visits if visits > 0 && !left.is_zero() => left.div_f64(visits as f64),
            // Once the spread is over, a visit takes what it would have taken on average.
            _ => available.mul_f64(SPREAD_SHARE / (VISITS * course.visits.len()) as f64),
        };
        let Beside { pool, far } = task.beside;
        let sentinel = if far { &sentinels.far[pool] } else { &sentinels.near[pool] };
        let before_per_s = sentinel();
        let samples = visit(&mut *task.take, &task.log, task.settling, share)?;
        let after_per_s = sentinel();
        let lay = Lay::between(barriers[pool], sentinels.barriers[pool].as_ref().map(|barrier| barrier()));
        let number = course.visits.iter().map(Vec::len).sum();
        samples.iter().for_each(|sample| task.log.push_in(number, *sample, lay));
        let run = Bracketed { before_per_s, value: median(&samples), after_per_s };
        course.visits[index].push(Visit { number, lay, run, samples: samples.len() });
    }
    for (index, visit) in course.out_of_the_ordinary() {
        tasks[index].log.set_aside(visit);
    }
    Ok(course.quality())
}

impl Course<'_, '_> {
    /// Where the threads of each pool lie now.
    fn look(&mut self) -> Vec<Option<f64>> {
        let barriers: Vec<Option<f64>> =
            self.sentinels.barriers.iter().map(|barrier| barrier.as_ref().map(|barrier| barrier())).collect();
        for (looks, barrier) in self.looks.iter_mut().zip(&barriers) {
            if let Some(seconds) = barrier {
                looks.add(*seconds);
            }
        }
        barriers
    }

    /// The visits of a task in the placement of `lay`.
    fn alike(&self, index: usize, lay: Lay) -> impl Iterator<Item = &Visit> {
        let looks = &self.looks[self.beside[index].pool];
        let same = move |visit: &&Visit| match (visit.lay, lay) {
            (Lay::At(then), Lay::At(now)) => looks.group(then) == looks.group(now),
            // In one group all samples count.
            (Lay::Moved, _) => !looks.are_two(),
            (Lay::Alone, Lay::Alone) => true,
            _ => false,
        };
        self.visits[index].iter().filter(same)
    }

    /// The task to visit while barriers take so long: the one visited least so, the forward way round at first and then
    /// backward; at equal need one whose placement is seen seldom; then those that were disturbed. Past the deadline only
    /// what was never visited. Nothing when all is done.
    fn next(&self, barriers: &[Option<f64>], in_time: bool) -> Option<usize> {
        let lay = |index: usize| barriers[self.beside[index].pool].map_or(Lay::Alone, Lay::At);
        if !in_time {
            return (0..self.visits.len()).find(|&index| self.visits[index].is_empty());
        }
        let seldom = |index: usize| match lay(index) {
            Lay::At(seconds) => {
                let looks = &self.looks[self.beside[index].pool];
                looks.are_two() && looks.group(seconds) != looks.usual()
            }
            Lay::Alone | Lay::Moved => false,
        };
        let wanted = (0..self.visits.len())
            .filter_map(|index| {
                let visits = self.alike(index, lay(index)).count() + self.in_vain(index);
                let place = if visits == 0 { index } else { self.visits.len() - index };
                (visits < VISITS).then_some(((visits, !seldom(index), place), index))
            })
            .min()
            .map(|(_, index)| index);
        let wanted = wanted.or_else(|| {
            let ordinary = self.ordinary();
            let disturbed = |index: usize| {
                let alike: Vec<&Visit> = self.alike(index, lay(index)).collect();
                let place = Ordinary::place(self.beside[index], self.group(index, alike.first()?)?);
                let distance = |visit: &Visit| ordinary.distance(visit, place);
                (alike.len() < MOST_VISITS).then(|| disturbance(&alike, distance)).flatten()
            };
            (0..self.visits.len())
                .filter_map(|index| Some((disturbed(index)?, index)))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, index)| index)
        });
        // What is still wanted is wanted elsewhere: until the threads are moved there, more of what can be had here.
        wanted.or_else(|| {
            let visits = |index: usize| self.alike(index, lay(index)).count() + self.in_vain(index);
            let least = (0..self.visits.len()).min_by_key(|&index| visits(index))?;
            (self.outstanding() > 0 && visits(least) < MOST_VISITS).then_some(least)
        })
    }

    /// Visits that saw a move, past the first two: where threads never lie still, a task is not to be tried for ever.
    fn in_vain(&self, index: usize) -> usize {
        let moved = |visit: &&Visit| visit.lay == Lay::Moved;
        let two = self.looks[self.beside[index].pool].are_two();
        if two { self.visits[index].iter().filter(moved).count().saturating_sub(VISITS) } else { 0 }
    }

    /// Visits still wanted in the placements seen so far.
    fn outstanding(&self) -> usize {
        (0..self.visits.len())
            .map(|index| {
                let looks = &self.looks[self.beside[index].pool];
                if !looks.are_two() {
                    return VISITS.saturating_sub(self.visits[index].len());
                }
                [Group::Near, Group::Far]
                    .iter()
                    .map(|group| {
                        let at = |visit: &&Visit| matches!(visit.lay, Lay::At(seconds) if looks.group(seconds) == *group);
                        VISITS.saturating_sub(self.visits[index].iter().filter(at).count())
                    })
                    .sum()
            })
            .sum()
    }

    /// The placement in which a visit counts.
    fn group(&self, index: usize, visit: &Visit) -> Option<Group> {
        let looks = &self.looks[self.beside[index].pool];
        match visit.lay {
            // In one group all samples count.
            Lay::Moved if looks.are_two() => None,
            Lay::At(seconds) => Some(looks.group(seconds)),
            Lay::Alone | Lay::Moved => Some(Group::Near),
        }
    }

    /// Visits by placement.
    fn groups(&self, index: usize) -> Vec<Vec<&Visit>> {
        let of =
            |group| self.visits[index].iter().filter(move |visit| self.group(index, visit) == Some(group));
        [Group::Near, Group::Far].map(|group| of(group).collect()).into()
    }

    fn ordinary(&self) -> Ordinary {
        let mut rates = vec![Vec::new(); 4 * self.looks.len()];
        for (index, visits) in self.visits.iter().enumerate() {
            for visit in visits {
                if let Some(group) = self.group(index, visit) {
                    rates[Ordinary::place(self.beside[index], group)].push(visit.sentinel());
                }
            }
        }
        Ordinary(rates.iter().map(|rates| (!rates.is_empty()).then(|| median(rates))).collect())
    }

    /// Visits during which the machine was another one than it mostly was, of cells that were also visited when it was not:
    /// task and number. All cells so describe one machine, and what is predicted from several of them is of that one.
    fn out_of_the_ordinary(&self) -> Vec<(usize, usize)> {
        let ordinary = self.ordinary();
        let mut all = Vec::new();
        for index in 0..self.visits.len() {
            for (group, visits) in [Group::Near, Group::Far].into_iter().zip(self.groups(index)) {
                let place = Ordinary::place(self.beside[index], group);
                let far = |visit: &&&Visit| ordinary.distance(visit, place) > SENTINEL_MOVE;
                let apart: Vec<usize> = visits.iter().filter(far).map(|visit| visit.number).collect();
                if apart.len() < visits.len() {
                    all.extend(apart.into_iter().map(|number| (index, number)));
                }
            }
        }
        all
    }

    fn quality(self) -> Quality {
        let ordinary = self.ordinary();
        let (mut flagged, mut repeated) = (0, 0);
        // By pool, near and far sentinel, and placement.
        let mut rates = vec![Vec::new(); 4 * self.looks.len()];
        for index in 0..self.visits.len() {
            let mut again = false;
            for (name, group) in [Group::Near, Group::Far].into_iter().zip(self.groups(index)) {
                let place = Ordinary::place(self.beside[index], name);
                rates[place]
                    .extend(group.iter().flat_map(|visit| [visit.run.before_per_s, visit.run.after_per_s]));
                let distance = |visit: &Visit| ordinary.distance(visit, place);
                if disturbance(&group[..group.len().min(VISITS)], distance).is_some() {
                    flagged += group.iter().take(VISITS).map(|visit| visit.samples as u64).sum::<u64>();
                }
                again |= group.len() > VISITS;
            }
            repeated += u64::from(again);
        }
        let looks = self.sentinels.threads.iter().copied().zip(self.looks).collect();
        Quality { drift: drift(&rates), flagged, repeated, looks }
    }
}

/// How disturbed a cell was, where it was at all: the largest of the sentinel's move during the last two visits, of what
/// parts them, and of how far the machine was from what it mostly is. Visits that were too far from that give way to others.
fn disturbance(visits: &[&Visit], distance: impl Fn(&Visit) -> f64) -> Option<f64> {
    let moved = |visit: &Visit| (visit.run.after_per_s / visit.run.before_per_s - 1.0).abs();
    let ordinary: Vec<&Visit> =
        visits.iter().copied().filter(|visit| distance(visit) <= SENTINEL_MOVE).collect();
    if ordinary.len() < visits.len().min(VISITS) {
        return visits.iter().map(|visit| distance(visit)).max_by(f64::total_cmp);
    }
    let last = &ordinary[ordinary.len().saturating_sub(VISITS)..];
    let moved = last.iter().map(|visit| moved(visit)).fold(0.0, f64::max);
    let retest = match last {
        [test, retest] => (retest.run.value / test.run.value - 1.0).abs(),
        _ => 0.0,
    };
    (moved > SENTINEL_MOVE || retest > RETEST_MOVE).then_some(moved.max(retest))
}

/// The drift of the sentinel that drifted most. The value leaves a tenth of the rates aside on each side, since single
/// hiccups are no drift; `low` is the spread of the middle half, `high` that of all.
fn drift(rates: &[Vec<f64>]) -> Figure {
    let spread = |rates: &[f64], tail: f64| quantile(rates, 1.0 - tail) / quantile(rates, tail) - 1.0;
    let worst = rates
        .iter()
        .filter(|rates| rates.len() > 1)
        .max_by(|a, b| spread(a, DRIFT_TAIL).total_cmp(&spread(b, DRIFT_TAIL)));
    let Some(rates) = worst else { return Figure::unavailable("no sentinel ran twice") };
    Figure {
        value: Some(spread(rates, DRIFT_TAIL)),
        low: Some(spread(rates, 0.25)),
        high: Some(spread(rates, 0.0)),
        n: rates.len() as u64,
        source: Source::Measured,
        reason: None,
        citation: None,
    }
}

/// One visit: runs that settle the caches and are not counted, then samples, which it returns.
fn visit(
    take: &mut dyn FnMut() -> f64,
    log: &Log,
    settling: usize,
    share: Duration,
) -> Result<Vec<f64>, ProbeError> {
    let start = Instant::now();
    // Late already: one sample still counts, none would leave a hole in the profile.
    let fewest = if share.is_zero() { 1 } else { FEWEST_SAMPLES };
    if !share.is_zero() || log.is_empty() {
        for settled in 0..settling.max(1) {
            if settled > 0 && start.elapsed() > share / 2 {
                break;
            }
            take();
        }
    }
    let left = share.saturating_sub(start.elapsed());
    sample_until(left, fewest, MOST_SAMPLES, || Ok::<f64, ProbeError>(take()))
}

/// How often to repeat something that takes `seconds` once, so that a sample lasts [`SAMPLE_SECONDS`].
pub(crate) fn repeats(seconds: f64) -> usize {
    if seconds <= 0.0 { 1 << 20 } else { ((SAMPLE_SECONDS / seconds).ceil() as usize).clamp(1, 1 << 20) }
}

#[cfg(test)]
mod tests;
