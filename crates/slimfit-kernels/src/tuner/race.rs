//! A race of several candidates, and who won it. Knows nothing of kernels.
//!
//! All candidates run once in every round, so that what disturbs the machine disturbs all of them, and only ratios
//! within a round count.

use slimfit_quantity::{median, quantile};

/// Rounds that are run whatever the time.
const LEAST_ROUNDS: usize = 5;
/// Rounds that are enough.
const MOST_ROUNDS: usize = 25;
/// After the first rounds, a candidate this much slower than the incumbent runs no more.
const HOPELESS: f64 = 1.15;
/// A gain below this is none: two runs of the same code differ by as much.
const LEAST_GAIN: f64 = 0.02;

/// Times of each candidate, one a round, until `go_on` says no. A candidate that fell out has fewer.
pub(super) fn run(
    candidates: usize,
    incumbent: usize,
    go_on: impl Fn() -> bool,
    mut seconds: impl FnMut(usize) -> f64,
) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::new(); candidates];
    let mut racing: Vec<usize> = (0..candidates).collect();
    for round in 0..MOST_ROUNDS {
        if round >= LEAST_ROUNDS && !go_on() {
            break;
        }
        // Every second round backwards: nobody always runs after the same one.
        if round % 2 == 1 {
            racing.reverse();
        }
        for &candidate in &racing {
            samples[candidate].push(seconds(candidate));
        }
        if round + 1 >= LEAST_ROUNDS {
            racing.retain(|&candidate| {
                candidate == incumbent || median(&ratios(&samples, candidate, incumbent)) < HOPELESS
            });
        }
    }
    samples
}

/// The incumbent, unless another beats it beyond the noise: by more than [`LEAST_GAIN`] in the median and in three of
/// four rounds. Of several such, the first in order that is as fast as the fastest but for that gain.
pub(super) fn winner(samples: &[Vec<f64>], incumbent: usize) -> usize {
    let gains: Vec<(usize, f64)> = (0..samples.len())
        .filter(|&candidate| candidate != incumbent)
        .filter_map(|candidate| {
            let ratios = ratios(samples, candidate, incumbent);
            let middle = median(&ratios);
            (middle < 1.0 - LEAST_GAIN && quantile(&ratios, 0.75) < 1.0).then_some((candidate, middle))
        })
        .collect();
    let best = gains.iter().map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min);
    gains
        .iter()
        .find(|(_, ratio)| *ratio <= best * (1.0 + LEAST_GAIN))
        .map_or(incumbent, |(candidate, _)| *candidate)
}

/// Times over the incumbent's in the same round.
fn ratios(samples: &[Vec<f64>], candidate: usize, incumbent: usize) -> Vec<f64> {
    samples[candidate].iter().zip(&samples[incumbent]).map(|(time, of)| time / of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_incumbent_stays_within_the_noise() {
        let samples = [vec![1.0, 1.1, 0.9, 1.0], vec![0.99, 1.09, 0.89, 0.99], vec![1.2, 1.2, 1.2, 1.2]];
        assert_eq!(winner(&samples, 0), 0);
        assert_eq!(winner(&samples, 1), 1);
        assert_eq!(winner(&samples, 2), 0, "the first of two that are alike");
    }

    #[test]
    fn a_challenger_must_win_most_rounds() {
        let steady = [vec![1.0; 4], vec![0.9; 4]];
        assert_eq!(winner(&steady, 0), 1);
        let lucky = [vec![1.0; 4], vec![0.5, 0.9, 1.3, 1.3]];
        assert_eq!(winner(&lucky, 0), 0);
    }

    #[test]
    fn drift_that_all_share_changes_nothing() {
        let drift = [1.0, 1.5, 2.0, 1.2, 0.8];
        let samples: Vec<Vec<f64>> =
            [1.0, 0.9, 1.05].map(|of| drift.iter().map(|d| d * of).collect()).to_vec();
        assert_eq!(winner(&samples, 0), 1);
    }

    #[test]
    fn the_hopeless_fall_out_and_time_ends_the_race() {
        let samples = run(3, 0, || true, |candidate| [1.0, 0.9, 3.0][candidate]);
        assert_eq!(
            samples.iter().map(Vec::len).collect::<Vec<_>>(),
            [MOST_ROUNDS, MOST_ROUNDS, LEAST_ROUNDS]
        );
        let samples = run(2, 0, || false, |_| 1.0);
        assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [LEAST_ROUNDS; 2]);
    }
}
