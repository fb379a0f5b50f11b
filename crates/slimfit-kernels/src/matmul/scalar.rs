//! The specification of the product: plain loops over GGUF's row-major layout, sums in f64 and exact integers.

#![expect(unsafe_code, reason = "writes its own part of the shared scratch")]

use super::{MatMulArgs, WeightFormat, activation_bytes};
use crate::Part;
use crate::codec::{BLOCK, activation, float, q4_0, q8_0};

/// Bytes of a block of converted activations: the scale, then 32 int8.
const ACTIVATION_BLOCK: usize = 4 + BLOCK;

/// One token.
pub(crate) fn gemv(args: &MatMulArgs<'_>, part: Part) {
    let converted: &[u8] = if args.layout.format.is_quantised() {
        let bytes = activation_bytes(args.layout.format, args.columns);
        // SAFETY: each thread has a stretch of scratch of its own.
        let own = unsafe { args.scratch.slice_mut(part.index * bytes..(part.index + 1) * bytes) };
        convert(args.input, own);
        own
    } else {
        &[]
    };
    product(args, part, 0, converted);
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
pub(super) fn gemm(args: &MatMulArgs<'_>, part: Part) {
    let quantised = args.layout.format.is_quantised();
    let bytes = activation_bytes(args.layout.format, args.columns);
    if part.phase == 0 {
        for token in part.range(if quantised { args.tokens } else { 0 }, 1) {
            // SAFETY: each token has a stretch of its own, and only this share has this token.
            let own = unsafe { args.scratch.slice_mut(token * bytes..(token + 1) * bytes) };
            convert(&args.input[token * args.columns..][..args.columns], own);
        }
        return;
    }
    for token in 0..args.tokens {
        let range = if quantised { token * bytes..(token + 1) * bytes } else { 0..0 };
        // SAFETY: phase 0 wrote it; nobody writes it in this phase.
        product(args, part, token, unsafe { args.scratch.slice(range) });
    }
}

fn convert(input: &[f32], converted: &mut [u8]) {
    for (values, block) in input.chunks_exact(BLOCK).zip(converted.chunks_exact_mut(ACTIVATION_BLOCK)) {
        let mut quantised = [0; BLOCK];
        float::write_f32(activation::quantise(values, &mut quantised), block);
        for (byte, value) in block[4..].iter_mut().zip(quantised) {
            *byte = value as u8;
        }
    }
}

fn product(args: &MatMulArgs<'_>, part: Part, token: usize, converted: &[u8]) {
    let format = args.layout.format;
    let row_bytes = format.row_bytes(args.columns);
    let input = &args.input[token * args.columns..][..args.columns];
    for row in part.range(args.rows, 1) {
        let weights = &args.weights[row * row_bytes..][..row_bytes];
        let sum: f64 = match format {
            WeightFormat::F32 => weights
                .chunks_exact(4)
                .zip(input)
                .map(|(weight, &x)| f64::from(float::read_f32(weight)) * f64::from(x))
                .sum(),
            WeightFormat::Bf16 => weights
                .chunks_exact(2)
                .zip(input)
                .map(|(weight, &x)| f64::from(float::read_bf16(weight)) * f64::from(x))
                .sum(),
            WeightFormat::Q8_0 => blocks(weights, q8_0::BYTES, converted, q8_0::scale, q8_0::value),
            WeightFormat::Q4_0 => blocks(weights, q4_0::BYTES, converted, q4_0::scale, q4_0::value),
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
