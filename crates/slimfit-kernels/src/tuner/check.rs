//! Whether an implementation agrees with the scalar specification.

use crate::matmul::MatMulArgs;
use crate::matmul::{GEMM, GEMV, MatMulVariant, WeightFormat};
use crate::memory::AlignedBytes;
use crate::operation::{MatMul, Operation};
use crate::packed::PackedMatrix;
use crate::{Isa, KernelError, Part, SharedMut};
use crate::{phases, scratch_bytes};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Groups of 16 rows for eight streams in each of two shares, and some rows over.
const ROWS: usize = 16 * 19 + 3;
/// An odd number of blocks of every format.
const COLUMNS: usize = 3 * 256;
/// Tiles of every size, and some tokens over.
const TOKENS: usize = 31;
const SHARES: usize = 2;

/// Answers by name, and what the specification computes by format and tokens.
#[derive(Default)]
pub(super) struct Checks {
    answers: HashMap<&'static str, bool>,
    expected: HashMap<(WeightFormat, usize), Vec<f32>>,
}

impl Checks {
    /// Whether `entry` computes what the scalar implementation does, within the rounding of f32 sums, or of bf16 where
    /// the tier rounds activations to that.
    ///
    /// # Errors
    /// Memory is refused.
    pub(super) fn agrees(&mut self, entry: &MatMulVariant) -> Result<bool, KernelError> {
        if let Some(&known) = self.answers.get(entry.variant.name) {
            return Ok(known);
        }
        let format = entry.layout.format;
        let gemv = entry.variant.name.starts_with("gemv");
        let (table, tokens) = if gemv { (GEMV, 1) } else { (GEMM, TOKENS) };
        let expected = match self.expected.entry((format, tokens)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let scalar = table
                    .iter()
                    .find(|other| other.layout.format == format && other.variant.isa == Isa::Scalar)
                    .expect("every format has a scalar product of one token and of several");
                place.insert(compute(scalar, tokens)?)
            }
        };
        let rounded = entry.variant.isa.rounds_activations();
        let agrees = close(&compute(entry, tokens)?, expected, rounded);
        self.answers.insert(entry.variant.name, agrees);
        Ok(agrees)
    }
}

/// Each value within a part of the largest, which bounds the sum of the magnitudes of its terms from below.
fn close(found: &[f32], expected: &[f32], rounded: bool) -> bool {
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let allowed = largest * if rounded { 2e-2 } else { 1e-4 };
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= allowed)
}

fn compute(entry: &MatMulVariant, tokens: usize) -> Result<Vec<f32>, KernelError> {
    let mut matrix = PackedMatrix::with_layout(entry.layout, ROWS, COLUMNS)?;
    let value =
        |row: usize, column: usize| ((row * 29 + column * 53 + row * column % 7) % 97) as f32 / 48.0 - 1.0;
    let mut values = vec![0.0; COLUMNS];
    for row in 0..ROWS {
        values.iter_mut().enumerate().for_each(|(column, cell)| *cell = value(row, column));
        matrix.pack_rows(row, &values)?;
    }
    let operation = MatMul {
        rows: ROWS as u64,
        columns: COLUMNS as u64,
        format: matrix.format(),
        bias: false,
        accumulate: None,
        softcap: None,
    };
    let input: Vec<f32> =
        (0..tokens).flat_map(|token| (0..COLUMNS).map(move |column| value(token + 5, column + 3))).collect();
    let mut output = vec![f32::NAN; tokens * ROWS];
    let described = Operation::MatMul(operation);
    let mut scratch = AlignedBytes::zeroed(scratch_bytes(&described, tokens, 0, SHARES))?;
    let args = MatMulArgs::new(
        &operation,
        tokens,
        &matrix,
        None,
        &input,
        SharedMut::new(&mut output),
        SharedMut::new(scratch.as_mut_slice()),
    );
    for phase in 0..phases(&described, tokens) {
        for index in 0..SHARES {
            entry.run(&args, Part { phase, index, of: SHARES });
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_implementation_agrees() {
        let mut checks = Checks::default();
        for entry in GEMV.iter().chain(GEMM).filter(|entry| entry.variant.isa.is_available()) {
            assert!(checks.agrees(entry).unwrap(), "`{}`", entry.variant.name);
        }
    }

    #[test]
    fn a_wrong_value_and_a_missing_one_are_found() {
        let expected = [1.0, -2.0, 3.0];
        assert!(close(&[1.0, -2.0001, 3.0], &expected, false));
        assert!(!close(&[1.0, -2.001, 3.0], &expected, false));
        assert!(close(&[1.0, -2.001, 3.0], &expected, true));
        assert!(!close(&[1.0, f32::NAN, 3.0], &expected, true));
        assert!(!close(&[1.0, -2.0], &expected, false));
    }

    #[test]
    fn a_wrong_implementation_is_rejected() {
        fn nothing(args: &MatMulArgs<'_>, part: Part) {
            let _ = (args, part);
        }
        let mut entry = GEMV[0];
        entry.variant.name = "gemv-of-nothing";
        entry.variant.function = nothing;
        assert!(!Checks::default().agrees(&entry).unwrap());
    }
}
