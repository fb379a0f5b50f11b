//! q8_0 and q4_0 times many tokens with AVX2.
//!
//! A stretch of two groups' columns is unpacked once into a *panel*, which stays in the first cache while all tokens
//! pass: the inner loop only loads, multiplies and adds, and one broadcast of activations serves 16 rows.
//! - q8_0: the panel holds |w| and the sign of w as a mask. `vpmaddubsw` multiplies |w| by the activation xor the mask,
//!   which is `-x - 1` where w is negative; a row's sum starts at what the ones add up to, the sum of its negative
//!   weights' magnitudes. No pair of products leaves 16 bits: it is at least -2 · 128 · 128. An exclusive or runs on
//!   any port; `vpsignb` would not.
//! - q4_0: the panel holds values 0..=15. Sums stay in 16 bits over a whole block, as for one token, and start at
//!   minus 8 times the sum of the activations.
//!
//! A token's sums wait in memory between stretches.

#![expect(unsafe_code, reason = "reads shared activations, and vector loads of checked memory")]

use super::ROWS;
use super::lanes::{finish_groups, load, load_halves};
use super::quantised::{layout, token_block};
use crate::codec::BLOCK;
use crate::matmul::fetch::{Ahead, fetch_outputs};
use crate::matmul::tiles::{tiles, with_tile};
use crate::matmul::{MatMulArgs, MatrixShape};
use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

/// Groups of rows of a panel.
pub(super) const GROUPS: usize = 2;
/// Blocks of columns of a panel: 18 KiB of q8_0, so that a tile's activations fit the first cache with it.
const BLOCKS: usize = 16;
/// Tokens that pass a panel: their sums take 8 KiB.
const TOKENS: usize = 128;
/// Steps through a block, 4 columns each.
const STEPS: usize = 8;

/// One block of columns of the groups, `W` vectors for each 4 columns.
#[derive(Clone, Copy)]
struct PanelBlock<const W: usize> {
    scales: [__m256; GROUPS],
    /// What a row's sum starts with (q8_0).
    starts: [__m256i; GROUPS],
    columns: [[__m256i; W]; STEPS],
}

impl<const W: usize> PanelBlock<W> {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn zeroed() -> Self {
        let zero = _mm256_setzero_si256();
        Self { scales: [_mm256_setzero_ps(); GROUPS], starts: [zero; GROUPS], columns: [[zero; W]; STEPS] }
    }
}

/// Groups of q8_0 times tokens, in tiles of `sizes`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product_q8(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: Range<usize>,
    tokens: Range<usize>,
    sizes: &'static [usize],
) {
    walk::<{ 2 * GROUPS }>(
        args,
        groups,
        (tokens, sizes),
        |groups, block, panel| unpack_q8(args, groups, block, panel),
        |size, panel, activations, totals| {
            with_tile!(size, [4, 3, 2, 1], |T| tile_q8::<T>(panel, activations, totals));
        },
    );
}

/// Groups of q4_0 times tokens, in tiles of `sizes`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn product_q4(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: Range<usize>,
    tokens: Range<usize>,
    sizes: &'static [usize],
) {
    walk::<GROUPS>(
        args,
        groups,
        (tokens, sizes),
        |groups, block, panel| unpack_q4(args, groups, block, panel),
        |size, panel, activations, totals| {
            with_tile!(size, [4, 3, 2, 1], |T| tile_q4::<T>(panel, activations, totals));
        },
    );
}

