//! f32 and bf16 with AVX2 and FMA.
//!
//! A 32-byte load holds one column of 8 rows (f32) or two (bf16), which broadcast activations multiply; bf16 widens by
//! shift and mask, so its products are those of f32.
//!
//! Activations of a tile of T tokens: `[columns, even][T]` f32; padding is zero.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::lanes::finish;
use super::transpose::lay_out_floats;
use super::{ROWS, float_panels};
use crate::Part;
use crate::matmul::fetch::prefetch;
use crate::matmul::tiles::{for_streams, share, tiles, up_to, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// Tokens of a tile: with two groups' f32 columns, 6 tokens' sums fill 14 of 16 registers; widening bf16 takes more.
const fn sizes(bf16: bool) -> &'static [usize] {
    if bf16 { &[4, 3, 2, 1] } else { &[6, 5, 4, 3, 2, 1] }
}

const fn layout(bf16: bool) -> Layout {
    Layout::interleaved(if bf16 { WeightFormat::Bf16 } else { WeightFormat::F32 }, ROWS)
}

/// One token, `S` address streams, each prefetching as `prefetch::<AHEAD>` does.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemv<const BF16: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| product_streams::<BF16, S, AHEAD>(args, groups),
        |group| product_streams::<BF16, 1, AHEAD>(args, [group])
    );
}

/// Several tokens, at most `TILE` in a tile: phase 0 lays the activations out in tiles, phase 1 multiplies.
#[target_feature(enable = "avx2,fma,f16c")]
pub(in crate::matmul) fn gemm<const BF16: bool, const BY_TOKENS: bool, const TILE: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let padded = args.columns().next_multiple_of(2);
    let in_panels = args.tokens >= float_panels::LEAST_TOKENS;
    if in_panels && part.phase == 0 {
        return float_panels::lay_out(args, part, const { up_to(TILE, float_panels::SIZES) });
    }
    let sizes = up_to(TILE, if in_panels { float_panels::SIZES } else { sizes(BF16) });
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, sizes[0]), sizes) {
            let range = first * padded * 4..(first + size) * padded * 4;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            lay_out_floats(args.input, args.columns(), 0..padded, (first, size), own);
        }
        return;
    }
    if in_panels {
        let (groups, tokens) = share::<BY_TOKENS>(args, part, sizes[0], float_panels::GROUPS);
        return float_panels::product(args, groups, tokens, sizes, |bytes, first, panel| {
            widen_columns(bytes, first, panel);
        });
    }
    walk_groups::<BY_TOKENS>(args, part, sizes, padded * 4, |groups, count, first, size, activations| {
        if count == 2 {
            with_tile!(size, [6, 5, 4, 3, 2, 1], |T| product_tile::<BF16, 2, T>(
                args,
                groups,
                first,
                activations
            ));
        } else {
            with_tile!(size, [6, 5, 4, 3, 2, 1], |T| product_tile::<BF16, 1, T>(
                args,
                [groups[0]],
                first,
                activations
            ));
        }
    });
}

/// Walks a share's groups in pairs and, under each, all tiles of tokens: `visit(groups, how many, first token, tokens,
/// their activations)`.
#[inline(always)]
fn walk_groups<const BY_TOKENS: bool>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
    sizes: &'static [usize],
    token_bytes: usize,
    mut visit: impl FnMut([usize; 2], usize, usize, usize, &[u8]),
) {
    let (range, tokens) = share::<BY_TOKENS>(args, part, sizes[0], 1);
    for group in range.clone().step_by(2) {
        let count = 2.min(range.end - group);
        for (first, size) in tiles(tokens.clone(), sizes) {
            // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
            let activations =
                unsafe { args.scratch.slice(first * token_bytes..(first + size) * token_bytes) };
            visit([group, group + 1], count, first, size, activations);
        }
    }
}

/// Where groups begin.
///
/// # Panics
/// When one lies outside the matrix.
#[inline(always)]
fn starts<const G: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    layout: Layout,
    groups: [usize; G],
) -> [*const u8; G] {
    let group_bytes = layout.group_bytes(args.columns());
    groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr())
}

