//! The specification of the product: plain loops over GGUF's row-major layout, sums in f64 and exact integers.

#![expect(unsafe_code, reason = "writes its own part of the shared scratch")]

use super::{MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use crate::Part;
use crate::codec::{BLOCK, SUPER_BLOCK, activation, float, q4_0, q4_k, q6_k, q8_0};

/// Bytes of a block of 32 converted activations: the scale, then the values. Blocks of 256 are laid out likewise.
const ACTIVATION_BLOCK: usize = 4 + BLOCK;

/// One token.
pub(crate) fn gemv(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let converted: &[u8] = if args.layout.format.is_quantised() {
        let bytes = activation_bytes(args.layout.format, args.columns());
        // SAFETY: a thread does one share at a time.
        let (own, converted) = unsafe { args.own_scratch(part, bytes) };
        if !converted {
            convert(args.layout.format, args.input, own);
        }
        own
    } else {
        &[]
    };
    product(args, part, 0, converted);
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
pub(super) fn gemm(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let quantised = args.layout.format.is_quantised();
    let bytes = activation_bytes(args.layout.format, args.columns());
    if part.phase == 0 {
        for token in part.range(if quantised { args.tokens } else { 0 }, 1) {
            // SAFETY: each token has a stretch of its own, and only this share has this token.
            let own = unsafe { args.scratch.slice_mut(token * bytes..(token + 1) * bytes) };
            convert(args.layout.format, &args.input[token * args.columns()..][..args.columns()], own);
        }
        return;
    }
    for token in 0..args.tokens {
        let range = if quantised { token * bytes..(token + 1) * bytes } else { 0..0 };
        // SAFETY: phase 0 wrote it; nobody writes it in this phase.
        product(args, part, token, unsafe { args.scratch.slice(range) });
    }
}

fn convert(format: WeightFormat, input: &[f32], converted: &mut [u8]) {
    let values = format.block_values();
    for (values, block) in input.chunks_exact(values).zip(converted.chunks_exact_mut(4 + values)) {
        let quantised = &mut [0; SUPER_BLOCK][..values.len()];
        float::write_f32(activation::quantise(values, quantised), block);
        for (byte, &mut value) in block[4..].iter_mut().zip(quantised) {
            *byte = value as u8;
        }
    }
}

fn product(args: &MatMulArgs<'_, impl MatrixShape>, part: Part, token: usize, converted: &[u8]) {
    let format = args.layout.format;
    let row_bytes = format.row_bytes(args.columns());
    let input = &args.input[token * args.columns()..][..args.columns()];
    for row in part.range(args.rows(), 1) {
        let weights = &args.weights[row * row_bytes..][..row_bytes];
        let sum: f64 = match format {
            WeightFormat::F32 => weights
                .chunks_exact(4)
                .zip(input)
                .map(|(weight, &x)| f64::from(float::read_f32(weight)) * f64::from(x))
                .sum(),
            WeightFormat::F16 => weights
                .chunks_exact(2)
                .zip(input)
                .map(|(weight, &x)| f64::from(float::read_f16(weight)) * f64::from(x))
                .sum(),
            WeightFormat::Bf16 => weights
                .chunks_exact(2)
                .zip(input)
                .map(|(weight, &x)| f64::from(float::read_bf16(weight)) * f64::from(x))
                .sum(),
            WeightFormat::Q8_0 => blocks(weights, q8_0::BYTES, converted, q8_0::scale, q8_0::value),
            WeightFormat::Q4_0 => blocks(weights, q4_0::BYTES, converted, q4_0::scale, q4_0::value),
            WeightFormat::Q4K => super_blocks(weights, q4_k::BYTES, converted, q4_k_block),
            WeightFormat::Q6K => super_blocks(weights, q6_k::BYTES, converted, q6_k_block),
        };
        args.finish_group(row, token, &[sum as f32]);
    }
}

fn blocks(
    weights: &[u8],
    block_bytes: usize,
    converted: &[u8],
    scale: fn(&[u8]) -> f32,
    value: fn(&[u8], usize) -> i8,
) -> f64 {
    weights
        .chunks_exact(block_bytes)
        .zip(converted.chunks_exact(ACTIVATION_BLOCK))
        .map(|(weight, x)| {
            let sum: i32 =
                (0..BLOCK).map(|index| i32::from(value(weight, index)) * i32::from(x[4 + index] as i8)).sum();
            f64::from(scale(weight)) * f64::from(float::read_f32(x)) * f64::from(sum)
        })
        .sum()
}

fn super_blocks(
    weights: &[u8],
    block_bytes: usize,
    converted: &[u8],
    block: fn(&[u8], &dyn Fn(usize) -> i64) -> f64,
) -> f64 {
    weights
        .chunks_exact(block_bytes)
        .zip(converted.chunks_exact(4 + SUPER_BLOCK))
        .map(|(weight, x)| {
            f64::from(float::read_f32(x)) * block(weight, &|index| i64::from(x[4 + index] as i8))
        })
        .sum()
}

fn q4_k_block(block: &[u8], x: &dyn Fn(usize) -> i64) -> f64 {
    let (mut products, mut minima) = (0, 0);
    for index in 0..SUPER_BLOCK {
        let (scale, minimum) = q4_k::scale_and_minimum(block, index / BLOCK);
        products += i64::from(scale) * i64::from(q4_k::stored(block, index)) * x(index);
        minima += i64::from(minimum) * x(index);
    }
    let (scales, minimum) = q4_k::factors(block);
    f64::from(scales) * products as f64 - f64::from(minimum) * minima as f64
}

fn q6_k_block(block: &[u8], x: &dyn Fn(usize) -> i64) -> f64 {
    let products: i64 = (0..SUPER_BLOCK)
        .map(|index| {
            let scale = i64::from(q6_k::scale(block, index / q6_k::SUB_BLOCK));
            scale * (i64::from(q6_k::stored(block, index)) - 32) * x(index)
        })
        .sum();
    f64::from(q6_k::factor(block)) * products as f64
}
