//! A fitted recipe says what it was fitted to.

use super::cross::left_out;
use super::curve::{CURVE_SCALE, ScorePoint, fit_curve};
use super::errors::conformal_half_width;
use super::judge::Fitted;
use super::law::predicted_loss;
use super::run::{TrainingRun, groups};
use crate::QualityError;
use crate::estimate::Z90;
use crate::recipe::{Recipe, ScoreCurve};
use slimfit_document::Document;
use std::collections::BTreeMap;

/// Groups with a score that a curve of one's own asks for.
const LEAST_SCORED_GROUPS: usize = 8;

/// Where training runs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The name of the new recipe.
    pub name: String,
    /// The file of runs, without its folder.
    pub file: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

impl Provenance {
    /// `recipe` with sources, bounds, box, noise and scores of the runs that it was fitted to.
    pub(super) fn recipe(
        &self,
        base: &Recipe,
        mut recipe: Recipe,
        runs: &[&TrainingRun],
        fitted: &Fitted,
    ) -> Result<Recipe, QualityError> {
        let from = format!("{} ({})", self.file, &self.sha256[..self.sha256.len().min(12)]);
        let what =
            format!("fit of {} runs in {} groups, form {}: {from}", runs.len(), fitted.groups, fitted.form);
        for found in &fitted.coefficients {
            let coefficient = found.parameter.coefficient(&mut recipe);
            coefficient.low = Some(found.low);
            coefficient.high = Some(found.high);
            coefficient.assumed = false;
            coefficient.source = format!("{what}; bounds: groups drawn with replacement");
        }
        recipe.name.clone_from(&self.name);
        recipe.description = format!(
            "Refit of `{}` to {from}; left-out runs are predicted within {:.4} nats in the mean.",
            base.name, fitted.left_out.mean_absolute
        );
        recipe.vocabulary_size = runs[0].shape.vocabulary_size;
        let absolute: Vec<f64> =
            fitted.predicted.iter().zip(runs).map(|(predicted, run)| (predicted - run.loss).abs()).collect();
        // Few groups say little of the next shape: then the base recipe's noise is the least.
        let own = conformal_half_width(&absolute) / Z90;
        let enough = fitted.groups >= 9;
        recipe.noise.shape.value = if enough { own } else { own.max(base.noise.shape.value) };
        recipe.noise.shape.source =
            format!("0.9 quantile of left-out errors over {Z90}, as a standard deviation: {what}");
        set_box(&mut recipe, runs, fitted.form == super::Form::Whole);
        set_scores(&mut recipe, base, runs, &what);
        // What a sibling buys was measured on published models with the base's curves.
        recipe.anchors = None;
        Ok(recipe)
    }
}

fn set_box(recipe: &mut Recipe, runs: &[&TrainingRun], shapes_too: bool) {
    // A bound on itself is no interval; 1 % is nothing beside what shapes differ by.
    let range = |value: &dyn Fn(&TrainingRun) -> f64| {
        let values = || runs.iter().map(|run| value(run));
        [values().fold(f64::INFINITY, f64::min) * 0.99, values().fold(0.0, f64::max) * 1.01]
    };
    let validity = &mut recipe.validity;
    validity.non_embedding = range(&|run| run.shape.non_embedding as f64);
    validity.tokens = range(&|run| run.tokens as f64);
    validity.tokens_per_parameter = range(&|run| run.tokens as f64 / run.shape.non_embedding as f64);
    if shapes_too {
        validity.width_over_depth = range(&|run| run.shape.ln_width_over_depth().exp());
        let least = range(&|run| run.shape.ffn_low);
        validity.ffn_over_width = [least[0], range(&|run| run.shape.ffn_high)[1]];
    }
}

/// Curves are fitted anew where the runs have scores. Others fall: they belong to the losses of another text.
fn set_scores(recipe: &mut Recipe, base: &Recipe, runs: &[&TrainingRun], what: &str) {
    let losses: Vec<f64> = runs.iter().map(|run| predicted_loss(recipe, run)).collect();
    let scores = &mut recipe.scores;
    scores.source = format!("{what}; tasks without scores there are not predicted");
    scores.tasks = BTreeMap::new();
    // How the runs were scored is not known here.
    scores.settings = BTreeMap::new();
    for (task, start) in &base.scores.tasks {
        match own_curve(task, start, runs, &losses) {
            Some(curve) => {
                scores.tasks.insert(task.clone(), curve);
            }
            None => {
                let reason =
                    format!("needs scores of {LEAST_SCORED_GROUPS} groups of runs in the recipe's own file");
                scores.not_predicted.insert(task.clone(), reason);
            }
        }
    }
}

fn own_curve(task: &str, start: &ScoreCurve, runs: &[&TrainingRun], losses: &[f64]) -> Option<ScoreCurve> {
    let scored: Vec<(&TrainingRun, ScorePoint)> = runs
        .iter()
        .zip(losses)
        .filter_map(|(run, loss)| Some((*run, ScorePoint { loss: *loss, score: *run.scores.get(task)? })))
        .collect();
    let scored_runs: Vec<&TrainingRun> = scored.iter().map(|(run, _)| *run).collect();
    if groups(&scored_runs).len() < LEAST_SCORED_GROUPS {
        return None;
    }
    let points_of = |kept: &[&TrainingRun]| -> Vec<ScorePoint> {
        let named: Vec<&str> = groups(kept);
        let of = scored.iter().filter(|(run, _)| named.binary_search(&run.group.as_str()).is_ok());
        of.map(|(_, point)| *point).collect()
    };
    let mut errors = Vec::new();
    left_out(&scored_runs, |kept, dropped| {
        let curve = fit_curve(start, &points_of(kept), CURVE_SCALE)?;
        Some(points_of(dropped).iter().map(|point| curve.percent(point.loss)).collect())
    })?
    .iter()
    .zip(&scored)
    .for_each(|(predicted, (_, point))| errors.push((predicted - point.score).abs()));
    let all: Vec<ScorePoint> = scored.iter().map(|(_, point)| *point).collect();
    let residual = errors.iter().sum::<f64>() / errors.len() as f64;
    Some(ScoreCurve { residual, ..fit_curve(start, &all, CURVE_SCALE)? })
}

impl Recipe {
    /// The recipe as the text of a file, checked by reading it back.
    ///
    /// # Errors
    /// Where a coefficient is none that a recipe may have.
    pub fn to_yaml(&self) -> Result<String, QualityError> {
        let text = serde_yaml::to_string(self).map_err(|error| {
            slimfit_document::DocumentError::new("internal", format!("a recipe cannot be written: {error}"))
        })?;
        Self::from_document(&Document::from_str(&text, &format!("recipe `{}`", self.name))?)?;
        Ok(text)
    }
}
