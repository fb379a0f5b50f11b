//! The plan: slots, buffers and the ordered steps of one model in one set of formats.

use crate::build::Builder;
use crate::{
    Buffer, KvSlot, MatrixSlot, PlanError, RopeSlot, Shape, Step, TokenRows, VectorSlot, WeightFormats,
};
use slimfit_arch::Architecture;
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;

/// What a plan needs to know beside the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// How matrices are stored.
    pub weights: NumberFormat,
    /// How the KV cache is stored.
    pub kv: NumberFormat,
    /// The tier whose packing the weights take.
    pub isa: Isa,
    /// Threads that will run it.
    pub threads: u64,
    /// Positions the KV cache holds.
    pub context: u64,
    /// Most tokens computed in one step.
    pub chunk: u64,
}

impl PlanOptions {
    /// Most tokens of a prompt that one step computes: large enough for matrix products to run at their full rate,
    /// small enough that activations stay in the last cache.
    pub const CHUNK: u64 = 256;

    /// Options for `context` tokens in all, with the usual chunk.
    pub fn new(weights: NumberFormat, kv: NumberFormat, isa: Isa, threads: u64, context: u64) -> Self {
        Self { weights, kv, isa, threads, context, chunk: Self::CHUNK }
    }
}

/// The ordered operations of one step, with the slots and buffers they work on. The same list serves prefill and
/// decode: a [`Shape`] says how many tokens it computes and how many the cache holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it was made for.
    pub options: PlanOptions,
    /// Matrices in other formats than the options say.
    pub formats: WeightFormats,
    /// Weight matrices.
    pub matrices: Vec<MatrixSlot>,
    /// Norm weights, biases, the position table.
    pub vectors: Vec<VectorSlot>,
    /// Rotary tables.
    pub ropes: Vec<RopeSlot>,
    /// KV caches, in execution order.
    pub kv: Vec<KvSlot>,
    /// Values per token of each buffer in use.
    pub buffers: Vec<(Buffer, u64)>,
    /// The operations, in execution order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Plans `architecture`.
    ///
    /// # Errors
    /// When the architecture is impossible, a matrix does not fit the format, or an axis has no kernel.
    pub fn new(architecture: &Architecture, options: PlanOptions) -> Result<Self, PlanError> {
        Self::with_formats(architecture, options, WeightFormats::default())
    }

    /// Plans `architecture` with some matrices in formats of their own.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn with_formats(
        architecture: &Architecture,
        options: PlanOptions,
        formats: WeightFormats,
    ) -> Result<Self, PlanError> {
        if options.context == 0 || options.chunk == 0 {
            return Err(PlanError::EmptyContext);
        }
        architecture.validate()?;
        Builder::new(architecture, options, formats).build()
    }

    /// Tokens of `step` when the plan is run with `shape`.
    pub fn tokens_of(step: &Step, shape: Shape) -> u64 {
        match step.rows {
            TokenRows::All => shape.tokens,
            TokenRows::Last | TokenRows::First => 1,
        }
    }

    /// What a prompt of `tokens` executes, chunk by chunk: only the last chunk computes logits.
    pub fn prefill(&self, tokens: u64) -> impl Iterator<Item = (&Step, Shape)> {
        let shapes = Shape::prefill(tokens, self.options.chunk);
        let last = shapes.len().saturating_sub(1);
        shapes.into_iter().enumerate().flat_map(move |(chunk, shape)| {
            let runs = move |step: &&Step| step.rows == TokenRows::All || chunk == last;
            self.steps.iter().filter(runs).map(move |step| (step, shape))
        })
    }

    /// Values per token of `buffer`; 0 when the plan does not use it.
    pub fn buffer_width(&self, buffer: Buffer) -> u64 {
        self.buffers.iter().find(|(used, _)| *used == buffer).map_or(0, |(_, width)| *width)
    }

    /// Rows that `buffer` holds: one for logits, the chunk for the others.
    pub fn buffer_rows(&self, buffer: Buffer) -> u64 {
        if buffer == Buffer::Logits { 1 } else { self.options.chunk.min(self.options.context) }
    }
}
