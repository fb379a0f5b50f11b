//! Which candidates are worth measuring: those by which the measured front is expected to grow most.
//!
//! The growth is that of the hypervolume over logarithms of objectives, averaged over what the surrogate holds possible of
//! the measured ones (expected hypervolume improvement, Emmerich 2006), where possible values that break a limit count
//! nothing. The points of one batch are chosen in turn, each beside the expectations of those before it. This orders
//! candidates and nothing else: no expectation enters a front.

use super::costs::log_cost;
use super::measured::MeasuredSet;
use super::pool::Candidate;
use super::random::Random;
use super::surrogate::Surrogate;
use crate::dominance::at_most;
use crate::{Metric, hypervolume};

/// Middles of eight equally likely parts of the normal distribution.
const NORMAL: [f64; 8] =
    [-1.534_120, -0.887_147, -0.488_776, -0.157_311, 0.157_311, 0.488_776, 0.887_147, 1.534_120];
/// Candidates whose growth is averaged; the others fall behind by their optimistic values.
const CONSIDERED: usize = 48;
/// How many standard deviations better than expected is optimistic.
const OPTIMISTIC: f64 = 1.0;
/// Beyond the worst of the front, as a share of its range and as a factor.
const BEYOND: (f64, f64) = (0.1, 1.1);

/// What is expected of a candidate.
struct Expected<'c> {
    candidate: &'c Candidate,
    /// Logarithms of the costs of the objectives, and one standard deviation.
    objectives: Vec<(f64, f64)>,
    /// For each limit on a measured metric: expected excess over it as a logarithm, and one standard deviation.
    limits: Vec<(f64, f64)>,
}

/// What is asked, and what is known.
pub(super) struct Chooser<'a> {
    pub(super) objectives: &'a [Metric],
    pub(super) limits: &'a [(Metric, f64)],
    pub(super) measures: &'a [Metric],
}

impl Chooser<'_> {
    fn place(&self, metric: Metric) -> Option<usize> {
        self.measures.iter().position(|measured| *measured == metric)
    }

    fn expected<'c>(&self, candidate: &'c Candidate, surrogate: &Surrogate<'_>) -> Expected<'c> {
        let measured = surrogate.expect(candidate);
        let objective = |metric: &Metric| match self.place(*metric) {
            Some(place) => measured[place],
            None => (log_cost(*metric, candidate.values[metric.column()]), 0.0),
        };
        let limit = |(metric, limit): &(Metric, f64)| {
            let (log, sigma) = measured[self.place(*metric)?];
            Some((log - log_cost(*metric, *limit), sigma))
        };
        Expected {
            candidate,
            objectives: self.objectives.iter().map(objective).collect(),
            limits: self.limits.iter().filter_map(limit).collect(),
        }
    }

    /// Means of the objectives, for ranking candidates beside measured points.
    pub(super) fn means(&self, candidate: &Candidate, surrogate: &Surrogate<'_>) -> Vec<f64> {
        self.expected(candidate, surrogate).objectives.into_iter().map(|(mean, _)| mean).collect()
    }

    /// Candidates in the order in which they should be measured, at most `wanted`.
    pub(super) fn choose(
        &self,
        candidates: &[Candidate],
        set: &MeasuredSet<'_>,
        surrogate: &Surrogate<'_>,
        wanted: usize,
        random: &mut Random,
    ) -> Vec<Candidate> {
        let mut open: Vec<Expected<'_>> =
            candidates.iter().map(|candidate| self.expected(candidate, surrogate)).collect();
        let mut front: Vec<Vec<f64>> = set.front().iter().map(|point| point.logs.clone()).collect();
        if front.is_empty() {
            // Nothing keeps all limits yet: what breaks them least.
            open.sort_by(|a, b| excess(a).total_cmp(&excess(b)));
            return open.into_iter().take(wanted).map(|expected| expected.candidate.clone()).collect();
        }
        let reference = reference(&front);
        let optimistic = |expected: &Expected<'_>| -> Vec<f64> {
            expected.objectives.iter().map(|(mean, sigma)| mean - OPTIMISTIC * sigma).collect()
        };
        let mut ordered: Vec<(f64, Expected<'_>)> = open
            .drain(..)
            .map(|expected| (growth(&optimistic(&expected), &front, &reference), expected))
            .collect();
        ordered.sort_by(|a, b| b.0.total_cmp(&a.0));
        ordered.truncate(CONSIDERED);
        let mut open: Vec<Expected<'_>> = ordered.into_iter().map(|(_, expected)| expected).collect();
        let mut draws: Vec<[f64; NORMAL.len()]> = vec![NORMAL; self.measures.len()];
        draws.iter_mut().for_each(|draws| random.shuffle(draws));
        let mut chosen = Vec::new();
        while chosen.len() < wanted && !open.is_empty() {
            let scores: Vec<(f64, f64)> = open
                .iter()
                .map(|expected| {
                    let mean = self.mean_growth(expected, &draws, &front, &reference);
                    // Of those that promise nothing the one about which least is known.
                    (mean, expected.objectives.iter().map(|(_, sigma)| sigma).sum())
                })
                .collect();
            let best = (0..open.len())
                .max_by(|&a, &b| {
                    let growth = scores[a].0.total_cmp(&scores[b].0);
                    growth.then(scores[a].1.total_cmp(&scores[b].1)).then(b.cmp(&a))
                })
                .expect("there is a candidate");
            let expected = open.swap_remove(best);
            front.push(expected.objectives.iter().map(|(mean, _)| *mean).collect());
            chosen.push(expected.candidate.clone());
        }
        chosen
    }

    /// The growth of the front by a candidate, averaged over what is possible.
    fn mean_growth(
        &self,
        expected: &Expected<'_>,
        draws: &[[f64; NORMAL.len()]],
        front: &[Vec<f64>],
        reference: &[f64],
    ) -> f64 {
        let place = |metric: &Metric| self.place(*metric);
        let certain = expected.objectives.iter().chain(&expected.limits).all(|(_, sigma)| *sigma == 0.0);
        let count = if certain { 1 } else { NORMAL.len() };
        let growth_of = |draw: usize| {
            let shifted = |(mean, sigma): (f64, f64), place: Option<usize>| {
                mean + place.map_or(0.0, |place| sigma * draws[place][draw])
            };
            let limited = self.limits.iter().filter_map(|(metric, _)| place(metric)).zip(&expected.limits);
            if limited.into_iter().any(|(place, limit)| shifted(*limit, Some(place)) > 0.0) {
                return 0.0;
            }
            let objectives = self.objectives.iter().zip(&expected.objectives);
            let point: Vec<f64> =
                objectives.map(|(metric, objective)| shifted(*objective, place(metric))).collect();
            growth(&point, front, reference)
        };
        (0..count).map(growth_of).sum::<f64>() / count as f64
    }
}

