//! Q1 to Q3: losses of shapes, sizes and lengths that no fit has seen.

use super::baseline;
use super::data::Data;
use super::goal::Goal;
use super::row::{self, Judged, Row};
use anyhow::{Context, Result};
use slimfit_quality::Recipe;
use slimfit_quality::fit::{
    FitErrors, Parameter, TrainingRun, fit_law, leave_groups_out, left_out, predicted_loss,
};
use std::collections::BTreeMap;

/// Tokens at which shapes are ranked: the longest that all were trained for.
const RANKED_AT: f64 = 350e9;
/// Sizes whose shapes are ranked against each other: total parameters, from and to.
const SIZES: [(&str, f64, f64); 4] =
    [("100M", 6e7, 1.5e8), ("500M", 4e8, 7e8), ("1B", 8e8, 1.5e9), ("2B", 1.5e9, 2.5e9)];

/// A law that a suite may choose: what it moves, and from where.
pub struct Candidate {
    /// As tables show it.
    pub name: &'static str,
    /// Where it begins.
    pub recipe: Recipe,
    /// What it moves.
    pub moved: Vec<Parameter>,
}

/// Predicts each group by the candidate that predicts the *other* groups best when each of them is left out in turn; also how
/// often each was chosen.
pub fn nested(candidates: &[Candidate], runs: &[&TrainingRun]) -> Result<(Vec<f64>, String)> {
    let chosen = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let predicted = left_out(runs, |kept, dropped| {
        let measured: Vec<f64> = kept.iter().map(|run| run.loss).collect();
        let error = |candidate: &Candidate| {
            let predicted = leave_groups_out(&candidate.recipe, kept, &candidate.moved)?;
            FitErrors::of(&predicted, &measured).map(|errors| errors.mean_absolute)
        };
        let judged = candidates.iter().filter_map(|candidate| Some((error(candidate)?, candidate)));
        let (_, best) = judged.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        *chosen.borrow_mut().entry(best.name).or_insert(0) += 1;
        let fitted = fit_law(&best.recipe, kept, &best.moved)?;
        Some(dropped.iter().map(|run| predicted_loss(&fitted, run)).collect())
    })
    .context("a fit finds no minimum")?;
    let chosen: Vec<String> =
        chosen.into_inner().iter().map(|(name, count)| format!("{name} {count}×")).collect();
    Ok((predicted, format!("form chosen by the other groups: {}", chosen.join(", "))))
}

/// Size and data as sums, and joined by an interaction; `shape` says whether shape terms move too.
pub fn candidates(start: &Recipe, shape: bool) -> Vec<Candidate> {
    let of = |keep: &dyn Fn(Parameter) -> bool| -> Vec<Parameter> {
        let terms = [Parameter::WidthDepthPenalty, Parameter::WidthDepthOptimum, Parameter::EmbeddingCredit];
        let all = Parameter::WHOLE.into_iter();
        all.filter(|parameter| keep(*parameter) && (shape || !terms.contains(parameter))).collect()
    };
    let mut added = start.clone();
    added.loss.interaction = None;
    let sums = of(&|parameter| parameter != Parameter::Interaction);
    vec![
        Candidate { name: "sum", recipe: added, moved: sums },
        Candidate { name: "joined", recipe: start.clone(), moved: of(&|_| true) },
    ]
}

/// The rows.
pub fn rows(data: &Data) -> Result<Vec<Row>> {
    let start = Recipe::builtin("gemstones")?;
    let runs: Vec<&TrainingRun> = data.gemstones.iter().collect();
    let (predicted, remark) = nested(&candidates(&start, true), &runs)?;
    let size = |run: &TrainingRun| {
        let total = (run.shape.non_embedding + run.shape.embedding) as f64;
        let of = SIZES.iter().find(|(_, low, high)| (*low..*high).contains(&total));
        of.map_or_else(|| run.group.clone(), |(name, ..)| (*name).to_owned())
    };
    let all = baseline::judged(&runs, &predicted, &size);
    let mut baselines = baseline::losses(&start, &runs, &size)?;
    let sum = &candidates(&start, true)[0];
    let added = leave_groups_out(&sum.recipe, &runs, &sum.moved).context(sum.name)?;
    baselines.insert(0, ("size + data as a sum", baseline::judged(&runs, &added, &size)));
    let last = |rows: &[Judged]| -> Vec<Judged> {
        let mut nearest: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, run) in runs.iter().enumerate() {
            let distance = |place: usize| (runs[place].tokens as f64 - RANKED_AT).abs();
            let best = nearest.entry(&run.group).or_insert(place);
            if distance(place) < distance(*best) {
                *best = place;
            }
        }
        nearest.values().map(|place| rows[*place].clone()).collect()
    };
    let last_baselines: Vec<_> = baselines.iter().map(|(name, rows)| (*name, last(rows))).collect();
    let what = "leave one shape out, Gemstones";
    let mut rows = vec![
        Row::new(
            "Q1",
            what,
            ("MAE, nats", row::mean_absolute),
            Some(Goal::at_most(0.0131, 4)),
            &all,
            &baselines,
        )
        .map(|row| row.remark(remark)),
        Row::new(
            "Q1",
            format!("{what}, at 350B tokens"),
            ("Spearman", row::spearman),
            Some(Goal::at_least(0.999, 3)),
            &last(&all),
            &last_baselines,
        ),
        Row::new(
            "Q2",
            "the same, pairs of about equal size",
            ("discordant pairs", row::discordant_pairs),
            Some(Goal::at_most(2.0, 0)),
            &last(&all),
            &last_baselines,
        ),
        Row::new(
            "Q2",
            "the same, mean within 100M, 500M, 1B and 2B",
            ("Kendall", row::kendall_within),
            None,
            &last(&all),
            &last_baselines,
        ),
    ];
    rows.extend(morph(data, &start, &runs)?);
    Ok(rows.into_iter().flatten().collect())
}

/// Q3: another suite, with the shape terms of the first.
fn morph(data: &Data, start: &Recipe, gemstones: &[&TrainingRun]) -> Result<Vec<Option<Row>>> {
    let frozen = fit_law(start, gemstones, &Parameter::WHOLE).context("Gemstones finds no minimum")?;
    let runs: Vec<&TrainingRun> = data.morph.iter().collect();
    let class = |run: &TrainingRun| format!("{} {}", run.group, run.tokens);
    let (predicted, remark) = nested(&candidates(&frozen, false), &runs)?;
    let judged = baseline::judged(&runs, &predicted, &class);
    let baselines = baseline::losses(&frozen, &runs, &class)?;
    let what = "Morph, shape terms of Gemstones, one size held out";
    let refitted = leave_groups_out(&frozen, &runs, &Parameter::WHOLE).context("Morph finds no minimum")?;
    let refitted = baseline::judged(&runs, &refitted, &class);
    let tau = ("Kendall within a size", row::kendall_within as row::Statistic);
    let error = ("MAE, nats", row::mean_absolute as row::Statistic);
    Ok(vec![
        Row::new("Q3", what, tau, Some(Goal::at_least(0.91, 2)), &judged, &baselines)
            .map(|row| row.remark(remark)),
        Row::new("Q3", what, error, Some(Goal::at_most(0.015, 3)), &judged, &baselines),
        Row::new("Q3", "Morph, shape terms refitted, one size held out", tau, None, &refitted, &[]),
        Row::new("Q3", "Morph, shape terms refitted, one size held out", error, None, &refitted, &[]),
    ])
}
