//! q4_k and q6_k with AVX-512 VNNI.
//!
//! Values are unsigned when unpacked, what `vpdpbusd` wants, so a sub-block's 32 (q6_k: 16) products with int8
//! activations meet in i32. A sub-block's sum times its small scale is an integer that f32 holds, so the scale costs
//! one multiply-add; the factor of the block and the scale of the activations, which also span 256 values, come once
//! per block. The minima of q4_k are multiplied with sums of activations two at a time, as 16-bit integers; the offset
//! of 32 of q6_k is part of where a sub-block's sum starts.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T][16]` i32 of sums, `[T][256]` int8. The sums are,
//! for q6_k, where each sub-block's sum starts, and for q4_k four pairs of 16-bit sums of 32 activations.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

mod q4;
mod q6;

use super::ROWS;
use crate::Part;
use crate::codec::SUPER_BLOCK;
use crate::matmul::fetch::fetch_outputs;
use crate::matmul::tiles::{for_streams, tiles, with_tile};
use crate::matmul::{MatMulArgs, MatrixShape, activation_bytes};
use std::arch::x86_64::*;

/// Bytes of a token's sums.
const SUMS: usize = 64;
/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + SUMS + SUPER_BLOCK;
/// Tokens of a tile.
const SIZES: &[usize] = &[8, 7, 6, 5, 4, 3, 2, 1];
/// Groups of rows that go through a tile together.
const GROUPS: usize = 2;

/// One token.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(in crate::matmul) fn gemv<const Q6: bool>(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let bytes = activation_bytes(args.layout.format, args.columns());
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert::<Q6, 1>(args, 0, own);
    }
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        4,
        |groups| if Q6 {
            q6::product_streams(args, groups, own)
        } else {
            q4::product_streams(args, groups, own)
        },
        |group| if Q6 {
            q6::product_streams(args, [group], own)
        } else {
            q4::product_streams(args, [group], own)
        }
    );
}

/// Several tokens: phase 0 converts the activations, phase 1 multiplies.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(in crate::matmul) fn gemm<const Q6: bool>(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let token_bytes = args.columns() / SUPER_BLOCK * TOKEN_BLOCK;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, SIZES[0]), SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            with_tile!(size, [8, 7, 6, 5, 4, 3, 2, 1], |T| convert::<Q6, T>(args, first, own));
        }
        return;
    }
    let groups = part.range(args.layout.groups(args.rows()), 1);
    for group in groups.clone().step_by(GROUPS) {
        for (first, size) in tiles(0..args.tokens, SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: phase 0 wrote it; nobody writes it in this phase.
            let x = unsafe { args.scratch.slice(range) };
            let left = groups.end - group;
            fetch_outputs(args, group * ROWS..(group + GROUPS.min(left)) * ROWS, first, size);
            if left >= GROUPS {
                let together: [usize; GROUPS] = std::array::from_fn(|index| group + index);
                with_tile!(size, [8, 7, 6, 5, 4, 3, 2, 1], |T| tile::<Q6, GROUPS, T>(
                    args, together, first, x
                ));
            } else {
                for group in group..groups.end {
                    with_tile!(size, [8, 7, 6, 5, 4, 3, 2, 1], |T| tile::<Q6, 1, T>(args, [group], first, x));
                }
            }
        }
    }
}

/// Groups of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn tile<const Q6: bool, const G: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; G],
    first: usize,
    activations: &[u8],
) {
    if Q6 {
        q6::product_tile::<G, T>(args, groups, first, activations);
    } else {
        q4::product_tile::<G, T>(args, groups, first, activations);
    }
}

/// Quantises a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn convert<const Q6: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / SUPER_BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * SUPER_BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let mut largest = _mm512_setzero_ps();
                for index in 0..16 {
                    largest = _mm512_max_ps(largest, _mm512_abs_ps(_mm512_loadu_ps(from.add(16 * index))));
                }
                let largest = _mm512_reduce_max_ps(largest);
                let inverse = _mm512_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                let quants = to.add((4 + SUMS) * T + token * SUPER_BLOCK);
                let ones = _mm512_set1_epi8(1);
                let mut fours = [_mm512_setzero_si512(); 4];
                for (index, fours) in fours.iter_mut().enumerate() {
                    for part in 4 * index..4 * index + 4 {
                        let value = _mm512_mul_ps(_mm512_loadu_ps(from.add(16 * part)), inverse);
                        let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(value));
                        _mm_storeu_si128(quants.add(16 * part).cast(), bytes);
                    }
                    let bytes = _mm512_loadu_si512(quants.add(64 * index).cast());
                    *fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, bytes);
                }
                let sums = to.add(4 * T + token * SUMS);
                let sixteens = sums_of_16(fours);
                if Q6 {
                    let starts = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<5>(sixteens));
                    _mm512_storeu_si512(sums.cast(), starts);
                } else {
                    let narrow = _mm512_cvtepi32_epi16(sixteens);
                    let pairs = _mm256_madd_epi16(narrow, _mm256_set1_epi16(1));
                    _mm_storeu_si128(sums.cast(), _mm256_cvtepi32_epi16(pairs));
                }
            }
        }
    }
}

/// Sums of 16 values, in order, from sums of 4.
#[target_feature(enable = "avx512f")]
#[inline]
fn sums_of_16(fours: [__m512i; 4]) -> __m512i {
    // Each 128-bit lane holds what belongs together; two rounds of pairing add it and leave vector k's lane l at 4l + k.
    let pair = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (low, high) = (pair(fours[0], fours[1]), pair(fours[2], fours[3]));
    let sums = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_epi32(order, sums)
}

/// Where a block of a tile's activations has its scales, sums and values.
#[derive(Clone, Copy)]
struct Tile<const T: usize>(*const u8);

impl<const T: usize> Tile<T> {
    /// # Safety
    /// The tile has this token.
    #[inline(always)]
    unsafe fn scale(self, token: usize) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.cast::<f32>().add(token).read_unaligned() }
    }

    /// # Safety
    /// The tile has this token, and it has so many sums.
    #[inline(always)]
    unsafe fn sum(self, token: usize, index: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(4 * T + token * SUMS).cast::<i32>().add(index).read_unaligned() }
    }

    /// Four activations.
    ///
    /// # Safety
    /// The tile has this token, `index` is below 64.
    #[inline(always)]
    unsafe fn four(self, token: usize, index: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add((4 + SUMS) * T + token * SUPER_BLOCK).cast::<i32>().add(index).read_unaligned() }
    }
}

/// Pairs of 16-bit scales as f32: the even ones and the odd ones.
#[target_feature(enable = "avx512f")]
#[inline]
fn halves(pairs: __m512i) -> [__m512; 2] {
    let even = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(pairs));
    [_mm512_cvtepi32_ps(even), _mm512_cvtepi32_ps(_mm512_srai_epi32::<16>(pairs))]
}