/// Walks pairs of groups and, under each, stretches of columns and tiles of tokens: `unpack(groups, first block, panel)`,
/// then `multiply(tokens, panel, their activations, their totals)` for each tile.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn walk<const W: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: Range<usize>,
    (tokens, sizes): (Range<usize>, &'static [usize]),
    unpack: impl Fn([usize; GROUPS], usize, &mut [PanelBlock<W>]),
    multiply: impl Fn(usize, &[PanelBlock<W>], &[u8], &mut [[__m256; GROUPS]]),
) {
    let blocks = args.columns() / BLOCK;
    let mut panel = [PanelBlock::<W>::zeroed(); BLOCKS];
    let mut totals = [[_mm256_setzero_ps(); GROUPS]; TOKENS];
    // Tokens outside, so that what a stretch of them brings along stays in the second cache for all groups.
    let step = TOKENS / sizes[0] * sizes[0];
    for start in tokens.clone().step_by(step) {
        let stretch = start..tokens.end.min(start + step);
        let tile_count = tiles(stretch.clone(), sizes).count();
        let totals = &mut totals[..stretch.len()];
        for group in groups.clone().step_by(GROUPS) {
            // A last group without a second is taken twice, and stored once.
            let pair = [group, (group + 1).min(groups.end - 1)];
            totals.fill([_mm256_setzero_ps(); GROUPS]);
            for block in (0..blocks).step_by(BLOCKS) {
                let panel = &mut panel[..BLOCKS.min(blocks - block)];
                unpack(pair, block, panel);
                let next =
                    Ahead::after(args, &groups, group, (block / BLOCKS, blocks.div_ceil(BLOCKS)), tile_count);
                for (index, (first, size)) in tiles(stretch.clone(), sizes).enumerate() {
                    next.fetch(index);
                    let tile = (first * blocks + block * size) * token_block(true);
                    let bytes = size * panel.len() * token_block(true);
                    // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                    let activations = unsafe { args.scratch.slice(tile..tile + bytes) };
                    let totals = &mut totals[first - start..][..size];
                    let last = block + BLOCKS >= blocks;
                    if last {
                        fetch_outputs(args, group * ROWS..(group + GROUPS) * ROWS, first, size);
                    }
                    multiply(size, panel, activations, totals);
                    if last {
                        finish_groups(args, pair, first, totals);
                    }
                }
            }
        }
    }
}

