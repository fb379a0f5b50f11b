//! q8_0 and q4_0 with AVX2.
//!
//! A 32-byte load holds 4 columns of 8 rows.
//! - q8_0, one token: `vpmaddubsw` multiplies |w| by the activation with w's sign. Its pairs are at most 2 · 128 · 127 and
//!   fit 16 bits, but no more than one of them does, so `vpmaddwd` adds each to a row's sum.
//! - q8_0, a few tokens: weights are widened to 16 bits once for all tokens, and `vpmaddwd` multiplies them by 4 broadcast
//!   16-bit activations; a row's two sums meet at the end of the block. Giving each token's activations w's sign would
//!   compete with the products for two ports.
//! - q4_0 multiplies the stored 0..=15 by int8 activations with `vpmaddubsw`; the sums over a whole block fit 16 bits
//!   (16 · 15 · 127 = 30480), so that one `vpmaddwd` serves the block. The offset of 8 is a starting sum of minus 8
//!   times the sum of the activations.
//!
//! Many tokens go through [`panels`](super::panels).
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T]` i32 starting sums, then `[T][32]` int8, or int16
//! where a few tokens meet q8_0.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::lanes::{finish, largest, load, load_halves, total};
use super::{ROWS, panels, settle};
use crate::Part;
use crate::codec::BLOCK;
use crate::matmul::fetch::prefetch;
use crate::matmul::tiles::{for_streams, share, tiles, up_to, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use std::arch::x86_64::*;

/// Bytes of a token's 32 activations, `narrow`: in int8.
const fn token_quants(narrow: bool) -> usize {
    if narrow { BLOCK } else { 2 * BLOCK }
}

/// Bytes of one token's part of a block of converted activations.
pub(super) const fn token_block(narrow: bool) -> usize {
    4 + 4 + token_quants(narrow)
}

/// Tokens of a tile.
const SIZES: &[usize] = &[4, 3, 2, 1];
/// From so many tokens on, unpacking a panel pays.
const LEAST_PANEL_TOKENS: usize = 16;

pub(super) const fn layout(q4: bool) -> Layout {
    Layout::interleaved(if q4 { WeightFormat::Q4_0 } else { WeightFormat::Q8_0 }, ROWS)
}

/// One token, `S` address streams, each prefetching as `prefetch::<AHEAD>` does.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemv<const Q4: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let bytes = activation_bytes(args.layout.format, args.columns());
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert::<true, 1>(args, 0, own);
    }
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| if Q4 {
            product_streams_q4::<S, AHEAD>(args, groups, own)
        } else {
            product_streams_q8::<S, AHEAD>(args, groups, own)
        },
        |group| if Q4 {
            product_streams_q4::<1, AHEAD>(args, [group], own)
        } else {
            product_streams_q8::<1, AHEAD>(args, [group], own)
        }
    );
}

/// Several tokens, at most `TILE` in a tile: phase 0 converts the activations, phase 1 multiplies.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemm<const Q4: bool, const BY_TOKENS: bool, const TILE: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let sizes = const { up_to(TILE, SIZES) };
    let in_panels = args.tokens >= LEAST_PANEL_TOKENS;
    let narrow = Q4 || in_panels;
    let token_bytes = args.columns() / BLOCK * token_block(narrow);
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, TILE), sizes) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            if narrow {
                with_tile!(size, [4, 3, 2, 1], |T| convert::<true, T>(args, first, own));
            } else {
                with_tile!(size, [4, 3, 2, 1], |T| convert::<false, T>(args, first, own));
            }
        }
        return;
    }
    let (groups, tokens) = share::<BY_TOKENS>(args, part, TILE, if in_panels { panels::GROUPS } else { 1 });
    if in_panels {
        return if Q4 {
            panels::product_q4(args, groups, tokens, sizes)
        } else {
            panels::product_q8(args, groups, tokens, sizes)
        };
    }
    for group in groups {
        for (first, size) in tiles(tokens.clone(), sizes) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
            let activations = unsafe { args.scratch.slice(range) };
            if Q4 {
                with_tile!(size, [4, 3, 2, 1], |T| product_tile_q4::<T>(args, group, first, activations));
            } else {
                with_tile!(size, [4, 3, 2, 1], |T| product_tile_q8::<T>(args, group, first, activations));
            }
        }
    }
}

/// Quantises a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn convert<const NARROW: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / BLOCK;
    assert!(converted.len() >= blocks * T * token_block(NARROW));
    let sign = _mm256_set1_ps(-0.0);
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * BLOCK);
                let to = converted.as_mut_ptr().add(block * T * token_block(NARROW));
                let values: [__m256; 4] = std::array::from_fn(|index| _mm256_loadu_ps(from.add(8 * index)));
                let magnitudes = values.map(|value| _mm256_andnot_ps(sign, value));
                let largest = largest(_mm256_max_ps(
                    _mm256_max_ps(magnitudes[0], magnitudes[1]),
                    _mm256_max_ps(magnitudes[2], magnitudes[3]),
                ));
                let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                let integers = values.map(|value| _mm256_cvtps_epi32(_mm256_mul_ps(value, inverse)));
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                // The packs work within 128-bit lanes; the permutations put the values back in order.
                let halves = [
                    _mm256_packs_epi32(integers[0], integers[1]),
                    _mm256_packs_epi32(integers[2], integers[3]),
                ];
                let quants = to.add(8 * T + token * token_quants(NARROW)).cast::<__m256i>();
                if NARROW {
                    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
                    let packed = _mm256_packs_epi16(halves[0], halves[1]);
                    _mm256_storeu_si256(quants, _mm256_permutevar8x32_epi32(packed, order));
                    to.cast::<i32>().add(T + token).write_unaligned(-8 * total(integers));
                } else {
                    _mm256_storeu_si256(quants, _mm256_permute4x64_epi64::<0b11_01_10_00>(halves[0]));
                    _mm256_storeu_si256(quants.add(1), _mm256_permute4x64_epi64::<0b11_01_10_00>(halves[1]));
                }
            }
        }
    }
}

/// `S` q4_0 groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_streams_q4<const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    activations: &[u8],
) {
    let layout = layout(true);
    let blocks = args.columns() / BLOCK;
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * token_block(true));
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let ones = _mm256_set1_epi16(1);
    let mask = _mm256_set1_epi8(15);
    let mut totals = [_mm256_setzero_ps(); S];
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        unsafe {
            let token = activations.as_ptr().add(block * token_block(true));
            let quants = token.add(8).cast::<i32>();
            let mut sums = [_mm256_setzero_si256(); S];
            for chunk in 0..4 {
                let low = _mm256_set1_epi32(quants.add(chunk).read_unaligned());
                let high = _mm256_set1_epi32(quants.add(chunk + 4).read_unaligned());
                for (sum, start) in sums.iter_mut().zip(starts) {
                    let from = start.add(layout.quants_offset(block) + chunk * 32);
                    if chunk % 2 == 0 {
                        prefetch::<AHEAD>(from);
                    }
                    let both = load(from);
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
                    let product = _mm256_maddubs_epi16(_mm256_and_si256(both, mask), low);
                    *sum =
                        _mm256_add_epi16(_mm256_add_epi16(*sum, product), _mm256_maddubs_epi16(upper, high));
                }
                settle(&mut sums);
            }
            let scale = _mm256_set1_ps(token.cast::<f32>().read_unaligned());
            let offset = _mm256_set1_epi32(token.cast::<i32>().add(1).read_unaligned());
            for ((total, sum), start) in totals.iter_mut().zip(sums).zip(starts) {
                let sum = _mm256_add_epi32(_mm256_madd_epi16(sum, ones), offset);
                let scales = load_halves(start.add(layout.scales_offset(block)));
                *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scales, scale), *total);
            }
        }
    }
    for (group, total) in groups.into_iter().zip(totals) {
        finish(args, group, 0, total);
    }
}

/// `S` q8_0 groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_streams_q8<const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    activations: &[u8],
) {
    let layout = layout(false);
    let blocks = args.columns() / BLOCK;
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * token_block(true));
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let ones = _mm256_set1_epi16(1);
    let mut totals = [_mm256_setzero_ps(); S];
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        unsafe {
            let token = activations.as_ptr().add(block * token_block(true));
            let quants = token.add(8).cast::<i32>();
            let mut sums = [_mm256_setzero_si256(); S];
            for chunk in 0..8 {
                let x = _mm256_set1_epi32(quants.add(chunk).read_unaligned());
                for (sum, start) in sums.iter_mut().zip(starts) {
                    let from = start.add(layout.quants_offset(block) + chunk * 32);
                    if chunk % 2 == 0 {
                        prefetch::<AHEAD>(from);
                    }
                    let columns = load(from);
                    let signed = _mm256_sign_epi8(x, columns);
                    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(columns), signed);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
                settle(&mut sums);
            }
            let scale = _mm256_set1_ps(token.cast::<f32>().read_unaligned());
            for ((total, sum), start) in totals.iter_mut().zip(sums).zip(starts) {
                let scales = load_halves(start.add(layout.scales_offset(block)));
                *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scales, scale), *total);
            }
        }
    }
    for (group, total) in groups.into_iter().zip(totals) {
        finish(args, group, 0, total);
    }
}

/// A q4_0 group of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_tile_q4<const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    first: usize,
    activations: &[u8],
) {
    let layout = layout(true);
    let blocks = args.columns() / BLOCK;
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * token_block(true));
    let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let ones = _mm256_set1_epi16(1);
    let mask = _mm256_set1_epi8(15);
    let mut totals = [_mm256_setzero_ps(); T];
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = activations.as_ptr().add(block * T * token_block(true));
            let quants = weights.add(layout.quants_offset(block));
            let mut sums = [_mm256_setzero_si256(); T];
            for chunk in 0..4 {
                let both = load(quants.add(chunk * 32));
                let columns =
                    [_mm256_and_si256(both, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask)];
                for (token, sum) in sums.iter_mut().enumerate() {
                    let x = tile.add(8 * T + token * BLOCK + chunk * 4).cast::<i32>();
                    for (half, columns) in columns.into_iter().enumerate() {
                        let x = _mm256_set1_epi32(x.add(4 * half).read_unaligned());
                        *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(columns, x));
                    }
                }
                settle(&mut sums);
            }
            let scales = load_halves(weights.add(layout.scales_offset(block)));
            for (token, (total, sum)) in totals.iter_mut().zip(sums).enumerate() {
                let start = _mm256_set1_epi32(tile.cast::<i32>().add(T + token).read_unaligned());
                let sum = _mm256_add_epi32(_mm256_madd_epi16(sum, ones), start);
                let scale = _mm256_set1_ps(tile.cast::<f32>().add(token).read_unaligned());
                *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scales, scale), *total);
            }
        }
    }
    for (token, total) in totals.into_iter().enumerate() {
        finish(args, group, first + token, total);
    }
}

/// A q8_0 group of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_tile_q8<const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    first: usize,
    activations: &[u8],
) {
    let layout = layout(false);
    let blocks = args.columns() / BLOCK;
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * token_block(false));
    let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let mut totals = [_mm256_setzero_ps(); T];
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = activations.as_ptr().add(block * T * token_block(false));
            let quants = weights.add(layout.quants_offset(block));
            let mut sums = [[_mm256_setzero_si256(); 2]; T];
            for chunk in 0..8 {
                let columns = load_wide(quants.add(chunk * 32));
                for (token, sums) in sums.iter_mut().enumerate() {
                    let x = tile.add(8 * T + token * token_quants(false) + chunk * 8).cast::<i64>();
                    add_products(sums, columns, _mm256_set1_epi64x(x.read_unaligned()));
                }
            }
            let scales = load_halves(weights.add(layout.scales_offset(block)));
            for (token, (total, sums)) in totals.iter_mut().zip(sums).enumerate() {
                let scale = _mm256_set1_ps(tile.cast::<f32>().add(token).read_unaligned());
                *total = _mm256_fmadd_ps(row_sums(sums), _mm256_mul_ps(scales, scale), *total);
            }
        }
    }
    for (token, total) in totals.into_iter().enumerate() {
        finish(args, group, first + token, total);
    }
}

/// Adds the products of 4 columns, rows 0..4 and 4..8, with 4 activations: two sums a row.
#[target_feature(enable = "avx2")]
#[inline]
fn add_products(sums: &mut [__m256i; 2], columns: [__m256i; 2], x: __m256i) {
    for (sum, columns) in sums.iter_mut().zip(columns) {
        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(columns, x));
    }
}

/// Adds each row's two sums.
#[target_feature(enable = "avx2")]
#[inline]
fn row_sums(sums: [__m256i; 2]) -> __m256 {
    // The horizontal addition works within 128-bit lanes and leaves rows 0 1 4 5 2 3 6 7.
    let pairs = _mm256_hadd_epi32(sums[0], sums[1]);
    _mm256_cvtepi32_ps(_mm256_permute4x64_epi64::<0b11_01_10_00>(pairs))
}

/// Loads 4 int8 columns of rows 0..4 and of rows 4..8, widened to 16 bits.
///
/// # Safety
/// 32 bytes at `from` are readable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_wide(from: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let from = from.cast::<__m128i>();
        [_mm256_cvtepi8_epi16(_mm_loadu_si128(from)), _mm256_cvtepi8_epi16(_mm_loadu_si128(from.add(1)))]
    }
}
