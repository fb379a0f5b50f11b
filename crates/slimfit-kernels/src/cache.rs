//! The keys and values of all layers and passes of a text in one allocation.
//!
//! A layer with a window keeps less than the whole text: where there is no room for the next tokens, the rows that are still
//! seen move to the front, so that kernels always see one stretch.

#![expect(unsafe_code, reason = "threads move the heads of a shared cache")]

use crate::kv::{KvFormat, KvLayer};
use crate::memory::{ALIGNMENT, AlignedBytes};
use crate::{KernelError, Part, SharedMut};
use std::ops::Range;

/// What one layer keeps in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// How numbers are stored; a head is whole blocks of it.
    pub format: KvFormat,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_size: usize,
    /// Keys that a query sees at most.
    pub window: Option<usize>,
    /// Positions kept.
    pub positions: usize,
}

impl CacheShape {
    /// The first position that a token at `position` sees.
    fn first_seen(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    /// Bytes of the keys, and of the values.
    fn half_bytes(&self) -> usize {
        self.kv_heads
            * self.positions
            * (self.head_size / self.format.block_values())
            * self.format.block_bytes()
    }
}

/// One layer's place in the allocation.
#[derive(Debug)]
struct Place {
    shape: CacheShape,
    keys: Range<usize>,
    values: Range<usize>,
    /// The position of the first row.
    first: usize,
    /// Rows that move to the front before the next tokens are stored, where there is no room for those.
    moving: Option<Range<usize>>,
}

/// The cache of a text, every page of it resident from the start.
#[derive(Debug)]
pub struct KvCache {
    bytes: AlignedBytes,
    places: Vec<Place>,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Errors
    /// Memory is refused.
    pub fn new(shapes: impl IntoIterator<Item = CacheShape>) -> Result<Self, KernelError> {
        let mut end = 0;
        let mut places = Vec::new();
        for shape in shapes {
            let half = shape.half_bytes();
            let values = (end + half).next_multiple_of(ALIGNMENT);
            let (keys, values_range) = (end..end + half, values..values + half);
            places.push(Place { shape, keys, values: values_range, first: 0, moving: None });
            end = (values + half).next_multiple_of(ALIGNMENT);
        }
        let mut bytes = AlignedBytes::zeroed(end)?;
        bytes.as_mut_slice().fill(0);
        Ok(Self { bytes, places })
    }

    /// Makes room for `tokens` positions from `position` on: a layer without it forgets what no token sees any more. The
    /// rows themselves move during the run.
    pub fn make_room(&mut self, position: usize, tokens: usize) {
        for place in &mut self.places {
            place.moving = None;
            if position + tokens > place.first + place.shape.positions {
                let first = place.shape.first_seen(position);
                place.moving = Some(first - place.first..position - place.first);
                place.first = first;
            }
        }
    }

    /// Puts every layer where it is after `position` tokens, with whatever it holds.
    pub fn place_at(&mut self, position: usize) {
        for place in &mut self.places {
            place.first =
                if position <= place.shape.positions { 0 } else { place.shape.first_seen(position) };
        }
    }

    /// The window of a layer that has forgotten what a token at `position` sees.
    pub fn forgotten(&self, position: usize) -> Option<usize> {
        let forgot = |place: &&Place| place.first > place.shape.first_seen(position);
        self.places.iter().find(forgot).and_then(|place| place.shape.window)
    }

    /// The cache for the threads of a run.
    pub fn share(&mut self) -> SharedKvCache<'_> {
        SharedKvCache { bytes: SharedMut::new(self.bytes.as_mut_slice()), places: &self.places }
    }

    /// Calls `fill` with the format and the bytes of each layer's keys, then values: layer by layer.
    pub fn fill(&mut self, mut fill: impl FnMut(KvFormat, &mut [u8])) {
        for place in &self.places {
            for range in [&place.keys, &place.values] {
                fill(place.shape.format, &mut self.bytes.as_mut_slice()[range.clone()]);
            }
        }
    }
}

/// The cache as the threads of a run see it.
#[derive(Debug, Clone, Copy)]
pub struct SharedKvCache<'a> {
    bytes: SharedMut<'a, u8>,
    places: &'a [Place],
}

impl<'a> SharedKvCache<'a> {
    /// What the kernels see of a layer.
    pub fn layer(&self, index: usize) -> KvLayer<'a> {
        let Place { shape, keys, values, first, .. } = &self.places[index];
        KvLayer {
            format: shape.format,
            kv_heads: shape.kv_heads,
            head_size: shape.head_size,
            capacity: shape.positions,
            first: *first,
            keys: self.bytes.part(keys.clone()),
            values: self.bytes.part(values.clone()),
        }
    }

    /// Whether rows of a layer have to move before it is used.
    pub fn moves(&self, index: usize) -> bool {
        self.places[index].moving.is_some()
    }

    /// Moves a share's heads of a layer, keys and values each, to the front. Nobody uses the cache meanwhile.
    pub fn move_to_front(&self, index: usize, part: Part) {
        let Place { shape, keys, values, moving, .. } = &self.places[index];
        let Some(rows) = moving else { return };
        let heads = shape.kv_heads;
        for unit in part.range(2 * heads, 1) {
            let half = if unit < heads { keys } else { values };
            let (head_bytes, row_bytes) = (half.len() / heads, half.len() / heads / shape.positions);
            let start = half.start + unit % heads * head_bytes;
            // SAFETY: only this share has this head, and nobody else uses the cache in this phase.
            let head = unsafe { self.bytes.slice_mut(start..start + head_bytes) };
            head.copy_within(rows.start * row_bytes..rows.end * row_bytes, 0);
        }
    }
}
