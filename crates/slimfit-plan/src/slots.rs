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

/// One layer's cache in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvSlot {
    /// Key and value heads.
    pub kv_heads: u64,
    /// Values of a head.
    pub head_size: u64,
    /// Positions kept.
    pub positions: u64,
    /// How it is stored.
    pub format: NumberFormat,
}

impl KvSlot {
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
    /// Fused q, k, v; later gate and up.
    Projected,
    /// What the attention returns; later the activated inner values.
    Mixed,
    /// A branch's result where a norm follows before it is added.
    Branch,
    /// Scores, chosen experts and their weights.
    Routing,
    /// Logits of the last token.
    Logits,
}

impl Buffer {
    /// Every buffer.
    pub const ALL: [Self; 9] = [
        Self::Residual,
        Self::Spare,
        Self::Normed,
        Self::SecondNormed,
        Self::Projected,
        Self::Mixed,
        Self::Branch,
        Self::Routing,
        Self::Logits,
    ];
}
