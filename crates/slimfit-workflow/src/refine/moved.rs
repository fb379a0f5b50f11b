//! What a correction moved.

use slimfit_quantity::median;
use slimfit_study::{Front, FrontPoint, Moved, PickMove, PickedPoint, Shift};
use std::collections::BTreeMap;

/// Compares the fronts of one space.
pub(super) fn moved(before: &Front, after: &Front) -> Moved {
    let known: BTreeMap<&str, &FrontPoint> =
        after.points.iter().map(|point| (point.id.as_str(), point)).collect();
    let both: Vec<(&FrontPoint, &FrontPoint)> =
        before.points.iter().filter_map(|point| Some((point, *known.get(point.id.as_str())?))).collect();
    let shifts = before.head.objectives.iter().map(|objective| {
        let name = &objective.name;
        let factors: Vec<f64> = both
            .iter()
            .filter_map(|(old, new)| Some(new.objectives.get(name)? / old.objectives.get(name)?))
            .filter(|factor| factor.is_finite())
            .collect();
        let some = |value: f64| (!factors.is_empty()).then_some(value);
        Shift {
            objective: name.clone(),
            factor: some(median(&factors)),
            low: some(factors.iter().copied().fold(f64::INFINITY, f64::min)),
            high: some(factors.iter().copied().fold(0.0, f64::max)),
        }
    });
    let mut picks: Vec<&String> = before.points.iter().flat_map(|point| &point.picks).collect();
    picks.sort();
    picks.dedup();
    let picked = |front: &'_ Front, pick: &String| -> Option<usize> {
        front.points.iter().position(|point| point.picks.contains(pick))
    };
    let picks = picks.into_iter().filter_map(|pick| {
        let (old, new) = (&before.points[picked(before, pick)?], &after.points[picked(after, pick)?]);
        Some(PickMove {
            pick: pick.clone(),
            moved: old.id != new.id,
            // As it is predicted now, where it is still on the front.
            beyond_noise: beyond_noise(known.get(old.id.as_str()).copied().unwrap_or(old), new),
            before: of(old),
            after: of(new),
        })
    });
    Moved {
        front_before: before.points.len() as u64,
        front_after: after.points.len() as u64,
        stayed: both.len() as u64,
        shifts: shifts.collect(),
        picks: picks.collect(),
    }
}

fn of(point: &FrontPoint) -> PickedPoint {
    PickedPoint { id: point.id.clone(), objectives: point.objectives.clone() }
}

/// Whether the intervals of two points are apart in some objective.
fn beyond_noise(a: &FrontPoint, b: &FrontPoint) -> bool {
    a.intervals.iter().any(|(name, ours)| {
        b.intervals.get(name).is_some_and(|theirs| ours.high < theirs.low || theirs.high < ours.low)
    })
}