/// Where groups begin.
///
/// # Panics
/// When one lies outside the matrix.
#[inline(always)]
fn starts<'a>(
    args: &MatMulArgs<'a, impl MatrixShape>,
    q4: bool,
    groups: [usize; GROUPS],
) -> [&'a [u8]; GROUPS] {
    let group_bytes = layout(q4).group_bytes(args.columns());
    groups.map(|group| &args.weights[group * group_bytes..][..group_bytes])
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn unpack_q8(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; GROUPS],
    first: usize,
    panel: &mut [PanelBlock<{ 2 * GROUPS }>],
) {
    let layout = layout(false);
    assert!((first + panel.len()) * BLOCK <= args.columns());
    let (zero, ones) = (_mm256_setzero_si256(), _mm256_set1_epi8(1));
    for (group, start) in starts(args, false, groups).into_iter().enumerate() {
        for (block, panel) in (first..).zip(&mut *panel) {
            let mut negative = zero;
            for (step, columns) in panel.columns.iter_mut().enumerate() {
                // SAFETY: step `step` of a block of the group.
                let values = unsafe { load(start.as_ptr().add(layout.quants_offset(block) + step * 32)) };
                let magnitudes = _mm256_abs_epi8(values);
                let mask = _mm256_cmpgt_epi8(zero, values);
                columns[2 * group] = magnitudes;
                columns[2 * group + 1] = mask;
                let pairs = _mm256_maddubs_epi16(_mm256_and_si256(magnitudes, mask), ones);
                negative = _mm256_add_epi16(negative, pairs);
            }
            panel.starts[group] = _mm256_madd_epi16(negative, _mm256_set1_epi16(1));
            // SAFETY: the scales of a block of the group.
            panel.scales[group] = unsafe { load_halves(start.as_ptr().add(layout.scales_offset(block))) };
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn unpack_q4(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; GROUPS],
    first: usize,
    panel: &mut [PanelBlock<GROUPS>],
) {
    let layout = layout(true);
    assert!((first + panel.len()) * BLOCK <= args.columns());
    let mask = _mm256_set1_epi8(15);
    for (group, start) in starts(args, true, groups).into_iter().enumerate() {
        for (block, panel) in (first..).zip(&mut *panel) {
            for step in 0..STEPS / 2 {
                // SAFETY: step `step` of a block of the group.
                let both = unsafe { load(start.as_ptr().add(layout.quants_offset(block) + step * 32)) };
                panel.columns[step][group] = _mm256_and_si256(both, mask);
                panel.columns[step + STEPS / 2][group] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
            }
            // SAFETY: the scales of a block of the group.
            panel.scales[group] = unsafe { load_halves(start.as_ptr().add(layout.scales_offset(block))) };
        }
    }
}

/// A panel of q8_0 times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn tile_q8<const T: usize>(
    panel: &[PanelBlock<{ 2 * GROUPS }>],
    activations: &[u8],
    totals: &mut [[__m256; GROUPS]],
) {
    assert_eq!(activations.len(), panel.len() * T * token_block(true));
    let ones = _mm256_set1_epi16(1);
    let steps = opaque_steps();
    for (block, tile) in panel.iter().zip(activations.chunks_exact(T * token_block(true))) {
        let mut sums = [block.starts; T];
        for (step, columns) in block.columns[..steps].iter().enumerate() {
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = broadcast::<T>(tile, token, step);
                for (group, sum) in sums.iter_mut().enumerate() {
                    let signed = _mm256_xor_si256(x, columns[2 * group + 1]);
                    let pairs = _mm256_maddubs_epi16(columns[2 * group], signed);
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
            }
        }
        add_block::<T>(totals, &sums, &block.scales, tile);
    }
}

/// A panel of q4_0 times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn tile_q4<const T: usize>(
    panel: &[PanelBlock<GROUPS>],
    activations: &[u8],
    totals: &mut [[__m256; GROUPS]],
) {
    assert_eq!(activations.len(), panel.len() * T * token_block(true));
    let ones = _mm256_set1_epi16(1);
    let steps = opaque_steps();
    for (block, tile) in panel.iter().zip(activations.chunks_exact(T * token_block(true))) {
        let mut sums = [[_mm256_setzero_si256(); GROUPS]; T];
        for (step, columns) in block.columns[..steps].iter().enumerate() {
            for (token, sums) in sums.iter_mut().enumerate() {
                let x = broadcast::<T>(tile, token, step);
                for (sum, &columns) in sums.iter_mut().zip(columns) {
                    *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(columns, x));
                }
            }
        }
        for (token, sums) in sums.iter_mut().enumerate() {
            // SAFETY: a tile's starting sums stand behind its scales.
            let start = unsafe { tile.as_ptr().cast::<i32>().add(T + token).read_unaligned() };
            let start = _mm256_set1_epi32(start);
            for sum in sums {
                *sum = _mm256_add_epi32(_mm256_madd_epi16(*sum, ones), start);
            }
        }
        add_block::<T>(totals, &sums, &block.scales, tile);
    }
}

/// [`STEPS`] as a number that the compiler does not know. Where it does, it unrolls the steps and then sorts them by
/// token: the sums of one token wait for each other while those of the next are too far away to fill the gaps, and
/// the product takes up to twice as long.
#[inline(always)]
fn opaque_steps() -> usize {
    black_box(STEPS).min(STEPS)
}

/// A token's 4 activations of a step, in every lane.
#[target_feature(enable = "avx2")]
#[inline]
fn broadcast<const T: usize>(tile: &[u8], token: usize, step: usize) -> __m256i {
    debug_assert!(token < T && step < STEPS && tile.len() == T * token_block(true));
    // SAFETY: 4 bytes of a tile that the callers cut to its size.
    let four = unsafe { tile.as_ptr().add(8 * T + token * BLOCK + step * 4).cast::<i32>().read_unaligned() };
    _mm256_set1_epi32(four)
}

/// Adds a block's integer sums, scaled, to the totals of a tile.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn add_block<const T: usize>(
    totals: &mut [[__m256; GROUPS]],
    sums: &[[__m256i; GROUPS]; T],
    scales: &[__m256; GROUPS],
    tile: &[u8],
) {
    for (token, (totals, sums)) in totals.iter_mut().zip(sums).enumerate() {
        // SAFETY: a tile begins with its scales.
        let scale = _mm256_set1_ps(unsafe { tile.as_ptr().cast::<f32>().add(token).read_unaligned() });
        for ((total, &sum), &scales) in totals.iter_mut().zip(sums).zip(scales) {
            *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scales, scale), *total);
        }
    }
}
