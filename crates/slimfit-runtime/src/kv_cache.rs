//! The keys and values of all layers and passes in one allocation.

#![expect(unsafe_code, reason = "threads move the heads of a shared cache")]

use crate::RuntimeError;
use crate::seeded::{fill_uniform, mix};
use slimfit_kernels::{ALIGNMENT, AlignedBytes, KvLayer, Part, SharedMut, WeightFormat};
use slimfit_plan::KvSlot;
use slimfit_quantity::NumberFormat;
use std::ops::Range;

/// One slot's place in the allocation.
#[derive(Debug)]
struct Place {
    slot: KvSlot,
    keys: Range<usize>,
    values: Range<usize>,
    /// The position of the first row.
    first: u64,
    /// Rows that move to the front before the next tokens are stored, where there is no room for those.
    moving: Option<Range<usize>>,
}

/// The cache of a session, every page of it resident from the start.
#[derive(Debug)]
pub(crate) struct KvCache {
    bytes: AlignedBytes,
    places: Vec<Place>,
}

impl KvCache {
    pub(crate) fn new(slots: &[KvSlot]) -> Result<Self, RuntimeError> {
        let mut end = 0;
        let mut places = Vec::with_capacity(slots.len());
        for slot in slots {
            let half =
                KvLayer::half_bytes(slot.format, slot.kv_heads, slot.head_size, slot.positions)? as usize;
            let values = (end + half).next_multiple_of(ALIGNMENT);
            let (keys, values_range) = (end..end + half, values..values + half);
            places.push(Place { slot: *slot, keys, values: values_range, first: 0, moving: None });
            end = (values + half).next_multiple_of(ALIGNMENT);
        }
        let mut bytes = AlignedBytes::zeroed(end)?;
        bytes.as_mut_slice().fill(0);
        Ok(Self { bytes, places })
    }

    /// Makes room for `tokens` positions from `position` on: a slot without it forgets what no token sees any more. The
    /// rows themselves move during the run.
    pub(crate) fn make_room(&mut self, position: u64, tokens: u64) {
        for place in &mut self.places {
            place.moving = None;
            if position + tokens > place.first + place.slot.positions {
                let first = place.slot.first_seen(position);
                place.moving = Some((first - place.first) as usize..(position - place.first) as usize);
                place.first = first;
            }
        }
    }

    /// Puts every slot where it is after `position` tokens, with whatever it holds.
    pub(crate) fn place_at(&mut self, position: u64) {
        for place in &mut self.places {
            place.first = if position <= place.slot.positions { 0 } else { place.slot.first_seen(position) };
        }
    }

    /// The window of a slot that has forgotten what a token at `position` sees.
    pub(crate) fn forgotten(&self, position: u64) -> Option<u64> {
        let forgot = |place: &&Place| place.first > place.slot.first_seen(position);
        self.places.iter().find(forgot).and_then(|place| place.slot.window)
    }

    /// The cache for the threads of a run.
    pub(crate) fn share(&mut self) -> SharedKvCache<'_> {
        SharedKvCache { bytes: SharedMut::new(self.bytes.as_mut_slice()), places: &self.places }
    }

    /// Overwrites every position with values in −1..1 from a seed.
    pub(crate) fn fill_random(&mut self, seed: u64) {
        let mut piece = [0.0_f32; 1024];
        for (index, place) in self.places.iter().enumerate() {
            let format = match place.slot.format {
                NumberFormat::F16 => WeightFormat::F16,
                NumberFormat::Q8_0 => WeightFormat::Q8_0,
                _ => WeightFormat::F32,
            };
            for (half, range) in [(0, &place.keys), (1, &place.values)] {
                let stream = mix(seed ^ mix(2 * index as u64 + half));
                let bytes = &mut self.bytes.as_mut_slice()[range.clone()];
                for (number, bytes) in bytes.chunks_mut(format.row_bytes(piece.len())).enumerate() {
                    fill_uniform(stream, (number * piece.len()) as u64, 0.0, 1.0, &mut piece);
                    let values = bytes.len() / format.block_bytes() * format.block_values();
                    format.encode_row(&piece[..values], bytes);
                }
            }
        }
    }
}

/// The cache as the threads of a run see it.
#[derive(Clone, Copy)]
pub(crate) struct SharedKvCache<'a> {
    bytes: SharedMut<'a, u8>,
    places: &'a [Place],
}

impl<'a> SharedKvCache<'a> {
    pub(crate) fn layer(&self, slot: usize) -> KvLayer<'a> {
        let Place { slot, keys, values, first, .. } = &self.places[slot];
        let layer = KvLayer::new(
            slot.format,
            slot.kv_heads as usize,
            slot.head_size as usize,
            slot.positions as usize,
            self.bytes.part(keys.clone()),
            self.bytes.part(values.clone()),
        );
        layer.beginning_at(*first as usize)
    }

    /// Whether rows of a slot have to move before it is used.
    pub(crate) fn moves(&self, slot: usize) -> bool {
        self.places[slot].moving.is_some()
    }

    /// Moves a share's heads of a slot, keys and values each, to the front.
    pub(crate) fn move_to_front(&self, slot: usize, part: Part) {
        let Place { slot, keys, values, moving, .. } = &self.places[slot];
        let Some(rows) = moving else { return };
        let heads = slot.kv_heads as usize;
        for unit in part.range(2 * heads, 1) {
            let half = if unit < heads { keys } else { values };
            let (head_bytes, row_bytes) = (half.len() / heads, half.len() / heads / slot.positions as usize);
            let start = half.start + unit % heads * head_bytes;
            // SAFETY: only this share has this head, and nobody else uses the cache in this phase.
            let head = unsafe { self.bytes.slice_mut(start..start + head_bytes) };
            head.copy_within(rows.start * row_bytes..rows.end * row_bytes, 0);
        }
    }
}
