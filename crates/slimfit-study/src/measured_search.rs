//! How a front of measured points was found: what the head of such a front says beside everything else.

use serde::{Deserialize, Serialize};

/// A search that asked an evaluator for the points of its front, a few of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredSearch {
    /// Who measured: the user's command, or `device`.
    pub evaluator: String,
    /// What was measured, by objective name; all other objectives are modelled.
    pub measures: Vec<String>,
    /// Evaluations that the front rests on, failed ones included.
    pub evaluations: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose answer an earlier run had kept.
    pub reused: u64,
    /// Why it ended: `evaluations`, `deadline`, `stalled`, `exhausted`, `cancelled`.
    pub stopped: String,
    /// Points of a batch.
    pub batch: u64,
    /// Points of the model's front that were measured first, at most.
    pub started_from: u64,
    /// Hypervolume of the front after each evaluation, as a share of the box between its ideal and 1.1 × its nadir, over
    /// logarithms of the objectives.
    pub hypervolume: Vec<f64>,
    /// How far model and surrogate lay from what was measured.
    pub errors: Vec<SurrogateErrors>,
}

/// Errors in the predictions of one measured metric, as logarithms of measured ÷ predicted: 0.1 is about 10 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurrogateErrors {
    /// The metric.
    pub name: String,
    /// Points of which it was measured.
    pub n: u64,
    /// Mean, of the model alone. Absent where it predicts no such metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_bias: Option<f64>,
    /// Root mean square, of the model alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<f64>,
    /// Root mean square, of the model corrected by all measured points but the one that is predicted. Absent where fewer than
    /// two were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<f64>,
    /// Root mean square, of what was foretold of points before they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foretold: Option<f64>,
}
