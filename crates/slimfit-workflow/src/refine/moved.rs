//! What a correction moved.

use slimfit_quantity::median;
use slimfit_study::{Front, FrontPoint, Moved, Objective, PickMove, PickedPoint, Shift};
use std::collections::BTreeMap;

/// Compares the fronts of one space.
pub(super) fn moved(before: &Front, after: &Front) -> Moved {
    let known = by_id(after);
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
        stayed: stayed(before, after),
        shifts: shifts(before, after, &before.head.objectives),
        picks: picks.collect(),
    }
}

fn by_id(front: &Front) -> BTreeMap<&str, &FrontPoint> {
    front.points.iter().map(|point| (point.id.as_str(), point)).collect()
}

/// Models on both fronts.
pub(crate) fn stayed(before: &Front, after: &Front) -> u64 {
    let known = by_id(after);
    before.points.iter().filter(|point| known.contains_key(point.id.as_str())).count() as u64
}

/// By how much predictions of the models on both fronts differ.
pub(crate) fn shifts(before: &Front, after: &Front, objectives: &[Objective]) -> Vec<Shift> {
    let known = by_id(after);
    let shift = |objective: &Objective| {
        let name = &objective.name;
        let factor = |old: &FrontPoint| {
            Some(known.get(old.id.as_str())?.objectives.get(name)? / old.objectives.get(name)?)
        };
        let factors: Vec<f64> =
            before.points.iter().filter_map(factor).filter(|factor| factor.is_finite()).collect();
        let some = |value: f64| (!factors.is_empty()).then_some(value);
        Shift {
            objective: name.clone(),
            factor: some(median(&factors)),
            low: some(factors.iter().copied().fold(f64::INFINITY, f64::min)),
            high: some(factors.iter().copied().fold(0.0, f64::max)),
        }
    };
    objectives.iter().map(shift).collect()
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
