//! q4_k and q6_k with Advanced SIMD, over every way to multiply int8.
//!
//! A sub-block's exact sum is multiplied by its small scale in i32, so that a whole block ends as one i32 in each row.
//! Its factor and the scale of the activations, which also span 256 values, come once per block. The minima of q4_k and
//! the offset of 32 of q6_k meet sums of a sub-block's activations.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T][16]` 16-bit sums of a sub-block's activations
//! (q4_k has 8), then per sub-block the int8 at the places that [`place`] gives.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::ROWS;
use super::multiply::{Multiply, place};
use super::quantised::{finish, largest, load_factors, quantise, unpack_halves};
use crate::Part;
use crate::codec::{BLOCK, SUPER_BLOCK, q4_k, q6_k};
use crate::matmul::k_layout::{
    q4_k_offset, q4_k_packed, q4_k_values, q6_k_factors, q6_k_scales, q6_k_values,
};
use crate::matmul::tiles::{for_streams, share, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use std::arch::aarch64::*;

/// Bytes of a token's sums.
const SUMS: usize = 32;
/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + SUMS + SUPER_BLOCK;

const fn layout(q6: bool) -> Layout {
    Layout::interleaved(if q6 { WeightFormat::Q6K } else { WeightFormat::Q4K }, ROWS)
}

/// One token, `S` address streams.
#[inline(always)]
pub(super) fn gemv<M: Multiply, const Q6: bool, const S: usize>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let bytes = activation_bytes(args.layout.format, args.columns());
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert::<M, Q6, 1>(multiply, args, 0, own);
    }
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| product::<M, Q6, S, 1>(multiply, args, groups, 0, own),
        |group| product::<M, Q6, 1, 1>(multiply, args, [group], 0, own)
    );
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
#[inline(always)]
pub(super) fn gemm<M: Multiply, const Q6: bool, const BY_TOKENS: bool>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let token_bytes = args.columns() / SUPER_BLOCK * TOKEN_BLOCK;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, M::SIZES[0]), M::SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            with_tile!(size, [8, 4, 2, 1], |T| convert::<M, Q6, T>(multiply, args, first, own));
        }
        return;
    }
    let (groups, tokens) = share::<BY_TOKENS>(args, part, M::SIZES[0], 1);
    for group in groups {
        for (first, size) in tiles(tokens.clone(), M::SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
            let activations = unsafe { args.scratch.slice(range) };
            with_tile!(size, [8, 4, 2, 1], |T| product::<M, Q6, 1, T>(
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
fn convert<M: Multiply, const Q6: bool, const T: usize>(
    _multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / SUPER_BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    let length = if Q6 { q6_k::SUB_BLOCK } else { BLOCK };
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above; the
            // proof of the features is an argument.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * SUPER_BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let largest = largest::<64>(from);
                let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                for sub_block in 0..SUPER_BLOCK / length {
                    let quants = to.add((4 + SUMS) * T + sub_block * T * length);
                    let mut total = vdupq_n_s32(0);
                    for column in (0..length).step_by(8) {
                        let (bytes, sums) = quantise(from.add(sub_block * length + column), inverse);
                        vst1_s8(quants.add(place::<M, T>(length, token, column)).cast(), bytes);
                        total = vaddq_s32(total, sums);
                    }
                    let sums = to.add(4 * T + token * SUMS).cast::<i16>();
                    sums.add(sub_block).write_unaligned(vaddvq_s32(total) as i16);
                }
            }
        }
    }
}

/// `S` groups of rows times a tile of `T` tokens.
#[inline(always)]
fn product<M: Multiply, const Q6: bool, const S: usize, const T: usize>(
    multiply: M,
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    first: usize,
    activations: &[u8],
) {
    let blocks = args.columns() / SUPER_BLOCK;
    let group_bytes = layout(Q6).group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    // SAFETY: the proof of the features is an argument.
    let mut totals = unsafe { [[[vdupq_n_f32(0.0); 2]; T]; S] };
    for block in 0..blocks {
        let tile = activations[block * T * TOKEN_BLOCK..].as_ptr();
        for (&start, totals) in starts.iter().zip(&mut totals) {
            // SAFETY: block `block` of the tile's activations and of each group, whose lengths were checked above.
            unsafe {
                if Q6 {
                    add_q6::<M, T>(multiply, start, block, tile, totals);
                } else {
                    add_q4::<M, T>(multiply, start.add(q4_k_offset(ROWS, block)), tile, totals);
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

/// The scales of 8 rows, widened, of the first or second sub-block of a pair.
///
/// # Safety
/// The CPU has Advanced SIMD.
#[inline(always)]
unsafe fn of_pair(pair: int8x16_t, which: usize) -> int16x8_t {
    // SAFETY: the caller's promise.
    unsafe {
        let own = if which == 0 { vuzp1q_s8(pair, pair) } else { vuzp2q_s8(pair, pair) };
        vmovl_s8(vget_low_s8(own))
    }
}

/// Adds a block of q4_k.
///
/// # Safety
/// The block begins at `block`, its activations at `tile`; the CPU has Advanced SIMD.
#[inline(always)]
unsafe fn add_q4<M: Multiply, const T: usize>(
    multiply: M,
    block: *const u8,
    tile: *const u8,
    totals: &mut [[float32x4_t; 2]; T],
) {
    // SAFETY: the caller's promise.
    unsafe {
        // Scales and minima of pairs of sub-blocks, all below 64.
        let packed: [uint8x16_t; 6] =
            std::array::from_fn(|index| vld1q_u8(block.add(q4_k_packed(ROWS) + 16 * index)));
        let six = |bytes| vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(63)));
        let join = |low, above| {
            let upper = vandq_u8(vshrq_n_u8::<2>(above), vdupq_n_u8(0x30));
            vreinterpretq_s8_u8(vorrq_u8(low, upper))
        };
        let low = |bytes| vandq_u8(bytes, vdupq_n_u8(15));
        let high = |bytes| vshrq_n_u8::<4>(bytes);
        let scales = [
            six(packed[0]),
            six(packed[1]),
            join(low(packed[4]), packed[0]),
            join(low(packed[5]), packed[1]),
        ];
        let minima = [
            six(packed[2]),
            six(packed[3]),
            join(high(packed[4]), packed[2]),
            join(high(packed[5]), packed[3]),
        ];
        let mut products = [[vdupq_n_s32(0); 2]; T];
        let mut subtrahends = [[vdupq_n_s32(0); 2]; T];
        for sub_block in 0..q4_k::SUB_BLOCKS {
            let columns = unpack_halves(block.add(q4_k_values(ROWS, sub_block)));
            let x = tile.add((4 + SUMS) * T + sub_block * T * BLOCK);
            let sums = multiply.sums::<8, T, true>(&columns, x.cast());
            let scale = of_pair(scales[sub_block / 2], sub_block % 2);
            let scale = [vmovl_s16(vget_low_s16(scale)), vmovl_high_s16(scale)];
            let minimum = of_pair(minima[sub_block / 2], sub_block % 2);
            for token in 0..T {
                let total = tile.add(4 * T + token * SUMS).cast::<i16>().add(sub_block).read_unaligned();
                let [low, high] = &mut subtrahends[token];
                *low = vmlal_n_s16(*low, vget_low_s16(minimum), total);
                *high = vmlal_high_n_s16(*high, minimum, total);
                for half in 0..2 {
                    let product = &mut products[token][half];
                    *product = vmlaq_s32(*product, sums[token][half], scale[half]);
                }
            }
        }
        let (factors, minima) = (load_factors(block), load_factors(block.add(2 * ROWS)));
        for token in 0..T {
            let scale = tile.cast::<f32>().add(token).read_unaligned();
            for half in 0..2 {
                let total = &mut totals[token][half];
                let product = vcvtq_f32_s32(products[token][half]);
                *total = vfmaq_f32(*total, product, vmulq_n_f32(factors[half], scale));
                let subtrahend = vcvtq_f32_s32(subtrahends[token][half]);
                *total = vfmsq_f32(*total, subtrahend, vmulq_n_f32(minima[half], scale));
            }
        }
    }
}

/// The 16 columns of a sub-block of q6_k, four to a vector of four rows.
///
/// # Safety
/// A sub-block's values begin at `from`, and the CPU has Advanced SIMD.
#[inline(always)]
unsafe fn unpack_q6(from: *const u8) -> [[int8x16_t; 2]; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [[vdupq_n_s8(0); 2]; 4];
        for half in 0..2 {
            let load = |part: usize| vld1q_u8(from.add(32 * part + 16 * half));
            let (first, second, upper) = (load(0), load(1), load(2));
            let low = |bytes| vandq_u8(bytes, vdupq_n_u8(15));
            let join = |low, above| vreinterpretq_s8_u8(vorrq_u8(low, vandq_u8(above, vdupq_n_u8(0x30))));
            columns[0][half] = join(low(first), vshlq_n_u8::<4>(upper));
            columns[1][half] = join(vshrq_n_u8::<4>(first), vshlq_n_u8::<2>(upper));
            columns[2][half] = join(low(second), upper);
            columns[3][half] = join(vshrq_n_u8::<4>(second), vshrq_n_u8::<2>(upper));
        }
        columns
    }
}

/// Adds block `block` of q6_k.
///
/// # Safety
/// The group begins at `group` and has the block, whose activations begin at `tile`; the CPU has Advanced SIMD.
#[inline(always)]
unsafe fn add_q6<M: Multiply, const T: usize>(
    multiply: M,
    group: *const u8,
    block: usize,
    tile: *const u8,
    totals: &mut [[float32x4_t; 2]; T],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let scales = group.add(q6_k_scales(ROWS, block));
        let mut products = [[vdupq_n_s32(0); 2]; T];
        for sub_block in 0..q6_k::SUB_BLOCKS {
            let columns = unpack_q6(scales.add(q6_k_values(ROWS, sub_block)));
            let x = tile.add((4 + SUMS) * T + sub_block * T * q6_k::SUB_BLOCK);
            let sums = multiply.sums::<4, T, true>(&columns, x.cast());
            let pair = vld1q_s8(scales.add(sub_block / 2 * 2 * ROWS).cast());
            let scale = of_pair(pair, sub_block % 2);
            let scale = [vmovl_s16(vget_low_s16(scale)), vmovl_high_s16(scale)];
            for token in 0..T {
                let total = tile.add(4 * T + token * SUMS).cast::<i16>().add(sub_block).read_unaligned();
                let offset = vdupq_n_s32(-32 * i32::from(total));
                for half in 0..2 {
                    let product = &mut products[token][half];
                    *product = vmlaq_s32(*product, vaddq_s32(sums[token][half], offset), scale[half]);
                }
            }
        }
        let factors = load_factors(group.add(q6_k_factors(ROWS, block)));
        for token in 0..T {
            let scale = tile.cast::<f32>().add(token).read_unaligned();
            for half in 0..2 {
                let total = &mut totals[token][half];
                let product = vcvtq_f32_s32(products[token][half]);
                *total = vfmaq_f32(*total, product, vmulq_n_f32(factors[half], scale));
            }
        }
    }
}
