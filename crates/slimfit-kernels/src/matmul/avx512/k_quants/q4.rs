//! The products of q4_k.

use super::{ROWS, TOKEN_BLOCK, Tile, halves};
use crate::codec::{SUPER_BLOCK, q4_k};
use crate::matmul::avx512::lanes::{finish, load, load_halves};
use crate::matmul::k_layout::{q4_k_offset, q4_k_packed, q4_k_values};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// Scales or minima of a block: bytes `[4][16][2]`, pairs of sub-blocks.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Small([u8; 8 * ROWS]);

/// Unpacks a block's scales to `scales`, and returns the products of its minima with the sums of each token's activations.
///
/// # Safety
/// A `q4_k` block begins at `block`; the tile has `T` tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn unpack<const T: usize>(block: *const u8, scales: &mut Small, tile: Tile<T>) -> [__m512; T] {
    // SAFETY: the caller's promise, and `scales` has 128 bytes.
    unsafe {
        let packed = block.add(q4_k_packed(ROWS));
        let (first, second, low) = (load(packed), load(packed.add(64)), load(packed.add(128)));
        let six = _mm512_set1_epi8(63);
        let four = _mm512_set1_epi8(15);
        let upper = _mm512_set1_epi8(0x30);
        let join = |low, above| {
            _mm512_or_si512(
                _mm512_and_si512(low, four),
                _mm512_and_si512(_mm512_srli_epi16::<2>(above), upper),
            )
        };
        let to = scales.0.as_mut_ptr();
        _mm512_storeu_si512(to.cast(), _mm512_and_si512(first, six));
        _mm512_storeu_si512(to.add(64).cast(), join(low, first));
        let minima = [_mm512_and_si512(second, six), join(_mm512_srli_epi16::<4>(low), second)];
        let widened: [__m512i; 4] = std::array::from_fn(|pair| {
            let both = minima[pair / 2];
            let half = if pair % 2 == 0 {
                _mm512_castsi512_si256(both)
            } else {
                _mm512_extracti64x4_epi64::<1>(both)
            };
            _mm512_cvtepu8_epi16(half)
        });
        std::array::from_fn(|token| {
            let mut products = _mm512_setzero_si512();
            for (pair, &minima) in widened.iter().enumerate() {
                products = _mm512_dpwssd_epi32(products, minima, _mm512_set1_epi32(tile.sum(token, pair)));
            }
            _mm512_cvtepi32_ps(products)
        })
    }
}

/// A pair of sub-blocks' scales.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn pair_of(scales: &Small, pair: usize) -> [__m512; 2] {
    assert!(pair < 4);
    // SAFETY: four pairs of 32 bytes each.
    let bytes = unsafe { _mm256_loadu_si256(scales.0.as_ptr().add(32 * pair).cast()) };
    halves(_mm512_cvtepu8_epi16(bytes))
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
    let group_bytes = Layout::interleaved(WeightFormat::Q4K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let mut totals = [_mm512_setzero_ps(); S];
    let mut scales = [Small([0; 8 * ROWS]); S];
    let mask = _mm512_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
        unsafe {
            let token = Tile::<1>(activations.as_ptr().add(block * TOKEN_BLOCK));
            let from = starts.map(|start| start.add(q4_k_offset(ROWS, block)));
            let scale = _mm512_set1_ps(token.scale(0));
            for stream in 0..S {
                let [minima] = unpack(from[stream], &mut scales[stream], token);
                let factors = _mm512_mul_ps(load_halves(from[stream].add(2 * ROWS)), scale);
                totals[stream] = _mm512_fnmadd_ps(minima, factors, totals[stream]);
            }
            let mut products = [_mm512_setzero_ps(); S];
            for pair in 0..q4_k::SUB_BLOCKS / 2 {
                let scales: [[__m512; 2]; S] = std::array::from_fn(|stream| pair_of(&scales[stream], pair));
                for sub_block in 2 * pair..2 * pair + 2 {
                    let mut sums = [_mm512_setzero_si512(); S];
                    // High halves stay where they are and count 16 times; their sums are shifted once, at the end.
                    let mut upper = [_mm512_setzero_si512(); S];
                    for chunk in 0..4 {
                        let low = _mm512_set1_epi32(token.four(0, sub_block * 8 + chunk));
                        let high = _mm512_set1_epi32(token.four(0, sub_block * 8 + chunk + 4));
                        for stream in 0..S {
                            let both = load(from[stream].add(q4_k_values(ROWS, sub_block) + chunk * 64));
                            sums[stream] =
                                _mm512_dpbusd_epi32(sums[stream], _mm512_and_si512(both, mask), low);
                            upper[stream] =
                                _mm512_dpbusd_epi32(upper[stream], _mm512_andnot_si512(mask, both), high);
                        }
                    }
                    for stream in 0..S {
                        let sum = _mm512_add_epi32(sums[stream], _mm512_srai_epi32::<4>(upper[stream]));
                        products[stream] = _mm512_fmadd_ps(
                            _mm512_cvtepi32_ps(sum),
                            scales[stream][sub_block % 2],
                            products[stream],
                        );
                    }
                }
            }
            for stream in 0..S {
                let factors = _mm512_mul_ps(load_halves(from[stream]), scale);
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
    let group_bytes = Layout::interleaved(WeightFormat::Q4K, ROWS).group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
    let mut totals = [[_mm512_setzero_ps(); T]; G];
    let mut scales = Small([0; 8 * ROWS]);
    let mask = _mm512_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = Tile::<T>(activations.as_ptr().add(block * T * TOKEN_BLOCK));
            for (totals, start) in totals.iter_mut().zip(starts) {
                let from = start.add(q4_k_offset(ROWS, block));
                let minima = unpack(from, &mut scales, tile);
                let factors = load_halves(from.add(2 * ROWS));
                for token in 0..T {
                    let factors = _mm512_mul_ps(factors, _mm512_set1_ps(tile.scale(token)));
                    totals[token] = _mm512_fnmadd_ps(minima[token], factors, totals[token]);
                }
                let mut products = [_mm512_setzero_ps(); T];
                for pair in 0..q4_k::SUB_BLOCKS / 2 {
                    let scales = pair_of(&scales, pair);
                    for sub_block in 2 * pair..2 * pair + 2 {
                        let quants = from.add(q4_k_values(ROWS, sub_block));
                        let mut columns = [_mm512_setzero_si512(); 8];
                        for chunk in 0..4 {
                            let both = load(quants.add(chunk * 64));
                            columns[chunk] = _mm512_and_si512(both, mask);
                            columns[chunk + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), mask);
                        }
                        for (token, products) in products.iter_mut().enumerate() {
                            let mut sum = _mm512_setzero_si512();
                            for (chunk, &columns) in columns.iter().enumerate() {
                                let x = _mm512_set1_epi32(tile.four(token, sub_block * 8 + chunk));
                                sum = _mm512_dpbusd_epi32(sum, columns, x);
                            }
                            *products =
                                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scales[sub_block % 2], *products);
                        }
                    }
                }
                let factors = load_halves(from);
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
