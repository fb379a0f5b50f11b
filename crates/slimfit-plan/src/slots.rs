//! Where a plan's data lies: weight matrices, vectors, rotary tables, KV slots and activation buffers.

use slimfit_arch::{Rope, TensorPart, TensorRole};
use slimfit_quantity::NumberFormat;

/// A stored tensor, or a stack of them on top of each other.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSlot {
    /// What it is in tables: `qkv`, `gate_up`, `head` …
    pub label: &'static str,
    /// The stored layer it belongs to.
    pub layer: Option<u64>,
    /// The tensors whose rows are stacked, top to bottom.
    pub parts: Vec<TensorRole>,
    /// Rows of all parts together, of one expert.
    pub rows: u64,
    /// Columns.
    pub columns: u64,
    /// How many matrices of this shape: 1, or one for each expert.
    pub count: u64,
    /// How it is stored: the plan's weight format, or what its columns allow of it.
    pub format: NumberFormat,
    /// Bytes of all `count` of them as the kernels pack them.
    pub packed_bytes: u64,
}

/// Vectors kept in f32 one after the other: norm weights, biases, the position table.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSlot {
    /// The stored layer it belongs to.
    pub layer: Option<u64>,
    /// The tensors whose values are joined.
    pub parts: Vec<(TensorRole, TensorPart)>,
    /// Values of all parts together.
    pub values: u64,
    /// Whether 1 is added to each value when it is loaded (norm weights stored as an offset from 1).
    pub plus_one: bool,
    /// Factor on each value when it is loaded, after `plus_one` (a constant on all logits is folded in here).
    pub scale: f32,
}

/// A table of cosines and sines: one for each distinct rotation in the model.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSlot {
    /// The rotation.
    pub rope: Rope,
    /// Values of a head that rotate.
    pub rotated: u64,
}

/// The least room after a window, where chunks are shorter.
const LEAST_ROOM: u64 = 64;

/// One layer's cache in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvSlot {
    /// Key and value heads.
    pub kv_heads: u64,
    /// Values of a head.
    pub head_size: u64,
    /// Keys that a query sees at most; the layer may forget what is further back.
    pub window: Option<u64>,
    /// Positions kept: the whole context, or the window and room for a chunk after it.
    pub positions: u64,
    /// How it is stored.
    pub format: NumberFormat,
}

impl KvSlot {
    /// Positions that a layer keeps for a `context` computed in steps of at most `chunk` tokens.
    ///
    /// A layer with a window drops the oldest rows by moving those that are still seen to the front when there is no room
    /// left, so that kernels always see one stretch. Between two moves lie at least `room` tokens, so a move of
    /// `window − 1` rows costs each token `(window − 1) / room` row copies beside the `window` rows that it reads.
    pub fn positions_for(window: Option<u64>, context: u64, chunk: u64) -> u64 {
        let room = chunk.max(LEAST_ROOM);
        window.map_or(context, |window| context.min((window - 1).saturating_add(room)))
    }

    /// The first position that a token at `position` sees.
    pub fn first_seen(&self, position: u64) -> u64 {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Bytes of keys and values of one position.
    pub fn bytes_per_position(&self) -> u64 {
        2 * self.kv_heads * self.head_size * self.format.block_bytes() / self.format.block_values()
    }

    /// Bytes of the whole slot.
    pub fn bytes(&self) -> u64 {
        self.positions * self.bytes_per_position()
    }
}

/// An activation buffer: one row of f32 values for each token of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buffer {
    /// The residual stream: hidden size.
    Residual,
    /// A second residual stream for norms that replace it.
    Spare,
    /// What a branch reads: hidden size.
    Normed,
    /// What the second of two parallel branches reads: hidden size.
    SecondNormed,
    /// Fused q, k, v.
    Projected,
    /// What the attention returns.
    Mixed,
    /// Gate and up: a buffer of its own. In that of q, k, v a token's values would lie where another thread wrote another
    /// token's, and cores that share no cache take the lines of each other at 60 ns each.
    Gates,
    /// The activated inner values: apart from what the attention returns, as above.
    Activated,
    /// A branch's result where a norm follows before it is added.
    Branch,
    /// Scores of experts, then the chosen ones and their weights; later each token's score of the shared part.
    Routing,
    /// Logits of the last token.
    Logits,
}

impl Buffer {
    /// Every buffer.
    pub const ALL: [Self; 11] = [
        Self::Residual,
        Self::Spare,
        Self::Normed,
        Self::SecondNormed,
        Self::Projected,
        Self::Mixed,
        Self::Gates,
        Self::Activated,
        Self::Branch,
        Self::Routing,
        Self::Logits,
    ];
}
