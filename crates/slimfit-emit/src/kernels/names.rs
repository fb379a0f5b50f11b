//! What emitted code calls the parts of a plan.

use super::text::grouped;
use slimfit_arch::{TensorPart, TensorRole};
use slimfit_kernels::WeightFormat;
use slimfit_plan::{Buffer, VectorSlot};
use slimfit_quantity::NumberFormat;

/// The kernels' format of a number format.
pub(super) fn format_of(format: NumberFormat) -> WeightFormat {
    WeightFormat::ALL
        .into_iter()
        .find(|known| known.name() == format.name())
        .expect("every number format has kernels")
}

/// How Rust spells a format.
pub(super) fn format_variant(format: NumberFormat) -> String {
    format!("WeightFormat::{:?}", format_of(format))
}

/// The function that multiplies by a matrix.
pub(super) fn product(format: NumberFormat, rows: u64, columns: u64) -> String {
    format!("{}_{rows}x{columns}", format.name())
}

/// The type of a matrix.
pub(super) fn matrix(rows: u64, columns: u64) -> String {
    format!("Matrix<{}, {}>", grouped(rows), grouped(columns))
}

/// The field that holds a vector.
pub(super) fn vector(slot: &VectorSlot) -> String {
    let (role, part) = slot.parts[0];
    let bias = if part == TensorPart::Bias { "_bias" } else { "" };
    if slot.parts.len() > 1 {
        let joined = match role {
            TensorRole::Query => "qkv",
            TensorRole::Gate => "gate_up",
            TensorRole::SharedGate => "shared_gate_up",
            other => other.name(),
        };
        return format!("{joined}{bias}");
    }
    format!("{}{bias}", role.name().replace('.', "_"))
}

/// The field that holds a buffer.
pub(super) const fn buffer(buffer: Buffer) -> &'static str {
    match buffer {
        Buffer::Residual => "residual",
        Buffer::Spare => "spare",
        Buffer::Normed => "normed",
        Buffer::SecondNormed => "second_normed",
        Buffer::Projected => "projected",
        Buffer::Mixed => "mixed",
        Buffer::Gates => "gates",
        Buffer::Activated => "activated",
        Buffer::Branch => "branch",
        Buffer::Routing => "routing",
        Buffer::Logits => "logits",
    }
}

/// What a buffer holds.
pub(super) const fn buffer_doc(buffer: Buffer) -> &'static str {
    match buffer {
        Buffer::Residual => "The residual stream.",
        Buffer::Spare => "A second residual stream.",
        Buffer::Normed => "What a branch reads.",
        Buffer::SecondNormed => "What the second of two parallel branches reads.",
        Buffer::Projected => "Queries, keys and values.",
        Buffer::Mixed => "What the attention returns.",
        Buffer::Gates => "Gate and up.",
        Buffer::Activated => "The activated inner values.",
        Buffer::Branch => "A branch's result before its norm.",
        Buffer::Routing => "Scores of experts, then the chosen ones and their weights.",
        Buffer::Logits => "Logits of the last token.",
    }
}
