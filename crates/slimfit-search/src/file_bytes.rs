//! Bytes of a point's file, by what decides them.
//!
//! Tensors are aligned one by one, so those of a layer take the same bytes wherever they stand, and the sum over the parts
//! of a point is what [`data_bytes`](slimfit_formats::gguf::data_bytes) counts.

use slimfit_arch::{Architecture, TensorPart, TensorRole};
use slimfit_formats::gguf::{rope_bytes, tensor_bytes};
use slimfit_plan::ModelPart;
use slimfit_quantity::NumberFormat;

/// Bytes of the tensors of one part of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileBytes {
    /// For each layer that has it; of the outer part once.
    pub(crate) each: u64,
    /// Once, however many layers have it.
    pub(crate) once: u64,
    /// Of the output head, which tied models do not have: of the outer part.
    pub(crate) head: u64,
}

impl FileBytes {
    /// Bytes of `kind` in a model of one layer whose embeddings are not tied.
    pub(crate) fn of(architecture: &Architecture, kind: ModelPart, weights: NumberFormat) -> Self {
        let mut bytes = Self::default();
        for tensor in architecture.tensors() {
            let own = match tensor.layer {
                None => ModelPart::Outer,
                Some(_) if is_feed_forward(tensor.role) => ModelPart::FeedForward,
                Some(_) => ModelPart::Projections,
            };
            if own == kind {
                let is_head = tensor.role == TensorRole::Head && tensor.part == TensorPart::Weight;
                let place = if is_head { &mut bytes.head } else { &mut bytes.each };
                *place += tensor_bytes(&tensor, weights);
            }
        }
        if kind == ModelPart::Projections {
            bytes.once = rope_bytes(architecture);
        }
        bytes
    }
}

const fn is_feed_forward(role: TensorRole) -> bool {
    matches!(
        role,
        TensorRole::FfnNorm
            | TensorRole::FfnPostNorm
            | TensorRole::Gate
            | TensorRole::Up
            | TensorRole::Down
            | TensorRole::Router
            | TensorRole::ExpertGate
            | TensorRole::ExpertUp
            | TensorRole::ExpertDown
            | TensorRole::SharedGate
            | TensorRole::SharedUp
            | TensorRole::SharedDown
            | TensorRole::SharedExpertGate
    )
}
