//! `training.yaml`: how to train a model from its initial weights, each number with where it comes from.
//!
//! It lies here and not beside the laws that fill it because it is a file: what writes it stands above this crate, and so
//! does whatever will read it to train. It has nothing to do with the recipes of the quality model, which say what a trained
//! model is worth.

mod check;
mod setting;
#[cfg(test)]
mod tests;
mod yaml;

pub use setting::{Setting, SettingSource};

use crate::FormatsError;
use serde::{Deserialize, Serialize};
use slimfit_arch::Parameters;
use slimfit_document::Document;

/// The schema of a training recipe.
pub const TRAINING_RECIPE_SCHEMA: &str = "slimfit/training-recipe/v1";

/// How to train one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecipe {
    /// Always [`TRAINING_RECIPE_SCHEMA`].
    pub schema: String,
    /// What is trained.
    pub model: TrainedModel,
    /// Tokens of the whole training, in the model's own vocabulary.
    pub tokens: Setting<u64>,
    /// Tokens of one sequence.
    pub sequence_length: Setting<u64>,
    /// What one step of the optimiser sees.
    pub batch: Batch,
    /// Steps of the optimiser: tokens over the tokens of a batch, rounded up.
    pub steps: Setting<u64>,
    /// The learning rate and how it moves.
    pub learning_rate: LearningRate,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Where the weights begin.
    pub initialisation: Initialisation,
    /// Floating-point operations of the whole training; a multiply-add counts 2.
    pub training_flops: Setting<f64>,
    /// The law behind batch and learning rate, and where it was fitted.
    pub law: HyperparameterLaw,
    /// What a trainer must know about these numbers.
    pub flags: Vec<TrainingFlag>,
}

/// The model that a recipe is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedModel {
    /// Its name.
    pub name: String,
    /// Its id, number formats included.
    pub id: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// Rows of its embedding table.
    pub vocabulary_size: u64,
}

/// What one step of the optimiser sees, all devices and accumulated gradients together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Tokens: the sequences times their length.
    pub tokens: Setting<u64>,
    /// Sequences.
    pub sequences: Setting<u64>,
}

/// The learning rate over the steps: linear from 0 to the peak, then down to the final one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningRate {
    /// The highest.
    pub peak: Setting<f64>,
    /// That of the last step.
    pub r#final: Setting<f64>,
    /// How it falls in between.
    pub schedule: Setting<Schedule>,
    /// Steps in which it rises.
    pub warm_up_steps: Setting<u64>,
}

/// How a learning rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine from the peak to the final one.
    Cosine,
}

/// The optimiser and its constants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Which.
    pub name: Setting<OptimizerName>,
    /// Decay of the mean of gradients.
    pub beta1: Setting<f64>,
    /// Decay of the mean of their squares.
    pub beta2: Setting<f64>,
    /// Added to the root of the latter.
    pub epsilon: Setting<f64>,
    /// Decoupled weight decay, a factor on the learning rate.
    pub weight_decay: Setting<f64>,
    /// Largest norm of all gradients together.
    pub gradient_clip_norm: Setting<f64>,
}

/// Optimisers that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerName {
    /// Adam with decoupled weight decay.
    Adamw,
}

/// Where the weights begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initialisation {
    /// How.
    pub scheme: Setting<InitialisationScheme>,
    /// Of the normal distribution of matrices and tables, mean 0.
    pub standard_deviation: Setting<f64>,
    /// Of the matrices whose product is added to the residual stream.
    pub residual_standard_deviation: Setting<f64>,
    /// Decides every drawn number, and the order of the data.
    pub seed: Setting<u64>,
}

/// Initialisations that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialisationScheme {
    /// Normal, the matrices before the residual sums narrower the deeper the model; norms are the identity, biases 0.
    DepthScaledNormal,
}

/// A law of learning rate and batch size, what it was asked, and where it was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HyperparameterLaw {
    /// Its name.
    pub name: String,
    /// The publication.
    pub citation: String,
    /// The peak learning rate as a formula in `N` and `D`.
    pub peak_learning_rate: String,
    /// The tokens of a batch as a formula in `D`.
    pub batch_tokens: String,
    /// `N`: parameters without embeddings, all experts of a mixture included.
    pub parameters: FittedRange,
    /// `D`: tokens.
    pub tokens: FittedRange,
    /// Whether either lies outside by more than a twentieth.
    pub extrapolated: bool,
}

/// What a law was asked and where it was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedRange {
    /// What it was asked.
    pub value: u64,
    /// The least that it was fitted on.
    pub low: u64,
    /// The most.
    pub high: u64,
}

impl FittedRange {
    /// Whether the law was fitted there, or so near that it makes no difference: within a twentieth of the ends.
    pub fn holds(&self) -> bool {
        let [value, low, high] = [self.value, self.low, self.high].map(|count| count as f64);
        low * 0.95 <= value && value <= high * 1.05
    }
}

/// What a trainer must know, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFlag {
    /// A stable name.
    pub code: String,
    /// A sentence.
    pub message: String,
}

impl TrainingRecipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// What [`Document`] refuses, another schema, an unknown or wrong field, and numbers that contradict each other.
    pub fn from_document(document: &Document) -> Result<Self, FormatsError> {
        document.schema(&[TRAINING_RECIPE_SCHEMA])?;
        let recipe: Self = document.parse()?;
        check::check(&recipe, document)?;
        Ok(recipe)
    }

    /// The file: a remark for people, then the fields, as readers of YAML 1.1 and 1.2 both take them.
    ///
    /// # Errors
    /// When a number is none, which no checked recipe holds.
    pub fn to_yaml(&self) -> Result<String, FormatsError> {
        yaml::write(self)
    }
}
