//! A sequence of operations as a model's step runs it: a norm, a product and a gated activation over each of many
//! matrices, each reading what another just wrote.
#![expect(unsafe_code, reason = "threads read vectors that other operations of the sequence write")]

use crate::ProbeError;
use slimfit_kernels::pool::Worker;
use slimfit_kernels::{
    Activate, ActivateArgs, ActivationFunction, AlignedBytes, Invocation, Kernels, MatMul, MatMulArgs,
    NormArgs, NormFormula, NormOperation, Operation, PackedMatrix, Part, Seat, SharedMut, phases, pieces,
    scratch_bytes,
};
use slimfit_quantity::NumberFormat;
use std::cell::{RefCell, RefMut};

/// Operations on one matrix.
pub(crate) const OPERATIONS: usize = 3;

/// The sequence at one width: a norm, a product to twice the width, a gated activation back.
pub(crate) struct Sequence {
    operations: Operations,
    matrices: Vec<PackedMatrix>,
    buffers: RefCell<Buffers>,
}

/// What is done with each matrix.
struct Operations {
    norm: NormOperation,
    product: MatMul,
    activate: Activate,
    tokens: usize,
    ones: Vec<f32>,
}

/// The residual stream, its norm, and what the product writes.
struct Buffers {
    stream: AlignedBytes,
    normed: AlignedBytes,
    product: AlignedBytes,
    scratch: AlignedBytes,
}

/// What is run of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Whole,
    Norms,
    Products,
    Activations,
}

/// The sequence's vectors, held for one or more runs.
pub(crate) struct Held<'a>(RefMut<'a, Buffers>);

/// The same as threads share them.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    operations: &'a Operations,
    kernels: &'a Kernels,
    stream: SharedMut<'a, f32>,
    normed: SharedMut<'a, f32>,
    between: SharedMut<'a, f32>,
    scratch: SharedMut<'a, u8>,
}

impl Sequence {
    /// Equal matrices of `bytes` together, at least `fewest`, for so many tokens and at most so many threads.
    pub fn new(
        kernels: &Kernels,
        tokens: usize,
        width: u64,
        (bytes, fewest): (u64, u64),
        threads: usize,
    ) -> Result<Self, ProbeError> {
        let format = NumberFormat::Q8_0;
        let formula = NormFormula::Rms;
        let norm =
            NormOperation { width, formula, epsilon: 1e-5, weight: true, bias: false, accumulate: None };
        let rows = 2 * width;
        let product = MatMul { rows, columns: width, format, bias: false, accumulate: None, softcap: None };
        let function = ActivationFunction::Silu;
        let activate = Activate { size: width, gated: true, function, scaled: false };
        let row: Vec<f32> = (0..width).map(|column| (column * 37 % 61) as f32 / 30.5 - 1.0).collect();
        let mut first = PackedMatrix::new(format, rows as usize, width as usize, kernels.isa())?;
        (0..rows as usize).try_for_each(|index| first.pack_rows(index, &row))?;
        let one = first.bytes().len();
        let count = bytes.div_ceil(one as u64).max(fewest) as usize;
        // One mapping for all, as a model's weights have: small pieces share huge pages.
        let matrices = AlignedBytes::zeroed_parts(&vec![one; count])?
            .into_iter()
            .map(|mut bytes| {
                bytes.as_mut_slice().copy_from_slice(first.bytes());
                Ok(PackedMatrix::in_memory(format, rows as usize, width as usize, kernels.isa(), bytes)?)
            })
            .collect::<Result<_, ProbeError>>()?;
        let values = tokens * width as usize * 4;
        let mut stream = AlignedBytes::zeroed(values)?;
        stream.as_f32_mut().fill(0.5);
        let scratch = scratch_bytes(&Operation::MatMul(product), tokens, 0, threads).max(64);
        let buffers = RefCell::new(Buffers {
            stream,
            normed: AlignedBytes::zeroed(values)?,
            product: AlignedBytes::zeroed(2 * values)?,
            scratch: AlignedBytes::zeroed(scratch)?,
        });
        let operations = Operations { norm, product, activate, tokens, ones: vec![1.0; width as usize] };
        Ok(Self { operations, matrices, buffers })
    }

