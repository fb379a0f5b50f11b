//! f32 and bf16 with AVX-512.
//!
//! A 64-byte load holds one column of 16 rows (f32) or two (bf16), which broadcast activations multiply. bf16 widens
//! by shift and mask, so products are those of f32; the variant for AVX-512 BF16 rounds activations to bf16 instead
//! and multiplies both columns in one instruction.
//!
//! Activations of a tile of T tokens: `[columns, even][T]` f32, or `[columns / 2][T][2]` bf16; padding is zero.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::ROWS;
use super::lanes::finish;
use crate::Part;
use crate::matmul::avx2::transpose::{lay_out, lay_out_floats};
use crate::matmul::fetch::{fetch_outputs, prefetch};
use crate::matmul::tiles::{for_streams, share, stretches, tiles, up_to, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat};
use std::arch::x86_64::*;

/// Tokens of a tile: two groups' sums of 12 tokens fill 24 of 32 registers.
const SIZES: &[usize] = &[12, 8, 7, 6, 5, 4, 3, 2, 1];

/// The fewest and the most tokens that pass a group before the next.
const TOKENS: (usize, usize) = (96, 512);

const fn layout(bf16: bool) -> Layout {
    Layout::interleaved(if bf16 { WeightFormat::Bf16 } else { WeightFormat::F32 }, ROWS)
}

/// One token, `S` address streams, each prefetching as `prefetch::<AHEAD>` does.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(in crate::matmul) fn gemm<const BF16: bool, const BY_TOKENS: bool, const TILE: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let sizes = const { up_to(TILE, SIZES) };
    let padded = args.columns().next_multiple_of(2);
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, TILE), sizes) {
            let range = first * padded * 4..(first + size) * padded * 4;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            lay_out_floats(args.input, args.columns(), 0..padded, (first, size), own);
        }
        return;
    }
    walk_groups::<BY_TOKENS>(args, part, sizes, padded * 4, |groups, count, first, size, activations| {
        if count == 2 {
            with_tile!(size, [12, 8, 7, 6, 5, 4, 3, 2, 1], |T| product_tile::<BF16, 2, T>(
                args,
                groups,
                first,
                activations
            ));
        } else {
            with_tile!(size, [12, 8, 7, 6, 5, 4, 3, 2, 1], |T| product_tile::<BF16, 1, T>(
                args,
                [groups[0]],
                first,
                activations
            ));
        }
    });
}

/// Several tokens in bf16 throughout, at most `TILE` in a tile.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")]
pub(in crate::matmul) fn gemm_rounded<const BY_TOKENS: bool, const TILE: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let sizes = const { up_to(TILE, SIZES) };
    let pairs = args.columns().div_ceil(2);
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, TILE), sizes) {
            let range = first * pairs * 4..(first + size) * pairs * 4;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            let input = &args.input[first * args.columns()..][..size * args.columns()];
            let at = |token: usize, pair: usize| token * args.columns() + 2 * pair;
            lay_out(
                (pairs, args.columns() / 2),
                size,
                own,
                |token, pair| {
                    let values = &input[at(token, pair)..][..16];
                    // SAFETY: exactly 16 values.
                    let rounded = _mm512_cvtneps_pbh(unsafe { _mm512_loadu_ps(values.as_ptr()) });
                    // SAFETY: plain vectors of the same size.
                    unsafe { std::mem::transmute::<__m256bh, __m256>(rounded) }
                },
                |token, pair| {
                    let low = input[at(token, pair)];
                    let high = if 2 * pair + 1 < args.columns() { input[at(token, pair) + 1] } else { 0.0 };
                    u32::from(round(low)) | u32::from(round(high)) << 16
                },
            );
        }
        return;
    }
    walk_groups::<BY_TOKENS>(args, part, sizes, pairs * 4, |groups, count, first, size, activations| {
        if count == 2 {
            with_tile!(size, [12, 8, 7, 6, 5, 4, 3, 2, 1], |T| product_rounded::<2, T>(
                args,
                groups,
                first,
                activations
            ));
        } else {
            with_tile!(size, [12, 8, 7, 6, 5, 4, 3, 2, 1], |T| product_rounded::<1, T>(
                args,
                [groups[0]],
                first,
                activations
            ));
        }
    });
}

