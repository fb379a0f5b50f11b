//! The product with AVX2 and FMA: groups of 8 rows, one row in each lane.

#![expect(unsafe_code, reason = "an empty instruction that keeps sums in order")]

pub(super) mod float;
mod float_panels;
pub(super) mod half;
pub(super) mod k_quants;
pub(super) mod lanes;
mod panels;
pub(super) mod quantised;
pub(super) mod transpose;

use std::arch::asm;
use std::arch::x86_64::__m256i;

/// Rows of a group, lanes of a vector.
const ROWS: usize = 8;

/// Has the compiler add up what these sums are so far before it goes on. Where it unrolls steps, it would sort them by
/// sum: the additions to one wait for each other while those to the next are too far away to fill the gaps, which
/// takes up to twice as long.
#[target_feature(enable = "avx2")]
#[inline]
fn settle(sums: &mut [__m256i]) {
    for sum in sums {
        // SAFETY: there is no instruction.
        unsafe { asm!("/* {0} */", inout(ymm_reg) * sum, options(nomem, nostack, preserves_flags)) };
    }
}
