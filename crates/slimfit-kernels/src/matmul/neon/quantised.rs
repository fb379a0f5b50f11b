//! q8_0 and q4_0 with Advanced SIMD, over every way to multiply int8.
//!
//! Two 16-byte loads hold 4 columns of 8 rows. q4_0 multiplies the stored 0..=15; its offset of 8 is a starting sum of
//! minus 8 times the sum of the activations.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T]` i32 starting sums, then the int8 at the places
//! that [`place`] gives.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::ROWS;
use super::multiply::{Multiply, place};
use crate::Part;
use crate::codec::BLOCK;
use crate::matmul::tiles::{for_streams, share, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use std::arch::aarch64::*;

/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + 4 + BLOCK;

const fn layout(q4: bool) -> Layout {
    Layout::interleaved(if q4 { WeightFormat::Q4_0 } else { WeightFormat::Q8_0 }, ROWS)
}

/// One token, `S` address streams.
#[inline(always)]
pub(super) fn gemv<M: Multiply, const Q4: bool, const S: usize>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let bytes = activation_bytes(args.layout.format, args.columns());
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert::<M, 1>(multiply, args, 0, own);
    }
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| product::<M, Q4, S, 1>(multiply, args, groups, 0, own),
        |group| product::<M, Q4, 1, 1>(multiply, args, [group], 0, own)
    );
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
#[inline(always)]
pub(super) fn gemm<M: Multiply, const Q4: bool, const BY_TOKENS: bool>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let token_bytes = args.columns() / BLOCK * TOKEN_BLOCK;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, M::SIZES[0]), M::SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            with_tile!(size, [8, 4, 2, 1], |T| convert::<M, T>(multiply, args, first, own));
        }
        return;
    }
    let (groups, tokens) = share::<BY_TOKENS>(args, part, M::SIZES[0], 1);
    for group in groups {
        for (first, size) in tiles(tokens.clone(), M::SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
            let activations = unsafe { args.scratch.slice(range) };
            with_tile!(size, [8, 4, 2, 1], |T| product::<M, Q4, 1, T>(
                multiply,
                args,
                [group],
                first,
                activations
            ));
        }
    }
}

/// Quantises a tile of tokens.
#[inline(always)]
fn convert<M: Multiply, const T: usize>(
    _multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above; the
            // proof of the features is an argument.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let largest = largest::<8>(from);
                let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                let mut total = vdupq_n_s32(0);
                for eight in 0..4 {
                    let (bytes, sums) = quantise(from.add(8 * eight), inverse);
                    vst1_s8(to.add(8 * T + place::<M, T>(BLOCK, token, 8 * eight)).cast(), bytes);
                    total = vaddq_s32(total, sums);
                }
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                to.cast::<i32>().add(T + token).write_unaligned(-8 * vaddvq_s32(total));
            }
        }
    }
}

/// The largest magnitude of `4 · N` values.
///
/// # Safety
/// They lie at `from`, and the CPU has Advanced SIMD.
#[inline(always)]
pub(super) unsafe fn largest<const N: usize>(from: *const f32) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut most = vdupq_n_f32(0.0);
        for index in 0..N {
            most = vmaxnmq_f32(most, vabsq_f32(vld1q_f32(from.add(4 * index))));
        }
        vmaxvq_f32(most)
    }
}

/// Eight values as int8, and two of them added in each lane.
///
/// # Safety
/// They lie at `from`, and the CPU has Advanced SIMD.
#[inline(always)]
pub(super) unsafe fn quantise(from: *const f32, inverse: f32) -> (int8x8_t, int32x4_t) {
    // SAFETY: the caller's promise.
    unsafe {
        let low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(from), inverse));
        let high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(from.add(4)), inverse));
        (vqmovn_s16(vcombine_s16(vqmovn_s32(low), vqmovn_s32(high))), vaddq_s32(low, high))
    }
}

