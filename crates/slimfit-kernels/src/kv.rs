//! One layer's key and value cache.
//!
//! Keys and values each lie as `(kv_head, position, head_size)`: what a query reads of a head is contiguous.

use crate::SharedMut;

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
    pub(crate) capacity: usize,
    pub(crate) keys: SharedMut<'a, u8>,
    pub(crate) values: SharedMut<'a, u8>,
}

impl KvLayer<'_> {
    /// Bytes of the stretch that positions `count` of a head take.
    pub(crate) fn bytes(&self, count: usize) -> usize {
        count * self.head_size * self.format.value_bytes()
    }

    /// Where a position of a head begins, in bytes.
    pub(crate) fn offset(&self, kv_head: usize, position: usize) -> usize {
        assert!(kv_head < self.kv_heads && position < self.capacity);
        self.bytes(kv_head * self.capacity + position)
    }
}
