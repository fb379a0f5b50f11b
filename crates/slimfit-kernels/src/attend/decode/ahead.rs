//! The next tile, fetched from memory while this one is computed with. A few lines between products, because the core takes
//! up only so many at a time and drops or waits for the rest.

use crate::attend::cached::Cached;
use crate::codec::BLOCK;
use crate::vector::Tier;
use std::marker::PhantomData;

/// Where fetching has come to in a tile of `C`.
#[derive(Debug)]
pub(super) struct Ahead<C> {
    next: *const u8,
    /// Whether to go on from line to line; else one line, which is there already, is asked for again and again.
    moves: bool,
    format: PhantomData<C>,
}

impl<C: Cached> Ahead<C> {
    /// Fetches what follows `address`.
    #[inline(always)]
    pub(super) fn of(address: *const u8) -> Self {
        Self { next: address, moves: true, format: PhantomData }
    }

    /// Fetches nothing but the line of `present`.
    #[inline(always)]
    pub(super) fn nothing(present: *const C::Element) -> Self {
        Self { next: present.cast(), moves: false, format: PhantomData }
    }

    /// The lines of the next so many values.
    #[inline(always)]
    pub(super) fn fetch<T: Tier>(&mut self, tier: T, values: usize) {
        let bytes = values * C::BLOCK_BYTES / BLOCK;
        let mut line = 0;
        while line < bytes {
            tier.fetch(self.next.wrapping_add(line));
            line += 64;
        }
        self.next = self.next.wrapping_add(if self.moves { bytes } else { 0 });
    }
}
