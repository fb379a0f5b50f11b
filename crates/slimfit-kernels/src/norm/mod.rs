//! Normalises each token's row.
//!
//! `n[t] = x[t] / √(mean(x[t]²) + ε)` (RMS) or `(x[t] − mean) / √(variance + ε)` (layer), times weight, plus bias;
//! stored to `y[t]`, or `y[t] += scale · n[t]`. `x` and `y` are `(tokens, width)` and do not overlap.
//! Work is split by tokens, or within rows where there are fewer tokens than shares; each share then sums the row itself.

pub(crate) mod scalar;
pub(crate) mod vectorised;

use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};
use std::ops::Range;

/// A norm's formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NormFormula {
    /// `x / √(mean(x²) + ε)`.
    Rms,
    /// `(x − mean) / √(variance + ε)`.
    Layer,
}

/// Arguments of a norm. Built by [`NormArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct NormArgs<'a> {
    pub(crate) width: usize,
    pub(crate) tokens: usize,
    pub(crate) formula: NormFormula,
    pub(crate) epsilon: f32,
    pub(crate) accumulate: Option<f32>,
    /// `(tokens, width)`.
    pub(crate) input: &'a [f32],
    /// `(width)`.
    pub(crate) weight: Option<&'a [f32]>,
    /// `(width)`.
    pub(crate) bias: Option<&'a [f32]>,
    /// `(tokens, width)`.
    pub(crate) output: SharedMut<'a, f32>,
}

/// A variant's function.
pub type NormFunction = for<'a> unsafe fn(&NormArgs<'a>, Part);

/// Every implementation.
pub const NORM: &[Variant<NormFunction>] = &[
    Variant { name: "norm-scalar", isa: Isa::Scalar, function: scalar::norm },
    Variant { name: "norm-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "norm-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "norm-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "norm-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::norm, NormArgs);

/// The tokens and the columns of them that a share does. Columns are split in cache lines.
pub(crate) fn share(tokens: usize, width: usize, part: Part) -> (Range<usize>, Range<usize>) {
    if tokens >= part.of { (part.range(tokens, 1), 0..width) } else { (0..tokens, part.range(width, 16)) }
}
