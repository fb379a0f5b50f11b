//! Ties: points that the models cannot tell apart.
//!
//! Dominance goes by central values, so the front is well defined; afterwards points that differ by less than their
//! joint noise in *every* objective share a group, and its cheapest member stands for it. Of the quality's noise only that
//! of shapes and axes counts: what candidates of one recipe share cannot tell them apart.

use crate::Metric;
use slimfit_study::{FrontPoint, Interval};

/// One objective of one point, so that noise adds in quadrature: nats as they are, costs as logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Noisy {
    pub(crate) value: f64,
    pub(crate) half_width: f64,
}

impl Noisy {
    /// `relative`: half of the interval against what it is compared with, where it is not `interval`'s.
    pub(crate) fn new(metric: Metric, value: f64, interval: Option<Interval>, relative: Option<f64>) -> Self {
        let (low, high) = interval.map_or((value, value), |interval| (interval.low, interval.high));
        if metric.is_quality() {
            Self { value, half_width: relative.unwrap_or((high - low) / 2.0) }
        } else {
            let least = low.max(value * 1e-3);
            Self { value: value.ln(), half_width: (high / least).ln() / 2.0 }
        }
    }
}

/// Numbers the tie groups of `points` from 1 and marks their representatives.
///
/// Points are taken from the cheapest on; each that no earlier representative is tied with represents a new group. So
/// every member is tied with its representative, though not always with every other member.
pub(crate) fn group(points: &mut [FrontPoint], objectives: &[Metric]) {
    let noisy: Vec<Vec<Noisy>> =
        points.iter().map(|point| objectives.iter().map(|metric| noisy(point, *metric)).collect()).collect();
    let cheapness: Vec<f64> = points.iter().map(|point| cost(point, objectives)).collect();
    let mut order: Vec<usize> = (0..points.len()).collect();
    // Of equal costs the plainer model: a window that covers the whole text changes nothing.
    let runs = |place: usize| points[place].architecture.layers.len();
    order.sort_by(|&a, &b| {
        let cheaper = cheapness[a].total_cmp(&cheapness[b]);
        cheaper.then(runs(a).cmp(&runs(b))).then(points[a].id.cmp(&points[b].id))
    });
    let mut representatives: Vec<usize> = Vec::new();
    for place in order {
        let group = representatives.iter().position(|&other| tied(&noisy[other], &noisy[place]));
        points[place].representative = group.is_none();
        points[place].tie_group = match group {
            Some(group) => group as u64 + 1,
            None => {
                representatives.push(place);
                representatives.len() as u64
            }
        };
    }
}

/// Sum of the logarithms of all costs; the quality where there is none.
fn cost(point: &FrontPoint, objectives: &[Metric]) -> f64 {
    let value = |metric: &Metric| point.objectives.get(metric.name()).copied().unwrap_or(f64::INFINITY);
    let mut costs =
        objectives.iter().filter(|metric| !metric.is_quality()).map(|metric| value(metric).ln()).peekable();
    if costs.peek().is_none() {
        objectives.iter().map(|metric| metric.minimised(value(metric))).sum()
    } else {
        costs.sum()
    }
}

fn noisy(point: &FrontPoint, metric: Metric) -> Noisy {
    let name = metric.name();
    let value = point.objectives.get(name).copied().unwrap_or(f64::INFINITY);
    let relative = point.relative_noise.get(name).copied();
    Noisy::new(metric, value, point.intervals.get(name).copied(), relative)
}

/// Half-widths are those of 90 % intervals, so their quadrature is the 90 % half-width of the difference.
fn tied(a: &[Noisy], b: &[Noisy]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a.value - b.value).abs() <= a.half_width.hypot(b.half_width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::point;
    use slimfit_quality::Recipe;

    #[test]
    fn scores_tie_by_the_noise_within_the_recipe() {
        let score = Metric::named("score_hellaswag", &Recipe::builtin("gemstones").unwrap()).unwrap();
        let mut points = vec![
            point("a", &[(score, 40.0, 8.0)]),
            point("b", &[(score, 41.5, 8.0)]),
            point("c", &[(score, 44.0, 8.0)]),
        ];
        for point in &mut points {
            point.relative_noise.insert(score.name().to_owned(), 1.7);
        }
        group(&mut points, &[score]);
        // The highest is the cheapest where nothing costs anything.
        assert_eq!(points.iter().map(|point| point.tie_group).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(!points[0].representative && points[1].representative && points[2].representative);
    }

    #[test]
    fn points_within_their_noise_share_a_group_and_the_cheapest_stands_for_it() {
        let objectives = [Metric::Loss, Metric::TpotSeconds];
        let mut points = vec![
            point("a", &[(Metric::Loss, 3.00, 0.03), (Metric::TpotSeconds, 0.0100, 0.001)]),
            point("b", &[(Metric::Loss, 2.99, 0.03), (Metric::TpotSeconds, 0.0104, 0.001)]),
            point("c", &[(Metric::Loss, 2.70, 0.03), (Metric::TpotSeconds, 0.0105, 0.001)]),
            point("d", &[(Metric::Loss, 2.98, 0.03), (Metric::TpotSeconds, 0.0200, 0.001)]),
        ];
        group(&mut points, &objectives);
        assert_eq!(points.iter().map(|point| point.tie_group).collect::<Vec<_>>(), [1, 1, 2, 3]);
        assert_eq!(
            points.iter().map(|point| point.representative).collect::<Vec<_>>(),
            [true, false, true, true]
        );
    }
}
