//! Two fronts.

use super::change::{better, change};
use crate::refine::moved::{shifts, stayed};
use slimfit_quantity::{Figure, Source};
use slimfit_search::non_dominated;
use slimfit_study::{Change, ComparedFronts, ComparedPick, Front, FrontPoint, LeftOut, Objective};

pub(super) fn compared(first: &Front, second: &Front) -> ComparedFronts {
    let (objectives, left_out) = shared(first, second);
    let (first_beaten, second_beaten) = beaten(first, second, &objectives);
    let same_recipe = first.head.recipe == second.head.recipe;
    let best = objectives.iter().filter_map(|objective| {
        let point = |front: &'_ Front| -> Option<usize> { best(front, objective) };
        let (ours, theirs) = (&first.points[point(first)?], &second.points[point(second)?]);
        point_change(ours, theirs, objective, same_recipe)
    });
    let mut names: Vec<&String> = first.points.iter().flat_map(|point| &point.picks).collect();
    names.sort();
    names.dedup();
    let pick = |name: &&String| {
        let of = |front: &'_ Front| front.points.iter().position(|point| point.picks.contains(*name));
        let (ours, theirs) = (&first.points[of(first)?], &second.points[of(second)?]);
        let change = |objective: &Objective| point_change(ours, theirs, objective, same_recipe);
        Some(ComparedPick {
            pick: (*name).clone(),
            first: ours.id.clone(),
            second: theirs.id.clone(),
            changes: objectives.iter().filter_map(change).collect(),
        })
    };
    ComparedFronts {
        on_both: stayed(first, second),
        first_beaten,
        second_beaten,
        shifts: shifts(first, second, &objectives),
        best: best.collect(),
        picks: names.iter().filter_map(pick).collect(),
        objectives,
        left_out,
    }
}

/// Objectives that mean the same in both, in the first one's order; and why the others do not.
fn shared(first: &Front, second: &Front) -> (Vec<Objective>, Vec<LeftOut>) {
    let (mut objectives, mut left_out) = (Vec::new(), Vec::new());
    let mut leave = |objective: &Objective, reason: &str| {
        left_out.push(LeftOut { objective: objective.name.clone(), reason: reason.to_owned() });
    };
    let (ours, theirs) = (&first.head, &second.head);
    for objective in &ours.objectives {
        let Some(other) = theirs.objectives.iter().find(|other| other.name == objective.name) else {
            leave(objective, "only the first has it");
            continue;
        };
        let of_text = objective.name.starts_with("loss");
        let of_quality = of_text || objective.name.starts_with("score_");
        if other.unit != objective.unit || other.direction != objective.direction {
            leave(objective, "it has another unit or direction in each");
        } else if of_text && ours.recipe.name != theirs.recipe.name {
            leave(objective, "each recipe counts it on a text of its own");
        } else if of_quality && ours.quality_table != theirs.quality_table {
            leave(objective, "it rests on different measured scores");
        } else if objective.by_device.is_some() && ours.profiles != theirs.profiles {
            leave(objective, "its device has another place in each");
        } else {
            objectives.push(objective.clone());
        }
    }
    for objective in &theirs.objectives {
        if !ours.objectives.iter().any(|known| known.name == objective.name) {
            leave(objective, "only the second has it");
        }
    }
    (objectives, left_out)
}

fn is_maximised(objective: &Objective) -> bool {
    objective.direction == "max"
}

/// How many points of each front some point of the other dominates.
fn beaten(first: &Front, second: &Front, objectives: &[Objective]) -> (u64, u64) {
    if objectives.is_empty() {
        return (0, 0);
    }
    let coordinates = |point: &FrontPoint| -> Option<Vec<f64>> {
        let value = |objective: &Objective| {
            let value = point.objectives.get(&objective.name).copied().filter(|value| !value.is_nan())?;
            Some(if is_maximised(objective) { -value } else { value })
        };
        objectives.iter().map(value).collect()
    };
    // Over fewer objectives than a front was searched for, its own points beat each other, which is not what is asked.
    let own = |front: &Front| -> Vec<f64> {
        let all: Vec<f64> = front.points.iter().filter_map(coordinates).flatten().collect();
        let width = objectives.len();
        non_dominated(&all, width)
            .into_iter()
            .flat_map(|place| all[place * width..][..width].to_vec())
            .collect()
    };
    let (ours, theirs) = (own(first), own(second));
    let width = objectives.len();
    let (count, others) = (ours.len() / width, theirs.len() / width);
    let both = [ours, theirs].concat();
    let stay = non_dominated(&both, width);
    let of_first = stay.iter().filter(|place| **place < count).count();
    ((count - of_first) as u64, (others - (stay.len() - of_first)) as u64)
}

/// The place of the point with the best value.
fn best(front: &Front, objective: &Objective) -> Option<usize> {
    let value = |place: usize| front.points[place].objectives.get(&objective.name).copied();
    let places = (0..front.points.len()).filter(|place| value(*place).is_some_and(|value| !value.is_nan()));
    places.min_by(|a, b| {
        let (a, b) = (value(*a).unwrap_or(f64::NAN), value(*b).unwrap_or(f64::NAN));
        if is_maximised(objective) { b.total_cmp(&a) } else { a.total_cmp(&b) }
    })
}

/// One objective of two points. Under one recipe, what scores share of its noise says nothing about their difference.
fn point_change(
    first: &FrontPoint,
    second: &FrontPoint,
    objective: &Objective,
    same_recipe: bool,
) -> Option<Change> {
    let (ours, theirs) = (figure(first, objective)?, figure(second, objective)?);
    let mut change = change(&objective.name, (&ours, &theirs), is_maximised(objective), 0.0)?;
    let noise = |point: &FrontPoint| point.relative_noise.get(&objective.name).copied();
    if let (true, Some(a), Some(b)) = (same_recipe, noise(first), noise(second)) {
        let (before, after) = (ours.value?, theirs.value?);
        let beyond_noise = (after - before).abs() > a.hypot(b);
        change.beyond_noise = Some(beyond_noise);
        change.better = beyond_noise.then(|| better(before, after, is_maximised(objective)));
    }
    Some(change)
}

fn figure(point: &FrontPoint, objective: &Objective) -> Option<Figure> {
    let value = point.objectives.get(&objective.name).copied().filter(|value| value.is_finite())?;
    let interval = point.intervals.get(&objective.name);
    Some(Figure {
        value: Some(value),
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
        n: 0,
        source: point.sources.get(&objective.name).copied().unwrap_or(Source::Modelled),
        reason: None,
        citation: None,
    })
}
