//! q4_k and q6_k with AVX2.
//!
//! `vpmaddubsw` multiplies unpacked values by int8 activations and adds neighbours in 16 bits; `vpmaddwd` then
//! multiplies a sub-block's sums by its small scale, at no cost over adding them up, so that a whole block ends as one
//! i32 in each row. Its factor and the scale of the activations, which also span 256 values, come once per block.
//!
//! - q4_k adds a sub-block of 32 in 16 bits (16 · 15 · 127 = 30480).
//! - q6_k adds 8 columns in 16 bits (4 · 63 · 127 = 32004), half a sub-block.
//!
//! The minima of q4_k and the offset of 32 of q6_k are multiplied with sums of a sub-block's activations, two
//! sub-blocks at a time.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T][16]` 16-bit sums of a sub-block's activations
//! (q4_k has 8), `[T][256]` int8.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

mod q4;
mod q6;

use super::ROWS;
use super::lanes::largest;
use crate::Part;
use crate::codec::SUPER_BLOCK;
use crate::matmul::fetch::fetch_outputs;
use crate::matmul::tiles::{for_streams, tiles, with_tile};
use crate::matmul::{MatMulArgs, MatrixShape, activation_bytes};
use std::arch::x86_64::*;

/// Bytes of a token's sums.
const SUMS: usize = 32;
/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + SUMS + SUPER_BLOCK;
/// Tokens of a tile.
const SIZES: &[usize] = &[4, 3, 2, 1];
/// How far ahead of its loads a stream prefetches, in bytes, as for the other formats of this tier.
const AHEAD: usize = 1024;

/// One token.
#[target_feature(enable = "avx2,fma,f16c")]
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
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemm<const Q6: bool>(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let token_bytes = args.columns() / SUPER_BLOCK * TOKEN_BLOCK;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, SIZES[0]), SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            with_tile!(size, [4, 3, 2, 1], |T| convert::<Q6, T>(args, first, own));
        }
        return;
    }
    for group in part.range(args.layout.groups(args.rows()), 1) {
        for (first, size) in tiles(0..args.tokens, SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: phase 0 wrote it; nobody writes it in this phase.
            let activations = unsafe { args.scratch.slice(range) };
            fetch_outputs(args, group * ROWS..(group + 1) * ROWS, first, size);
            if Q6 {
                with_tile!(size, [4, 3, 2, 1], |T| q6::product_tile::<T>(args, group, first, activations));
            } else {
                with_tile!(size, [4, 3, 2, 1], |T| q4::product_tile::<T>(args, group, first, activations));
            }
        }
    }
}

/// Quantises a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn convert<const Q6: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / SUPER_BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    let sign = _mm256_set1_ps(-0.0);
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let (bytes_of_1, words_of_1) = (_mm256_set1_epi8(1), _mm256_set1_epi16(1));
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * SUPER_BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let mut most = _mm256_setzero_ps();
                for index in 0..32 {
                    let value = _mm256_loadu_ps(from.add(8 * index));
                    most = _mm256_max_ps(most, _mm256_andnot_ps(sign, value));
                }
                let largest = largest(most);
                let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                let quants = to.add((4 + SUMS) * T + token * SUPER_BLOCK);
                let mut fours = [_mm256_setzero_si256(); 8];
                for (index, fours) in fours.iter_mut().enumerate() {
                    let integers: [__m256i; 4] = std::array::from_fn(|part| {
                        let value = _mm256_loadu_ps(from.add(32 * index + 8 * part));
                        _mm256_cvtps_epi32(_mm256_mul_ps(value, inverse))
                    });
                    // The packs work within 128-bit lanes; the permutation puts the values back in order.
                    let bytes = _mm256_packs_epi16(
                        _mm256_packs_epi32(integers[0], integers[1]),
                        _mm256_packs_epi32(integers[2], integers[3]),
                    );
                    let bytes = _mm256_permutevar8x32_epi32(bytes, order);
                    _mm256_storeu_si256(quants.add(32 * index).cast(), bytes);
                    *fours = _mm256_madd_epi16(_mm256_maddubs_epi16(bytes_of_1, bytes), words_of_1);
                }
                // Each 128-bit lane holds the sums of one 16; pairing them twice leaves vector k's lane l at 4l + k.
                let sums = |fours: &[__m256i]| {
                    let low = _mm256_hadd_epi32(fours[0], fours[1]);
                    let high = _mm256_hadd_epi32(fours[2], fours[3]);
                    _mm256_permutevar8x32_epi32(_mm256_hadd_epi32(low, high), order)
                };
                let sixteens = pack(sums(&fours[..4]), sums(&fours[4..]));
                let place = to.add(4 * T + token * SUMS).cast::<__m256i>();
                if Q6 {
                    _mm256_storeu_si256(place, sixteens);
                } else {
                    let pairs = _mm256_madd_epi16(sixteens, words_of_1);
                    _mm256_storeu_si256(place, pack(pairs, pairs));
                }
            }
        }
    }
}

/// Narrows 16 sums in order.
#[target_feature(enable = "avx2")]
#[inline]
fn pack(first: __m256i, second: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(first, second))
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

    /// Sums of two sub-blocks.
    ///
    /// # Safety
    /// The tile has this token, and it has so many pairs.
    #[inline(always)]
    unsafe fn sums(self, token: usize, pair: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(4 * T + token * SUMS).cast::<i32>().add(pair).read_unaligned() }
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

/// Each row's first scale of a pair in both its halves, and its second.
#[target_feature(enable = "avx2")]
#[inline]
fn halves(pairs: __m256i) -> [__m256i; 2] {
    let spread = |first: i8| {
        let (low, high) = (first, first + 1);
        let lane = _mm_setr_epi8(
            low,
            high,
            low,
            high,
            low + 4,
            high + 4,
            low + 4,
            high + 4,
            low + 8,
            high + 8,
            low + 8,
            high + 8,
            low + 12,
            high + 12,
            low + 12,
            high + 12,
        );
        _mm256_shuffle_epi8(pairs, _mm256_broadcastsi128_si256(lane))
    };
    [spread(0), spread(2)]
}
