//! A training run: what was trained, how long, and what came out.

use crate::Shape;
use slimfit_arch::{Architecture, ArchitectureError, FeedForward};
use std::collections::BTreeMap;

/// One trained model, or one checkpoint of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingRun {
    /// What the law reads of its architecture.
    pub shape: Shape,
    /// Inner width of its feed-forward parts, the mean over its layers.
    pub ffn_size: f64,
    /// Width of its embedding table.
    pub embedding_size: u64,
    /// Tokens it was trained on.
    pub tokens: u64,
    /// Loss on held-out text, nats per token.
    pub loss: f64,
    /// Benchmark scores by task, percent.
    pub scores: BTreeMap<String, f64>,
    /// Runs of one group are left out together when a fit is judged: checkpoints of one model, models of one shape.
    pub group: String,
}

impl TrainingRun {
    /// A run of a valid architecture; its group is its shape: width, depth and counts.
    ///
    /// # Errors
    /// When the architecture cannot exist.
    pub fn of(architecture: &Architecture, tokens: u64, loss: f64) -> Result<Self, ArchitectureError> {
        let shape = Shape::of(architecture)?;
        let inner = |ffn: &FeedForward| match ffn {
            FeedForward::Dense(mlp) => mlp.size,
            FeedForward::Moe(moe) => moe.top_k * moe.expert_size + moe.shared_size,
        };
        let sum: f64 = architecture.layers.iter().map(|run| run.repeat as f64 * inner(&run.ffn) as f64).sum();
        Ok(Self {
            ffn_size: sum / architecture.depth() as f64,
            embedding_size: architecture.embedding_size.unwrap_or(architecture.hidden_size),
            tokens,
            loss,
            scores: BTreeMap::new(),
            group: format!(
                "{}x{} {} {}",
                shape.hidden_size, shape.layers, shape.non_embedding, shape.embedding
            ),
            shape,
        })
    }
}

/// The distinct groups of some runs, in the order of their names.
pub(super) fn groups<'a>(runs: &[&'a TrainingRun]) -> Vec<&'a str> {
    let mut groups: Vec<&str> = runs.iter().map(|run| run.group.as_str()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
