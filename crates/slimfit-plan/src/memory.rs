//! Memory of a plan to the byte: what the runtime allocates for it.

use crate::{Buffer, Plan, Shape, Step};

/// Bytes by what holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Packed weight matrices.
    pub weight_bytes: u64,
    /// Norm weights, biases, position tables, rotary tables.
    pub vector_bytes: u64,
    /// KV caches.
    pub kv_bytes: u64,
    /// Activation buffers.
    pub buffer_bytes: u64,
    /// The largest scratch of any operation.
    pub scratch_bytes: u64,
}

impl Memory {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.weight_bytes + self.vector_bytes + self.kv_bytes + self.buffer_bytes + self.scratch_bytes
    }
}

impl Plan {
    /// What the runtime allocates for this plan.
    pub fn memory(&self) -> Memory {
        let weight_bytes = self.matrices.iter().map(|slot| slot.packed_bytes).sum();
        let values: u64 = self.vectors.iter().map(|slot| slot.values).sum();
        // A rotary table holds a cosine and a sine for each pair of each position.
        let rope_values: u64 = self.ropes.iter().map(|slot| slot.rotated * self.options.context).sum();
        let rows = |buffer| self.buffer_rows(buffer);
        let buffer_bytes =
            self.buffers.iter().map(|&(buffer, width): &(Buffer, u64)| 4 * width * rows(buffer)).sum();
        Memory {
            weight_bytes,
            vector_bytes: 4 * (values + rope_values),
            kv_bytes: self.kv.iter().map(|slot| slot.bytes()).sum(),
            buffer_bytes,
            scratch_bytes: self.scratch_bytes(),
        }
    }

    /// Scratch that the greediest operation needs, for all threads together.
    pub fn scratch_bytes(&self) -> u64 {
        self.steps.iter().map(|step| self.scratch_bytes_of(step)).max().unwrap_or(0)
    }

    /// Scratch that one step needs, for all threads together.
    pub fn scratch_bytes_of(&self, step: &Step) -> u64 {
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let chunk = self.options.chunk.min(self.options.context);
        let (keys, threads) = (size(self.options.context), size(self.options.threads));
        // Kernels for one token and for several need different scratch, and neither is always the greater.
        let shapes = [1, 2.min(chunk), chunk].map(|tokens| Shape { tokens, first_position: 0 });
        let of_shape = |shape| {
            let tokens = size(Self::tokens_of(step, shape));
            slimfit_kernels::scratch_bytes(&step.operation, tokens, keys, threads) as u64
        };
        shapes.map(of_shape).into_iter().max().unwrap_or(0)
    }
}