/// `S` groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_streams<const BF16: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
) {
    let starts = starts(args, layout(BF16), groups);
    assert_eq!(args.input.len(), args.columns());
    // Even and odd columns have sums of their own: a multiply-add takes longer than `S` of them to start.
    let mut even = [_mm256_setzero_ps(); S];
    let pair_bytes = if BF16 { 4 } else { 8 } * ROWS;
    let mut odd = [_mm256_setzero_ps(); S];
    for pair in 0..args.columns() / 2 {
        // SAFETY: columns 2 · pair and 2 · pair + 1 of the input and of groups whose length was checked.
        unsafe {
            let x = args.input.as_ptr().add(2 * pair);
            let (first, second) = (_mm256_set1_ps(*x), _mm256_set1_ps(*x.add(1)));
            for stream in 0..S {
                for line in (0..pair_bytes).step_by(64) {
                    prefetch::<AHEAD>(starts[stream].wrapping_add(pair * pair_bytes + line));
                }
                let (low, high) = columns::<BF16>(starts[stream], pair);
                even[stream] = _mm256_fmadd_ps(low, first, even[stream]);
                odd[stream] = _mm256_fmadd_ps(high, second, odd[stream]);
            }
        }
    }
    if args.columns() % 2 == 1 {
        // SAFETY: the last column of the input and of groups, whose lengths were checked above.
        unsafe {
            let last = starts.map(|start| last_column::<BF16>(start, args.columns()));
            let x = _mm256_set1_ps(args.input[args.columns() - 1]);
            for (even, last) in even.iter_mut().zip(last) {
                *even = _mm256_fmadd_ps(last, x, *even);
            }
        }
    }
    for stream in 0..S {
        finish(args, groups[stream], 0, _mm256_add_ps(even[stream], odd[stream]));
    }
}

/// `G` groups of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn product_tile<const BF16: bool, const G: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; G],
    first: usize,
    activations: &[u8],
) {
    let starts = starts(args, layout(BF16), groups);
    assert!(activations.len() >= args.columns().next_multiple_of(2) * T * 4);
    let activations = activations.as_ptr().cast::<f32>();
    let mut totals = [[_mm256_setzero_ps(); G]; T];
    for pair in 0..args.columns() / 2 {
        // SAFETY: columns 2 · pair and 2 · pair + 1 of the tile and of groups, whose lengths were checked above.
        unsafe {
            let x = activations.add(2 * pair * T);
            let loaded = starts.map(|start| columns::<BF16>(start, pair));
            add_column(&mut totals, loaded.map(|columns| columns.0), x);
            add_column(&mut totals, loaded.map(|columns| columns.1), x.add(T));
        }
    }
    if args.columns() % 2 == 1 {
        // SAFETY: the last column of the tile and of groups, whose lengths were checked above.
        unsafe {
            let last = starts.map(|start| last_column::<BF16>(start, args.columns()));
            add_column(&mut totals, last, activations.add((args.columns() - 1) * T));
        }
    }
    for (token, totals) in totals.into_iter().enumerate() {
        for (group, total) in groups.into_iter().zip(totals) {
            finish(args, group, first + token, total);
        }
    }
}

/// Adds one column of `G` groups times a tile of tokens.
///
/// # Safety
/// `x` points at `T` values.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn add_column<const G: usize, const T: usize>(
    totals: &mut [[__m256; G]; T],
    column: [__m256; G],
    x: *const f32,
) {
    for (token, totals) in totals.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let x = _mm256_set1_ps(unsafe { *x.add(token) });
        for (total, column) in totals.iter_mut().zip(column) {
            *total = _mm256_fmadd_ps(column, x, *total);
        }
    }
}

/// The last of an odd number of columns; bf16 pads it to a pair.
///
/// # Safety
/// The group at `start` has so many columns.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
unsafe fn last_column<const BF16: bool>(start: *const u8, columns: usize) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        if BF16 {
            widen(start.add(columns / 2 * 4 * ROWS)).0
        } else {
            _mm256_loadu_ps(start.add((columns - 1) * 4 * ROWS).cast())
        }
    }
}

/// Columns `2 · pair` and `2 · pair + 1` of a group.
///
/// # Safety
/// The group at `start` has both columns.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn columns<const BF16: bool>(start: *const u8, pair: usize) -> (__m256, __m256) {
    // SAFETY: the caller's promise.
    unsafe {
        if BF16 {
            widen(start.add(pair * 32))
        } else {
            let from = start.add(pair * 64).cast::<f32>();
            (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)))
        }
    }
}

/// Columns of a group of bf16 from an even one on, as f32.
#[target_feature(enable = "avx2")]
#[inline]
fn widen_columns(group: &[u8], first: usize, panel: &mut [__m256]) {
    let bytes = &group[first / 2 * 4 * ROWS..][..panel.len().div_ceil(2) * 4 * ROWS];
    for (two, pair) in panel.chunks_mut(2).zip(bytes.as_chunks::<{ 4 * ROWS }>().0) {
        // SAFETY: exactly 32 bytes.
        let (low, high) = unsafe { widen(pair.as_ptr()) };
        two[0] = low;
        if let Some(second) = two.get_mut(1) {
            *second = high;
        }
    }
}

/// Two columns of bf16 as f32.
///
/// # Safety
/// 32 bytes at `from` are readable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn widen(from: *const u8) -> (__m256, __m256) {
    // SAFETY: the caller's promise.
    let both = unsafe { _mm256_loadu_si256(from.cast()) };
    let low = _mm256_slli_epi32::<16>(both);
    let high = _mm256_and_si256(both, _mm256_set1_epi32(0xffff_0000_u32 as i32));
    (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
}
