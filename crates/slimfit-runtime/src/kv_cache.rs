//! The keys and values of all layers and passes in one allocation.

use crate::RuntimeError;
use crate::seeded::{fill_uniform, mix};
use slimfit_kernels::{ALIGNMENT, AlignedBytes, KvLayer, SharedMut, WeightFormat};
use slimfit_plan::KvSlot;
use slimfit_quantity::NumberFormat;
use std::ops::Range;

/// One slot's place in the allocation.
#[derive(Debug)]
struct Place {
    slot: KvSlot,
    keys: Range<usize>,
    values: Range<usize>,
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
            places.push(Place { slot: *slot, keys: end..end + half, values: values..values + half });
            end = (values + half).next_multiple_of(ALIGNMENT);
        }
        let mut bytes = AlignedBytes::zeroed(end)?;
        bytes.as_mut_slice().fill(0);
        Ok(Self { bytes, places })
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
        let Place { slot, keys, values } = &self.places[slot];
        KvLayer::new(
            slot.format,
            slot.kv_heads as usize,
            slot.head_size as usize,
            slot.positions as usize,
            self.bytes.part(keys.clone()),
            self.bytes.part(values.clone()),
        )
    }
}
