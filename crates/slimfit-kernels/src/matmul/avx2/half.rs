//! f16 with AVX2 and F16C.
//!
//! A 16-byte load holds one column of 8 rows, which is converted and multiplied by a broadcast activation.
//!
//! Activations of a tile of T tokens: `[columns][T]` f32.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::ROWS;
use super::lanes::{finish, load_halves};
use super::transpose::lay_out_floats;
use crate::Part;
use crate::matmul::fetch::fetch_outputs;
use crate::matmul::tiles::{for_streams, tiles, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// Tokens of a tile: with two groups' columns, 6 tokens' sums fill 14 of 16 registers.
const SIZES: &[usize] = &[6, 5, 4, 3, 2, 1];
/// Bytes of a column of a group.
const COLUMN: usize = 2 * ROWS;

/// One token.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemv(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        4,
        |groups| product_streams(args, groups),
        |group| product_streams(args, [group])
    );
}

/// Several tokens: phase 0 lays the activations out in tiles, phase 1 multiplies.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemm(args: &MatMulArgs<'_, impl MatrixShape>, part: Part) {
    let token_bytes = args.columns() * 4;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, SIZES[0]), SIZES) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            lay_out_floats(args.input, args.columns(), 0..args.columns(), (first, size), own);
        }
        return;
    }
    let groups = part.range(args.layout.groups(args.rows()), 2);
    for group in groups.clone().step_by(2) {
        for (first, size) in tiles(0..args.tokens, SIZES) {
            // SAFETY: phase 0 wrote it; nobody writes it in this phase.
            let x = unsafe { args.scratch.slice(first * token_bytes..(first + size) * token_bytes) };
            fetch_outputs(args, group * ROWS..groups.end.min(group + 2) * ROWS, first, size);
            if group + 1 < groups.end {
                with_tile!(size, [6, 5, 4, 3, 2, 1], |T| product_tile::<2, T>(
                    args,
                    [group, group + 1],
                    first,
                    x
                ));
            } else {
                with_tile!(size, [6, 5, 4, 3, 2, 1], |T| product_tile::<1, T>(args, [group], first, x));
            }
        }
    }
}

/// Where groups begin.
///
/// # Panics
/// When one lies outside the matrix.
#[inline(always)]
fn starts<const G: usize>(args: &MatMulArgs<'_, impl MatrixShape>, groups: [usize; G]) -> [*const u8; G] {
    let group_bytes = Layout::interleaved(WeightFormat::F16, ROWS).group_bytes(args.columns());
    groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr())
}

/// `S` groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_streams<const S: usize>(args: &MatMulArgs<'_, impl MatrixShape>, groups: [usize; S]) {
    let starts = starts(args, groups);
    assert_eq!(args.input.len(), args.columns());
    // Even and odd columns have sums of their own: a multiply-add takes longer than `S` of them to start.
    let mut even = [_mm256_setzero_ps(); S];
    let mut odd = [_mm256_setzero_ps(); S];
    for column in (0..args.columns()).step_by(2) {
        // SAFETY: columns of the input and of groups whose lengths were checked.
        unsafe {
            let x = _mm256_set1_ps(*args.input.as_ptr().add(column));
            for (total, start) in even.iter_mut().zip(starts) {
                *total = _mm256_fmadd_ps(load_halves(start.add(column * COLUMN)), x, *total);
            }
            if column + 1 < args.columns() {
                let x = _mm256_set1_ps(*args.input.as_ptr().add(column + 1));
                for (total, start) in odd.iter_mut().zip(starts) {
                    *total = _mm256_fmadd_ps(load_halves(start.add((column + 1) * COLUMN)), x, *total);
                }
            }
        }
    }
    for (stream, group) in groups.into_iter().enumerate() {
        finish(args, group, 0, _mm256_add_ps(even[stream], odd[stream]));
    }
}

/// `G` groups of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_tile<const G: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; G],
    first: usize,
    activations: &[u8],
) {
    let starts = starts(args, groups);
    assert!(activations.len() >= args.columns() * T * 4);
    let activations = activations.as_ptr().cast::<f32>();
    let mut totals = [[_mm256_setzero_ps(); G]; T];
    for column in 0..args.columns() {
        // SAFETY: a column of the tile and of groups, whose lengths were checked above.
        unsafe {
            let loaded = starts.map(|start| load_halves(start.add(column * COLUMN)));
            for (token, totals) in totals.iter_mut().enumerate() {
                let x = _mm256_set1_ps(*activations.add(column * T + token));
                for (total, loaded) in totals.iter_mut().zip(loaded) {
                    *total = _mm256_fmadd_ps(loaded, x, *total);
                }
            }
        }
    }
    for (token, totals) in totals.into_iter().enumerate() {
        for (group, total) in groups.into_iter().zip(totals) {
            finish(args, group, first + token, total);
        }
    }
}
