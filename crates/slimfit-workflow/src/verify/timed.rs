//! Timed runs of a cell, and which of them stand for it.
//!
//! A run counts where nothing changed meanwhile: the sentinels before and after it agree, and so do the barriers that tell
//! where the threads lie. Test and retest are runs of one placement, as predictions are.

use slimfit_hardware::Placement;
use std::time::Duration;

/// Sentinels that differ by more than this before and after a run say that it was disturbed.
const SENTINEL_MOVE: f64 = 0.10;
/// How long the runs of a cell go on in each pass at least, unless they become too many.
const CELL_TIME: Duration = Duration::from_millis(250);
/// Runs of a cell in each pass at most, for each that was asked for.
const MOST_ROUNDS: usize = 4;

/// One timed run between its sentinels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimedRun {
    /// Seconds, of a token where tokens are decoded.
    pub value: f64,
    /// Rates before and after.
    pub sentinels: [f64; 2],
    /// Where the threads lay; nothing where they were moved meanwhile.
    pub placement: Option<Placement>,
    /// Seconds of each token.
    pub token_seconds: Vec<f64>,
}

impl TimedRun {
    fn calm_in(&self, placement: Placement) -> bool {
        let [before, after] = self.sentinels;
        self.placement == Some(placement) && (after / before - 1.0).abs() <= SENTINEL_MOVE
    }

    /// Whether the machine was the same before and after.
    pub fn calm(&self) -> bool {
        self.placement.is_some_and(|placement| self.calm_in(placement))
    }

    /// The rate meanwhile.
    pub fn sentinel(&self) -> f64 {
        self.sentinels.iter().sum::<f64>() / 2.0
    }
}

/// The runs that stand for a cell; there may be no retest.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen<'a> {
    pub placement: Placement,
    pub test: Vec<&'a TimedRun>,
    pub retest: Vec<&'a TimedRun>,
}

const PLACEMENTS: [Placement; 3] = [Placement::Usual, Placement::Other, Placement::Unknown];

fn calm_in(runs: &[TimedRun], placement: Placement) -> Vec<&TimedRun> {
    runs.iter().filter(|run| run.calm_in(placement)).collect()
}

/// Whether the runs of a pass tell a cell's time: as many calm ones of one placement as asked for, spread over a while,
/// since a neighbour's burst outlasts a short model's runs; or as many as may be tried.
pub(super) fn enough(runs: &[TimedRun], rounds: usize, spent: Duration) -> bool {
    let calm = PLACEMENTS.map(|placement| calm_in(runs, placement).len()).into_iter().max().unwrap_or(0);
    (calm >= rounds && (spent >= CELL_TIME || calm >= MOST_ROUNDS * rounds))
        || runs.len() >= MOST_ROUNDS * rounds
}

/// The calm runs of the first two passes that have enough of them in one placement; nothing where no two have.
pub(super) fn paired(passes: &[Vec<TimedRun>], rounds: usize) -> Option<Chosen<'_>> {
    let pair = |placement| {
        let mut calm = passes.iter().map(|runs| calm_in(runs, placement)).filter(|runs| runs.len() >= rounds);
        Some(Chosen { placement, test: calm.next()?, retest: calm.next()? })
    };
    PLACEMENTS.into_iter().filter_map(pair).max_by_key(|chosen| chosen.test.len() + chosen.retest.len())
}

