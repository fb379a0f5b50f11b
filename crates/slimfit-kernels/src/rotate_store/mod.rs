//! What happens between the fused q, k, v projection and the attention: of each token's row
//! `[q (heads · head_size) | k (kv_heads · head_size) | v (kv_heads · head_size)]`, q, k and v are clipped, q and k
//! normalised and rotated, q stays in place, and k and v go into the cache at the token's position.
//!
//! Rotation turns the pairs `(x[i], x[i + rotated / 2])`, or neighbours `(x[2i], x[2i + 1])`, of a head's first
//! `rotated` values: `(a, b) → (a·cos − b·sin, b·cos + a·sin)`, with cosine `i` of the position's table row.
//! Work is split by token and head, or by token and q, k or v where a norm spans all heads.

mod rotation;
mod scalar;
mod vectorised;

pub use rotation::Rotation;

use crate::kv::KvLayer;
use crate::norm::NormFormula;
use crate::variant::Variant;
use crate::{Isa, Part, SharedMut};
use std::ops::Range;

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
pub const ROTATE_STORE: &[Variant<RotateStoreFunction>] = &[
    Variant { name: "rotate_store-scalar", isa: Isa::Scalar, function: scalar::rotate_store },
    Variant { name: "rotate_store-portable", isa: Isa::Portable, function: tiers::portable },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "rotate_store-avx2", isa: Isa::Avx2, function: tiers::avx2 },
    #[cfg(target_arch = "x86_64")]
    Variant { name: "rotate_store-avx512", isa: Isa::Avx512, function: tiers::avx512 },
    #[cfg(target_arch = "aarch64")]
    Variant { name: "rotate_store-neon", isa: Isa::Neon, function: tiers::neon },
];

crate::vector::for_each_tier!(vectorised::rotate_store, RotateStoreArgs);

/// What heads of a token a unit of work has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Query,
    Key,
    Value,
}

/// One head of one token, or all heads of its q, k or v where a norm spans them.
struct Unit {
    role: Role,
    /// Absolute position of the token.
    position: usize,
    /// The first head, counted within q, k or v.
    first_head: usize,
    /// Its values in the fused rows.
    values: Range<usize>,
}

impl RotateStoreArgs<'_> {
    /// Units of each token.
    fn units(&self) -> usize {
        if self.qk_norm == QkNormKind::AllHeads { 3 } else { self.heads + 2 * self.cache.kv_heads }
    }

    /// Unit `index` of all tokens' units.
    fn unit(&self, index: usize) -> Unit {
        let (heads, kv_heads, head_size) = (self.heads, self.cache.kv_heads, self.cache.head_size);
        let (token, unit) = (index / self.units(), index % self.units());
        let (role, first_head, count) = match (self.qk_norm == QkNormKind::AllHeads, unit) {
            (true, 0) => (Role::Query, 0, heads),
            (true, 1) => (Role::Key, 0, kv_heads),
            (true, _) => (Role::Value, 0, kv_heads),
            (false, head) if head < heads => (Role::Query, head, 1),
            (false, head) if head < heads + kv_heads => (Role::Key, head - heads, 1),
            (false, head) => (Role::Value, head - heads - kv_heads, 1),
        };
        let before = match role {
            Role::Query => 0,
            Role::Key => heads,
            Role::Value => heads + kv_heads,
        };
        let start = (token * (heads + 2 * kv_heads) + before + first_head) * head_size;
        let position = self.first_position + token;
        Unit { role, position, first_head, values: start..start + count * head_size }
    }
}
