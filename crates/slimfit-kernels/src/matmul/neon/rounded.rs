//! bf16 times many tokens with `bfmmla`, activations rounded to bf16.
//!
//! The instruction multiplies 4 columns of 2 rows with 4 activations of 2 tokens. Weights lie in pairs of columns of 4
//! rows, and two such vectors zipped in pairs are its operands; sums of 2 rows by 2 tokens are unzipped at the end. A
//! single token takes `bfdot`, 2 columns of 4 rows at a time.
//!
//! Activations of a tile of T tokens: `[columns / 4][T][4]` bf16, padded with zero.

#![expect(unsafe_code, reason = "single instructions that have no intrinsic, and loads of checked memory")]

use super::ROWS;
use super::quantised::finish;
use crate::Part;
use crate::codec::float::write_bf16;
use crate::matmul::tiles::{share, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::aarch64::*;
use std::arch::asm;

/// Tokens of a tile: 8 tokens' sums of 8 rows fill 16 of 32 registers.
const SIZES: &[usize] = &[8, 4, 2, 1];

/// Several tokens: phase 0 lays the rounded activations out in tiles, phase 1 multiplies.
#[target_feature(enable = "neon,bf16")]
pub(in crate::matmul) fn gemm<const BY_TOKENS: bool>(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let token_bytes = args.columns().next_multiple_of(4) * 2;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, SIZES[0]), SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            for token in 0..size {
                let input = &args.input[(first + token) * args.columns()..][..args.columns()];
                for (values, place) in input.chunks(4).zip(own[8 * token..].chunks_mut(8 * size)) {
                    place[..8].fill(0);
                    for (value, place) in values.iter().zip(place.chunks_mut(2)) {
                        write_bf16(*value, place);
                    }
                }
            }
        }
        return;
    }
    let (groups, tokens) = share::<BY_TOKENS>(args, part, SIZES[0], 1);
    for group in groups {
        for (first, size) in tiles(tokens.clone(), SIZES) {
            // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
            let x = unsafe { args.scratch.slice(first * token_bytes..(first + size) * token_bytes) };
            with_tile!(size, [8, 4, 2, 1], |T| product::<T>(args, group, first, x));
        }
    }
}

/// A group of rows times a tile of `T` tokens.
#[target_feature(enable = "neon,bf16")]
#[inline]
fn product<const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    first: usize,
    activations: &[u8],
) {
    let group_bytes = Layout::interleaved(WeightFormat::Bf16, ROWS).group_bytes(args.columns());
    let start = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let pairs = args.columns().div_ceil(2);
    assert!(activations.len() >= pairs.div_ceil(2) * 8 * T);
    // Slots 2p and 2p + 1 of a pair of tokens hold rows 0 1, 2 3 and 4 5, 6 7 until they are unzipped.
    let mut sums = [[vdupq_n_f32(0.0); 2]; T];
    for four in 0..pairs.div_ceil(2) {
        // SAFETY: pair `2 · four` is inside the group and `2 · four + 1` is loaded only where it is; the activations'
        // length was checked above.
        unsafe {
            let load = |pair: usize, half: usize| vld1q_u32(start.add(pair * 4 * ROWS + 16 * half).cast());
            let whole = 2 * four + 1 < pairs;
            let x = activations.as_ptr().add(four * 8 * T);
            for half in 0..2 {
                let low = load(2 * four, half);
                let high = if whole { load(2 * four + 1, half) } else { vdupq_n_u32(0) };
                if T == 1 {
                    let dup = |pair: usize| vdupq_n_u32(x.cast::<u32>().add(pair).read_unaligned());
                    sums[0][half] = bfdot(bfdot(sums[0][half], low, dup(0)), high, dup(1));
                    continue;
                }
                let rows = [vzip1q_u32(low, high), vzip2q_u32(low, high)];
                for pair in 0..T / 2 {
                    let x = vreinterpretq_u32_u8(vld1q_u8(x.add(16 * pair)));
                    let sums = &mut sums[2 * pair + half];
                    sums[0] = bfmmla(sums[0], rows[0], x);
                    sums[1] = bfmmla(sums[1], rows[1], x);
                }
            }
        }
    }
    for pair in 0..T / 2 {
        let halves = [sums[2 * pair], sums[2 * pair + 1]];
        sums[2 * pair] = halves.map(|half| vuzp1q_f32(half[0], half[1]));
        sums[2 * pair + 1] = halves.map(|half| vuzp2q_f32(half[0], half[1]));
    }
    for (token, total) in sums.into_iter().enumerate() {
        finish(args, group, first + token, total);
    }
}

/// Adds the products of 2 rows of 4 columns with 2 tokens: `[row][token]`.
#[target_feature(enable = "neon,bf16")]
#[inline]
fn bfmmla(mut sums: float32x4_t, rows: uint32x4_t, tokens: uint32x4_t) -> float32x4_t {
    // SAFETY: the instruction reads and writes registers only, and its feature is enabled.
    unsafe {
        asm!(
            "bfmmla {sums:v}.4s, {rows:v}.8h, {tokens:v}.8h",
            sums = inout(vreg) sums,
            rows = in(vreg) rows,
            tokens = in(vreg) tokens,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds to each of 4 rows the products of its 2 columns with 2 activations.
#[target_feature(enable = "neon,bf16")]
#[inline]
fn bfdot(mut sums: float32x4_t, columns: uint32x4_t, x: uint32x4_t) -> float32x4_t {
    // SAFETY: the instruction reads and writes registers only, and its feature is enabled.
    unsafe {
        asm!(
            "bfdot {sums:v}.4s, {columns:v}.8h, {x:v}.8h",
            sums = inout(vreg) sums,
            columns = in(vreg) columns,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