/// Upper half of an f32 after rounding to nearest even; NaN stays NaN.
#[inline]
fn round(value: f32) -> u16 {
    half::bf16::from_f32(value).to_bits()
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
    for stretch in stretches(tokens, token_bytes, sizes[0], TOKENS) {
        for group in range.clone().step_by(2) {
            let count = 2.min(range.end - group);
            for (first, size) in tiles(stretch.clone(), sizes) {
                // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                let activations =
                    unsafe { args.scratch.slice(first * token_bytes..(first + size) * token_bytes) };
                fetch_outputs(args, group * ROWS..(group + count) * ROWS, first, size);
                visit([group, group + 1], count, first, size, activations);
            }
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
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn product_streams<const BF16: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
) {
    let starts = starts(args, layout(BF16), groups);
    assert_eq!(args.input.len(), args.columns());
    // Even and odd columns have sums of their own: a multiply-add takes longer than `S` of them to start.
    let mut even = [_mm512_setzero_ps(); S];
    let pair_bytes = if BF16 { 4 } else { 8 } * ROWS;
    let mut odd = [_mm512_setzero_ps(); S];
    for pair in 0..args.columns() / 2 {
        // SAFETY: columns 2 · pair and 2 · pair + 1 of the input and of groups whose length was checked.
        unsafe {
            let x = args.input.as_ptr().add(2 * pair);
            let (first, second) = (_mm512_set1_ps(*x), _mm512_set1_ps(*x.add(1)));
            for stream in 0..S {
                for line in (0..pair_bytes).step_by(64) {
                    prefetch::<AHEAD>(starts[stream].wrapping_add(pair * pair_bytes + line));
                }
                let (low, high) = columns::<BF16>(starts[stream], pair);
                even[stream] = _mm512_fmadd_ps(low, first, even[stream]);
                odd[stream] = _mm512_fmadd_ps(high, second, odd[stream]);
            }
        }
    }
    if args.columns() % 2 == 1 {
        // SAFETY: the last column of the input and of groups, whose lengths were checked above.
        unsafe {
            let last = starts.map(|start| last_column::<BF16>(start, args.columns()));
            let x = _mm512_set1_ps(args.input[args.columns() - 1]);
            for (even, last) in even.iter_mut().zip(last) {
                *even = _mm512_fmadd_ps(last, x, *even);
            }
        }
    }
    for stream in 0..S {
        finish(args, groups[stream], 0, _mm512_add_ps(even[stream], odd[stream]));
    }
}

/// `G` groups of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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
    let mut totals = [[_mm512_setzero_ps(); G]; T];
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

/// `G` groups of rows times a tile of tokens in bf16.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")]
#[inline]
fn product_rounded<const G: usize, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; G],
    first: usize,
    activations: &[u8],
) {
    let starts = starts(args, layout(true), groups);
    let pairs = args.columns().div_ceil(2);
    assert!(activations.len() >= pairs * T * 4);
    let activations = activations.as_ptr().cast::<i32>();
    let mut totals = [[_mm512_setzero_ps(); G]; T];
    for pair in 0..pairs {
        // SAFETY: pair `pair` of the tile and of groups, whose lengths were checked above.
        unsafe {
            let loaded = starts.map(|start| _mm512_loadu_si512(start.add(pair * 64).cast()));
            for (token, totals) in totals.iter_mut().enumerate() {
                let x = _mm512_set1_epi32(*activations.add(pair * T + token));
                for (total, loaded) in totals.iter_mut().zip(loaded) {
                    *total = dot(*total, loaded, x);
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

#[target_feature(enable = "avx512bf16,avx512f")]
#[inline]
fn dot(sum: __m512, weights: __m512i, x: __m512i) -> __m512 {
    // SAFETY: both are 64 plain bytes.
    let (weights, x) = unsafe {
        (std::mem::transmute::<__m512i, __m512bh>(weights), std::mem::transmute::<__m512i, __m512bh>(x))
    };
    _mm512_dpbf16_ps(sum, weights, x)
}

/// Adds one column of `G` groups times a tile of tokens.
///
/// # Safety
/// `x` points at `T` values.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn add_column<const G: usize, const T: usize>(
    totals: &mut [[__m512; G]; T],
    column: [__m512; G],
    x: *const f32,
) {
    for (token, totals) in totals.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let x = _mm512_set1_ps(unsafe { *x.add(token) });
        for (total, column) in totals.iter_mut().zip(column) {
            *total = _mm512_fmadd_ps(column, x, *total);
        }
    }
}

/// The last of an odd number of columns; bf16 pads it to a pair.
///
/// # Safety
/// The group at `start` has so many columns.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
unsafe fn last_column<const BF16: bool>(start: *const u8, columns: usize) -> __m512 {
    // SAFETY: the caller's promise.
    unsafe {
        if BF16 {
            widen(start.add(columns / 2 * 4 * ROWS)).0
        } else {
            _mm512_loadu_ps(start.add((columns - 1) * 4 * ROWS).cast())
        }
    }
}

/// Columns `2 · pair` and `2 · pair + 1` of a group.
///
/// # Safety
/// The group at `start` has both columns.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn columns<const BF16: bool>(start: *const u8, pair: usize) -> (__m512, __m512) {
    // SAFETY: the caller's promise.
    unsafe {
        if BF16 {
            widen(start.add(pair * 64))
        } else {
            let from = start.add(pair * 128).cast::<f32>();
            (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)))
        }
    }
}

/// Two columns of bf16 as f32.
///
/// # Safety
/// 64 bytes at `from` are readable.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn widen(from: *const u8) -> (__m512, __m512) {
    // SAFETY: the caller's promise.
    let both = unsafe { _mm512_loadu_si512(from.cast()) };
    let low = _mm512_slli_epi32::<16>(both);
    let high = _mm512_and_si512(both, _mm512_set1_epi32(0xffff_0000_u32 as i32));
    (_mm512_castsi512_ps(low), _mm512_castsi512_ps(high))
}
