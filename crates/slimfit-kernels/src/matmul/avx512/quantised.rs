//! q8_0 and q4_0 with AVX-512 VNNI.
//!
//! A 64-byte load holds 4 columns of 16 rows as unsigned bytes; `vpdpbusd` adds their products with 4 broadcast
//! activations to 16 sums. The unsigned bytes are the weights plus an offset (128 or 8), so a block's sum starts at
//! minus the offset times the sum of its activations, which was prepared with them, and ends exact.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T]` i32 starting sums, `[T][32]` int8.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::ROWS;
use super::lanes::{finish, load, load_halves};
use crate::Part;
use crate::codec::BLOCK;
use crate::matmul::fetch::{fetch_outputs, prefetch};
use crate::matmul::tiles::{for_streams, share, stretches, tiles, uncounted, up_to, with_tile};
use crate::matmul::{Layout, MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use std::arch::x86_64::*;

/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + 4 + BLOCK;
/// Tokens of a tile: with a block's columns, 16 tokens' sums leave 7 of 32 registers.
const SIZES: &[usize] = &[16, 12, 8, 7, 6, 5, 4, 3, 2, 1];

/// The fewest and the most tokens that pass a group before the next.
const TOKENS: (usize, usize) = (96, 512);

const fn layout(q4: bool) -> Layout {
    Layout::biased(if q4 { WeightFormat::Q4_0 } else { WeightFormat::Q8_0 }, ROWS)
}

/// What was added to each weight to make it unsigned.
const fn offset(q4: bool) -> i32 {
    if q4 { 8 } else { 128 }
}

/// One token, `S` address streams, each prefetching as `prefetch::<AHEAD>` does.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(in crate::matmul) fn gemv<const Q4: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let bytes = activation_bytes(args.layout.format, args.columns());
    // SAFETY: a thread does one share at a time.
    let (own, converted) = unsafe { args.own_scratch(part, bytes) };
    if !converted {
        convert::<Q4, 1>(args, 0, own);
    }
    for_streams!(
        part.range(args.layout.groups(args.rows()), 1),
        S,
        |groups| product_streams::<Q4, S, AHEAD>(args, groups, own),
        |group| product_streams::<Q4, 1, AHEAD>(args, [group], own)
    );
}

/// Several tokens, at most `TILE` in a tile: phase 0 converts the activations, phase 1 multiplies.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(in crate::matmul) fn gemm<const Q4: bool, const BY_TOKENS: bool, const TILE: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
) {
    let sizes = const { up_to(TILE, SIZES) };
    let token_bytes = args.columns() / BLOCK * TOKEN_BLOCK;
    if part.phase == 0 {
        for (first, size) in tiles(part.range(args.tokens, TILE), sizes) {
            let range = first * token_bytes..(first + size) * token_bytes;
            // SAFETY: each tile has a stretch of its own, and only this share has this tile.
            let own = unsafe { args.scratch.slice_mut(range) };
            with_tile!(size, [16, 12, 8, 7, 6, 5, 4, 3, 2, 1], |T| convert::<Q4, T>(args, first, own));
        }
        return;
    }
    let (groups, tokens) = share::<BY_TOKENS>(args, part, TILE, 1);
    for stretch in stretches(tokens, token_bytes, TILE, TOKENS) {
        for group in groups.clone() {
            for (first, size) in tiles(stretch.clone(), sizes) {
                let range = first * token_bytes..(first + size) * token_bytes;
                // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                let activations = unsafe { args.scratch.slice(range) };
                fetch_outputs(args, group * ROWS..(group + 1) * ROWS, first, size);
                with_tile!(size, [16, 12, 8, 7, 6, 5, 4, 3, 2, 1], |T| product_tile::<Q4, T>(
                    args,
                    group,
                    first,
                    activations
                ));
            }
        }
    }
}

/// Quantises a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn convert<const Q4: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let (low, high) = (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)));
                let largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
                let inverse = _mm512_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                let low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
                let high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
                let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                to.cast::<i32>().add(T + token).write_unaligned(-offset(Q4) * sum);
                let quants = to.add(8 * T + token * BLOCK);
                _mm_storeu_si128(quants.cast(), _mm512_cvtepi32_epi8(low));
                _mm_storeu_si128(quants.add(16).cast(), _mm512_cvtepi32_epi8(high));
            }
        }
    }
}

