//! Points that a person looks at first.

use crate::Metric;
use slimfit_study::{Front, FrontPoint};

/// Marks the knee, the best in each objective, and the best quality under limits.
pub(crate) fn pick(points: &mut [FrontPoint], objectives: &[Metric], limited: bool) {
    if points.is_empty() {
        return;
    }
    let scaled = scaled(points, objectives);
    let knee = knee(&scaled, objectives);
    points[knee].picks.push("knee".to_owned());
    for (column, metric) in objectives.iter().enumerate() {
        let names: &[&str] = match metric {
            Metric::Loss | Metric::LossPerByte if limited => &["best-quality", "best-under-limits"],
            Metric::Loss | Metric::LossPerByte => &["best-quality"],
            Metric::TpotSeconds | Metric::SecondsPerByte => &["fastest"],
            Metric::TtftSeconds => &["first-token-soonest"],
            Metric::MemoryBytes => &["smallest"],
            Metric::JoulesPerToken => &["most-frugal"],
            Metric::Parameters => &["fewest-parameters"],
            Metric::TtftP95Seconds => &["first-token-soonest-at-p95"],
            Metric::TpotP95Seconds => &["fastest-at-p95"],
        };
        let best = (0..points.len()).min_by(|&a, &b| {
            // Of equals the one that is better elsewhere.
            let rest = |place: usize| scaled[place].iter().sum::<f64>();
            scaled[a][column].total_cmp(&scaled[b][column]).then(rest(a).total_cmp(&rest(b)))
        });
        if let Some(best) = best {
            points[best].picks.extend(names.iter().map(|name| (*name).to_owned()));
        }
    }
}

/// The point nearest to the corner where quality and costs are all at their best. Costs count together as much as the
/// quality: they rise and fall together, and three of them must not outvote it.
fn knee(scaled: &[Vec<f64>], objectives: &[Metric]) -> usize {
    let distance = |point: &[f64]| -> f64 {
        let (mut quality, mut cost, mut costs) = (0.0, 0.0, 0.0_f64);
        for (value, metric) in point.iter().zip(objectives) {
            if metric.is_quality() {
                quality += value * value;
            } else {
                cost += value * value;
                costs += 1.0;
            }
        }
        quality + cost / costs.max(1.0)
    };
    let order = |a: &usize, b: &usize| distance(&scaled[*a]).total_cmp(&distance(&scaled[*b]));
    (0..scaled.len()).min_by(order).unwrap_or_default()
}

/// Each objective from 0 (best of the front) to 1 (worst): nats as they are, costs as logarithms.
fn scaled(points: &[FrontPoint], objectives: &[Metric]) -> Vec<Vec<f64>> {
    let value = |point: &FrontPoint, metric: &Metric| {
        let value = point.objectives.get(metric.name()).copied().unwrap_or(f64::INFINITY);
        if metric.is_quality() { value } else { value.ln() }
    };
    let ranges: Vec<(f64, f64)> = objectives
        .iter()
        .map(|metric| {
            points
                .iter()
                .map(|point| value(point, metric))
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                    (low.min(value), high.max(value))
                })
        })
        .collect();
    points
        .iter()
        .map(|point| {
            let each = objectives.iter().zip(&ranges);
            each.map(
                |(metric, (low, high))| {
                    if high > low { (value(point, metric) - low) / (high - low) } else { 0.0 }
                },
            )
            .collect()
        })
        .collect()
}

/// At most `size` points that show a front: the knee first, then the other picks, then representatives of ties, each as
/// far from those before it as can be. Places in `front.points`.
pub fn shortlist(front: &Front, size: usize) -> Vec<usize> {
    let objectives: Vec<Metric> =
        front.head.objectives.iter().filter_map(|objective| Metric::named(&objective.name)).collect();
    let scaled = scaled(&front.points, &objectives);
    let mut chosen: Vec<usize> =
        (0..front.points.len()).filter(|&place| !front.points[place].picks.is_empty()).collect();
    chosen.sort_by_key(|&place| !front.points[place].picks.iter().any(|pick| pick == "knee"));
    chosen.truncate(size);
    let gap = |a: usize, b: usize| -> f64 {
        scaled[a].iter().zip(&scaled[b]).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let open: Vec<usize> = (0..front.points.len())
        .filter(|place| front.points[*place].representative && !chosen.contains(place))
        .collect();
    let mut nearest: Vec<f64> = open
        .iter()
        .map(|&place| chosen.iter().map(|&other| gap(place, other)).fold(f64::INFINITY, f64::min))
        .collect();
    while chosen.len() < size {
        let farthest = (0..open.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]).then(b.cmp(&a)));
        let Some(farthest) = farthest.filter(|&place| nearest[place] > 0.0) else { break };
        chosen.push(open[farthest]);
        for (place, distance) in open.iter().zip(&mut nearest) {
            *distance = distance.min(gap(*place, open[farthest]));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::point;

    #[test]
    fn the_knee_is_the_bend_and_the_ends_are_best_in_their_objective() {
        let objectives = [Metric::Loss, Metric::TpotSeconds];
        let mut points = vec![
            point("slow", &[(Metric::Loss, 2.0, 0.0), (Metric::TpotSeconds, 1.0, 0.0)]),
            point("bend", &[(Metric::Loss, 2.2, 0.0), (Metric::TpotSeconds, 0.02, 0.0)]),
            point("fast", &[(Metric::Loss, 4.0, 0.0), (Metric::TpotSeconds, 0.01, 0.0)]),
        ];
        pick(&mut points, &objectives, true);
        assert_eq!(points[0].picks, ["best-quality", "best-under-limits"]);
        assert_eq!(points[1].picks, ["knee"]);
        assert_eq!(points[2].picks, ["fastest"]);
    }

    #[test]
    fn an_empty_front_has_no_picks() {
        pick(&mut [], &[Metric::Loss], false);
    }
}
