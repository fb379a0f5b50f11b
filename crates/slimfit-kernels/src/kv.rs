//! One layer's key and value cache.
//!
//! Keys and values each lie as `(kv_head, position, head_size)`: what a query reads of a head is contiguous. The first row
//! of a head is that of position `first`: a layer with a window forgets what no query sees any more. In `q8_0`, a head's
//! values at a position are whole blocks of 32 as [`codec::q8_0`](crate::codec::q8_0) lays them out, rounded as
//! [`codec::activation`](crate::codec::activation) does.

use crate::SharedMut;
use crate::codec::{BLOCK, q8_0};
use std::ops::Range;

/// How a cache stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// 8-bit blocks of 32.
    Q8_0,
}

impl KvFormat {
    /// Values of a block.
    pub const fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8_0 => BLOCK,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q8_0 => q8_0::BYTES,
        }
    }
}

/// A view of one layer's cache, shared by the threads of an operation. Built by [`KvLayer::new`], which checks lengths.
#[derive(Debug, Clone, Copy)]
pub struct KvLayer<'a> {
    pub(crate) format: KvFormat,
    pub(crate) kv_heads: usize,
    pub(crate) head_size: usize,
    /// Positions that it holds.
    pub(crate) capacity: usize,
    /// The position of the first row.
    pub(crate) first: usize,
    pub(crate) keys: SharedMut<'a, u8>,
    pub(crate) values: SharedMut<'a, u8>,
}

impl KvLayer<'_> {
    /// Bytes of the stretch that positions `count` of a head take.
    pub(crate) fn bytes(&self, count: usize) -> usize {
        count * self.head_size / self.format.block_values() * self.format.block_bytes()
    }

    /// The same cache where the first row is that of `position`.
    pub fn beginning_at(self, position: usize) -> Self {
        Self { first: position, ..self }
    }

    /// Whether there are rows for all these positions.
    pub(crate) fn holds(&self, positions: Range<usize>) -> bool {
        self.first <= positions.start && positions.end <= self.first + self.capacity
    }

    /// Where a position of a head begins, in bytes.
    pub(crate) fn offset(&self, kv_head: usize, position: usize) -> usize {
        assert!(kv_head < self.kv_heads && self.holds(position..position + 1));
        self.bytes(kv_head * self.capacity + position - self.first)
    }
}
