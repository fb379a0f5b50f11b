//! A product as a race runs it: a matrix as often as the working set holds it, so that its copies come from where a
//! model's matrices would; and of many tokens, beside an operation that takes the results token by token, as one between
//! products does. By itself each thread would find its results' lines where it left them, however the threads split the
//! work, while in a model those that another thread touched come back slowly.
#![expect(unsafe_code, reason = "each thread touches its own tokens' results")]

use super::TuningKey;
use crate::matmul::{Layout, MatMulArgs, MatMulVariant};
use crate::memory::AlignedBytes;
use crate::operation::{MatMul, Operation};
use crate::packed::PackedMatrix;
use crate::pool::Pool;
use crate::{KernelError, Part, SharedMut, phases, scratch_bytes};
use std::time::{Duration, Instant};

/// A sample is at least this long.
const LEAST: Duration = Duration::from_micros(1500);

pub(super) struct Subject {
    operation: MatMul,
    tokens: usize,
    matrix: PackedMatrix,
    /// Copies of the packed matrix, one after the other.
    copies: AlignedBytes,
    input: Vec<f32>,
    output: Vec<f32>,
    scratch: AlignedBytes,
}

impl Subject {
    /// # Errors
    /// A shape that its format cannot hold, or memory is refused.
    pub(super) fn new(key: &TuningKey, layout: Layout, pool: &Pool) -> Result<Self, KernelError> {
        let (rows, columns) = (key.rows as usize, key.columns as usize);
        let mut matrix = PackedMatrix::with_layout(layout, rows, columns)?;
        let value = |place: usize| (place * 31 % 41) as f32 / 20.0 - 1.0;
        // Rows that differ are of no use to a race, and packing many takes longer than it.
        let values: Vec<f32> = (0..columns).map(value).collect();
        for row in 0..rows {
            matrix.pack_rows(row, &values)?;
        }
        let bytes = matrix.bytes().len();
        let count = if key.tokens == 1 { (key.working_set_bytes as usize).div_ceil(bytes).max(1) } else { 1 };
        let mut copies = AlignedBytes::zeroed(count * bytes)?;
        copies.as_mut_slice().chunks_exact_mut(bytes).for_each(|copy| copy.copy_from_slice(matrix.bytes()));
        let operation = MatMul {
            rows: key.rows,
            columns: key.columns,
            format: key.format,
            bias: false,
            accumulate: None,
            softcap: None,
        };
        let scratch = scratch_bytes(&Operation::MatMul(operation), key.tokens, 0, pool.threads());
        Ok(Self {
            operation,
            tokens: key.tokens,
            matrix,
            copies,
            input: (0..key.tokens * columns).map(value).collect(),
            output: vec![0.0; key.tokens * rows],
            scratch: AlignedBytes::zeroed(scratch)?,
        })
    }

    /// Seconds of one product, mean over all copies and as many passes as make a sample long enough.
    pub(super) fn seconds(&mut self, pool: &Pool, entry: &MatMulVariant) -> f64 {
        let args = MatMulArgs::new(
            &self.operation,
            self.tokens,
            &self.matrix,
            None,
            &self.input,
            SharedMut::new(&mut self.output),
            SharedMut::new(self.scratch.as_mut_slice()),
        );
        let bytes = self.matrix.bytes().len();
        let phases = phases(&Operation::MatMul(self.operation), self.tokens);
        let (tokens, rows) = (self.tokens, self.operation.rows as usize);
        let (copies, mut products) = (self.copies.as_slice(), 0);
        let start = Instant::now();
        loop {
            pool.run(|worker| {
                for copy in copies.chunks_exact(bytes) {
                    let args = args.with_packed_bytes(copy);
                    for phase in 0..phases {
                        entry.run(&args, Part { phase, index: worker.index, of: worker.count });
                        worker.barrier();
                    }
                    if tokens > 1 && worker.count > 1 {
                        let part = Part { phase: 0, index: worker.index, of: worker.count };
                        let own = part.range(tokens, 1);
                        // SAFETY: a barrier ended the product that wrote it; no other thread has these tokens.
                        touch(unsafe { args.output.slice_mut(own.start * rows..own.end * rows) });
                        worker.barrier();
                    }
                }
            });
            products += copies.len() / bytes;
            let elapsed = start.elapsed();
            if elapsed >= LEAST {
                return elapsed.as_secs_f64() / products as f64;
            }
        }
    }
}

/// Reads and writes a value of every line.
fn touch(values: &mut [f32]) {
    const LINE_VALUES: usize = 64 / size_of::<f32>();
    for value in values.iter_mut().step_by(LINE_VALUES) {
        *value = std::hint::black_box(*value);
    }
}
