//! q8_0 and q4_0 with the 256-bit `vpdpbusd`.
//!
//! A 32-byte load holds 4 columns of 8 rows as unsigned bytes; `vpdpbusd` adds their products with 4 broadcast
//! activations to 8 sums. The unsigned bytes are the weights plus an offset (128 or 8), so a block's sum starts at minus
//! the offset times the sum of its activations, which was prepared with them, and ends exact.
//!
//! The instruction has two encodings with features of their own, and so the same text is compiled twice: [`vex`] is the
//! tier's, for processors without AVX-512; [`evex`] runs where there is AVX-512 and is there to be tested on those, since
//! hardly any processor has both.
//!
//! Activations of a tile of T tokens: per block `[T]` f32 scales, `[T]` i32 starting sums, `[T][32]` int8.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::avx2::lanes::{finish, largest, load, load_halves, total};
use super::fetch::{fetch_outputs, prefetch};
use super::tiles::{for_streams, share, tiles, up_to, with_tile};
use super::{Layout, MatMulArgs, MatrixShape, WeightFormat, activation_bytes};
use crate::Part;
use crate::codec::BLOCK;
use std::arch::x86_64::*;

/// Rows of a group.
const ROWS: usize = 8;
/// Bytes of one token's part of a block of converted activations.
const TOKEN_BLOCK: usize = 4 + 4 + BLOCK;
/// Tokens of a tile: with a block's columns, 4 tokens' sums fill 16 registers.
const SIZES: &[usize] = &[4, 3, 2, 1];

const fn layout(q4: bool) -> Layout {
    Layout::biased(if q4 { WeightFormat::Q4_0 } else { WeightFormat::Q8_0 }, ROWS)
}

/// What was added to each weight to make it unsigned.
const fn offset(q4: bool) -> i32 {
    if q4 { 8 } else { 128 }
}

/// Quantises a tile of tokens.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn convert<const Q4: bool, const T: usize>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    first: usize,
    converted: &mut [u8],
) {
    let input = &args.input[first * args.columns()..][..T * args.columns()];
    let blocks = args.columns() / BLOCK;
    assert!(converted.len() >= blocks * T * TOKEN_BLOCK);
    let sign = _mm256_set1_ps(-0.0);
    // The packs work within 128-bit lanes; the permutation puts the values back in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for block in 0..blocks {
        for token in 0..T {
            // SAFETY: a whole block of a token inside `input`, and its places inside `converted`, asserted above.
            unsafe {
                let from = input.as_ptr().add(token * args.columns() + block * BLOCK);
                let to = converted.as_mut_ptr().add(block * T * TOKEN_BLOCK);
                let values: [__m256; 4] = std::array::from_fn(|index| _mm256_loadu_ps(from.add(8 * index)));
                let sizes = values.map(|value| _mm256_andnot_ps(sign, value));
                let largest = largest(_mm256_max_ps(
                    _mm256_max_ps(sizes[0], sizes[1]),
                    _mm256_max_ps(sizes[2], sizes[3]),
                ));
                let inverse = _mm256_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                let integers = values.map(|value| _mm256_cvtps_epi32(_mm256_mul_ps(value, inverse)));
                let packed = _mm256_packs_epi16(
                    _mm256_packs_epi32(integers[0], integers[1]),
                    _mm256_packs_epi32(integers[2], integers[3]),
                );
                let quants = to.add(8 * T + token * BLOCK).cast::<__m256i>();
                _mm256_storeu_si256(quants, _mm256_permutevar8x32_epi32(packed, order));
                to.cast::<f32>().add(token).write_unaligned(largest / 127.0);
                to.cast::<i32>().add(T + token).write_unaligned(-offset(Q4) * total(integers));
            }
        }
    }
}

