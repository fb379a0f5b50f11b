//! The whole fit of a user's runs: checked, fitted, judged on what it has not seen, and written down as a recipe.

use super::bootstrap::bootstrap;
use super::cross::{leave_groups_out, left_out};
use super::errors::FitErrors;
use super::form::Form;
use super::law::fit_law;
use super::parameter::Parameter;
use super::provenance::Provenance;
use super::refusal::FitRefusal;
use super::run::{TrainingRun, groups};
use super::surface::{Surface, SurfaceForm};
use crate::QualityError;
use crate::recipe::Recipe;

/// Left-out errors must be smaller than this share of the mean's: less is no law but luck.
const WORTH: f64 = 0.9;
/// Draws of the bootstrap.
const SAMPLES: usize = 200;

/// A fit and how far it can be trusted.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What was moved.
    pub form: Form,
    /// Groups that were left out in turn.
    pub groups: usize,
    /// The loss of each run, predicted by a fit that has seen no run of its group.
    pub predicted: Vec<f64>,
    /// Errors of those.
    pub left_out: FitErrors,
    /// Errors of the plainest prediction: the mean loss of all other groups.
    pub mean: FitErrors,
    /// What was moved, with intervals from drawing groups with replacement.
    pub coefficients: Vec<FittedCoefficient>,
    /// The recipe; nothing for the log-quadratic form, which holds for its suite alone.
    pub recipe: Option<Recipe>,
}

/// A fitted coefficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FittedCoefficient {
    /// Which.
    pub parameter: Parameter,
    /// Its value.
    pub value: f64,
    /// 5 % bound.
    pub low: f64,
    /// 95 % bound.
    pub high: f64,
    /// What the base recipe says.
    pub base: f64,
}

/// Fits `runs` in a `form`; what the form does not move is taken from `base`.
///
/// # Errors
/// [`QualityError::FitRefused`] where the runs are too few or too narrow, or where left-out runs are predicted no better
/// than by the mean of the others.
pub fn fit(
    base: &Recipe,
    runs: &[TrainingRun],
    form: Form,
    provenance: &Provenance,
) -> Result<Fitted, QualityError> {
    let runs: Vec<&TrainingRun> = runs.iter().collect();
    form.check(&runs)?;
    let no_minimum =
        || FitRefusal::NoMinimum.error("no minimum", "losses that a law of this form can follow");
    let measured: Vec<f64> = runs.iter().map(|run| run.loss).collect();
    let of = |predicted: &[f64]| FitErrors::of(predicted, &measured).ok_or_else(no_minimum);
    let mean = left_out(&runs, |kept, dropped| {
        let mean = kept.iter().map(|run| run.loss).sum::<f64>() / kept.len() as f64;
        Some(vec![mean; dropped.len()])
    });
    let predicted = match form {
        Form::LogQuadratic => left_out(&runs, |kept, dropped| {
            // The form is chosen anew without the group that it is to predict.
            let surface = Surface::fit(SurfaceForm::choose(kept)?, kept)?;
            Some(dropped.iter().map(|run| surface.loss(run)).collect())
        }),
        _ => leave_groups_out(base, &runs, form.parameters()),
    }
    .ok_or_else(no_minimum)?;
    let errors = of(&predicted)?;
    let mean = of(&mean.ok_or_else(no_minimum)?)?;
    let share = errors.mean_absolute / mean.mean_absolute;
    if share >= WORTH {
        return Err(FitRefusal::NoBetterThanTheMean.error(format!("{share:.2}"), format!("below {WORTH}")));
    }
    let mut fitted = Fitted {
        form,
        groups: groups(&runs).len(),
        predicted,
        left_out: errors,
        mean,
        coefficients: Vec::new(),
        recipe: None,
    };
    if form != Form::LogQuadratic {
        let recipe = fit_law(base, &runs, form.parameters()).ok_or_else(no_minimum)?;
        fitted.coefficients = intervals(base, &recipe, &runs, form).ok_or_else(no_minimum)?;
        fitted.recipe = Some(provenance.recipe(base, recipe, &runs, &fitted)?);
    }
    Ok(fitted)
}

fn intervals(
    base: &Recipe,
    recipe: &Recipe,
    runs: &[&TrainingRun],
    form: Form,
) -> Option<Vec<FittedCoefficient>> {
    let names = groups(runs);
    let members: Vec<Vec<&TrainingRun>> =
        names.iter().map(|name| runs.iter().copied().filter(|run| run.group == *name).collect()).collect();
    let moved = form.parameters();
    let values = |mut recipe: Recipe| -> Vec<f64> {
        moved.iter().map(|parameter| parameter.coefficient(&mut recipe).value).collect()
    };
    let bounds = bootstrap(members.len(), SAMPLES, 1, |places| {
        let drawn: Vec<&TrainingRun> =
            places.iter().flat_map(|place| members[*place].iter().copied()).collect();
        fit_law(base, &drawn, moved).map(values)
    })?;
    let rows = moved.iter().zip(values(recipe.clone())).zip(values(base.clone())).zip(bounds);
    Some(
        rows.map(|(((parameter, value), base), [low, high])| FittedCoefficient {
            parameter: *parameter,
            value,
            // A sample may miss on both sides of the fit of all runs.
            low: low.min(value),
            high: high.max(value),
            base,
        })
        .collect(),
    )
}
