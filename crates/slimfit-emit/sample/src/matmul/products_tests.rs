//! Each product of this model against the scalar specification.

use super::*;
use crate::matmul::{AnyShape, scalar, scratch_bytes};
use crate::{AlignedBytes, SharedMut};

/// Packs the same rows in the layout of a tier.
fn packed(layout: Layout, rows: &[Vec<f32>], columns: usize) -> AlignedBytes {
    let group_bytes = layout.group_bytes(columns);
    let mut bytes = AlignedBytes::zeroed(layout.groups(rows.len()) * group_bytes).unwrap();
    let mut encoded = vec![0; layout.format.row_bytes(columns)];
    for (row, values) in rows.iter().enumerate() {
        layout.format.encode_row(values, &mut encoded);
        let group = &mut bytes.as_mut_slice()[row / layout.interleave * group_bytes..][..group_bytes];
        layout.place_row(columns, &encoded, row % layout.interleave, group);
    }
    bytes
}

/// Values that no format keeps exactly.
fn uneven(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|place| (((place + salt) * 7919 % 1013) as f32 - 506.0) / 509.0).collect()
}

/// All rows where there are few, else the first and the last ones: scalar products are slow.
fn sample(rows: usize) -> usize {
    rows.min(96)
}

/// Where the kernels are made for the shape.
pub(super) fn agrees<const ROWS: usize, const COLUMNS: usize>(
    name: &str,
    format: WeightFormat,
    multiply: impl Fn(Isa, &MatMulArgs<'_, Exactly<ROWS, COLUMNS>>, Part),
) {
    check::<ROWS, COLUMNS, _>(name, format, Exactly::<ROWS, COLUMNS>, multiply);
}

/// Where they are for any shape.
#[allow(dead_code, reason = "only routers take any shape")]
pub(super) fn agrees_any<const ROWS: usize, const COLUMNS: usize>(
    name: &str,
    format: WeightFormat,
    multiply: impl Fn(Isa, &MatMulArgs<'_>, Part),
) {
    check::<ROWS, COLUMNS, _>(name, format, AnyShape { rows: ROWS, columns: COLUMNS }, multiply);
}

fn check<const ROWS: usize, const COLUMNS: usize, S: Copy>(
    name: &str,
    format: WeightFormat,
    shape: S,
    multiply: impl Fn(Isa, &MatMulArgs<'_, S>, Part),
) {
    let rows: Vec<Vec<f32>> = (0..ROWS).map(|row| uneven(COLUMNS, 31 * row)).collect();
    for isa in [TIER, Isa::Portable].into_iter().filter(|isa| isa.is_available()) {
        let layout = layout(format, isa);
        let weights = packed(layout, &rows, COLUMNS);
        for tokens in [1, 2, 37] {
            let input = uneven(tokens * COLUMNS, 5);
            let mut output = vec![f32::NAN; tokens * ROWS];
            let mut scratch = AlignedBytes::zeroed(scratch_bytes(format, COLUMNS, tokens, 1)).unwrap();
            let args = MatMulArgs {
                shape,
                tokens,
                layout,
                weights: weights.as_slice(),
                bias: None,
                accumulate: None,
                softcap: None,
                input: &input,
                output: SharedMut::new(&mut output),
                scratch: SharedMut::new(scratch.as_mut_slice()),
                seat: None,
            };
            for phase in 0..crate::matmul::phases(tokens) {
                multiply(isa, &args, Part::whole(phase));
            }
            // The specification, on the first rows alone.
            let count = sample(ROWS);
            let plain_layout = Layout::rows(format);
            let plain = packed(plain_layout, &rows[..count], COLUMNS);
            for token in 0..tokens {
                let mut expected = vec![f32::NAN; count];
                let mut scratch = AlignedBytes::zeroed(scratch_bytes(format, COLUMNS, 1, 1)).unwrap();
                let args = MatMulArgs {
                    shape: AnyShape { rows: count, columns: COLUMNS },
                    tokens: 1,
                    layout: plain_layout,
                    weights: plain.as_slice(),
                    bias: None,
                    accumulate: None,
                    softcap: None,
                    input: &input[token * COLUMNS..][..COLUMNS],
                    output: SharedMut::new(&mut expected),
                    scratch: SharedMut::new(scratch.as_mut_slice()),
                    seat: None,
                };
                scalar::gemv(&args, Part::whole(0));
                for (row, expected) in expected.iter().enumerate() {
                    let found = output[token * ROWS + row];
                    // Tiers that multiply in bf16 round activations to 8 bits.
                    let rounding = if isa.rounds_activations() { 2e-2 } else { 1e-4 };
                    let scale = (COLUMNS as f32).sqrt();
                    assert!(
                        (found - expected).abs() <= rounding * scale,
                        "{name} on {isa}, {tokens} tokens: row {row} of token {token} is {found}, not {expected}"
                    );
                }
            }
            assert!(output.iter().all(|value| value.is_finite()), "{name} on {isa}: a row was not written");
        }
    }
}