    /// Tokens that it is run for.
    pub fn tokens(&self) -> usize {
        self.operations.tokens
    }

    /// Its matrices.
    pub fn matrices(&self) -> &[PackedMatrix] {
        &self.matrices
    }

    /// Bytes of one matrix.
    pub fn matrix_bytes(&self) -> u64 {
        self.matrices[0].bytes().len() as u64
    }

    /// Bytes that an operation reads and writes, mean over the three.
    pub fn activation_bytes(&self) -> u64 {
        let width = self.operations.norm.width;
        // Norm: in and out; product: in and twice as much out; activation: that in and once out.
        4 * self.operations.tokens as u64 * width * (2 + 3 + 3) / OPERATIONS as u64
    }

    /// Takes the vectors for a run.
    pub fn hold(&self) -> Held<'_> {
        Held(self.buffers.borrow_mut())
    }

    /// The vectors as the threads of a run share them.
    pub fn share<'a>(&'a self, kernels: &'a Kernels, held: &'a mut Held<'_>) -> Shared<'a> {
        let Buffers { stream, normed, product, scratch } = &mut *held.0;
        Shared {
            operations: &self.operations,
            kernels,
            stream: SharedMut::new(stream.as_f32_mut()),
            normed: SharedMut::new(normed.as_f32_mut()),
            between: SharedMut::new(product.as_f32_mut()),
            scratch: SharedMut::new(scratch.as_mut_slice()),
        }
    }
}

impl Shared<'_> {
    /// Does this worker's part of `run` on each of `matrices`; a phase ends when all workers are done with it.
    pub fn go_through(&self, worker: &Worker<'_>, matrices: &[PackedMatrix], run: Run) {
        let Self { operations, stream, normed, between, scratch, .. } = *self;
        let Operations { norm, product, activate, tokens, ones } = operations;
        let tokens = *tokens;
        for matrix in matrices {
            if matches!(run, Run::Whole | Run::Norms) {
                self.execute(worker, &Operation::Norm(*norm), || {
                    // SAFETY: a barrier ended the operation that wrote this, and the norm writes elsewhere.
                    let input = unsafe { stream.slice(0..stream.len()) };
                    Invocation::Norm(NormArgs::new(norm, tokens, input, Some(ones), None, normed))
                });
            }
            if matches!(run, Run::Whole | Run::Products) {
                self.execute(worker, &Operation::MatMul(*product), || {
                    // SAFETY: as above; the product writes elsewhere.
                    let input = unsafe { normed.slice(0..normed.len()) };
                    Invocation::MatMul(MatMulArgs::new(
                        product, tokens, matrix, None, input, between, scratch,
                    ))
                });
            }
            if matches!(run, Run::Whole | Run::Activations) {
                self.execute(worker, &Operation::Activate(*activate), || {
                    // SAFETY: as above; the activation writes elsewhere.
                    let input = unsafe { between.slice(0..between.len()) };
                    Invocation::Activate(ActivateArgs::new(activate, tokens, input, None, stream))
                });
            }
        }
    }

    /// Buffers are bound by who gets work, and only then: where phases are claimed, a worker may come when others are
    /// further on and write them.
    fn execute<'i>(&self, worker: &Worker<'_>, kind: &Operation, bind: impl Fn() -> Invocation<'i>) {
        let tokens = self.operations.tokens;
        let mut bound = None;
        for phase in 0..phases(kind, tokens) {
            let claimed = worker.claims().then(|| pieces(kind, tokens, 0, phase, worker.count));
            worker.phase(claimed.map_or(worker.count, |pieces| pieces.count()), |piece, again| {
                let (index, of) = claimed.map_or((piece, worker.count), |pieces| pieces.share(piece));
                let seat = Seat { index: worker.index, of: worker.count, again };
                self.kernels.execute_from(bound.get_or_insert_with(&bind), Part { phase, index, of }, seat);
            });
        }
    }
}
