//! Three ways to multiply int8 and add up in i32.
//!
//! Weights come as vectors of 4 columns of 4 rows, `[4][4]`, as they lie in memory: `sdot` multiplies those by 4
//! activations and adds to 4 rows' sums. Widening products hold two sums of each row, which meet at the end. The matrix
//! product wants 8 columns of 2 rows, which are the halves of two vectors zipped in units of 4 columns, and makes sums of
//! 2 rows by 2 tokens, which are unzipped at the end, so that no format needs a layout of its own.

#![expect(unsafe_code, reason = "single instructions that have no intrinsic, and loads of checked memory")]
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use std::arch::aarch64::*;
use std::arch::asm;

/// A way to multiply; a value proves that its features are there.
pub(super) trait Multiply: Copy {
    /// Tokens of a tile, largest first.
    const SIZES: &'static [usize];
    /// Whether activations of several tokens lie in pairs of tokens, as [`place`] says.
    const PAIRED: bool;

    /// Sums over `4 · C` columns of 8 rows (two vectors of 4) times `T` tokens. `C` is 4 or 8, `T` is 1 or even.
    ///
    /// With `SMALL`, weights are 0..=15, or 0..=63 where `C` is 4, so that a row's products with every fourth activation
    /// add up in 16 bits.
    ///
    /// # Safety
    /// `4 · C · T` activations from −127 to 127 lie at `x`, at the places that [`place`] gives.
    unsafe fn sums<const C: usize, const T: usize, const SMALL: bool>(
        self,
        columns: &[[int8x16_t; 2]; C],
        x: *const i8,
    ) -> [[int32x4_t; 2]; T];
}

/// Where activation `column` of a token lies among `length` columns of `T` tokens: pairs of tokens alternate in eights.
#[inline(always)]
pub(super) const fn place<M: Multiply, const T: usize>(length: usize, token: usize, column: usize) -> usize {
    if M::PAIRED && T > 1 {
        token / 2 * 2 * length + column / 8 * 16 + token % 2 * 8 + column % 8
    } else {
        token * length + column
    }
}

/// Products in 16 bits (`smull`, `smlal`), added in pairs to 32.
#[derive(Clone, Copy)]
pub(super) struct Widened(());

/// The dot product, `sdot`.
#[derive(Clone, Copy)]
pub(super) struct Dot(());

/// The matrix product, `smmla`, and `sdot` for one token.
#[derive(Clone, Copy)]
pub(super) struct Matrix(Dot);

impl Widened {
    /// # Safety
    /// The CPU has Advanced SIMD.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Dot {
    /// # Safety
    /// The CPU has Advanced SIMD and its dot product.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

impl Matrix {
    /// # Safety
    /// The CPU has Advanced SIMD, its dot product and its int8 matrix product.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Dot::new() })
    }
}

impl Multiply for Widened {
    const SIZES: &'static [usize] = &[4, 2, 1];
    const PAIRED: bool = false;

    #[inline(always)]
    unsafe fn sums<const C: usize, const T: usize, const SMALL: bool>(
        self,
        columns: &[[int8x16_t; 2]; C],
        x: *const i8,
    ) -> [[int32x4_t; 2]; T] {
        // SAFETY: `self` proves the feature; memory is the caller's promise.
        unsafe {
            let mut result = [[vdupq_n_s32(0); 2]; T];
            for (token, result) in result.iter_mut().enumerate() {
                // Two sums of each of rows 0 1, 2 3, 4 5, 6 7.
                let mut sums = [vdupq_n_s32(0); 4];
                let step = if SMALL { C } else { 2 };
                for first in (0..C).step_by(step) {
                    let mut products = [vdupq_n_s16(0); 4];
                    for chunk in first..first + step {
                        let four = x.add(token * 4 * C + 4 * chunk).cast::<i32>().read_unaligned();
                        let x = vreinterpretq_s8_s32(vdupq_n_s32(four));
                        for half in 0..2 {
                            let rows = columns[chunk][half];
                            let (low, high) = (2 * half, 2 * half + 1);
                            products[low] = vmlal_s8(products[low], vget_low_s8(rows), vget_low_s8(x));
                            products[high] = vmlal_high_s8(products[high], rows, x);
                        }
                    }
                    for (sum, products) in sums.iter_mut().zip(products) {
                        *sum = vpadalq_s16(*sum, products);
                    }
                }
                *result = [vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3])];
            }
            result
        }
    }
}

