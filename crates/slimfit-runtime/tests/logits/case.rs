//! A tiny model as the runtime runs it and as the reference sees it.

use slimfit_arch::{Architecture, Tensor, TensorPart};
use slimfit_formats::FormatsError;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::PlanOptions;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{Model, RuntimeError, Session};
use slimfit_testing::{reference, synthetic};

pub const SEED: u64 = 11;
pub const TOKENS: [u32; 13] = [5, 9, 2, 60, 0, 9, 9, 1, 30, 44, 17, 17, 8];
/// More than the original context of the scaled rotations, so that those change something.
pub const CONTEXT: u64 = 16;

/// The tiers under test: every one of this machine or, where `SLIMFIT_ISA` names one, that one. `cargo xtask isa` names
/// each in turn.
pub fn tiers() -> Vec<Isa> {
    Isa::named().unwrap().map_or_else(Isa::available, |isa| vec![isa])
}

/// Synthetic values; norm weights that are offsets from 1 lie around 0, so that norms scale by about 1 everywhere.
pub fn values(architecture: &Architecture, tensor: &Tensor) -> Vec<f32> {
    let mut values = synthetic::values(tensor, SEED);
    if architecture.norm.weight_plus_one && tensor.role.is_norm() && tensor.part == TensorPart::Weight {
        values.iter_mut().for_each(|value| *value -= 1.0);
    }
    values
}

pub fn load(
    architecture: &Architecture,
    weights: NumberFormat,
    kv: NumberFormat,
    isa: Isa,
    threads: u64,
    chunk: u64,
) -> Result<Model, RuntimeError> {
    let options = PlanOptions { chunk, ..PlanOptions::new(weights, kv, isa, threads, CONTEXT) };
    let source = |tensor: &Tensor, first: u64, piece: &mut [f32]| -> Result<(), FormatsError> {
        piece.copy_from_slice(&values(architecture, tensor)[first as usize..][..piece.len()]);
        Ok(())
    };
    Model::load(architecture, options, &source)
}

/// Logits after a prompt of `prompt` tokens and after each of the others, decoded one by one.
pub fn run(model: &Model, pool: &Pool, prompt: usize) -> Vec<Vec<f32>> {
    let mut session = Session::new(model, pool).unwrap();
    let mut logits = vec![session.prefill(&TOKENS[..prompt]).unwrap().to_vec()];
    for &token in &TOKENS[prompt..] {
        logits.push(session.decode(token).unwrap().to_vec());
    }
    logits
}

/// What the reference says for the weights that are left after the model's format: every position's logits.
pub fn reference(model: &Model) -> Vec<Vec<f64>> {
    let architecture = model.architecture();
    let stored =
        |tensor: &Tensor| stored_values(model, tensor).unwrap_or_else(|| values(architecture, tensor));
    reference::forward_in_context(architecture, &stored, &TOKENS, CONTEXT)
}

/// A matrix as it was packed; nothing for what is kept in f32.
fn stored_values(model: &Model, tensor: &Tensor) -> Option<Vec<f32>> {
    if tensor.part == TensorPart::Bias {
        return None;
    }
    let (slot, matrix) = model
        .plan()
        .matrices
        .iter()
        .enumerate()
        .find(|(_, matrix)| matrix.layer == tensor.layer && matrix.parts.contains(&tensor.role))?;
    // Rows of each tensor in one of the slot's matrices: of one expert, where there are several.
    let rows_of = |tensor: &Tensor| tensor.parameters() / matrix.count / matrix.columns;
    let layer = model.architecture().tensors().into_iter().filter(|other| other.layer == tensor.layer);
    let rows: Vec<_> = layer
        .filter(|other| other.part == TensorPart::Weight && matrix.parts.contains(&other.role))
        .map(|other| (other.role, rows_of(&other)))
        .collect();
    let above: u64 = matrix
        .parts
        .iter()
        .take_while(|role| **role != tensor.role)
        .map(|role| rows.iter().find(|(other, _)| other == role).map_or(0, |(_, rows)| *rows))
        .sum();
    let of_each = (0..matrix.count).map(|index| index * matrix.rows + above);
    let stored = of_each.flat_map(|first| first..first + rows_of(tensor));
    Some(stored.flat_map(|row| model.matrix_row(slot, row)).collect())
}

/// Root of the mean squared difference over the root of the mean square of what is right.
pub fn relative_error(found: &[Vec<f32>], right: &[Vec<f64>]) -> f64 {
    assert_eq!(found.len(), right.len());
    let (mut difference, mut size) = (0.0, 0.0);
    for (found, right) in found.iter().flatten().zip(right.iter().flatten()) {
        difference += (f64::from(*found) - right).powi(2);
        size += right.powi(2);
    }
    (difference / size).sqrt()
}

pub fn to_f64(logits: &[Vec<f32>]) -> Vec<Vec<f64>> {
    logits.iter().map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect()
}
