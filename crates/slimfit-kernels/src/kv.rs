//! One layer's key and value cache.
//!
//! Keys and values each lie as `(kv_head, position, head_size)`: what a query reads of a head is contiguous. The first row
//! of a head is that of position `first`: a layer with a window forgets what no query sees any more.

use crate::SharedMut;
use std::ops::Range;

/// How a cache stores its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
}

impl KvFormat {
    /// Bytes of a value.
    pub const fn value_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
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
        count * self.head_size * self.format.value_bytes()
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
