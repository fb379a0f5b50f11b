//! What can be predicted of a model that no study holds.

use super::{Described, use_tokens, with_missing, workload_words};
use crate::WorkflowError;
use slimfit_arch::Architecture;
use slimfit_cost::{CostModel, Engine, EngineOptions, PREFILL_UNAVAILABLE};
use slimfit_emit::card::{CardFacts, PredictedFigure};
use slimfit_emit::{TrainingRequest, training_recipe};
use slimfit_hardware::HardwareProfile;
use slimfit_plan::WeightFormats;
use slimfit_quality::{QualityError, QualityModel, Recipe, TRAINING_CONTEXT};
use slimfit_quantity::{Figure, NumberFormat, Predicted, format_count};
use slimfit_search::{Appraiser, Metric, ModelFormats, Workload};

/// A model to describe, and what decides its predictions.
#[derive(Debug, Clone, Copy)]
pub struct ModelFacts<'a> {
    /// What the card calls it.
    pub name: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What it is; validated.
    pub architecture: &'a Architecture,
    /// Its weight format.
    pub weights: NumberFormat,
    /// Its KV format.
    pub kv: NumberFormat,
    /// The quality recipe.
    pub recipe: &'a Recipe,
    /// Training tokens, in the recipe's tokenizer.
    pub tokens: u64,
    /// The use that times are for.
    pub workload: &'a Workload,
    /// The device; without one no times, memory or energy are predicted.
    pub profile: Option<&'a HardwareProfile>,
    /// Seed of the training.
    pub seed: u64,
}

/// Says what can be said.
///
/// # Errors
/// When the device cannot price the model, or it cannot be trained on so little text.
pub fn describe_model(model: &ModelFacts<'_>) -> Result<Described, WorkflowError> {
    let ModelFacts { architecture, workload, recipe, tokens, .. } = *model;
    let training = training_recipe(&TrainingRequest {
        name: model.name,
        id: model.id,
        architecture,
        recipe,
        tokens,
        sequence_length: TRAINING_CONTEXT,
        seed: model.seed,
    })?;
    let quality = QualityModel::new(recipe.clone());
    let law = quality.law(tokens, &workload.bytes());
    let run = workload.run_shape(&law, architecture.vocabulary_size);
    let trained = format_count(tokens as f64);
    let mut setting = vec![
        ("Formats".to_owned(), format!("weights `{}`, KV cache `{}`", model.weights, model.kv)),
        ("Quality".to_owned(), format!("recipe `{}`, a training on {trained} of its tokens", recipe.name)),
    ];
    let (predicted, remarks) = match model.profile {
        Some(profile) => {
            let (engine, found, remarks) = priced(model, &quality, profile)?;
            setting.insert(0, ("Device".to_owned(), format!("{} ({})", profile.name, profile.device_class)));
            setting.insert(1, ("Runtime".to_owned(), format!("`{engine}`")));
            setting.insert(2, ("Use".to_owned(), workload_words(&workload.name, run)));
            let watts = profile.power.idle_watts.reason.clone();
            let reason = move |name: &str| match (name, &watts) {
                ("joules_per_token", Some(reason)) => format!("the device's power is not known: {reason}"),
                _ => "the device's profile does not tell it".to_owned(),
            };
            (with_missing(found, reason), remarks)
        }
        None => {
            let (loss, remarks) = loss(model, &quality)?;
            let reason = |_: &str| "no device was named: `--profile` predicts it for one".to_owned();
            (with_missing(vec![loss], reason), remarks)
        }
    };
    let not_predicted = recipe.scores.not_predicted.iter();
    let facts = CardFacts {
        setting,
        predicted,
        remarks,
        measured: Vec::new(),
        not_measured: "it was written from a model and not from a study that ran it".to_owned(),
        use_tokens: Some(use_tokens(run)),
        not_predicted: not_predicted.map(|(task, reason)| (task.clone(), reason.clone())).collect(),
    };
    Ok(Described { facts, training })
}

type Found = (String, Vec<PredictedFigure>, Vec<String>);

/// Everything that the device and the law say.
fn priced(
    model: &ModelFacts<'_>,
    quality: &QualityModel,
    profile: &HardwareProfile,
) -> Result<Found, WorkflowError> {
    let engine = Engine::for_profile(None, profile)?;
    let cost = CostModel::for_engine(profile, engine, EngineOptions::default())?;
    let appraiser = Appraiser::new(&cost, quality, model.workload);
    let formats = ModelFormats {
        weights: model.weights,
        others: &WeightFormats::default(),
        judged: None,
        kv: model.kv,
        file_bytes: None,
    };
    let appraisal = appraiser.appraise(model.architecture, formats, Some(model.tokens))?;
    let metrics =
        [Metric::Loss, Metric::TtftSeconds, Metric::TpotSeconds, Metric::MemoryBytes, Metric::JoulesPerToken];
    let mut predicted: Vec<PredictedFigure> = metrics
        .into_iter()
        .filter_map(|metric| Some(figure(metric.name(), appraisal.metric(metric)?)))
        .collect();
    if !cost.has_prefill() {
        let figure = Figure::unavailable(PREFILL_UNAVAILABLE);
        predicted.push(PredictedFigure { name: "ttft_seconds".to_owned(), figure });
    }
    if let Some(refusal) = appraisal.refusal() {
        predicted.insert(0, refused(refusal));
    }
    Ok((cost.engine().to_owned(), predicted, remarks(appraisal.flags())))
}

/// The loss alone, which needs no device.
fn loss(
    model: &ModelFacts<'_>,
    quality: &QualityModel,
) -> Result<(PredictedFigure, Vec<String>), WorkflowError> {
    let ModelFacts { architecture, weights, kv, tokens, workload, .. } = *model;
    match quality.estimate(architecture, weights, kv, tokens, &workload.bytes()) {
        Ok(estimate) => {
            let flags = estimate.flags.names().map(str::to_owned).collect();
            Ok((figure("loss", estimate.loss), remarks(flags)))
        }
        Err(error @ QualityError::Refused { .. }) => Ok((refused(&error), Vec::new())),
        Err(error) => Err(error.into()),
    }
}

fn figure(name: &str, predicted: Predicted) -> PredictedFigure {
    PredictedFigure { name: name.to_owned(), figure: predicted.figure() }
}

fn refused(error: &QualityError) -> PredictedFigure {
    let reason = error.to_string().replace('\n', "; ");
    PredictedFigure { name: "loss".to_owned(), figure: Figure::unavailable(reason) }
}

fn remarks(flags: Vec<String>) -> Vec<String> {
    if flags.is_empty() {
        return Vec::new();
    }
    let flags: Vec<String> = flags.iter().map(|flag| format!("`{flag}`")).collect();
    vec![format!("Remarks on the quality: {}.", flags.join(", "))]
}
