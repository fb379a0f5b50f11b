//! Vectors of f32 for algorithms that are written once and compiled for each tier.
//!
//! A value of a type that implements [`Tier`] proves that its CPU features are there: it is made inside a
//! `#[target_feature]` function, which dispatch calls after detection, and every vector comes from it. So arithmetic
//! is safe, and only loads and stores through pointers are not.
//!
//! Everything that takes a tier is `#[inline(always)]`, and hot loops hold no closures: only what is inlined into the
//! `#[target_feature]` function is compiled for its features. [`for_each_tier`] declares those functions.
#![expect(unsafe_code, reason = "loads and stores through pointers, and intrinsics behind a tier's proof")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod elementary;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod rows;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use elementary::{erfc, exp, exp2_falling, sigmoid, tanh};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
pub(crate) use rows::{load_tail, store_tail};

/// A set of CPU features that is known to be there, and its vectors.
pub(crate) trait Tier: Copy {
    /// Several f32.
    type Vector: Copy;
    /// The tier to multiply with what has to be widened first. Its vectors may be narrower: where a vector takes two steps
    /// anyway, converting to half of one takes fewer.
    type Narrow: Tier;
    /// How many; at most 16, and 16 is a multiple.
    const LANES: usize;
    /// Rows whose sums, four vectors each, fit the registers beside operands.
    const ROWS: usize;

    /// The same features, as [`Narrow`](Self::Narrow) has them.
    fn narrow(self) -> Self::Narrow;

    /// Has the compiler compute a sum before it reads on from memory. Where sums and operands take every register, reading
    /// early costs it more than it gains.
    #[inline(always)]
    fn settle(self, _sum: &mut Self::Vector) {}

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;

    /// Asks for the cache line that `address` is in, which need not be mapped, to come to the second cache.
    #[inline(always)]
    fn fetch(self, _address: *const u8) {}

    /// Reads `LANES` values.
    ///
    /// # Safety
    /// They lie at `from`, aligned to 4 bytes.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// Reads the first `count` lanes, below `LANES`; the others are 0 and not read.
    ///
    /// # Safety
    /// `count` values lie at `from`, aligned to 4 bytes.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector;

    /// Writes `LANES` values.
    ///
    /// # Safety
    /// There is room for them at `to`, aligned to 4 bytes.
    unsafe fn store(self, to: *mut f32, vector: Self::Vector);

    /// Writes the first `count` lanes, below `LANES`, and nothing else.
    ///
    /// # Safety
    /// There is room for `count` values at `to`, aligned to 4 bytes.
    unsafe fn store_first(self, to: *mut f32, vector: Self::Vector, count: usize);

    /// Reads and widens `LANES` IEEE half precision values.
    ///
    /// # Safety
    /// They lie at `from`, aligned to 2 bytes.
    unsafe fn load_f16(self, from: *const u16) -> Self::Vector;

    /// Reads and widens the first `count` lanes, below `LANES`; the others are 0 and not read.
    ///
    /// # Safety
    /// `count` values lie at `from`, aligned to 2 bytes.
    unsafe fn load_f16_first(self, from: *const u16, count: usize) -> Self::Vector;

    /// Reads and widens `LANES` int8 values.
    ///
    /// # Safety
    /// They lie at `from`.
    unsafe fn load_i8(self, from: *const i8) -> Self::Vector;

    /// Rounds to half precision, ties to even, and writes `LANES` values.
    ///
    /// # Safety
    /// There is room for them at `to`, aligned to 2 bytes.
    unsafe fn store_f16(self, to: *mut u16, vector: Self::Vector);

    /// a + b.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a − b.
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b.
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a / b.
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a · b + c, rounded once where the tier has the instruction.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger; b where either is no number.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller; b where either is no number.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The nearest integer, ties to even.
    fn round(self, a: Self::Vector) -> Self::Vector;
    /// 2ⁿ for an integer −126 ≤ n ≤ 127 in each lane.
    fn power_of_two(self, n: Self::Vector) -> Self::Vector;
    /// value · 2ⁿ for an integer n in each lane, where 2ⁿ, |value| and the result are normal numbers.
    #[inline(always)]
    fn times_power_of_two(self, value: Self::Vector, n: Self::Vector) -> Self::Vector {
        self.mul(value, self.power_of_two(n))
    }
    /// `value`, but 0 in lanes where `x < limit`.
    fn zero_below(self, value: Self::Vector, x: Self::Vector, limit: Self::Vector) -> Self::Vector;
    /// Sum of the lanes.
    fn sum(self, a: Self::Vector) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::Vector) -> f32;
    /// The sums of four vectors' lanes.
    fn sum_each(self, a: [Self::Vector; 4]) -> [f32; 4];
}

/// Declares a module `tiers` with one function per tier, each calling `$algorithm(tier, args, part)` compiled for it.
macro_rules! for_each_tier {
    ($algorithm:path, $arguments:ident) => {
        mod tiers {
            //! The algorithm, compiled for each tier.
            #![cfg_attr(
                any(target_arch = "x86_64", target_arch = "aarch64"),
                expect(unsafe_code, reason = "a tier's value is made where its features are enabled")
            )]

            use super::*;

            pub(super) fn portable(args: &$arguments<'_>, part: Part) {
                $algorithm(crate::vector::Portable, args, part);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            pub(super) fn avx2(args: &$arguments<'_>, part: Part) {
                // SAFETY: this function has those features enabled.
                let tier = unsafe { crate::vector::Avx2::new() };
                $algorithm(tier, args, part);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")]
            pub(super) fn avx512(args: &$arguments<'_>, part: Part) {
                // SAFETY: this function has those features enabled.
                let tier = unsafe { crate::vector::Avx512::new() };
                $algorithm(tier, args, part);
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "neon")]
            pub(super) fn neon(args: &$arguments<'_>, part: Part) {
                // SAFETY: this function has the feature enabled.
                let tier = unsafe { crate::vector::Neon::new() };
                $algorithm(tier, args, part);
            }
        }
    };
}
pub(crate) use for_each_tier;
