//! What a search's record says of the quality of its points beside their values: noises, measured scores, training.

use serde::{Deserialize, Serialize};

/// How sure the quality figures of a search are: three noises, and what is not predicted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct QualityNotes {
    /// Of a shape within the recipe.
    pub shape: NoiseTerm,
    /// Of single axes, where a candidate uses them.
    pub axes: Vec<NoiseTerm>,
    /// Between recipes: the same for all candidates, and so no part of ties.
    pub recipe: NoiseTerm,
    /// Tasks that have no prediction.
    pub not_predicted: Vec<NotPredictedTask>,
}

/// One noise of the quality model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NoiseTerm {
    /// `shape`, `recipe`, or the axis.
    pub name: String,
    /// One standard deviation, nats per token of the recipe's tokenizer.
    pub nats: f64,
    /// Where the figure comes from.
    pub source: String,
}

/// A task without a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotPredictedTask {
    /// The task.
    pub task: String,
    /// Why.
    pub reason: String,
}

/// A table of measured scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualityTableRef {
    /// The file's name.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// What it measured, by objective name.
    pub measured: Vec<String>,
    /// How it was measured, where the table says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// Points of the space that it names.
    pub points: u64,
    /// Rows that name no point of the space and were left out.
    pub ignored: u64,
}

/// A trained model of known score, and how far it moved the level of its task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnchorRef {
    /// As the user named it.
    pub model: String,
    /// Tokens it was trained on.
    pub tokens: u64,
    /// The task.
    pub task: String,
    /// Its score, percent.
    pub percent: f64,
    /// The score that the recipe alone gives it, percent.
    pub predicted_percent: f64,
    /// What is added to the loss of candidates before their score is read off, nats.
    pub shift_nats: f64,
    /// Where that comes from.
    pub source: String,
}

/// How the training was counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRef {
    /// Tokens of a training sequence.
    pub context_tokens: u64,
    /// Operations per second of all accelerators together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops_per_s: Option<f64>,
    /// How many accelerators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u64>,
    /// Price of an hour of one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_gpu_hour: Option<f64>,
}
