//! f32 and bf16 times many tokens with AVX2.
//!
//! A stretch of two groups' columns stays in a cache while many tokens pass: f32 as it lies, bf16 widened once into a
//! *panel*. A token's sums wait in memory between stretches.
//!
//! Activations: `[stretches of columns][tiles of tokens][columns][T]` f32.

#![expect(unsafe_code, reason = "reads shared activations and packed columns as vectors")]

use super::ROWS;
use super::lanes::finish_groups;
use super::transpose::lay_out_floats;
use crate::Part;
use crate::matmul::fetch::{Ahead, fetch_outputs};
use crate::matmul::tiles::{stretches, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
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
/// The most tokens that pass a panel.
const TOKENS: usize = 126;

/// Where a tile's activations of `count` columns from `column` on begin in scratch: all tokens' of one stretch of columns
/// lie in a row, so that what a tile reads goes on where the one before it ended.
const fn place(tokens: usize, column: usize, count: usize, first: usize) -> usize {
    4 * (column * tokens + first * count)
}

/// Lays the activations of a share out, in tiles of `sizes`.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn lay_out(args: &MatMulArgs<'_, impl MatrixShape>, part: Part, sizes: &'static [usize]) {
    for (first, size) in tiles(part.range(args.tokens, sizes[0]), sizes) {
        for column in (0..args.columns()).step_by(PANEL_COLUMNS) {
            let count = PANEL_COLUMNS.min(args.columns() - column);
            let start = place(args.tokens, column, count, first);
            // SAFETY: each tile has stretches of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(start..start + 4 * size * count) };
            lay_out_floats(args.input, args.columns(), column..column + count, (first, size), own);
        }
    }
}

/// Groups of rows times tokens. `widen(group's bytes, first column, panel)` makes columns of a group f32, a vector each;
/// it is not asked for f32.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
pub(super) fn product(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: Range<usize>,
    tokens: Range<usize>,
    sizes: &'static [usize],
    widen: impl Fn(&[u8], usize, &mut [__m256]),
) {
    let format = args.layout.format;
    let group_bytes = Layout::interleaved(format, ROWS).group_bytes(args.columns());
    let stretches_of_columns = args.columns().div_ceil(PANEL_COLUMNS);
    let mut panel = [[_mm256_setzero_ps(); PANEL_COLUMNS]; GROUPS];
    let mut totals = [[_mm256_setzero_ps(); GROUPS]; TOKENS];
    for stretch in stretches(tokens, 4 * args.columns(), sizes[0], (TOKENS / 3, TOKENS)) {
        let start = stretch.start;
        let tile_count = tiles(stretch.clone(), sizes).count();
        let totals = &mut totals[..stretch.len()];
        for group in groups.clone().step_by(GROUPS) {
            // A last group without a second is taken twice, and stored once.
            let pair = [group, (group + 1).min(groups.end - 1)];
            let bytes = pair.map(|group| &args.weights[group * group_bytes..][..group_bytes]);
            totals.fill([_mm256_setzero_ps(); GROUPS]);
            for column in (0..args.columns()).step_by(PANEL_COLUMNS) {
                let count = PANEL_COLUMNS.min(args.columns() - column);
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
                let next = Ahead::after(
                    args,
                    &groups,
                    group,
                    (column / PANEL_COLUMNS, stretches_of_columns),
                    tile_count,
                );
                for (index, (first, size)) in tiles(stretch.clone(), sizes).enumerate() {
                    next.fetch(index);
                    let tile = place(args.tokens, column, count, first);
                    // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                    let x = unsafe { args.scratch.slice(tile..tile + 4 * size * count) };
                    let totals = &mut totals[first - start..][..size];
                    let last = column + PANEL_COLUMNS >= args.columns();
                    if last {
                        fetch_outputs(args, group * ROWS..(group + GROUPS) * ROWS, first, size);
                    }
                    with_tile!(size, [6, 5, 4, 3, 2, 1], |T| add_tile::<T>(columns, x, totals));
                    if last {
                        finish_groups(args, pair, first, totals);
                    }
                }
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
