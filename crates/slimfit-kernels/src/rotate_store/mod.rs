//! What happens between the fused q, k, v projection and the attention: of each token's row
//! `[q (heads · head_size) | k (kv_heads · head_size) | v (kv_heads · head_size)]`, q, k and v are clipped, q and k
//! normalised and rotated, q stays in place, and k and v go into the cache at the token's position.
//!
//! Rotation turns the pairs `(x[i], x[i + rotated / 2])`, or neighbours `(x[2i], x[2i + 1])`, of a head's first
//! `rotated` values: `(a, b) → (a·cos − b·sin, b·cos + a·sin)`, with cosine `i` of the position's table row.
//! Work is split by token and head, or by token and q, k or v where a norm spans all heads.

mod scalar;

use crate::kv::KvLayer;
use crate::norm::NormFormula;
use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};

/// Over what q and k are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QkNormKind {
    /// Not at all.
    None,
    /// Each head by itself, one weight of `head_size` for all.
    PerHead,
    /// Each head by itself, a weight for each head.
    EachHead,
    /// All heads together.
    AllHeads,
}

/// Cosines and sines of each position, `(positions, rotated / 2)` each; a factor on attention is folded in.
#[derive(Debug, Clone, Copy)]
pub struct RotationTable<'a> {
    /// Cosines, row `p` for absolute position `p`.
    pub cosines: &'a [f32],
    /// Sines, likewise.
    pub sines: &'a [f32],
}

/// Arguments of the operation. Built by [`RotateStoreArgs::new`], which checks every length.
#[derive(Debug, Clone, Copy)]
pub struct RotateStoreArgs<'a> {
    pub(crate) heads: usize,
    pub(crate) rotated: usize,
    pub(crate) interleaved: bool,
    pub(crate) qk_norm: QkNormKind,
    pub(crate) formula: NormFormula,
    pub(crate) epsilon: f32,
    pub(crate) clip: Option<f32>,
    pub(crate) tokens: usize,
    pub(crate) first_position: usize,
    /// `(tokens, (heads + 2 · kv_heads) · head_size)`.
    pub(crate) qkv: SharedMut<'a, f32>,
    /// `(head_size)` or `(heads · head_size)` by kind; empty without a norm.
    pub(crate) query_norm: &'a [f32],
    /// `(head_size)` or `(kv_heads · head_size)` by kind; empty without a norm.
    pub(crate) key_norm: &'a [f32],
    pub(crate) rotation: RotationTable<'a>,
    pub(crate) cache: KvLayer<'a>,
}

/// A variant's function.
pub type RotateStoreFunction = for<'a> unsafe fn(&RotateStoreArgs<'a>, Part);

/// Every implementation.
pub const ROTATE_STORE: &[Variant<RotateStoreFunction>] =
    &[Variant { name: "rotate_store-scalar", isa: Isa::Scalar, function: scalar::rotate_store }];
