//! What an operation costs more among others than repeated by itself.
//!
//! In a model's step each operation reads what another just wrote: on several threads partly in another core's cache, and
//! pushed out of the first cache by the weights read in between. Kernels that are timed by themselves find their input
//! where they left it. A sequence of a norm, a product and an activation over many matrices shows the difference.
#![expect(unsafe_code, reason = "threads read vectors that other operations of the sequence write")]

use super::{Pools, threads_in_words};
use crate::ProbeError;
use crate::schedule::{Log, Task};
use slimfit_hardware::HandOver;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{
    Activate, ActivateArgs, ActivationFunction, AlignedBytes, Invocation, Kernels, MatMul, MatMulArgs,
    NormArgs, NormFormula, NormOperation, Operation, PackedMatrix, Part, SharedMut, phases, scratch_bytes,
};
use slimfit_quantity::{Figure, NumberFormat};
use std::cell::RefCell;
use std::time::Instant;

/// Widths of the residual stream.
const WIDTHS: [u64; 2] = [512, 1536];
/// Tokens, and bytes of matrices that are gone through: more than the second cache holds for one token.
const TOKENS: [(u64, u64); 2] = [(1, 12 << 20), (64, 1 << 20)];
/// Operations of the sequence.
const OPERATIONS: usize = 3;

/// The sequence at one width: a norm, a product to twice the width, a gated activation back.
struct Sequence {
    norm: NormOperation,
    product: MatMul,
    activate: Activate,
    tokens: usize,
    matrices: Vec<PackedMatrix>,
    ones: Vec<f32>,
    buffers: RefCell<Buffers>,
}

/// The residual stream, its norm, and what the product writes.
struct Buffers {
    stream: AlignedBytes,
    normed: AlignedBytes,
    product: AlignedBytes,
    scratch: AlignedBytes,
}

/// A cost that is being measured.
pub(crate) struct Point {
    threads: u32,
    tokens: u64,
    activation_bytes: u64,
    log: Log,
}

impl Point {
    pub fn finish(&self) -> HandOver {
        // Noise can make the sequence look faster than its parts; nothing is then known to be lost.
        let at_least_none = |value: Option<f64>| value.map(|value| value.max(0.0));
        let figure = self.log.figure();
        HandOver {
            threads: self.threads,
            tokens: self.tokens,
            activation_bytes: self.activation_bytes,
            seconds: Figure {
                value: at_least_none(figure.value),
                low: at_least_none(figure.low),
                high: at_least_none(figure.high),
                ..figure
            },
        }
    }
}

/// The sequences of all sizes, for the most threads.
pub(crate) struct Arena(Vec<Sequence>);

impl Arena {
    pub fn new(kernels: &Kernels, threads: usize) -> Result<Self, ProbeError> {
        let mut sequences = Vec::new();
        for (tokens, bytes) in TOKENS {
            for width in WIDTHS {
                sequences.push(Sequence::new(kernels, tokens as usize, width, bytes, threads)?);
            }
        }
        Ok(Self(sequences))
    }
}

/// Adds the tasks, and the points that they fill.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    kernels: &'a Kernels,
    sentinel: &dyn Fn(usize) -> usize,
    tasks: &mut Vec<Task<'a>>,
) -> Vec<Point> {
    let mut points = Vec::new();
    for sequence in &arena.0 {
        for (place, pool) in pools.iter().enumerate() {
            let log = Log::default();
            tasks.push(Task {
                name: format!("hand-over of {} tokens, {}", sequence.tokens, threads_in_words(pool)),
                sentinel: sentinel(place),
                log: log.clone(),
                settling: 1,
                take: Box::new(move || sequence.extra_seconds(kernels, pool)),
            });
            points.push(Point {
                threads: pool.threads() as u32,
                tokens: sequence.tokens as u64,
                activation_bytes: sequence.activation_bytes(),
                log,
            });
        }
    }
    points
}

/// What is run of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Whole,
    Norms,
    Products,
    Activations,
}

impl Sequence {
    fn new(
        kernels: &Kernels,
        tokens: usize,
        width: u64,
        bytes: u64,
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
        let one = PackedMatrix::packed_bytes(format, rows, width, kernels.isa())?;
        let matrices = (0..bytes.div_ceil(one).max(2))
            .map(|_| {
                let mut matrix = PackedMatrix::new(format, rows as usize, width as usize, kernels.isa())?;
                (0..rows as usize).try_for_each(|index| matrix.pack_rows(index, &row))?;
                Ok(matrix)
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
        Ok(Self { norm, product, activate, tokens, matrices, ones: vec![1.0; width as usize], buffers })
    }

    /// Bytes that an operation reads and writes, mean over the three.
    fn activation_bytes(&self) -> u64 {
        let width = self.norm.width;
        // Norm: in and out; product: in and twice as much out; activation: that in and once out.
        4 * self.tokens as u64 * width * (2 + 3 + 3) / OPERATIONS as u64
    }

    /// Seconds that one operation takes more in the sequence than repeated by itself.
    fn extra_seconds(&self, kernels: &Kernels, pool: &Pool) -> f64 {
        let apart = [Run::Norms, Run::Products, Run::Activations].map(|run| self.seconds(kernels, pool, run));
        let whole = self.seconds(kernels, pool, Run::Whole);
        (whole - apart.iter().sum::<f64>()) / (OPERATIONS * self.matrices.len()) as f64
    }

    /// Seconds of one round over all matrices, after another that warms the caches.
    fn seconds(&self, kernels: &Kernels, pool: &Pool, run: Run) -> f64 {
        let Self { norm, product: operation, activate, tokens, matrices, ones, buffers } = self;
        let tokens = *tokens;
        let mut buffers = buffers.borrow_mut();
        let Buffers { stream, normed, product, scratch } = &mut *buffers;
        let stream = SharedMut::new(stream.as_f32_mut());
        let normed = SharedMut::new(normed.as_f32_mut());
        let between = SharedMut::new(product.as_f32_mut());
        let scratch = SharedMut::new(scratch.as_mut_slice());
        let round = || {
            let start = Instant::now();
            pool.run(|worker| {
                let execute = |kind: &Operation, invocation: &Invocation<'_>| {
                    for phase in 0..phases(kind, tokens) {
                        kernels.execute(invocation, Part { phase, index: worker.index, of: worker.count });
                        worker.barrier();
                    }
                };
                for matrix in matrices {
                    if matches!(run, Run::Whole | Run::Norms) {
                        // SAFETY: a barrier ended the operation that wrote this, and the norm writes elsewhere.
                        let input = unsafe { stream.slice(0..stream.len()) };
                        let args = NormArgs::new(norm, tokens, input, Some(ones), None, normed);
                        execute(&Operation::Norm(*norm), &Invocation::Norm(args));
                    }
                    if matches!(run, Run::Whole | Run::Products) {
                        // SAFETY: as above; the product writes elsewhere.
                        let input = unsafe { normed.slice(0..normed.len()) };
                        let args = MatMulArgs::new(operation, tokens, matrix, None, input, between, scratch);
                        execute(&Operation::MatMul(*operation), &Invocation::MatMul(args));
                    }
                    if matches!(run, Run::Whole | Run::Activations) {
                        // SAFETY: as above; the activation writes elsewhere.
                        let input = unsafe { between.slice(0..between.len()) };
                        let args = ActivateArgs::new(activate, tokens, input, None, stream);
                        execute(&Operation::Activate(*activate), &Invocation::Activate(args));
                    }
                }
            });
            start.elapsed().as_secs_f64()
        };
        round();
        round()
    }
}
