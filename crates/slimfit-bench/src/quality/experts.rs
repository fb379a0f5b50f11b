//! Q4: mixtures of experts, the weight of all experts against the visited ones taken from another suite.

use super::baseline;
use super::data::Data;
use super::goal::Goal;
use super::row::{self, Judged, Row};
use anyhow::{Context, Result};
use slimfit_quality::Recipe;
use slimfit_quality::fit::{Parameter, TrainingRun, fit_law, left_out, predicted_loss};

/// What a suite of one length tells.
const ONE_LENGTH: [Parameter; 3] = [Parameter::Irreducible, Parameter::SizeFactor, Parameter::SizeExponent];
/// What a suite of several lengths tells, its shapes being nearly alike.
const SEVERAL_LENGTHS: [Parameter; 5] = [
    Parameter::Irreducible,
    Parameter::SizeFactor,
    Parameter::SizeExponent,
    Parameter::DataFactor,
    Parameter::DataExponent,
];

/// The rows.
pub fn rows(data: &Data) -> Result<Vec<Row>> {
    // Neither suite varies width over depth or tells its embeddings.
    let mut recipe = Recipe::builtin("gemstones")?;
    recipe.shape.width_depth_penalty.value = 0.0;
    recipe.shape.embedding_credit.value = 0.0;
    let mut one_length = recipe.clone();
    one_length.loss.interaction = None;
    let clark: Vec<&TrainingRun> = data.clark.iter().collect();
    let steplaw: Vec<&TrainingRun> = data.steplaw.iter().collect();
    let exponent = |start: &Recipe, runs: &[&TrainingRun], moved: &[Parameter]| -> Result<f64> {
        let mut moved = moved.to_vec();
        moved.push(Parameter::ExpertExponent);
        Ok(fit_law(start, runs, &moved).context("no minimum")?.shape.expert_exponent.value)
    };
    let from_clark = exponent(&one_length, &clark, &ONE_LENGTH)?;
    let from_steplaw = exponent(&recipe, &steplaw, &SEVERAL_LENGTHS)?;
    let judge = |start: &Recipe, runs: &[&TrainingRun], moved: &[Parameter], exponent: f64| {
        let mut start = start.clone();
        start.shape.expert_exponent.value = exponent;
        let predicted = left_out(runs, |kept, dropped| {
            let fitted = fit_law(&start, kept, moved)?;
            Some(dropped.iter().map(|run| predicted_loss(&fitted, run)).collect())
        });
        let judged: Vec<Judged> =
            baseline::judged(runs, &predicted.context("no minimum")?, &|_| String::new());
        anyhow::Ok(judged)
    };
    // Dense shapes are seen by every fit; a held-out arrangement of experts is what is judged.
    let experts_only = |rows: Vec<Judged>| -> Vec<Judged> {
        rows.into_iter().filter(|row| row.group.starts_with("moe")).collect()
    };
    let goal = Some(Goal::at_most(0.016, 3));
    let error = ("MAE, nats", row::mean_absolute as row::Statistic);
    let mut rows = Vec::new();
    let steplaw_by = |exponent| judge(&recipe, &steplaw, &SEVERAL_LENGTHS, exponent).map(experts_only);
    rows.extend(
        Row::new(
            "Q4",
            "StepLaw, one arrangement of experts held out, exponent of Clark 2022",
            error,
            goal,
            &steplaw_by(from_clark)?,
            &[
                ("visited parameters", steplaw_by(0.0)?),
                ("all parameters", steplaw_by(1.0)?),
                ("geometric mean", steplaw_by(0.5)?),
            ],
        )
        .map(|row| row.remark(format!("exponent {from_clark:.3}"))),
    );
    let clark_by = |exponent| judge(&one_length, &clark, &ONE_LENGTH, exponent);
    rows.extend(
        Row::new(
            "Q4",
            "Clark 2022, one dense size held out, exponent of StepLaw",
            error,
            None,
            &clark_by(from_steplaw)?,
            &[
                ("visited parameters", clark_by(0.0)?),
                ("all parameters", clark_by(1.0)?),
                ("geometric mean", clark_by(0.5)?),
            ],
        )
        .map(|row| row.remark(format!("exponent {from_steplaw:.3}"))),
    );
    Ok(rows)
}
