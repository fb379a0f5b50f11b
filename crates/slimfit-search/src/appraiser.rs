//! What a model is worth and what it costs on the device of a search, whether it is a point of a space or not.

use crate::describe::Description;
use crate::{Metric, SearchError, Workload};
use slimfit_arch::Architecture;
use slimfit_cost::{CostError, CostModel, Prediction};
use slimfit_formats::gguf::data_bytes;
use slimfit_plan::WeightFormats;
use slimfit_quality::{Law, QualityError, QualityModel, Recipe, TrainingPlan, Z90};
use slimfit_quantity::{NumberFormat, Predicted};
use std::borrow::Cow;

/// Appraises models one by one, by the same cost model and the same law as a search does.
#[derive(Debug, Clone)]
pub struct Appraiser<'a> {
    /// Of each device that a model is chosen for.
    pub(crate) costs: Vec<&'a CostModel>,
    pub(crate) quality: &'a QualityModel,
    pub(crate) workload: &'a Workload,
    pub(crate) training: TrainingPlan,
    /// The law of any training length: what is asked of it here does not depend on that.
    pub(crate) law: Cow<'a, Law>,
}

/// How a model is stored and run.
#[derive(Debug, Clone, Copy)]
pub struct ModelFormats<'a> {
    /// Format of its weights.
    pub weights: NumberFormat,
    /// Matrices that are stored otherwise.
    pub others: &'a WeightFormats,
    /// Format by which its loss is judged, where that is not `weights`: of a file that was in another format before.
    pub judged: Option<NumberFormat>,
    /// Format of its KV cache.
    pub kv: NumberFormat,
    /// Bytes of the tensors of the file that it lies in; absent: those of a file in the format `weights`.
    pub file_bytes: Option<u64>,
}

/// What one model is worth and costs.
#[derive(Debug)]
pub struct Appraisal {
    description: Description,
    parameters: u64,
    recipe_sigma: f64,
}

impl<'a> Appraiser<'a> {
    /// An appraiser of one device, law and use.
    pub fn new(cost: &'a CostModel, quality: &'a QualityModel, workload: &'a Workload) -> Self {
        Self::of_devices(std::slice::from_ref(cost), quality, workload)
    }

    /// The same for one device or more: what depends on the device is the worst over them.
    pub fn of_devices(costs: &'a [CostModel], quality: &'a QualityModel, workload: &'a Workload) -> Self {
        let law = Cow::Owned(quality.law(1, &workload.bytes()));
        Self { costs: costs.iter().collect(), quality, workload, training: TrainingPlan::default(), law }
    }

    /// The same, told what a training runs on.
    #[must_use]
    pub fn trained_on(mut self, training: TrainingPlan) -> Self {
        self.training = training;
        self
    }

    /// The recipe of its law.
    pub fn recipe(&self) -> &'a Recipe {
        self.quality.recipe()
    }

    /// Bytes of text that a token of this vocabulary stands for.
    pub fn bytes_per_token(&self, vocabulary: u64) -> f64 {
        self.law.bytes_per_token(vocabulary)
    }

    /// Bytes of text that a token of the recipe's own tokenizer stands for: what losses per byte rest on.
    pub fn recipe_bytes_per_token(&self) -> f64 {
        1.0 / self.law.per_byte(1.0)
    }

    /// Tokens that the use puts into the cache at most.
    pub fn context_tokens(&self, vocabulary: u64) -> u64 {
        self.workload.run_shape(&self.law, vocabulary).context()
    }

    /// Appraises a model trained on `tokens` tokens; where they are not known, only what it costs.
    ///
    /// # Errors
    /// When the model cannot be planned or priced on this device.
    pub fn appraise(
        &self,
        architecture: &Architecture,
        formats: ModelFormats<'_>,
        tokens: Option<u64>,
    ) -> Result<Appraisal, SearchError> {
        Ok(Appraisal {
            description: self.description(architecture, formats, tokens)?,
            parameters: architecture.parameters().total,
            recipe_sigma: self.recipe().recipe_sigma(),
        })
    }

    pub(crate) fn description(
        &self,
        architecture: &Architecture,
        formats: ModelFormats<'_>,
        tokens: Option<u64>,
    ) -> Result<Description, SearchError> {
        architecture.validate().map_err(|error| CostError::Plan(error.into()))?;
        let ModelFormats { weights, others, kv, .. } = formats;
        let run = self.workload.run_shape(&self.law, architecture.vocabulary_size);
        let on =
            |cost: &&CostModel| cost.predict_with_formats(architecture, (weights, others), kv, run, None);
        let predictions = self.costs.iter().map(on).collect::<Result<_, _>>()?;
        self.described(architecture, formats, tokens, predictions)
    }

    /// The description of a model that is priced already, on each device.
    pub(crate) fn described(
        &self,
        architecture: &Architecture,
        formats: ModelFormats<'_>,
        tokens: Option<u64>,
        predictions: Vec<Prediction>,
    ) -> Result<Description, SearchError> {
        let ModelFormats { weights, judged, kv, file_bytes, .. } = formats;
        let text = self.workload.bytes();
        let estimate = tokens
            .map(|tokens| self.quality.estimate(architecture, judged.unwrap_or(weights), kv, tokens, &text));
        let (estimate, refusal) = match estimate {
            None => (None, None),
            Some(Ok(estimate)) => (Some(estimate), None),
            Some(Err(error @ QualityError::Refused { .. })) => (None, Some(error)),
            Some(Err(error)) => return Err(error.into()),
        };
        let bytes_per_token = self.law.bytes_per_token_interval(architecture.vocabulary_size);
        let training = tokens.and_then(|tokens| self.training.cost(self.recipe(), architecture, tokens).ok());
        let file_bytes = file_bytes.unwrap_or_else(|| data_bytes(architecture, weights));
        Ok(Description { predictions, estimate, refusal, bytes_per_token, training, file_bytes })
    }
}

impl Appraisal {
    /// A value with its interval, where it can be predicted.
    pub fn metric(&self, metric: Metric) -> Option<Predicted> {
        self.description.metric(metric, self.parameters)
    }

    /// Half of the 90 % interval against models of the same training, where it is not that of the value itself.
    pub fn relative_noise(&self, metric: Metric) -> Option<f64> {
        self.description.relative_noise(metric)
    }

    /// Half of the 90 % interval of its loss against models of another training: that of makers is part of it.
    pub fn loss_noise_across_recipes(&self) -> Option<f64> {
        let estimate = self.description.estimate.as_ref()?;
        Some(Z90 * estimate.sigma.hypot(self.recipe_sigma))
    }

    /// What its number formats add to the loss, nats.
    pub fn format_nats(&self) -> Option<f64> {
        let terms = self.description.estimate.as_ref()?.terms.iter();
        Some(
            terms
                .filter(|term| matches!(term.name, "weight_format" | "kv_format"))
                .map(|term| term.nats)
                .sum(),
        )
    }

    /// Threads it runs best with, on the first device.
    pub fn threads(&self) -> u32 {
        self.description.threads()
    }

    /// Remarks on its quality.
    pub fn flags(&self) -> Vec<String> {
        let estimate = self.description.estimate.as_ref();
        estimate.map(|estimate| estimate.flags.names().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// Why the law does not reach it.
    pub fn refusal(&self) -> Option<&QualityError> {
        self.description.refusal.as_ref()
    }
}
