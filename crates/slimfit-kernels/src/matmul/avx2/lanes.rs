//! What the 256-bit products share: loads, sums and maxima over lanes, and handing a group's totals on.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::ROWS;
use crate::matmul::{MatMulArgs, MatrixShape};
use std::arch::x86_64::*;

/// The largest lane.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) fn largest(values: __m256) -> f32 {
    let four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps::<1>(values));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
}

/// The sum of all lanes.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) fn total(values: [__m256i; 4]) -> i32 {
    let eight =
        _mm256_add_epi32(_mm256_add_epi32(values[0], values[1]), _mm256_add_epi32(values[2], values[3]));
    let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}

/// Loads 32 bytes.
///
/// # Safety
/// 32 bytes at `from` are readable.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) unsafe fn load(from: *const u8) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// Loads 8 f16.
///
/// # Safety
/// 16 bytes at `from` are readable.
#[target_feature(enable = "avx2,f16c")]
#[inline]
pub(in crate::matmul) unsafe fn load_halves(from: *const u8) -> __m256 {
    // SAFETY: the caller's promise.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
}

/// Hands a group's totals of one token on.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) fn finish(
    args: &MatMulArgs<'_, impl MatrixShape>,
    group: usize,
    token: usize,
    total: __m256,
) {
    if let Some(rows) = args.plain_rows(group * ROWS, token, ROWS) {
        let to = rows.as_mut_ptr();
        // SAFETY: exactly 8 values, which only this share has.
        unsafe {
            let sum = match args.accumulate {
                None => total,
                Some(scale) => {
                    _mm256_add_ps(_mm256_loadu_ps(to), _mm256_mul_ps(_mm256_set1_ps(scale), total))
                }
            };
            _mm256_storeu_ps(to, sum);
        }
        return;
    }
    let mut values = [0f32; ROWS];
    // SAFETY: exactly 8 values.
    unsafe { _mm256_storeu_ps(values.as_mut_ptr(), total) };
    args.finish_group(group * ROWS, token, &values);
}

/// Hands two groups' totals of a tile's tokens on; a group that is given twice, once.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn finish_groups(
    args: &MatMulArgs<'_, impl MatrixShape>,
    groups: [usize; 2],
    first: usize,
    totals: &[[__m256; 2]],
) {
    for (token, totals) in (first..).zip(totals) {
        if groups[0] == groups[1] {
            finish(args, groups[0], token, totals[0]);
        } else {
            let mut values = [0f32; 2 * ROWS];
            for (values, total) in values.as_chunks_mut::<ROWS>().0.iter_mut().zip(totals) {
                // SAFETY: exactly 8 values.
                unsafe { _mm256_storeu_ps(values.as_mut_ptr(), *total) };
            }
            args.finish_group(groups[0] * ROWS, token, &values);
        }
    }
}
