//! Laying a tile's activations out: from a row for each token to all tokens of one column side by side. Without vectors
//! this takes a tenth of a product with few rows.

#![expect(unsafe_code, reason = "vector stores of checked memory")]

use std::arch::x86_64::*;
use std::ops::Range;

/// Writes `(units, tokens)` 32-bit values: `eight(token, unit)` gives 8 units of a token, for whole eights of the first
/// `whole` units; `one(token, unit)` gives any other one.
///
/// # Panics
/// When the room has another size.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) fn lay_out(
    (units, whole): (usize, usize),
    tokens: usize,
    room: &mut [u8],
    eight: impl Fn(usize, usize) -> __m256,
    one: impl Fn(usize, usize) -> u32,
) {
    assert!(room.len() == 4 * units * tokens && whole <= units);
    let eights = whole / 8 * 8;
    let place = |token: usize, unit: usize| 4 * (unit * tokens + token);
    for unit in (0..eights).step_by(8) {
        let mut token = 0;
        while token + 4 <= tokens {
            let columns = four_rows(std::array::from_fn(|index| eight(token + index, unit)));
            for (index, column) in columns.into_iter().enumerate() {
                for (unit, column) in [
                    (unit + index, _mm256_castps256_ps128(column)),
                    (unit + index + 4, _mm256_extractf128_ps::<1>(column)),
                ] {
                    let room = &mut room[place(token, unit)..][..16];
                    // SAFETY: exactly 16 bytes.
                    unsafe { _mm_storeu_ps(room.as_mut_ptr().cast(), column) };
                }
            }
            token += 4;
        }
        if token + 2 <= tokens {
            let (first, second) = (eight(token, unit), eight(token + 1, unit));
            let pairs = [_mm256_unpacklo_ps(first, second), _mm256_unpackhi_ps(first, second)];
            for (index, pairs) in pairs.into_iter().enumerate() {
                for (unit, pairs) in [
                    (unit + 2 * index, _mm256_castps256_ps128(pairs)),
                    (unit + 2 * index + 4, _mm256_extractf128_ps::<1>(pairs)),
                ] {
                    let pairs = _mm_castps_pd(pairs);
                    let [low, high] = [_mm_cvtsd_f64(pairs), _mm_cvtsd_f64(_mm_unpackhi_pd(pairs, pairs))];
                    room[place(token, unit)..][..8].copy_from_slice(&low.to_ne_bytes());
                    room[place(token, unit + 1)..][..8].copy_from_slice(&high.to_ne_bytes());
                }
            }
            token += 2;
        }
        for token in token..tokens {
            for unit in unit..unit + 8 {
                room[place(token, unit)..][..4].copy_from_slice(&one(token, unit).to_ne_bytes());
            }
        }
    }
    for unit in eights..units {
        for token in 0..tokens {
            room[place(token, unit)..][..4].copy_from_slice(&one(token, unit).to_ne_bytes());
        }
    }
}

/// Columns 0 to 3 of four rows of 8, and beside each, in the upper half, the column 4 further on.
#[target_feature(enable = "avx2")]
#[inline]
fn four_rows(rows: [__m256; 4]) -> [__m256; 4] {
    let pairs = [
        _mm256_unpacklo_ps(rows[0], rows[1]),
        _mm256_unpackhi_ps(rows[0], rows[1]),
        _mm256_unpacklo_ps(rows[2], rows[3]),
        _mm256_unpackhi_ps(rows[2], rows[3]),
    ]
    .map(|pairs| _mm256_castps_pd(pairs));
    [
        _mm256_unpacklo_pd(pairs[0], pairs[2]),
        _mm256_unpackhi_pd(pairs[0], pairs[2]),
        _mm256_unpacklo_pd(pairs[1], pairs[3]),
        _mm256_unpackhi_pd(pairs[1], pairs[3]),
    ]
    .map(|columns| _mm256_castpd_ps(columns))
}

/// Lays out a range of columns of some tokens, `(tokens, columns)` of `input` from row `first` on; columns past the last are
/// zero.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::matmul) fn lay_out_floats(
    input: &[f32],
    columns: usize,
    range: Range<usize>,
    (first, tokens): (usize, usize),
    room: &mut [u8],
) {
    let input = &input[first * columns..][..tokens * columns];
    lay_out(
        (range.len(), range.end.min(columns) - range.start),
        tokens,
        room,
        |token, column| {
            let values = &input[token * columns + range.start + column..][..8];
            // SAFETY: exactly 8 values.
            unsafe { _mm256_loadu_ps(values.as_ptr()) }
        },
        |token, column| {
            let column = range.start + column;
            if column < columns { input[token * columns + column].to_bits() } else { 0 }
        },
    );
}
