//! The products of q6_k.

use super::{AHEAD, ROWS, TOKEN_BLOCK, Tile, halves};
use crate::codec::{SUPER_BLOCK, q6_k};
use crate::matmul::avx2::lanes::{finish, load, load_halves};
use crate::matmul::k_layout::{q6_k_factors, q6_k_scales, q6_k_values};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// The 16 columns of a sub-block, four to a vector, as unsigned bytes.
///
/// # Safety
/// A sub-block's values begin at `from`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn unpack(from: *const u8) -> [__m256i; 4] {
    // SAFETY: the caller's promise.
    let (first, second, upper) = unsafe { (load(from), load(from.add(32)), load(from.add(64))) };
    let low = _mm256_set1_epi8(15);
    let high = _mm256_set1_epi8(0x30);
    let join = |bits, above| _mm256_or_si256(_mm256_and_si256(bits, low), _mm256_and_si256(above, high));
    [
        join(first, _mm256_slli_epi16::<4>(upper)),
        join(_mm256_srli_epi16::<4>(first), _mm256_slli_epi16::<2>(upper)),
        join(second, upper),
        join(_mm256_srli_epi16::<4>(second), _mm256_srli_epi16::<2>(upper)),
    ]
}

/// The scales of a pair of sub-blocks, `[8][2]`.
///
/// # Safety
/// A block's scales begin at `from`, `pair` is below 8.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn pair_of(from: *const u8, pair: usize) -> __m256i {
    // SAFETY: the caller's promise.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(from.add(2 * ROWS * pair).cast()) })
}

/// Minus the offset of 32 in all values of two sub-blocks.
#[target_feature(enable = "avx2")]
#[inline]
fn offsets(scales: __m256i, sums: i32) -> __m256i {
    let products = _mm256_madd_epi16(scales, _mm256_set1_epi32(sums));
    _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32::<5>(products))
}

/// Four columns in two vectors of 16-bit sums times four broadcast activations each, times the scale.
#[target_feature(enable = "avx2")]
#[inline]
fn product(columns: [__m256i; 4], x: [__m256i; 4], scale: __m256i) -> __m256i {
    let half = |a: usize| {
        let sums = _mm256_add_epi16(
            _mm256_maddubs_epi16(columns[a], x[a]),
            _mm256_maddubs_epi16(columns[a + 1], x[a + 1]),
        );
        _mm256_madd_epi16(sums, scale)
    };
    _mm256_add_epi32(half(0), half(2))
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
    let group_bytes = Layout::interleaved(WeightFormat::Q6K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let mut totals = [_mm256_setzero_ps(); S];
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        // Prefetching past the end of the matrix has no effect.
        unsafe {
            let token = Tile::<1>(activations.as_ptr().add(block * TOKEN_BLOCK));
            let from = starts.map(|start| start.add(q6_k_scales(ROWS, block)));
            let mut products = [_mm256_setzero_si256(); S];
            for pair in 0..q6_k::SUB_BLOCKS / 2 {
                for (products, from) in products.iter_mut().zip(from) {
                    let offsets = offsets(pair_of(from, pair), token.sums(0, pair));
                    *products = _mm256_add_epi32(*products, offsets);
                }
                for sub_block in 2 * pair..2 * pair + 2 {
                    let x: [__m256i; 4] =
                        std::array::from_fn(|chunk| _mm256_set1_epi32(token.four(0, sub_block * 4 + chunk)));
                    for (products, from) in products.iter_mut().zip(from) {
                        let values = from.add(q6_k_values(ROWS, sub_block));
                        _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(AHEAD).cast());
                        _mm_prefetch::<_MM_HINT_T0>(values.wrapping_add(AHEAD + 64).cast());
                        let scale = halves(pair_of(from, pair))[sub_block % 2];
                        *products = _mm256_add_epi32(*products, product(unpack(values), x, scale));
                    }
                }
            }
            let scale = _mm256_set1_ps(token.scale(0));
            for stream in 0..S {
                let factors = load_halves(starts[stream].add(q6_k_factors(ROWS, block)));
                let factors = _mm256_mul_ps(factors, scale);
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
    let group_bytes = Layout::interleaved(WeightFormat::Q6K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let mut totals = [_mm256_setzero_ps(); T];
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = Tile::<T>(activations.as_ptr().add(block * T * TOKEN_BLOCK));
            let from = weights.add(q6_k_scales(ROWS, block));
            let mut products = [_mm256_setzero_si256(); T];
            for pair in 0..q6_k::SUB_BLOCKS / 2 {
                let scales = pair_of(from, pair);
                for (token, products) in products.iter_mut().enumerate() {
                    *products = _mm256_add_epi32(*products, offsets(scales, tile.sums(token, pair)));
                }
                for sub_block in 2 * pair..2 * pair + 2 {
                    let columns = unpack(from.add(q6_k_values(ROWS, sub_block)));
                    let scale = halves(scales)[sub_block % 2];
                    for (token, products) in products.iter_mut().enumerate() {
                        let x: [__m256i; 4] = std::array::from_fn(|chunk| {
                            _mm256_set1_epi32(tile.four(token, sub_block * 4 + chunk))
                        });
                        *products = _mm256_add_epi32(*products, product(columns, x, scale));
                    }
                }
            }
            let factors = load_halves(weights.add(q6_k_factors(ROWS, block)));
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