/// How far a candidate is expected beyond limits, optimistically.
fn excess(expected: &Expected<'_>) -> f64 {
    expected.limits.iter().map(|(mean, sigma)| (mean - OPTIMISTIC * sigma).max(0.0)).sum()
}

/// The corner up to which volume counts.
fn reference(front: &[Vec<f64>]) -> Vec<f64> {
    (0..front[0].len())
        .map(|axis| {
            let of = |choose: fn(f64, f64) -> f64| {
                front.iter().map(|point| point[axis]).reduce(choose).expect("the front holds a point")
            };
            let (least, most) = (of(f64::min), of(f64::max));
            most + BEYOND.1.ln() + BEYOND.0 * (most - least)
        })
        .collect()
}

/// The volume that a point adds to a front: its own box less what the front covers of it.
fn growth(point: &[f64], front: &[Vec<f64>], reference: &[f64]) -> f64 {
    if point.iter().zip(reference).any(|(value, bound)| value >= bound) {
        return 0.0;
    }
    let mut covered = Vec::with_capacity(front.len() * point.len());
    for other in front {
        if at_most(other, point) {
            return 0.0;
        }
        covered.extend(other.iter().zip(point).map(|(a, b)| a.max(*b)));
    }
    let own: f64 = point.iter().zip(reference).map(|(value, bound)| bound - value).product();
    (own - hypervolume(&covered, reference)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_difference_of_hypervolumes() {
        let mut random = Random::new(9);
        for dimensions in 1..5 {
            for _ in 0..50 {
                let mut point = || -> Vec<f64> { (0..dimensions).map(|_| random.share()).collect() };
                let front: Vec<Vec<f64>> = (0..6).map(|_| point()).collect();
                let (new, reference) = (point(), vec![0.9; dimensions]);
                let before = hypervolume(&front.concat(), &reference);
                let after = hypervolume(&[front.concat(), new.clone()].concat(), &reference);
                let found = growth(&new, &front, &reference);
                assert!((found - (after - before)).abs() < 1e-12, "{found} is not {}", after - before);
            }
        }
    }
}
