//! Points that a person looks at first.

use crate::Metric;
use slimfit_study::{Front, FrontPoint, Objective};

/// Marks the knee, the best in each objective, and the best quality under limits.
pub(crate) fn pick(points: &mut [FrontPoint], objectives: &[Metric], limited: bool) {
    if points.is_empty() {
        return;
    }
    let measures: Vec<Measure<'_>> = objectives.iter().map(|metric| Measure::of_metric(*metric)).collect();
    let scaled = scaled(points, &measures);
    // Of points that cannot be told apart the cheapest is recommended.
    let representatives: Vec<usize> =
        (0..points.len()).filter(|&place| points[place].representative).collect();
    let knee = knee(&scaled, &measures, &representatives);
    points[knee].picks.push("knee".to_owned());
    for (column, metric) in objectives.iter().enumerate() {
        let mut names: Vec<String> = match metric.quantity() {
            Metric::Loss | Metric::LossPerByte if limited => {
                vec!["best-quality".to_owned(), "best-under-limits".to_owned()]
            }
            Metric::Score(scored) => vec![format!("best-{}", scored.name().replace('_', "-"))],
            quantity => vec![best_in(quantity).to_owned()],
        };
        if let Some(place) = metric.device() {
            names.iter_mut().for_each(|name| name.push_str(&format!("-on-{}", place + 1)));
        }
        let best = (0..points.len()).min_by(|&a, &b| {
            // Of equals the one that is better elsewhere.
            let rest = |place: usize| scaled[place].iter().sum::<f64>();
            scaled[a][column].total_cmp(&scaled[b][column]).then(rest(a).total_cmp(&rest(b)))
        });
        if let Some(best) = best {
            for name in names {
                // Two measures of one thing, operations and money of a training say, may agree.
                if !points[best].picks.contains(&name) {
                    points[best].picks.push(name);
                }
            }
        }
    }
}

/// What the best in a quantity is called.
const fn best_in(quantity: Metric) -> &'static str {
    match quantity {
        Metric::Loss | Metric::LossPerByte | Metric::Score(_) => "best-quality",
        Metric::TpotSeconds | Metric::SecondsPerByte => "fastest",
        Metric::TtftSeconds => "first-token-soonest",
        Metric::MemoryBytes => "smallest",
        Metric::FileBytes => "smallest-file",
        Metric::JoulesPerToken => "most-frugal",
        Metric::Parameters => "fewest-parameters",
        Metric::TtftP95Seconds => "first-token-soonest-at-p95",
        Metric::TpotP95Seconds => "fastest-at-p95",
        Metric::TrainingFlops | Metric::TrainingSeconds | Metric::TrainingCost => "cheapest-to-train",
        Metric::OnDevice(on) => best_in(on.quantity()),
    }
}

/// The candidate nearest to the corner where quality and costs are all at their best. Costs count together as much as
/// loss and scores together: they rise and fall together, and three of them must not outvote the other kind.
fn knee(scaled: &[Vec<f64>], measures: &[Measure<'_>], candidates: &[usize]) -> usize {
    let distance = |point: &[f64]| -> f64 {
        let mean = |quality: bool| {
            let of_kind = point.iter().zip(measures).filter(|(_, measure)| measure.quality == quality);
            let squares: Vec<f64> = of_kind.map(|(value, _)| value * value).collect();
            squares.iter().sum::<f64>() / squares.len().max(1) as f64
        };
        mean(true) + mean(false)
    };
    let order = |a: &&usize, b: &&usize| distance(&scaled[**a]).total_cmp(&distance(&scaled[**b]));
    candidates.iter().min_by(order).copied().unwrap_or_default()
}

/// What scaling must know of an objective.
struct Measure<'a> {
    name: &'a str,
    quality: bool,
    maximised: bool,
}

impl<'a> Measure<'a> {
    fn of_metric(metric: Metric) -> Self {
        Self { name: metric.name(), quality: metric.is_quality(), maximised: metric.is_maximised() }
    }

    /// Of a record, which may come from another recipe.
    fn of_record(objective: &'a Objective) -> Self {
        let quality = ["loss", "score_"].iter().any(|start| objective.name.starts_with(start));
        Self { name: &objective.name, quality, maximised: objective.direction == "max" }
    }

    /// Less is better, whatever the objective.
    fn value(&self, point: &FrontPoint) -> f64 {
        let value = point.objectives.get(self.name).copied();
        let value = value.map_or(f64::INFINITY, |value| if self.maximised { -value } else { value });
        if self.quality { value } else { value.ln() }
    }
}

/// Each objective from 0 (best of the front) to 1 (worst): nats and percents as they are, costs as logarithms.
fn scaled(points: &[FrontPoint], measures: &[Measure<'_>]) -> Vec<Vec<f64>> {
    let ranges: Vec<(f64, f64)> = measures
        .iter()
        .map(|measure| {
            points
                .iter()
                .map(|point| measure.value(point))
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                    (low.min(value), high.max(value))
                })
        })
        .collect();
    points
        .iter()
        .map(|point| {
            let each = measures.iter().zip(&ranges);
            each.map(
                |(measure, (low, high))| {
                    if high > low { (measure.value(point) - low) / (high - low) } else { 0.0 }
                },
            )
            .collect()
        })
        .collect()
}

/// At most `size` points that show a front: the knee first, then the other picks, then representatives of ties, each as
/// far from those before it as can be. Places in `front.points`.
pub fn shortlist(front: &Front, size: usize) -> Vec<usize> {
    let measures: Vec<Measure<'_>> = front.head.objectives.iter().map(Measure::of_record).collect();
    let scaled = scaled(&front.points, &measures);
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
    use slimfit_quality::Recipe;

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
    fn the_knee_is_no_point_that_a_cheaper_one_stands_for() {
        let objectives = [Metric::Loss, Metric::TpotSeconds];
        let mut points = vec![
            point("slow", &[(Metric::Loss, 2.0, 0.0), (Metric::TpotSeconds, 1.0, 0.0)]),
            point("bend", &[(Metric::Loss, 2.2, 0.0), (Metric::TpotSeconds, 0.02, 0.0)]),
            point("cheaper", &[(Metric::Loss, 2.21, 0.0), (Metric::TpotSeconds, 0.0199, 0.0)]),
            point("fast", &[(Metric::Loss, 4.0, 0.0), (Metric::TpotSeconds, 0.01, 0.0)]),
        ];
        points[1].representative = false;
        pick(&mut points, &objectives, false);
        assert!(points[1].picks.is_empty());
        assert_eq!(points[2].picks, ["knee"]);
    }

    #[test]
    fn the_best_of_a_score_is_the_highest() {
        let score = Metric::named("score_arc_easy", &Recipe::builtin("gemstones").unwrap()).unwrap();
        let objectives = [score, Metric::TpotSeconds];
        let mut points = vec![
            point("low", &[(score, 40.0, 0.0), (Metric::TpotSeconds, 0.01, 0.0)]),
            point("bend", &[(score, 58.0, 0.0), (Metric::TpotSeconds, 0.012, 0.0)]),
            point("high", &[(score, 60.0, 0.0), (Metric::TpotSeconds, 0.1, 0.0)]),
        ];
        pick(&mut points, &objectives, true);
        let picks: Vec<&[String]> = points.iter().map(|point| point.picks.as_slice()).collect();
        assert_eq!(picks, [["fastest"], ["knee"], ["best-arc-easy"]]);
    }

    #[test]
    fn an_empty_front_has_no_picks() {
        pick(&mut [], &[Metric::Loss], false);
    }
}
