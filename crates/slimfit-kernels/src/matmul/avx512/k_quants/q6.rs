//! The products of q6_k.

use super::{ROWS, TOKEN_BLOCK, Tile, halves};
use crate::codec::{SUPER_BLOCK, q6_k};
use crate::matmul::avx512::lanes::{finish, load, load_halves};
use crate::matmul::k_layout::{q6_k_factors, q6_k_scales, q6_k_values};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// The 16 columns of a sub-block, four to a vector, as unsigned bytes.
///
/// # Safety
/// A sub-block's values begin at `from`.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn unpack(from: *const u8) -> [__m512i; 4] {
    // SAFETY: the caller's promise.
    let (first, second, upper) = unsafe { (load(from), load(from.add(64)), load(from.add(128))) };
    let low = _mm512_set1_epi8(15);
    let high = _mm512_set1_epi8(0x30);
    // low & 15 | above & 0x30
    let join = |bits, above| _mm512_or_si512(_mm512_and_si512(bits, low), _mm512_and_si512(above, high));
    [
        join(first, _mm512_slli_epi16::<4>(upper)),
        join(_mm512_srli_epi16::<4>(first), _mm512_slli_epi16::<2>(upper)),
        join(second, upper),
        join(_mm512_srli_epi16::<4>(second), _mm512_srli_epi16::<2>(upper)),
    ]
}

/// A pair of sub-blocks' scales.
///
/// # Safety
/// A block's scales begin at `from`, `pair` is below 8.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn pair_of(from: *const u8, pair: usize) -> [__m512; 2] {
    // SAFETY: the caller's promise.
    halves(_mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(from.add(2 * ROWS * pair).cast()) }))
}

/// `S` groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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
    let mut totals = [_mm512_setzero_ps(); S];
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        unsafe {
            let token = Tile::<1>(activations.as_ptr().add(block * TOKEN_BLOCK));
            let from = starts.map(|start| start.add(q6_k_scales(ROWS, block)));
            let mut products = [_mm512_setzero_ps(); S];
            for pair in 0..q6_k::SUB_BLOCKS / 2 {
                let scales: [[__m512; 2]; S] = std::array::from_fn(|stream| pair_of(from[stream], pair));
                for sub_block in 2 * pair..2 * pair + 2 {
                    let x: [__m512i; 4] =
                        std::array::from_fn(|chunk| _mm512_set1_epi32(token.four(0, sub_block * 4 + chunk)));
                    let start = _mm512_set1_epi32(token.sum(0, sub_block));
                    for stream in 0..S {
                        let columns = unpack(from[stream].add(q6_k_values(ROWS, sub_block)));
                        let mut sum = start;
                        for (columns, x) in columns.into_iter().zip(x) {
                            sum = _mm512_dpbusd_epi32(sum, columns, x);
                        }
                        products[stream] = _mm512_fmadd_ps(
                            _mm512_cvtepi32_ps(sum),
                            scales[stream][sub_block % 2],
                            products[stream],
                        );
                    }
                }
            }
            let scale = _mm512_set1_ps(token.scale(0));
            for stream in 0..S {
                let factors = load_halves(starts[stream].add(q6_k_factors(ROWS, block)));
                let factors = _mm512_mul_ps(factors, scale);
                totals[stream] = _mm512_fmadd_ps(products[stream], factors, totals[stream]);
            }
        }
    }
    for (group, total) in groups.into_iter().zip(totals) {
        finish(args, group, 0, total);
    }
}

/// `G` groups of rows times a tile of tokens: block by block, so that a tile's activations are read from the first cache
/// by all groups but one.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
pub(super) fn product_tile<const G: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; G],
    first: usize,
    activations: &[u8],
) {
    let blocks = args.columns() / SUPER_BLOCK;
    let group_bytes = Layout::interleaved(WeightFormat::Q6K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let mut totals = [[_mm512_setzero_ps(); T]; G];
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = Tile::<T>(activations.as_ptr().add(block * T * TOKEN_BLOCK));
            for (totals, start) in totals.iter_mut().zip(starts) {
                let from = start.add(q6_k_scales(ROWS, block));
                let mut products = [_mm512_setzero_ps(); T];
                for pair in 0..q6_k::SUB_BLOCKS / 2 {
                    let scales = pair_of(from, pair);
                    for sub_block in 2 * pair..2 * pair + 2 {
                        let columns = unpack(from.add(q6_k_values(ROWS, sub_block)));
                        for (token, products) in products.iter_mut().enumerate() {
                            let mut sum = _mm512_set1_epi32(tile.sum(token, sub_block));
                            for (chunk, &columns) in columns.iter().enumerate() {
                                let x = _mm512_set1_epi32(tile.four(token, sub_block * 4 + chunk));
                                sum = _mm512_dpbusd_epi32(sum, columns, x);
                            }
                            *products =
                                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scales[sub_block % 2], *products);
                        }
                    }
                }
                let factors = load_halves(start.add(q6_k_factors(ROWS, block)));
                for (token, total) in totals.iter_mut().enumerate() {
                    let factors = _mm512_mul_ps(factors, _mm512_set1_ps(tile.scale(token)));
                    *total = _mm512_fmadd_ps(products[token], factors, *total);
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