/// What stands for a cell once no more passes are made: a pair, or else the halves of all runs in the placement that has
/// most, calm ones where there are two. No retest where there is a single run, or a single pass. Nothing without runs.
pub(super) fn chosen(passes: &[Vec<TimedRun>], rounds: usize) -> Option<Chosen<'_>> {
    paired(passes, rounds).or_else(|| {
        let all: Vec<&TimedRun> = passes.iter().flatten().collect();
        let within = |placement| all.iter().copied().filter(move |run| run.placement == Some(placement));
        let placement = PLACEMENTS
            .into_iter()
            .max_by_key(|placement| (within(*placement).count(), *placement == Placement::Usual))?;
        let calm: Vec<&TimedRun> = within(placement).filter(|run| run.calm()).collect();
        let kept = if calm.len() > 1 { calm } else { within(placement).collect() };
        // Moved in every single run: they say what such a machine takes, and no placement.
        let (placement, kept) =
            if kept.is_empty() { (Placement::Unknown, all.clone()) } else { (placement, kept) };
        // Runs of one visit are no retest of each other: what differs between visits is the floor of every error.
        let kept_in =
            |runs: &[TimedRun]| runs.iter().any(|run| kept.iter().any(|kept| std::ptr::eq(*kept, run)));
        let visits = passes.iter().filter(|runs| kept_in(runs)).count();
        let (test, retest) = kept.split_at(if visits > 1 { kept.len().div_ceil(2) } else { kept.len() });
        (!test.is_empty()).then(|| Chosen { placement, test: test.to_vec(), retest: retest.to_vec() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(value: f64, after: f64, placement: Option<Placement>) -> TimedRun {
        TimedRun { value, sentinels: [1.0, after], placement, token_seconds: Vec::new() }
    }

    fn values(runs: &[&TimedRun]) -> Vec<f64> {
        runs.iter().map(|run| run.value).collect()
    }

    const USUAL: Option<Placement> = Some(Placement::Usual);
    const OTHER: Option<Placement> = Some(Placement::Other);

    #[test]
    fn test_and_retest_are_of_one_placement() {
        let passes = [
            vec![run(1.0, 1.0, USUAL), run(2.0, 1.0, OTHER), run(9.0, 1.5, OTHER), run(2.1, 1.0, OTHER)],
            vec![run(1.1, 1.0, USUAL), run(1.2, 1.0, USUAL)],
            vec![run(2.2, 1.0, OTHER), run(2.3, 1.0, OTHER), run(8.0, 1.0, None)],
        ];
        assert_eq!(paired(&passes[..2], 2), None, "each has two of another placement");
        let chosen = paired(&passes, 2).unwrap();
        assert_eq!((chosen.placement, values(&chosen.test)), (Placement::Other, vec![2.0, 2.1]));
        assert_eq!(values(&chosen.retest), [2.2, 2.3]);
    }

    #[test]
    fn without_a_pair_the_runs_of_one_placement_are_halved() {
        let mut passes = [
            vec![run(1.0, 1.0, USUAL), run(1.1, 1.0, USUAL)],
            vec![run(2.0, 1.0, OTHER), run(1.2, 1.0, USUAL)],
        ];
        let halves = chosen(&passes, 3).unwrap();
        assert_eq!((values(&halves.test), values(&halves.retest)), (vec![1.0, 1.1], vec![1.2]));
        passes[1].pop();
        let once = chosen(&passes, 3).unwrap();
        assert_eq!(
            (values(&once.test), values(&once.retest)),
            (vec![1.0, 1.1], vec![]),
            "one visit, no retest"
        );
        let moved = [vec![run(1.0, 1.0, None)], vec![]];
        let moved = chosen(&moved, 1).unwrap();
        assert_eq!((moved.placement, values(&moved.test)), (Placement::Unknown, vec![1.0]));
        assert_eq!(chosen(&[], 1), None);
        let unsteady = [vec![run(1.0, 1.5, USUAL)], vec![run(3.0, 1.5, USUAL)]];
        assert_eq!(
            values(&chosen(&unsteady, 1).unwrap().retest),
            [3.0],
            "disturbed ones where there are no others"
        );
    }

    #[test]
    fn runs_go_on_until_one_placement_has_enough() {
        let runs = vec![run(1.0, 1.0, USUAL), run(1.0, 1.0, OTHER), run(1.0, 1.0, OTHER)];
        assert!(enough(&runs, 2, CELL_TIME) && !enough(&runs, 2, Duration::ZERO));
        assert!(!enough(&runs, 3, CELL_TIME));
        assert!(enough(&vec![run(1.0, 2.0, USUAL); 8], 2, Duration::ZERO), "no more are tried");
    }
}
