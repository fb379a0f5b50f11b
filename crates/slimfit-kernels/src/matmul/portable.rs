//! The product in vectors that every CPU of the architecture has: groups of 8 rows, in the layout that the 256-bit
//! tiers read too.
//!
//! `wide` picks its instructions when the program is compiled, so this serves the baseline only. Integer sums are plain
//! loops over lanes, which the compiler turns into vectors.

#![expect(unsafe_code, reason = "writes its own part of the shared scratch")]

use super::{MatMulArgs, MatrixShape, WeightFormat, activation_bytes, k_layout};
use crate::Part;
use crate::codec::{BLOCK, SUPER_BLOCK, activation, float, q6_k};
use wide::f32x8;

/// Rows of a group.
const ROWS: usize = 8;
/// Bytes of a block of 32 converted activations: the scale, then the values. Blocks of 256 are laid out likewise.
const ACTIVATION_BLOCK: usize = 4 + BLOCK;

/// One token.
pub(super) fn gemv(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let bytes = scratch_per_token(args);
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert(args, 0, own);
    }
    for group in part.range(args.layout.groups(args.rows()), 1) {
        product(args, group, 0, own);
    }
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
pub(super) fn gemm(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let bytes = scratch_per_token(args);
    if part.phase == 0 {
        for token in part.range(args.tokens, 1) {
            // SAFETY: each token has a stretch of its own, and only this share has this token.
            convert(args, token, unsafe { args.scratch.slice_mut(token * bytes..(token + 1) * bytes) });
        }
        return;
    }
    for group in part.range(args.layout.groups(args.rows()), 1) {
        for token in 0..args.tokens {
            // SAFETY: phase 0 wrote it; nobody writes it in this phase.
            product(args, group, token, unsafe { args.scratch.slice(token * bytes..(token + 1) * bytes) });
        }
    }
}

fn scratch_per_token(args: &MatMulArgs<'_, impl MatrixShape>) -> usize {
    let quantised = args.layout.format.is_quantised();
    if quantised { activation_bytes(args.layout.format, args.columns()) } else { 0 }
}

/// Quantises a token where the format wants it.
fn convert(args: &MatMulArgs<'_, impl MatrixShape>, token: usize, converted: &mut [u8]) {
    let input = &args.input[token * args.columns()..][..args.columns()];
    let values = args.layout.format.block_values();
    for (values, block) in input.chunks_exact(values).zip(converted.chunks_exact_mut(4 + values)) {
        let quantised = &mut [0; SUPER_BLOCK][..values.len()];
        float::write_f32(activation::quantise(values, quantised), block);
        for (byte, &mut value) in block[4..].iter_mut().zip(quantised) {
            *byte = value as u8;
        }
    }
}

fn product(args: &MatMulArgs<'_, impl MatrixShape>, group: usize, token: usize, converted: &[u8]) {
    let group_bytes = args.layout.group_bytes(args.columns());
    let weights = &args.weights[group * group_bytes..][..group_bytes];
    let input = &args.input[token * args.columns()..][..args.columns()];
    let total = match args.layout.format {
        WeightFormat::F32 => weights
            .chunks_exact(4 * ROWS)
            .zip(input)
            .fold(f32x8::ZERO, |total, (weights, &x)| lanes(weights).mul_add(f32x8::splat(x), total)),
        WeightFormat::F16 => {
            weights.chunks_exact(2 * ROWS).zip(input).fold(f32x8::ZERO, |total, (weights, &x)| {
                let lanes = std::array::from_fn::<f32, ROWS, _>(|row| float::read_f16(&weights[2 * row..]));
                f32x8::from(lanes).mul_add(f32x8::splat(x), total)
            })
        }
        WeightFormat::Bf16 => {
            weights.chunks_exact(4 * ROWS).zip(input.chunks(2)).fold(f32x8::ZERO, |total, (weights, x)| {
                let lane = |row: usize, column: usize| float::read_bf16(&weights[row * 4 + column * 2..]);
                let first = f32x8::from(std::array::from_fn::<f32, ROWS, _>(|row| lane(row, 0)));
                let second = f32x8::from(std::array::from_fn::<f32, ROWS, _>(|row| lane(row, 1)));
                let total = first.mul_add(f32x8::splat(x[0]), total);
                second.mul_add(f32x8::splat(x.get(1).copied().unwrap_or(0.0)), total)
            })
        }
        WeightFormat::Q8_0 | WeightFormat::Q4_0 => blocks(args, weights, converted),
        WeightFormat::Q4K => super_blocks(args, weights, converted, q4_k_block),
        WeightFormat::Q6K => super_blocks(args, weights, converted, q6_k_block),
    };
    args.finish_group(group * ROWS, token, total.as_array());
}

