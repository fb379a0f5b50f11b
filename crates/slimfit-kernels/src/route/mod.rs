//! The router of a mixture of experts: scores of all experts for each token, the best `top_k` and their weights.
//!
//! `s[t, e] = Σ_k W[e, k] · x[t, k] + b[e]`. The chosen experts of a token are those with the largest scores, largest
//! first, of equal ones the lower number first; their weights are `softmax(s[t])`, over all experts or, normalised,
//! over the chosen ones alone (which is the same as scaling them to sum to 1).
//!
//! `x` is `(tokens, columns)`; scores are `(tokens, experts)`; choices are `(tokens, 2 · top_k)`: the numbers of the
//! chosen experts as f32, then their weights. The product of the tier's own kernels writes the scores; the last phase,
//! which is what the table below holds, chooses, split by tokens.

mod scalar;
mod vectorised;

use crate::matmul::{self, MatMulArgs};
use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};

/// Arguments of the router. Built by [`RouteArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct RouteArgs<'a> {
    pub(crate) top_k: usize,
    pub(crate) normalise: bool,
    /// Its output are the scores, `(tokens, experts)`.
    pub(crate) product: MatMulArgs<'a>,
    /// `(tokens, 2 · top_k)`.
    pub(crate) choices: SharedMut<'a, f32>,
}

/// A variant's function: the last phase, whatever the part's phase says.
pub type RouteFunction = for<'a> unsafe fn(&RouteArgs<'a>, Part);

/// Every implementation of the choice.
pub const ROUTE: &[Variant<RouteFunction>] = &[
    Variant { name: "route-scalar", isa: Isa::Scalar, function: scalar::choose },
    Variant { name: "route-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "route-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "route-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "route-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::choose, RouteArgs);

/// Phases of the router, the same for every variant: the product's, then the choice.
pub(crate) const fn phases(tokens: usize) -> usize {
    matmul::phases(tokens) + 1
}

/// Chooses the largest scores: their numbers go to `numbers`, they themselves to `kept`, both largest first. Whatever
/// the scores, every choice is an expert, and none is chosen twice.
#[inline(always)]
fn largest(scores: &[f32], numbers: &mut [f32], kept: &mut [f32]) {
    let top_k = numbers.len();
    for (expert, &score) in scores.iter().enumerate() {
        let filled = expert.min(top_k);
        let mut place = filled;
        while place > 0 && score > kept[place - 1] {
            place -= 1;
        }
        if place == top_k {
            continue;
        }
        let last = filled.min(top_k - 1);
        kept.copy_within(place..last, place + 1);
        numbers.copy_within(place..last, place + 1);
        kept[place] = score;
        numbers[place] = expert as f32;
    }
}
