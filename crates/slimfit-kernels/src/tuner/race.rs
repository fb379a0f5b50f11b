//! A race of several candidates, and who won it. Knows nothing of kernels.
//!
//! All candidates run once in every round, so that what disturbs the machine disturbs all of them, and only ratios
//! within a round count. The incumbent runs twice, first and last: how far its own times lie apart is the noise.

use slimfit_quantity::{median, quantile};

/// Rounds that are run whatever the time.
const LEAST_ROUNDS: usize = 5;
/// Rounds that are enough.
const MOST_ROUNDS: usize = 25;
/// A candidate this much slower than the incumbent runs no more: after two rounds, and after the least.
const HOPELESS: [f64; 2] = [1.25, 1.10];
/// A gain below this is none, however steady.
const LEAST_GAIN: f64 = 0.02;

/// The times of a race.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Race {
    /// Of each candidate, one a round; of the incumbent, the mean of its two. Who fell out has fewer.
    pub(super) samples: Vec<Vec<f64>>,
    incumbent: usize,
    /// The incumbent's first time over its second, each round.
    retests: Vec<f64>,
}

/// Runs rounds until `go_on` says no.
pub(super) fn run(
    candidates: usize,
    incumbent: usize,
    go_on: impl Fn() -> bool,
    mut seconds: impl FnMut(usize) -> f64,
) -> Race {
    let mut race = Race { samples: vec![Vec::new(); candidates], incumbent, retests: Vec::new() };
    let mut challengers: Vec<usize> = (0..candidates).filter(|&candidate| candidate != incumbent).collect();
    for round in 0..MOST_ROUNDS {
        if round >= LEAST_ROUNDS && !go_on() {
            break;
        }
        // Every second round backwards: nobody always runs after the same one.
        if round % 2 == 1 {
            challengers.reverse();
        }
        let first = seconds(incumbent);
        for &candidate in &challengers {
            race.samples[candidate].push(seconds(candidate));
        }
        let last = seconds(incumbent);
        race.samples[incumbent].push((first + last) / 2.0);
        race.retests.push(first / last);
        let limit = match round + 1 {
            1 => continue,
            rounds if rounds < LEAST_ROUNDS => HOPELESS[0],
            _ => HOPELESS[1],
        };
        challengers.retain(|&candidate| median(&race.ratios(candidate)) < limit);
    }
    race
}

impl Race {
    /// The incumbent, unless another beats it beyond the noise: in the median by more than what three of four of the
    /// incumbent's own repetitions lie apart, and in three of four rounds. Of several such, the first in order that is
    /// as fast as the fastest but for the noise.
    pub(super) fn winner(&self) -> usize {
        let noise = self.noise();
        let gains: Vec<(usize, f64)> = (0..self.samples.len())
            .filter(|&candidate| candidate != self.incumbent)
            .filter_map(|candidate| {
                let ratios = self.ratios(candidate);
                let middle = median(&ratios);
                (middle < 1.0 - noise && quantile(&ratios, 0.75) < 1.0).then_some((candidate, middle))
            })
            .collect();
        let best = gains.iter().map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min);
        gains
            .iter()
            .find(|(_, ratio)| *ratio <= best * (1.0 + noise))
            .map_or(self.incumbent, |(candidate, _)| *candidate)
    }

    /// How far two runs of the same code lie apart.
    fn noise(&self) -> f64 {
        let apart: Vec<f64> = self.retests.iter().map(|ratio| (ratio - 1.0).abs()).collect();
        quantile(&apart, 0.75).max(LEAST_GAIN)
    }

    /// Times over the incumbent's in the same round.
    fn ratios(&self, candidate: usize) -> Vec<f64> {
        self.samples[candidate]
            .iter()
            .zip(&self.samples[self.incumbent])
            .map(|(time, of)| time / of)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn race(samples: &[Vec<f64>], incumbent: usize, retest: f64) -> usize {
        let retests = vec![retest; samples[incumbent].len()];
        Race { samples: samples.to_vec(), incumbent, retests }.winner()
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
    fn the_hopeless_fall_out_and_time_ends_the_race() {
        let race = run(4, 0, || true, |candidate| [1.0, 0.9, 3.0, 1.2][candidate]);
        let rounds: Vec<usize> = race.samples.iter().map(Vec::len).collect();
        assert_eq!(rounds, [MOST_ROUNDS, MOST_ROUNDS, 2, LEAST_ROUNDS]);
        assert_eq!(race.winner(), 1);
        let race = run(2, 0, || false, |_| 1.0);
        assert_eq!(race.samples.iter().map(Vec::len).collect::<Vec<_>>(), [LEAST_ROUNDS; 2]);
    }
}
