//! What the 512-bit products share: loads, and handing a group's totals on.

#![expect(unsafe_code, reason = "vector loads and stores of checked memory")]

use super::ROWS;
use crate::matmul::{MatMulArgs, MatrixShape};
use std::arch::x86_64::*;

/// Loads 64 bytes.
///
/// # Safety
/// 64 bytes at `from` are readable.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn load(from: *const u8) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

/// Loads 16 f16.
///
/// # Safety
/// 32 bytes at `from` are readable.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn load_halves(from: *const u8) -> __m512 {
    // SAFETY: the caller's promise.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
}

/// Hands a group's totals of one token on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn finish(args: &MatMulArgs<'_, impl MatrixShape>, group: usize, token: usize, total: __m512) {
    if let Some(rows) = args.plain_rows(group * ROWS, token, ROWS) {
        let to = rows.as_mut_ptr();
        // SAFETY: exactly 16 values, which only this share has.
        unsafe {
            let sum = match args.accumulate {
                None => total,
                Some(scale) => {
                    _mm512_add_ps(_mm512_loadu_ps(to), _mm512_mul_ps(_mm512_set1_ps(scale), total))
                }
            };
            _mm512_storeu_ps(to, sum);
        }
        return;
    }
    let mut values = [0f32; ROWS];
    // SAFETY: exactly 16 values.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), total) };
    args.finish_group(group * ROWS, token, &values);
}