/// The products, with `$dot` and the features that have it.
macro_rules! products {
    ($(#[$documentation:meta])* $name:ident, $dot:ident, $features:literal) => {
        $(#[$documentation])*
        pub(super) mod $name {
            use super::*;

            /// One token, `S` address streams, each prefetching as `prefetch::<AHEAD>` does.
            #[target_feature(enable = $features)]
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
            #[target_feature(enable = $features)]
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
                        with_tile!(size, [4, 3, 2, 1], |T| convert::<Q4, T>(args, first, own));
                    }
                    return;
                }
                let (groups, tokens) = share::<BY_TOKENS>(args, part, TILE, 1);
                for group in groups {
                    for (first, size) in tiles(tokens.clone(), sizes) {
                        let range = first * token_bytes..(first + size) * token_bytes;
                        // SAFETY: phase 0 wrote it, in the same tiles; nobody writes it in this phase.
                        let x = unsafe { args.scratch.slice(range) };
                        fetch_outputs(args, group * ROWS..(group + 1) * ROWS, first, size);
                        with_tile!(size, [4, 3, 2, 1], |T| product_tile::<Q4, T>(args, group, first, x));
                    }
                }
            }

            /// `S` groups of rows from `S` places of the matrix times one token.
            #[target_feature(enable = $features)]
            #[inline]
            fn product_streams<const Q4: bool, const S: usize, const AHEAD: isize>(
                args: &MatMulArgs<'_, impl MatrixShape>,
                groups: [usize; S],
                activations: &[u8],
            ) {
                let layout = layout(Q4);
                let blocks = args.columns() / BLOCK;
                let group_bytes = layout.group_bytes(args.columns());
                assert!(activations.len() >= blocks * TOKEN_BLOCK);
                let starts = groups.map(|group| args.weights[group * group_bytes..][..group_bytes].as_ptr());
                let mut totals = [_mm256_setzero_ps(); S];
                let mask = _mm256_set1_epi8(15);
                for block in 0..blocks {
                    // SAFETY: block `block` of the token's activations and of each group, whose lengths were checked above.
                    unsafe {
                        let token = activations.as_ptr().add(block * TOKEN_BLOCK);
                        let quants = token.add(8).cast::<i32>();
                        let mut sums = [_mm256_set1_epi32(token.cast::<i32>().add(1).read_unaligned()); S];
                        // High halves stay where they are and count 16 times; their sums are shifted once, at the end.
                        let mut upper = [_mm256_setzero_si256(); S];
                        for chunk in 0..if Q4 { 4 } else { 8 } {
                            let low = _mm256_set1_epi32(quants.add(chunk).read_unaligned());
                            for stream in 0..S {
                                let from = starts[stream].add(layout.quants_offset(block) + chunk * 32);
                                if chunk % 2 == 0 {
                                    prefetch::<AHEAD>(from);
                                }
                                let weights = load(from);
                                if Q4 {
                                    let high = _mm256_set1_epi32(quants.add(chunk + 4).read_unaligned());
                                    sums[stream] = $dot(sums[stream], _mm256_and_si256(weights, mask), low);
                                    upper[stream] =
                                        $dot(upper[stream], _mm256_andnot_si256(mask, weights), high);
                                } else {
                                    sums[stream] = $dot(sums[stream], weights, low);
                                }
                            }
                        }
                        let scale = _mm256_set1_ps(token.cast::<f32>().read_unaligned());
                        for stream in 0..S {
                            let sum = if Q4 {
                                _mm256_add_epi32(sums[stream], _mm256_srai_epi32::<4>(upper[stream]))
                            } else {
                                sums[stream]
                            };
                            let scales = load_halves(starts[stream].add(layout.scales_offset(block)));
                            let factors = _mm256_mul_ps(scales, scale);
                            totals[stream] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factors, totals[stream]);
                        }
                    }
                }
                for (group, total) in groups.into_iter().zip(totals) {
                    finish(args, group, 0, total);
                }
            }

            /// A group of rows times a tile of tokens.
            #[target_feature(enable = $features)]
            #[inline]
            fn product_tile<const Q4: bool, const T: usize>(
                args: &MatMulArgs<'_, impl MatrixShape>,
                group: usize,
                first: usize,
                activations: &[u8],
            ) {
                let layout = layout(Q4);
                let blocks = args.columns() / BLOCK;
                let group_bytes = layout.group_bytes(args.columns());
                assert!(activations.len() >= blocks * T * TOKEN_BLOCK);
                let weights = args.weights[group * group_bytes..][..group_bytes].as_ptr();
                let mut totals = [_mm256_setzero_ps(); T];
                let mask = _mm256_set1_epi8(15);
                for block in 0..blocks {
                    // SAFETY: block `block` of the tile's activations and of the group, whose lengths were checked above.
                    unsafe {
                        let tile = activations.as_ptr().add(block * T * TOKEN_BLOCK);
                        let quants = weights.add(layout.quants_offset(block));
                        let mut columns = [_mm256_setzero_si256(); 8];
                        if Q4 {
                            for chunk in 0..4 {
                                let both = load(quants.add(chunk * 32));
                                columns[chunk] = _mm256_and_si256(both, mask);
                                columns[chunk + 4] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
                            }
                        } else {
                            for (chunk, columns) in columns.iter_mut().enumerate() {
                                *columns = load(quants.add(chunk * 32));
                            }
                        }
                        let scales = load_halves(weights.add(layout.scales_offset(block)));
                        for (token, total) in totals.iter_mut().enumerate() {
                            let start = tile.cast::<i32>().add(T + token).read_unaligned();
                            let mut sum = _mm256_set1_epi32(start);
                            let x = tile.add(8 * T + token * BLOCK).cast::<i32>();
                            for (chunk, &columns) in columns.iter().enumerate() {
                                let x = _mm256_set1_epi32(x.add(chunk).read_unaligned());
                                sum = $dot(sum, columns, x);
                            }
                            let scale = _mm256_set1_ps(tile.cast::<f32>().add(token).read_unaligned());
                            let factors = _mm256_mul_ps(scales, scale);
                            *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), factors, *total);
                        }
                    }
                }
                for (token, total) in totals.into_iter().enumerate() {
                    finish(args, group, first + token, total);
                }
            }
        }
    };
}

products! {
    /// The VEX encoding.
    vex, _mm256_dpbusd_avx_epi32, "avx2,fma,f16c,avxvnni"
}
products! {
    /// The EVEX encoding.
    evex, _mm256_dpbusd_epi32, "avx2,fma,f16c,avx512f,avx512vl,avx512vnni"
}
