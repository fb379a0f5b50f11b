//! Where the time of a run went, operation by operation.

use crate::Model;
use slimfit_plan::{Phase, Shape, TokenRows, traffic};

/// All steps of a plan that share a label and a kernel variant, in one phase.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationSeconds {
    /// The steps' label: `qkv`, `attention`, `down`, `head` …
    pub label: &'static str,
    /// The kind of operation: `matmul`, `attend` …
    pub operation: &'static str,
    /// Prompt or token.
    pub phase: Phase,
    /// The kernel variant that ran.
    pub variant: &'static str,
    /// Seconds of all executions together.
    pub seconds: f64,
    /// Executions.
    pub executions: u64,
    /// Bytes of weights and cache that they stream from memory.
    pub streamed_bytes: f64,
    /// All bytes they move, activations included.
    pub bytes: f64,
    /// Arithmetic operations, a multiply-add as 2.
    pub flops: f64,
}

/// Sums the seconds of each step of the plan, in the order in which labels first appear. Steps that only serve logits
/// ran in the last of `shapes` alone.
pub(crate) fn summarise(
    model: &Model,
    phase: Phase,
    shapes: &[Shape],
    seconds: &[f64],
) -> Vec<OperationSeconds> {
    let mut summary: Vec<OperationSeconds> = Vec::new();
    for (step, &seconds) in model.plan().steps.iter().zip(seconds) {
        let shapes = if step.rows == TokenRows::All { shapes } else { &shapes[shapes.len() - 1..] };
        let Some(largest) = shapes.iter().max_by_key(|shape| shape.tokens) else { continue };
        let tokens = slimfit_plan::Plan::tokens_of(step, *largest) as usize;
        let variant = model.kernels().variant_name(&step.operation, tokens).unwrap_or("none");
        let moved: slimfit_plan::Traffic = shapes.iter().map(|&shape| traffic(step, shape)).sum();
        let known = summary.iter().position(|known| known.label == step.label && known.variant == variant);
        let entry = known.unwrap_or_else(|| {
            summary.push(OperationSeconds {
                label: step.label,
                operation: step.operation.name(),
                phase,
                variant,
                seconds: 0.0,
                executions: 0,
                streamed_bytes: 0.0,
                bytes: 0.0,
                flops: 0.0,
            });
            summary.len() - 1
        });
        let entry = &mut summary[entry];
        entry.seconds += seconds;
        entry.executions += shapes.len() as u64;
        entry.streamed_bytes += moved.weight_bytes + moved.kv_read_bytes;
        entry.bytes += moved.bytes();
        entry.flops += moved.flops;
    }
    summary
}
