//! A race of several candidates, and who won it. Knows nothing of kernels.
//!
//! All candidates run once in every round, so that what disturbs the machine disturbs all of them, and only ratios
//! within a round count. The incumbent runs twice, first and last: how far its own times lie apart is the noise.
//! A candidate that will not win runs no more, and a race whose end is clear is over.

use slimfit_quantity::{median, quantile};

/// Rounds that are run whatever the time.
const LEAST_ROUNDS: usize = 5;
/// Rounds that are enough.
const MOST_ROUNDS: usize = 25;
/// A candidate this much slower than the incumbent runs no more: after two rounds, and after the least.
const HOPELESS: [f64; 2] = [1.25, 1.10];
/// A gain below this is none, however steady.
const LEAST_GAIN: f64 = 0.02;
/// The same over what an earlier race chose. Where the system lays a matrix differs from run to run by more than rounds of
/// one run show, and a choice that flips with it is none.
const LEAST_GAIN_OVER_CHOICE: f64 = 0.06;
/// Standard errors of the median to both sides that are certain enough.
const CERTAIN: f64 = 2.5;
/// The standard deviation over the median absolute deviation, and the standard error of a median over that of a mean, of
/// normal noise.
const DEVIATION: f64 = 1.4826;
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// Who runs until another is clearly faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Incumbent {
    /// Its place among the candidates.
    pub(super) place: usize,
    /// Whether an earlier race chose it.
    pub(super) chosen: bool,
}

/// The times of a race.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Race {
    /// Of each candidate, one a round; of the incumbent, the mean of its two. Who fell out has fewer.
    pub(super) samples: Vec<Vec<f64>>,
    incumbent: Incumbent,
    /// The incumbent's first time over its second, each round.
    retests: Vec<f64>,
}

/// Runs rounds until `go_on` says no or the end is clear.
pub(super) fn run(
    candidates: usize,
    incumbent: Incumbent,
    go_on: impl Fn() -> bool,
    mut seconds: impl FnMut(usize) -> f64,
) -> Race {
    let mut race = Race { samples: vec![Vec::new(); candidates], incumbent, retests: Vec::new() };
    let mut challengers: Vec<usize> =
        (0..candidates).filter(|&candidate| candidate != incumbent.place).collect();
    for round in 0..MOST_ROUNDS {
        if round >= LEAST_ROUNDS && !go_on() {
            break;
        }
        // Every second round backwards: nobody always runs after the same one.
        if round % 2 == 1 {
            challengers.reverse();
        }
        let first = seconds(incumbent.place);
        for &candidate in &challengers {
            race.samples[candidate].push(seconds(candidate));
        }
        let last = seconds(incumbent.place);
        race.samples[incumbent.place].push((first + last) / 2.0);
        race.retests.push(first / last);
        match round + 1 {
            1 => {}
            rounds if rounds < LEAST_ROUNDS => {
                challengers.retain(|&candidate| median(&race.ratios(candidate)) < HOPELESS[0]);
            }
            _ => {
                let bar = race.bar();
                challengers.retain(|&candidate| {
                    let ratios = race.ratios(candidate);
                    median(&ratios) < HOPELESS[1] && interval(&ratios).0 < bar
                });
                let clear = |candidate: &usize| interval(&race.ratios(*candidate)).1 < bar;
                if challengers.is_empty() || (challengers.len() == 1 && challengers.iter().all(clear)) {
                    break;
                }
            }
        }
    }
    race
}

impl Race {
    /// The incumbent, unless another is certainly faster by more than the least gain, and by more than what three of four
    /// of the incumbent's own repetitions lie apart. Of several such, the first in order that is as fast as the fastest
    /// but for the least gain.
    pub(super) fn winner(&self) -> usize {
        let bar = self.bar();
        let gains: Vec<(usize, f64)> = (0..self.samples.len())
            .filter(|&candidate| candidate != self.incumbent.place)
            .filter_map(|candidate| {
                let ratios = self.ratios(candidate);
                let clear =
                    !ratios.is_empty() && median(&ratios) < bar && interval(&ratios).1 < 1.0 - self.gain();
                clear.then_some((candidate, median(&ratios)))
            })
            .collect();
        let best = gains.iter().map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min);
        gains
            .iter()
            .find(|(_, ratio)| *ratio <= best * (1.0 + LEAST_GAIN))
            .map_or(self.incumbent.place, |(candidate, _)| *candidate)
    }

    /// The gain that displaces the incumbent.
    fn gain(&self) -> f64 {
        if self.incumbent.chosen { LEAST_GAIN_OVER_CHOICE } else { LEAST_GAIN }
    }

    /// What a challenger's times over the incumbent's must stay below.
    fn bar(&self) -> f64 {
        1.0 - self.noise().max(self.gain())
    }

    /// How far two runs of the same code lie apart.
    fn noise(&self) -> f64 {
        let apart: Vec<f64> = self.retests.iter().map(|ratio| (ratio - 1.0).abs()).collect();
        quantile(&apart, 0.75)
    }

    /// Times over the incumbent's in the same round.
    fn ratios(&self, candidate: usize) -> Vec<f64> {
        self.samples[candidate]
            .iter()
            .zip(&self.samples[self.incumbent.place])
            .map(|(time, of)| time / of)
            .collect()
    }
}

