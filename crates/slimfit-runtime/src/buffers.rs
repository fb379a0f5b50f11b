//! Activation buffers of a session in one allocation, and the scratch that operations share.

use crate::RuntimeError;
use slimfit_kernels::{ALIGNMENT, AlignedBytes, SharedMut};
use slimfit_plan::{Buffer, Plan};

/// Where a buffer begins and how long it is, in f32 values; unused ones are empty.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    first: usize,
    values: usize,
}

/// Every buffer of a plan, sized for its chunk, every page resident from the start.
#[derive(Debug)]
pub(crate) struct Buffers {
    activations: AlignedBytes,
    places: [Place; Buffer::ALL.len()],
    scratch: AlignedBytes,
}

impl Buffers {
    pub(crate) fn new(plan: &Plan) -> Result<Self, RuntimeError> {
        let mut places = [Place::default(); Buffer::ALL.len()];
        let mut end = 0;
        for &(buffer, width) in &plan.buffers {
            let values = (width * plan.buffer_rows(buffer)) as usize;
            places[buffer as usize] = Place { first: end, values };
            end = (end + values).next_multiple_of(ALIGNMENT / 4);
        }
        let mut activations = AlignedBytes::zeroed(4 * end)?;
        activations.as_mut_slice().fill(0);
        let mut scratch = AlignedBytes::zeroed(plan.scratch_bytes() as usize)?;
        scratch.as_mut_slice().fill(0);
        Ok(Self { activations, places, scratch })
    }

    /// The buffers for the threads of a run.
    pub(crate) fn share(&mut self) -> SharedBuffers<'_> {
        SharedBuffers {
            activations: SharedMut::new(self.activations.as_f32_mut()),
            places: &self.places,
            scratch: SharedMut::new(self.scratch.as_mut_slice()),
        }
    }

    /// The values of a buffer after a run.
    pub(crate) fn read(&self, buffer: Buffer) -> &[f32] {
        let Place { first, values } = self.places[buffer as usize];
        &self.activations.as_f32()[first..first + values]
    }
}

/// The buffers as the threads of a run see them.
#[derive(Clone, Copy)]
pub(crate) struct SharedBuffers<'a> {
    activations: SharedMut<'a, f32>,
    places: &'a [Place; Buffer::ALL.len()],
    pub(crate) scratch: SharedMut<'a, u8>,
}

impl<'a> SharedBuffers<'a> {
    /// Rows `row..row + rows` of a buffer whose rows are `width` values apart.
    pub(crate) fn rows(&self, buffer: Buffer, row: usize, rows: usize, width: usize) -> SharedMut<'a, f32> {
        let Place { first, values } = self.places[buffer as usize];
        let (start, end) = (row * width, (row + rows) * width);
        assert!(end <= values, "rows {row}..{} of {width} values in `{buffer:?}` with {values}", row + rows);
        self.activations.part(first + start..first + end)
    }
}
