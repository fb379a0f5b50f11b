//! Where the predicted time of a model goes, operation by operation.

use serde::{Deserialize, Serialize};

/// The terms of one prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The model's id.
    pub id: String,
    /// `prefill` or `decode`.
    pub phase: String,
    /// Tokens computed in the step.
    pub tokens: u64,
    /// Keys in the cache before the step.
    pub depth_tokens: u64,
    /// Threads.
    pub threads: u32,
    /// Seconds of the whole step.
    pub seconds: f64,
    /// Its terms, in execution order.
    pub operations: Vec<OperationCost>,
}

/// One operation's predicted cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationCost {
    /// What it is: `qkv`, `attention`, `gate_up`, `head` …
    pub name: String,
    /// Operation kind: `matmul`, `attend` …
    pub kind: String,
    /// The stored layer it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<u64>,
    /// Bytes it moves.
    pub bytes: f64,
    /// Operations it computes; a multiply-add counts 2.
    pub flops: f64,
    /// Seconds if only memory bound it.
    pub memory_seconds: f64,
    /// Seconds if only instructions bound it.
    pub compute_seconds: f64,
    /// Barrier, dispatch and hand-over.
    pub overhead_seconds: f64,
    /// Seconds in all.
    pub seconds: f64,
    /// What binds: `memory`, `compute` or `overhead`.
    pub bound: String,
}

/// A public model priced on this device, as a reference mark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferenceModel {
    /// Its name.
    pub name: String,
    /// Stored parameters.
    pub parameters: u64,
    /// Weight format it was priced with.
    pub weights: String,
    /// Threads it runs best with.
    pub threads: u32,
    /// Objectives by name, where they can be predicted for it.
    pub objectives: std::collections::BTreeMap<String, f64>,
    /// Tokens it was trained on, where published.
    pub training_tokens: Option<f64>,
    /// Published scores by task, with their source.
    pub scores: Vec<PublishedScore>,
}

/// A published score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishedScore {
    /// The task.
    pub task: String,
    /// The score, in percent.
    pub percent: f64,
    /// How it was measured: scores of unlike settings must not be compared. Absent in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// Where it was published, with the setting.
    pub source: String,
}

/// A dominated point, kept only to draw the cloud under the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudPoint {
    /// Stored parameters.
    pub parameters: f64,
    /// Values in the order of the head's objectives.
    pub objectives: Vec<f64>,
}
