//! Gathers embedding rows: `y[t] = scale · table[token[t]] + positions[offset + first_position + t]`.
//!
//! The table is a packed matrix `(vocabulary, width)`, so that a tied output head shares it. Work is split by tokens,
//! or by columns where there are fewer tokens than shares. A token outside the vocabulary panics; callers check ids.

mod scalar;
mod vectorised;

use crate::codec::BLOCK;
use crate::matmul::Layout;
use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};
use std::ops::Range;

/// Arguments of a gather. Built by [`EmbedArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct EmbedArgs<'a> {
    pub(crate) vocabulary: usize,
    pub(crate) width: usize,
    pub(crate) scale: f32,
    pub(crate) layout: Layout,
    /// Packed matrix, 64-byte aligned.
    pub(crate) table: &'a [u8],
    /// The learned positions of the tokens at hand, `(tokens, width)`.
    pub(crate) positions: Option<&'a [f32]>,
    pub(crate) tokens: &'a [u32],
    /// `(tokens, width)`.
    pub(crate) output: SharedMut<'a, f32>,
}

/// A variant's function.
pub type EmbedFunction = for<'a> unsafe fn(&EmbedArgs<'a>, Part);

/// Every implementation.
pub const EMBED: &[Variant<EmbedFunction>] = &[
    Variant { name: "embed-scalar", isa: Isa::Scalar, function: scalar::embed },
    Variant { name: "embed-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "embed-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "embed-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "embed-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::embed, EmbedArgs);

/// The tokens and the columns of them that a share does. Columns are split in whole blocks.
pub(crate) fn share(tokens: usize, width: usize, part: Part) -> (Range<usize>, Range<usize>) {
    if tokens >= part.of { (part.range(tokens, 1), 0..width) } else { (0..tokens, part.range(width, BLOCK)) }
}