/// Where the median of a ratio certainly lies.
fn interval(ratios: &[f64]) -> (f64, f64) {
    let middle = median(ratios);
    let apart: Vec<f64> = ratios.iter().map(|ratio| (ratio - middle).abs()).collect();
    let error = DEVIATION * ERROR_OF_MEDIAN * median(&apart) / (ratios.len() as f64).sqrt();
    (middle - CERTAIN * error, middle + CERTAIN * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Incumbent = Incumbent { place: 0, chosen: false };

    fn race(samples: &[Vec<f64>], place: usize, retest: f64) -> usize {
        let retests = vec![retest; samples[place].len()];
        Race { samples: samples.to_vec(), incumbent: Incumbent { place, chosen: false }, retests }.winner()
    }

    #[test]
    fn the_incumbent_stays_within_the_noise() {
        let samples = [vec![1.0, 1.1, 0.9, 1.0], vec![0.99, 1.09, 0.89, 0.99], vec![1.2, 1.2, 1.2, 1.2]];
        assert_eq!(race(&samples, 0, 1.0), 0);
        assert_eq!(race(&samples, 1, 1.0), 1);
        assert_eq!(race(&samples, 2, 1.0), 0, "the first of two that are alike");
    }

    #[test]
    fn a_gain_smaller_than_the_incumbents_own_repetition_is_none() {
        let samples = [vec![1.0; 4], vec![0.93; 4]];
        assert_eq!(race(&samples, 0, 1.05), 1);
        assert_eq!(race(&samples, 0, 1.10), 0);
        assert_eq!(race(&samples, 0, 0.90), 0);
    }

    #[test]
    fn a_challenger_must_win_most_rounds() {
        assert_eq!(race(&[vec![1.0; 4], vec![0.9; 4]], 0, 1.0), 1);
        assert_eq!(race(&[vec![1.0; 4], vec![0.5, 0.9, 1.3, 1.3]], 0, 1.0), 0);
    }

    #[test]
    fn drift_that_all_share_changes_nothing() {
        let drift = [1.0, 1.5, 2.0, 1.2, 0.8];
        let samples: Vec<Vec<f64>> =
            [1.0, 0.9, 1.05].map(|of| drift.iter().map(|d| d * of).collect()).to_vec();
        assert_eq!(race(&samples, 0, 1.0), 1);
    }

    #[test]
    fn a_choice_is_kept_where_a_default_would_go() {
        let race = |chosen, of: f64| {
            let samples = vec![vec![1.0; 8], vec![of; 8]];
            Race { samples, incumbent: Incumbent { place: 0, chosen }, retests: vec![1.0; 8] }.winner()
        };
        assert_eq!((race(false, 0.96), race(true, 0.96)), (1, 0));
        assert_eq!((race(false, 0.99), race(true, 0.90)), (0, 1));
    }

    #[test]
    fn the_hopeless_fall_out_and_time_ends_the_race() {
        let race = run(4, DEFAULT, || true, |candidate| [1.0, 0.9, 3.0, 1.2][candidate]);
        let rounds: Vec<usize> = race.samples.iter().map(Vec::len).collect();
        assert_eq!(rounds, [LEAST_ROUNDS, LEAST_ROUNDS, 2, LEAST_ROUNDS], "clear after the least rounds");
        assert_eq!(race.winner(), 1);
        let race = run(2, DEFAULT, || false, |_| 1.0);
        assert_eq!(race.samples.iter().map(Vec::len).collect::<Vec<_>>(), [LEAST_ROUNDS; 2]);
    }

    #[test]
    fn what_is_not_clear_runs_on() {
        let mut calls = 0;
        // A challenger that is faster by the least gain in the middle, and unsteady.
        let race = run(
            2,
            DEFAULT,
            || true,
            |candidate| {
                if candidate == 0 {
                    return 1.0;
                }
                calls += 1;
                [0.9, 0.98, 1.06][calls % 3]
            },
        );
        assert_eq!(race.samples[1].len(), MOST_ROUNDS);
    }
}
