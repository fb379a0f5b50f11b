//! The feed-forward part's non-linearity: `y[t, i] = f(x[t, i]) · x[t, size + i]` with a gate, else `f(x[t, i])`; where
//! tokens have scores, times `sigmoid(s[t])`.
//!
//! `x` is `(tokens, 2 · size)` as `[gate, up]`, or `(tokens, size)`; `y` is `(tokens, size)`; they do not overlap.
//! Work is split by tokens where there are enough of them, else by columns, in cache lines.

pub(crate) mod scalar;
mod vectorised;

use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};
use std::ops::Range;

/// The non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActivationFunction {
    /// x·sigmoid(x).
    Silu,
    /// x·Φ(x), by erf.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// max(x, 0)².
    ReluSquared,
}

/// Arguments of the non-linearity. Built by [`ActivateArgs::new`], which checks the lengths.
#[derive(Debug, Clone, Copy)]
pub struct ActivateArgs<'a> {
    pub(crate) size: usize,
    pub(crate) tokens: usize,
    pub(crate) gated: bool,
    pub(crate) function: ActivationFunction,
    /// `(tokens, 2 · size)` or `(tokens, size)`.
    pub(crate) input: &'a [f32],
    /// `(tokens)`.
    pub(crate) scores: Option<&'a [f32]>,
    /// `(tokens, size)`.
    pub(crate) output: SharedMut<'a, f32>,
}

/// A variant's function.
pub type ActivateFunction = for<'a> unsafe fn(&ActivateArgs<'a>, Part);

/// Every implementation.
pub const ACTIVATE: &[Variant<ActivateFunction>] = &[
    Variant { name: "activate-scalar", isa: Isa::Scalar, function: scalar::activate },
    Variant { name: "activate-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "activate-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "activate-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "activate-neon", isa: Isa::Neon, function: tiers::neon },
];

impl ActivateArgs<'_> {
    /// The tokens and the columns of them that a share does.
    pub(crate) fn share(&self, part: Part) -> (Range<usize>, Range<usize>) {
        if part.by_tokens(self.tokens) {
            (part.range(self.tokens, 1), 0..self.size)
        } else {
            (0..self.tokens, part.range(self.size, 16))
        }
    }

    /// What a token's row is multiplied by.
    pub(crate) fn factor(&self, token: usize) -> Option<f64> {
        self.scores.map(|scores| 1.0 / (1.0 + (-f64::from(scores[token])).exp()))
    }
}

crate::vector::for_each_tier!(vectorised::activate, ActivateArgs);