fn blocks(args: &MatMulArgs<'_, impl MatrixShape>, weights: &[u8], converted: &[u8]) -> f32x8 {
    let layout = args.layout;
    let mut total = f32x8::ZERO;
    for (block, x) in converted.chunks_exact(ACTIVATION_BLOCK).take(args.columns() / BLOCK).enumerate() {
        let quants = &weights[layout.quants_offset(block)..][..layout.block_quants()];
        let mut sums = [0i32; ROWS];
        for (chunk, quants) in quants.chunks_exact(4 * ROWS).enumerate() {
            let x = |index: usize| i32::from(x[4 + 4 * chunk + index] as i8);
            for (row, sum) in sums.iter_mut().enumerate() {
                for index in 0..4 {
                    let byte = quants[4 * row + index];
                    *sum += if layout.format == WeightFormat::Q4_0 {
                        (i32::from(byte & 15) - 8) * x(index)
                            + (i32::from(byte >> 4) - 8) * x(index + BLOCK / 2)
                    } else {
                        i32::from(byte as i8) * x(index)
                    };
                }
            }
        }
        let scales = &weights[layout.scales_offset(block)..][..2 * ROWS];
        let scales: [f32; ROWS] = std::array::from_fn(|row| float::read_f16(&scales[2 * row..]));
        let sums = f32x8::from(sums.map(|sum| sum as f32));
        total = sums.mul_add(f32x8::from(scales) * f32x8::splat(float::read_f32(x)), total);
    }
    total
}

fn lanes(bytes: &[u8]) -> f32x8 {
    f32x8::from(std::array::from_fn::<f32, ROWS, _>(|row| float::read_f32(&bytes[4 * row..])))
}

fn super_blocks(
    args: &MatMulArgs<'_, impl MatrixShape>,
    weights: &[u8],
    converted: &[u8],
    block: fn(&[u8], usize, &[u8]) -> f32x8,
) -> f32x8 {
    let blocks = converted.chunks_exact(4 + SUPER_BLOCK).take(args.columns() / SUPER_BLOCK);
    blocks.enumerate().fold(f32x8::ZERO, |total, (index, x)| {
        block(weights, index, &x[4..]).mul_add(f32x8::splat(float::read_f32(x)), total)
    })
}

fn floats(sums: [i32; ROWS]) -> f32x8 {
    f32x8::from(sums.map(|sum| sum as f32))
}

fn factors(bytes: &[u8]) -> f32x8 {
    f32x8::from(std::array::from_fn::<f32, ROWS, _>(|row| float::read_f16(&bytes[2 * row..])))
}

fn q4_k_block(weights: &[u8], index: usize, x: &[u8]) -> f32x8 {
    let block = &weights[k_layout::q4_k_offset(ROWS, index)..];
    let packed = &block[k_layout::q4_k_packed(ROWS)..];
    let (mut products, mut minima) = ([0; ROWS], [0; ROWS]);
    for (sub_block, x) in x.as_chunks::<BLOCK>().0.iter().enumerate() {
        let x = x.map(|x| i32::from(x as i8));
        let total: i32 = x.iter().sum();
        let values = &block[k_layout::q4_k_values(ROWS, sub_block)..][..ROWS * BLOCK / 2];
        let mut sums = [0i32; ROWS];
        for (chunk, values) in values.chunks_exact(4 * ROWS).enumerate() {
            for (row, sum) in sums.iter_mut().enumerate() {
                for column in 0..4 {
                    let byte = values[4 * row + column];
                    *sum += i32::from(byte & 15) * x[4 * chunk + column]
                        + i32::from(byte >> 4) * x[4 * chunk + column + BLOCK / 2];
                }
            }
        }
        for row in 0..ROWS {
            let (scale, minimum) = k_layout::q4_k_scale(ROWS, packed, row, sub_block);
            products[row] += i32::from(scale) * sums[row];
            minima[row] += i32::from(minimum) * total;
        }
    }
    factors(block) * floats(products) - factors(&block[2 * ROWS..]) * floats(minima)
}

fn q6_k_block(weights: &[u8], index: usize, x: &[u8]) -> f32x8 {
    let block = &weights[k_layout::q6_k_scales(ROWS, index)..];
    let mut products = [0; ROWS];
    for (sub_block, x) in x.as_chunks::<{ q6_k::SUB_BLOCK }>().0.iter().enumerate() {
        let x = x.map(|x| i32::from(x as i8));
        let total: i32 = x.iter().sum();
        let values = &block[k_layout::q6_k_values(ROWS, sub_block)..][..12 * ROWS];
        let mut sums = [-32 * total; ROWS];
        for (row, sum) in sums.iter_mut().enumerate() {
            for column in 0..4 {
                let byte = |part: usize| i32::from(values[(part * ROWS + row) * 4 + column]);
                let (first, second, upper) = (byte(0), byte(1), byte(2));
                *sum += (first & 15 | (upper & 3) << 4) * x[column]
                    + (first >> 4 | (upper & 12) << 2) * x[column + 4]
                    + (second & 15 | upper & 48) * x[column + 8]
                    + (second >> 4 | (upper & 192) >> 2) * x[column + 12];
            }
        }
        for row in 0..ROWS {
            products[row] += i32::from(block[k_layout::paired(ROWS, row, sub_block)] as i8) * sums[row];
        }
    }
    factors(&weights[k_layout::q6_k_factors(ROWS, index)..]) * floats(products)
}
