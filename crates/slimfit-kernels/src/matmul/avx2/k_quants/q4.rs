//! The products of q4_k.

use super::{AHEAD, ROWS, TOKEN_BLOCK, Tile, halves};
use crate::codec::{SUPER_BLOCK, q4_k};
use crate::matmul::avx2::lanes::{finish, load, load_halves};
use crate::matmul::k_layout::{q4_k_offset, q4_k_packed, q4_k_values};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// Scales of a block: bytes `[4][8][2]`, pairs of sub-blocks.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Small([u8; 8 * ROWS]);

/// Unpacks a block's scales to `scales`, and returns the products of its minima with the sums of each token's activations.
///
/// # Safety
/// A `q4_k` block begins at `block`; the tile has `T` tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn unpack<const T: usize>(block: *const u8, scales: &mut Small, tile: Tile<T>) -> [__m256; T] {
    // SAFETY: the caller's promise, and `scales` has 64 bytes.
    unsafe {
        let packed = block.add(q4_k_packed(ROWS));
        let (first, second, low) = (load(packed), load(packed.add(32)), load(packed.add(64)));
        let six = _mm256_set1_epi8(63);
        let four = _mm256_set1_epi8(15);
        let upper = _mm256_set1_epi8(0x30);
        let join = |low, above| {
            _mm256_or_si256(
                _mm256_and_si256(low, four),
                _mm256_and_si256(_mm256_srli_epi16::<2>(above), upper),
            )
        };
        let to = scales.0.as_mut_ptr().cast::<__m256i>();
        _mm256_storeu_si256(to, _mm256_and_si256(first, six));
        _mm256_storeu_si256(to.add(1), join(low, first));
        let minima = [_mm256_and_si256(second, six), join(_mm256_srli_epi16::<4>(low), second)];
        let widened: [__m256i; 4] = std::array::from_fn(|pair| {
            let both = minima[pair / 2];
            let half = if pair % 2 == 0 {
                _mm256_castsi256_si128(both)
            } else {
                _mm256_extracti128_si256::<1>(both)
            };
            _mm256_cvtepu8_epi16(half)
        });
        std::array::from_fn(|token| {
            let mut products = _mm256_setzero_si256();
            for (pair, &minima) in widened.iter().enumerate() {
                let sums = _mm256_set1_epi32(tile.sums(token, pair));
                products = _mm256_add_epi32(products, _mm256_madd_epi16(minima, sums));
            }
            _mm256_cvtepi32_ps(products)
        })
    }
}

/// A pair of sub-blocks' scales.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn pair_of(scales: &Small, pair: usize) -> [__m256i; 2] {
    assert!(pair < 4);
    // SAFETY: four pairs of 16 bytes each.
    let bytes = unsafe { _mm_loadu_si128(scales.0.as_ptr().add(16 * pair).cast()) };
    halves(_mm256_cvtepu8_epi16(bytes))
}

/// `S` groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn product_streams<const S: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    activations: &[u8],
) {
    let blocks = args.columns() / SUPER_BLOCK;
    let group_bytes = Layout::interleaved(WeightFormat::Q4K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let mut totals = [_mm256_setzero_ps(); S];
    let mut scales = [Small([0; 8 * ROWS]); S];
    let mask = _mm256_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        // Prefetching past the end of the matrix has no effect.
        unsafe {
            let token = Tile::<1>(activations.as_ptr().add(block * TOKEN_BLOCK));
            let from = starts.map(|start| start.add(q4_k_offset(ROWS, block)));
            let scale = _mm256_set1_ps(token.scale(0));
            for stream in 0..S {
                let [minima] = unpack(from[stream], &mut scales[stream], token);
                let factors = _mm256_mul_ps(load_halves(from[stream].add(2 * ROWS)), scale);
                totals[stream] = _mm256_fnmadd_ps(minima, factors, totals[stream]);
            }
            let mut products = [_mm256_setzero_si256(); S];
            for pair in 0..q4_k::SUB_BLOCKS / 2 {
                for sub_block in 2 * pair..2 * pair + 2 {
                    let mut sums = [_mm256_setzero_si256(); S];
                    for chunk in 0..4 {
                        let low = _mm256_set1_epi32(token.four(0, sub_block * 8 + chunk));
                        let high = _mm256_set1_epi32(token.four(0, sub_block * 8 + chunk + 4));
                        for (sum, from) in sums.iter_mut().zip(from) {
                            let from = from.add(q4_k_values(ROWS, sub_block) + chunk * 32);
                            if chunk % 2 == 0 {
                                _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(AHEAD).cast());
                            }
                            let both = load(from);
                            let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
                            let product = _mm256_maddubs_epi16(_mm256_and_si256(both, mask), low);
                            *sum = _mm256_add_epi16(
                                _mm256_add_epi16(*sum, product),
                                _mm256_maddubs_epi16(upper, high),
                            );
                        }
                    }
                    for stream in 0..S {
                        let product =
                            _mm256_madd_epi16(sums[stream], pair_of(&scales[stream], pair)[sub_block % 2]);
                        products[stream] = _mm256_add_epi32(products[stream], product);
                    }
                }
            }
            for stream in 0..S {
                let factors = _mm256_mul_ps(load_halves(from[stream]), scale);
                totals[stream] =
                    _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[stream]), factors, totals[stream]);
            }
        }
    }
    for (group, total) in groups.into_iter().zip(totals) {
        finish(args, group, 0, total);
    }
}

/// A group of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn product_tile<const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    first: usize,
    activations: &[u8],
) {
    let blocks = args.columns() / SUPER_BLOCK;
    let group_bytes = Layout::interleaved(WeightFormat::Q4K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let mut totals = [_mm256_setzero_ps(); T];
    let mut scales = Small([0; 8 * ROWS]);
    let mask = _mm256_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = Tile::<T>(activations.as_ptr().add(block * T * TOKEN_BLOCK));
            let from = weights.add(q4_k_offset(ROWS, block));
            let minima = unpack(from, &mut scales, tile);
            let factors = load_halves(from.add(2 * ROWS));
            for token in 0..T {
                let factors = _mm256_mul_ps(factors, _mm256_set1_ps(tile.scale(token)));
                totals[token] = _mm256_fnmadd_ps(minima[token], factors, totals[token]);
            }
            let mut products = [_mm256_setzero_si256(); T];
            for pair in 0..q4_k::SUB_BLOCKS / 2 {
                for sub_block in 2 * pair..2 * pair + 2 {
                    let quants = from.add(q4_k_values(ROWS, sub_block));
                    let mut columns = [_mm256_setzero_si256(); 8];
                    for chunk in 0..4 {
                        let both = load(quants.add(chunk * 32));
                        columns[chunk] = _mm256_and_si256(both, mask);
                        columns[chunk + 4] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
                    }
                    let scale = pair_of(&scales, pair)[sub_block % 2];
                    for (token, products) in products.iter_mut().enumerate() {
                        let mut sum = _mm256_setzero_si256();
                        for (chunk, &columns) in columns.iter().enumerate() {
                            let x = _mm256_set1_epi32(tile.four(token, sub_block * 8 + chunk));
                            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(columns, x));
                        }
                        *products = _mm256_add_epi32(*products, _mm256_madd_epi16(sum, scale));
                    }
                }
            }
            let factors = load_halves(from);
            for (token, total) in totals.iter_mut().enumerate() {
                let factors = _mm256_mul_ps(factors, _mm256_set1_ps(tile.scale(token)));
                *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[token]), factors, *total);
            }
        }
    }
    for (token, total) in totals.into_iter().enumerate() {
        finish(args, group, first + token, total);
    }
}