/// The 32 columns of a block, four to a vector of four rows.
///
/// # Safety
/// A block's values begin at `from`, and the CPU has Advanced SIMD.
#[inline(always)]
pub(super) unsafe fn unpack_halves(from: *const u8) -> [[int8x16_t; 2]; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[vdupq_n_s8(0); 2]; 8];
        for chunk in 0..4 {
            for half in 0..2 {
                let both = vld1q_u8(from.add(32 * chunk + 16 * half));
                columns[chunk][half] = vreinterpretq_s8_u8(vandq_u8(both, vdupq_n_u8(15)));
                columns[chunk + 4][half] = vreinterpretq_s8_u8(vshrq_n_u8::<4>(both));
            }
        }
        columns
    }
}

/// As [`unpack_halves`], of whole bytes.
///
/// # Safety
/// As for [`unpack_halves`].
#[inline(always)]
unsafe fn unpack_bytes(from: *const u8) -> [[int8x16_t; 2]; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[vdupq_n_s8(0); 2]; 8];
        for (chunk, columns) in columns.iter_mut().enumerate() {
            for (half, columns) in columns.iter_mut().enumerate() {
                *columns = vld1q_s8(from.add(32 * chunk + 16 * half).cast());
            }
        }
        columns
    }
}

/// Eight f16 factors.
///
/// # Safety
/// 16 bytes at `from` are readable, and the CPU has Advanced SIMD.
#[inline(always)]
pub(super) unsafe fn load_factors(from: *const u8) -> [float32x4_t; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let both = vreinterpretq_f16_u16(vreinterpretq_u16_u8(vld1q_u8(from)));
        [vcvt_f32_f16(vget_low_f16(both)), vcvt_high_f32_f16(both)]
    }
}

/// `S` groups of rows times a tile of `T` tokens.
#[inline(always)]
fn product<M: Multiply, const Q4: bool, const S: usize, const T: usize>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    first: usize,
    activations: &[u8],
) {
    let layout = layout(Q4);
    let blocks = args.columns() / BLOCK;
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    // SAFETY: the proof of the features is an argument.
    let mut totals = unsafe { [[[vdupq_n_f32(0.0); 2]; T]; S] };
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of each group, whose lengths were checked above; the proof
        // of the features is an argument.
        unsafe {
            let tile = activations.as_ptr().add(block * T * TOKEN_BLOCK);
            for stream in 0..S {
                let quants = starts[stream].add(layout.quants_offset(block));
                let columns = if Q4 { unpack_halves(quants) } else { unpack_bytes(quants) };
                let sums = multiply.sums::<8, T, Q4>(&columns, tile.add(8 * T).cast());
                let factors = load_factors(starts[stream].add(layout.scales_offset(block)));
                for token in 0..T {
                    let scale = tile.cast::<f32>().add(token).read_unaligned();
                    for half in 0..2 {
                        let mut sum = sums[token][half];
                        if Q4 {
                            let start = tile.cast::<i32>().add(T + token).read_unaligned();
                            sum = vaddq_s32(sum, vdupq_n_s32(start));
                        }
                        let total = &mut totals[stream][token][half];
                        let factors = vmulq_n_f32(factors[half], scale);
                        *total = vfmaq_f32(*total, vcvtq_f32_s32(sum), factors);
                    }
                }
            }
        }
    }
    for (group, totals) in groups.into_iter().zip(totals) {
        for (token, total) in totals.into_iter().enumerate() {
            finish(args, group, first + token, total);
        }
    }
}

/// Stores a group's sums.
#[inline(always)]
pub(super) fn finish(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    token: usize,
    total: [float32x4_t; 2],
) {
    let mut values = [0f32; ROWS];
    // SAFETY: exactly 8 values; who has vectors has Advanced SIMD.
    unsafe {
        vst1q_f32(values.as_mut_ptr(), total[0]);
        vst1q_f32(values.as_mut_ptr().add(4), total[1]);
    }
    args.finish_group(group * ROWS, token, &values);
}
