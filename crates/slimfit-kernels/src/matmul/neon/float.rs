//! f32, f16 and bf16 with Advanced SIMD.
//!
//! A column of 8 rows is two vectors, which one lane of a vector of activations multiplies. f16 is converted; bf16 widens
//! by shift and mask, so its products are those of f32.
//!
//! Activations of a tile of T tokens: `[columns][T]` f32. One token's are the input itself.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::ROWS;
use super::quantised::{finish, load_factors};
use crate::Part;
use crate::matmul::tiles::{for_streams, share, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::aarch64::*;

/// Tokens of a tile: 12 tokens' sums of 8 rows fill 24 of 32 registers.
const SIZES: &[usize] = &[12, 8, 4, 2, 1];

/// Two columns of 8 rows.
type Pair = [[float32x4_t; 2]; 2];

/// How weights become f32.
pub(in crate::matmul) trait Weights {
    /// The format.
    const FORMAT: WeightFormat;

    /// Columns `2 · pair` and `2 · pair + 1`; where the second is past an odd last column, only the first counts.
    ///
    /// # Safety
    /// The group at `start` has the columns (the first, with `ODD`); the CPU has Advanced SIMD.
    unsafe fn columns<const ODD: bool>(start: *const u8, pair: usize) -> Pair;
}

pub(in crate::matmul) struct OfF32;
pub(in crate::matmul) struct OfF16;
pub(in crate::matmul) struct OfBf16;

impl Weights for OfF32 {
    const FORMAT: WeightFormat = WeightFormat::F32;

    #[inline(always)]
    unsafe fn columns<const ODD: bool>(start: *const u8, pair: usize) -> Pair {
        // SAFETY: the caller's promise.
        unsafe {
            let from = start.add(pair * 8 * ROWS).cast::<f32>();
            let first = [vld1q_f32(from), vld1q_f32(from.add(4))];
            let second = if ODD { first } else { [vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] };
            [first, second]
        }
    }
}

impl Weights for OfF16 {
    const FORMAT: WeightFormat = WeightFormat::F16;

    #[inline(always)]
    unsafe fn columns<const ODD: bool>(start: *const u8, pair: usize) -> Pair {
        // SAFETY: the caller's promise.
        unsafe {
            let from = start.add(pair * 4 * ROWS);
            let first = load_factors(from);
            [first, if ODD { first } else { load_factors(from.add(2 * ROWS)) }]
        }
    }
}

impl Weights for OfBf16 {
    const FORMAT: WeightFormat = WeightFormat::Bf16;

    #[inline(always)]
    unsafe fn columns<const ODD: bool>(start: *const u8, pair: usize) -> Pair {
        // SAFETY: the caller's promise; the format pads an odd last column to a pair.
        unsafe {
            let from = start.add(pair * 4 * ROWS);
            let both = [vld1q_u8(from), vld1q_u8(from.add(16))].map(|both| vreinterpretq_u32_u8(both));
            [
                both.map(|both| vreinterpretq_f32_u32(vshlq_n_u32::<16>(both))),
                both.map(|both| vreinterpretq_f32_u32(vandq_u32(both, vdupq_n_u32(0xffff_0000)))),
            ]
        }
    }
}

/// One token, `S` address streams.
#[target_feature(enable = "neon")]
pub(in crate::matmul) fn gemv<W: Weights, const S: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    assert_eq!(args.input.len(), args.columns());
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| product::<W, S, 1>(args, groups, 0, args.input.as_ptr()),
        |group| product::<W, 1, 1>(args, [group], 0, args.input.as_ptr())
    );
}

/// Several tokens: phase 0 lays the activations out in tiles, phase 1 multiplies.
#[target_feature(enable = "neon")]
pub(in crate::matmul) fn gemm<W: Weights, const BY_TOKENS: bool>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let token_bytes = args.columns() * 4;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, SIZES[0]), SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            for token in 0..size {
                let input = &args.input[(first + token) * args.columns()..][..args.columns()];
                for (value, place) in input.iter().zip(own[4 * token..].chunks_mut(4 * size)) {
                    place[..4].copy_from_slice(&value.to_ne_bytes());
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
            let x = x.as_ptr().cast::<f32>();
            with_tile!(size, [12, 8, 4, 2, 1], |T| product::<W, 1, T>(args, [group], first, x));
        }
    }
}

/// `S` groups of rows times a tile of `T` tokens, whose `[columns][T]` activations lie at `x`.
#[target_feature(enable = "neon")]
#[inline]
fn product<W: Weights, const S: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    first: usize,
    x: *const f32,
) {
    let group_bytes = Layout::interleaved(W::FORMAT, ROWS).group_bytes(args.columns());
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    // One token has sums of its own for odd columns: a multiply-add takes longer than `2 · S` of them to start.
    let mut sums = [[[[vdupq_n_f32(0.0); 2]; T]; S]; 2];
    let odd = usize::from(T == 1);
    for pair in 0..args.columns() / 2 {
        // SAFETY: columns 2 · pair and 2 · pair + 1 of the tile and of groups, whose lengths the callers and this function
        // checked.
        unsafe {
            for stream in 0..S {
                let [even_column, odd_column] = W::columns::<false>(starts[stream], pair);
                add_column(&mut sums[0][stream], even_column, x.add(2 * pair * T));
                add_column(&mut sums[odd][stream], odd_column, x.add((2 * pair + 1) * T));
            }
        }
    }
    if args.columns() % 2 == 1 {
        let pair = args.columns() / 2;
        for stream in 0..S {
            // SAFETY: as above; the last column is the first of its pair.
            unsafe {
                let [column, _] = W::columns::<true>(starts[stream], pair);
                add_column(&mut sums[0][stream], column, x.add(2 * pair * T));
            }
        }
    }
    for (stream, group) in groups.into_iter().enumerate() {
        for token in 0..T {
            let mut total = sums[0][stream][token];
            if T == 1 {
                let odd = sums[1][stream][token];
                total = [vaddq_f32(total[0], odd[0]), vaddq_f32(total[1], odd[1])];
            }
            finish(args, group, first + token, total);
        }
    }
}

/// Adds one column times a tile of tokens.
///
/// # Safety
/// `x` points at `T` values.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn add_column<const T: usize>(
    sums: &mut [[float32x4_t; 2]; T],
    column: [float32x4_t; 2],
    x: *const f32,
) {
    for quad in 0..T / 4 {
        // SAFETY: the caller's promise.
        let x = unsafe { vld1q_f32(x.add(4 * quad)) };
        for half in 0..2 {
            let sum = |token: usize| sums[4 * quad + token][half];
            let all = [
                vfmaq_laneq_f32::<0>(sum(0), column[half], x),
                vfmaq_laneq_f32::<1>(sum(1), column[half], x),
                vfmaq_laneq_f32::<2>(sum(2), column[half], x),
                vfmaq_laneq_f32::<3>(sum(3), column[half], x),
            ];
            for (token, sum) in all.into_iter().enumerate() {
                sums[4 * quad + token][half] = sum;
            }
        }
    }
    for token in T / 4 * 4..T {
        // SAFETY: the caller's promise.
        let x = unsafe { vdupq_n_f32(*x.add(token)) };
        for half in 0..2 {
            sums[token][half] = vfmaq_f32(sums[token][half], column[half], x);
        }
    }
}