impl Multiply for Dot {
    const SIZES: &'static [usize] = &[4, 2, 1];
    const PAIRED: bool = false;

    #[inline(always)]
    unsafe fn sums<const C: usize, const T: usize, const SMALL: bool>(
        self,
        columns: &[[int8x16_t; 2]; C],
        x: *const i8,
    ) -> [[int32x4_t; 2]; T] {
        // SAFETY: `self` proves the features; memory is the caller's promise.
        unsafe {
            let mut result = [[vdupq_n_s32(0); 2]; T];
            for (token, sums) in result.iter_mut().enumerate() {
                for quad in 0..C / 4 {
                    let x = vld1q_s8(x.add(token * 4 * C + 16 * quad));
                    let columns = &columns[4 * quad..4 * quad + 4];
                    for half in 0..2 {
                        sums[half] = sdot::<0>(sums[half], columns[0][half], x);
                        sums[half] = sdot::<1>(sums[half], columns[1][half], x);
                        sums[half] = sdot::<2>(sums[half], columns[2][half], x);
                        sums[half] = sdot::<3>(sums[half], columns[3][half], x);
                    }
                }
            }
            result
        }
    }
}

impl Multiply for Matrix {
    const SIZES: &'static [usize] = &[8, 4, 2, 1];
    const PAIRED: bool = true;

    #[inline(always)]
    unsafe fn sums<const C: usize, const T: usize, const SMALL: bool>(
        self,
        columns: &[[int8x16_t; 2]; C],
        x: *const i8,
    ) -> [[int32x4_t; 2]; T] {
        if T == 1 {
            // SAFETY: the caller's promise; one token lies as the dot product wants it.
            return unsafe { self.0.sums::<C, T, SMALL>(columns, x) };
        }
        // SAFETY: `self` proves the features; memory is the caller's promise.
        unsafe {
            let mut result = [[vdupq_n_s32(0); 2]; T];
            // For each pair of tokens, its slots of `result` hold rows 0 1, 2 3 and 4 5, 6 7 until they are unzipped.
            for eight in 0..C / 2 {
                let rows: [[int8x16_t; 2]; 2] = std::array::from_fn(|half| {
                    let first = vreinterpretq_s32_s8(columns[2 * eight][half]);
                    let second = vreinterpretq_s32_s8(columns[2 * eight + 1][half]);
                    [
                        vreinterpretq_s8_s32(vzip1q_s32(first, second)),
                        vreinterpretq_s8_s32(vzip2q_s32(first, second)),
                    ]
                });
                for pair in 0..T / 2 {
                    let x = vld1q_s8(x.add(pair * 8 * C + 16 * eight));
                    for half in 0..2 {
                        let sums = &mut result[2 * pair + half];
                        sums[0] = smmla(sums[0], rows[half][0], x);
                        sums[1] = smmla(sums[1], rows[half][1], x);
                    }
                }
            }
            for pair in 0..T / 2 {
                let halves = [result[2 * pair], result[2 * pair + 1]];
                result[2 * pair] = halves.map(|half| vuzp1q_s32(half[0], half[1]));
                result[2 * pair + 1] = halves.map(|half| vuzp2q_s32(half[0], half[1]));
            }
            result
        }
    }
}

/// Adds to each of 4 rows the products of its 4 columns with the 4 activations that `LANE` counts.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn sdot<const LANE: i32>(mut sums: int32x4_t, columns: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes registers only, and its feature is enabled.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {columns:v}.16b, {x:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            columns = in(vreg) columns,
            x = in(vreg) x,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// Adds the products of 2 rows of 8 columns with 2 tokens: `[row][token]`.
#[target_feature(enable = "neon,i8mm")]
#[inline]
fn smmla(mut sums: int32x4_t, rows: int8x16_t, tokens: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes registers only, and its feature is enabled.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {rows:v}.16b, {tokens:v}.16b",
            sums = inout(vreg) sums,
            rows = in(vreg) rows,
            tokens = in(vreg) tokens,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
