//! f32 and bf16 times many tokens with AVX2.
//!
//! A stretch of two groups' columns stays in a cache while many tokens pass: f32 as it lies, bf16 widened once into a
//! *panel*. A token's sums wait in memory between stretches.
//!
//! Activations of a tile of T tokens: `[columns][T]` f32.

#![expect(unsafe_code, reason = "reads shared activations and packed columns as vectors")]

use super::ROWS;
use crate::matmul::tiles::{tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, WeightFormat};
use std::arch::x86_64::*;
use std::ops::Range;

/// Groups of rows of a panel.
pub(super) const GROUPS: usize = 2;
/// Tokens of a tile: with two groups' columns, 6 tokens' sums fill 14 of 16 registers.
pub(super) const SIZES: &[usize] = &[6, 5, 4, 3, 2, 1];
/// From so many tokens on, panels pay.
pub(super) const LEAST_TOKENS: usize = 16;
/// Columns of a panel: 16 KiB of both groups, half of the first cache.
const PANEL_COLUMNS: usize = 256;
/// Columns of a stretch of f32: 64 KiB of both groups. From the second cache they come fast enough where they lie in a
/// row, and short stretches cost more in starts of tiles.
const COLUMNS: usize = 1024;
/// The most tokens that pass a stretch.
const TOKENS: usize = 126;
/// Bytes of activations that pass a stretch, so that they are still in the second cache when the next groups come.
const STRETCH_BYTES: usize = 384 << 10;

/// Groups of rows times tokens. `widen(group's bytes, first column, panel)` makes columns of a group f32, a vector each;
/// it is not asked for f32. A token's activations take `token_floats` of scratch.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn product(
    args: &MatMulArgs<'_>,
    groups: Range<usize>,
    tokens: Range<usize>,
    token_floats: usize,
    widen: impl Fn(&[u8], usize, &mut [__m256]),
) {
    let format = args.layout.format;
    let group_bytes = Layout::interleaved(format, ROWS).group_bytes(args.columns);
    let columns_at_once = if format == WeightFormat::F32 { COLUMNS } else { PANEL_COLUMNS };
    let mut panel = [[_mm256_setzero_ps(); PANEL_COLUMNS]; GROUPS];
    let mut totals = [[_mm256_setzero_ps(); GROUPS]; TOKENS];
    // Tokens outside, so that what a stretch of them brings along stays in the second cache for all groups.
    let step = (STRETCH_BYTES / (4 * token_floats)).clamp(TOKENS / 3, TOKENS) / SIZES[0] * SIZES[0];
    for start in tokens.clone().step_by(step) {
        let stretch = start..tokens.end.min(start + step);
        let totals = &mut totals[..stretch.len()];
        for group in groups.clone().step_by(GROUPS) {
            // A last group without a second is taken twice, and stored once.
            let pair = [group, (group + 1).min(groups.end - 1)];
            let bytes = pair.map(|group| &args.weights[group * group_bytes..][..group_bytes]);
            totals.fill([_mm256_setzero_ps(); GROUPS]);
            for column in (0..args.columns).step_by(columns_at_once) {
                let count = columns_at_once.min(args.columns - column);
                if format != WeightFormat::F32 {
                    for (bytes, panel) in bytes.into_iter().zip(&mut panel) {
                        widen(bytes, column, &mut panel[..count]);
                    }
                }
                let columns: [&[__m256]; GROUPS] = if format == WeightFormat::F32 {
                    bytes.map(|bytes| &vectors(bytes)[column..column + count])
                } else {
                    panel.each_ref().map(|panel| &panel[..count])
                };
                for (first, size) in tiles(stretch.clone(), SIZES) {
                    let tile = 4 * (first * token_floats + column * size);
                    // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                    let x = unsafe { args.scratch.slice(tile..tile + 4 * size * count) };
                    let totals = &mut totals[first - start..][..size];
                    with_tile!(size, [6, 5, 4, 3, 2, 1], |T| add_tile::<T>(columns, x, totals));
                }
            }
            for (token, totals) in stretch.clone().zip(&*totals) {
                let mut values = [0f32; GROUPS * ROWS];
                for (values, total) in values.as_chunks_mut::<ROWS>().0.iter_mut().zip(totals) {
                    // SAFETY: exactly 8 values.
                    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), *total) };
                }
                let count = if pair[0] == pair[1] { ROWS } else { GROUPS * ROWS };
                args.finish_group(group * ROWS, token, &values[..count]);
            }
        }
    }
}

/// A group of f32 as one vector for each column.
///
/// # Panics
/// When the bytes are not aligned for vectors.
fn vectors(group: &[u8]) -> &[__m256] {
    // SAFETY: any bytes are vectors of f32.
    let (before, vectors, after) = unsafe { group.align_to() };
    assert!(before.is_empty() && after.is_empty(), "packed groups are whole aligned vectors");
    vectors
}

/// Adds columns times a tile of tokens to the tile's totals.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn add_tile<const T: usize>(columns: [&[__m256]; GROUPS], x: &[u8], totals: &mut [[__m256; GROUPS]]) {
    // SAFETY: any bytes are f32.
    let (before, x, _) = unsafe { x.align_to::<[f32; T]>() };
    assert!(before.is_empty() && x.len() == columns[0].len() && totals.len() == T);
    let mut sums: [[__m256; GROUPS]; T] = std::array::from_fn(|token| totals[token]);
    for ((&first, &second), x) in columns[0].iter().zip(columns[1]).zip(x) {
        for (sums, &x) in sums.iter_mut().zip(x) {
            let x = _mm256_set1_ps(x);
            sums[0] = _mm256_fmadd_ps(first, x, sums[0]);
            sums[1] = _mm256_fmadd_ps(second, x, sums[1]);
        }
    }
    totals.copy_from_slice(&sums);
}