/// `S` groups of rows from `S` places of the matrix times one token.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn product_streams<const Q4: bool, const S: usize, const AHEAD: isize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; S],
    activations: &[u8],
) {
    let layout = layout(Q4);
    let blocks = uncounted(args.columns() / BLOCK);
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * TOKEN_BLOCK);
    assert!(groups.iter().all(|&group| (group + 1) * group_bytes <= args.weights.len()));
    // SAFETY: inside `weights`, asserted above.
    let starts = groups.map(|group| unsafe { args.weights.as_ptr().add(group * group_bytes) });
    let mut totals = [_mm512_setzero_ps(); S];
    let mask = _mm512_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the token's activations and of each group, whose lengths were asserted above.
        unsafe {
            let token = activations.as_ptr().add(block * TOKEN_BLOCK);
            let quants = token.add(8).cast::<i32>();
            let mut sums = [_mm512_set1_epi32(token.cast::<i32>().add(1).read_unaligned()); S];
            if Q4 {
                // High halves stay where they are and count 16 times; their sums are shifted once, at the end.
                let mut upper = [_mm512_setzero_si512(); S];
                for chunk in 0..4 {
                    let low = _mm512_set1_epi32(quants.add(chunk).read_unaligned());
                    let high = _mm512_set1_epi32(quants.add(chunk + 4).read_unaligned());
                    for stream in 0..S {
                        let from = starts[stream].add(layout.quants_offset(block) + chunk * 64);
                        prefetch::<AHEAD>(from);
                        let both = load(from);
                        sums[stream] = _mm512_dpbusd_epi32(sums[stream], _mm512_and_si512(both, mask), low);
                        upper[stream] =
                            _mm512_dpbusd_epi32(upper[stream], _mm512_andnot_si512(mask, both), high);
                    }
                }
                for (sum, upper) in sums.iter_mut().zip(upper) {
                    *sum = _mm512_add_epi32(*sum, _mm512_srai_epi32::<4>(upper));
                }
            } else {
                for chunk in 0..8 {
                    let x = _mm512_set1_epi32(quants.add(chunk).read_unaligned());
                    for (sum, start) in sums.iter_mut().zip(starts) {
                        let from = start.add(layout.quants_offset(block) + chunk * 64);
                        prefetch::<AHEAD>(from);
                        let weights = load(from);
                        *sum = _mm512_dpbusd_epi32(*sum, weights, x);
                    }
                }
            }
            let scale = _mm512_set1_ps(token.cast::<f32>().read_unaligned());
            for stream in 0..S {
                let scales = load_halves(starts[stream].add(layout.scales_offset(block)));
                let sum = _mm512_cvtepi32_ps(sums[stream]);
                totals[stream] = _mm512_fmadd_ps(sum, _mm512_mul_ps(scales, scale), totals[stream]);
            }
        }
    }
    for (group, total) in groups.into_iter().zip(totals) {
        finish(args, group, 0, total);
    }
}

/// A group of rows times a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn product_tile<const Q4: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    first: usize,
    activations: &[u8],
) {
    let layout = layout(Q4);
    let blocks = uncounted(args.columns() / BLOCK);
    let group_bytes = layout.group_bytes(args.columns());
    assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
    let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
    let mut totals = [_mm512_setzero_ps(); T];
    let mask = _mm512_set1_epi8(15);
    for block in 0..blocks {
        // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
        unsafe {
            let tile = activations.as_ptr().add(block * T * TOKEN_BLOCK);
            let quants = weights.add(layout.quants_offset(block));
            let mut columns = [_mm512_setzero_si512(); 8];
            if Q4 {
                for chunk in 0..4 {
                    let both = load(quants.add(chunk * 64));
                    columns[chunk] = _mm512_and_si512(both, mask);
                    columns[chunk + 4] = _mm512_and_si512(_mm512_srli_epi16::<4>(both), mask);
                }
            } else {
                for (chunk, columns) in columns.iter_mut().enumerate() {
                    *columns = load(quants.add(chunk * 64));
                }
            }
            let scales = load_halves(weights.add(layout.scales_offset(block)));
            for (token, total) in totals.iter_mut().enumerate() {
                let mut sum = _mm512_set1_epi32(tile.cast::<i32>().add(T + token).read_unaligned());
                let x = tile.add(8 * T + token * BLOCK).cast::<i32>();
                for (chunk, &columns) in columns.iter().enumerate() {
                    sum = _mm512_dpbusd_epi32(sum, columns, _mm512_set1_epi32(x.add(chunk).read_unaligned()));
                }
                let scale = _mm512_set1_ps(tile.cast::<f32>().add(token).read_unaligned());
                *total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scales, scale), *total);
            }
        }
    }
    for (token, total) in totals.into_iter().enumerate() {
        finish(args, group, first + token, total);
    }
}
