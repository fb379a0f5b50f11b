//! What keeps a model from running, known before it runs.

use slimfit_formats::FormatsError;
use slimfit_kernels::KernelError;
use slimfit_kernels::pool::PoolError;
use slimfit_plan::PlanError;
use slimfit_quantity::format_bytes;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A model's files cannot be read.
    #[error(transparent)]
    Formats(#[from] FormatsError),
    /// The architecture cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No kernel, or no memory for one.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// No thread pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Weights, cache and buffers together exceed what this machine has left.
    #[error(
        "the model needs {} of memory, and {} are available; choose a smaller model, context or weight format",
        format_bytes(*needed_bytes as f64),
        format_bytes(*available_bytes as f64)
    )]
    OutOfMemory {
        /// Weights, cache, buffers and scratch.
        needed_bytes: u64,
        /// What the system says is available, limits of a container included.
        available_bytes: u64,
    },
    /// More tokens than the cache holds.
    #[error("{tokens} tokens after {position} do not fit a context of {context}")]
    ContextOverflow {
        /// Tokens to add.
        tokens: u64,
        /// Tokens in the cache.
        position: u64,
        /// Tokens it holds.
        context: u64,
    },
    /// Going back to where the text has not been.
    #[error("cannot go back to {position} tokens in a text of {length}")]
    NotThereYet {
        /// Tokens to keep.
        position: u64,
        /// Tokens in the cache.
        length: u64,
    },
    /// Going back to what a layer with a window has forgotten.
    #[error(
        "cannot go back to {position} tokens in a text of {length}: a layer with a window of {window} has forgotten what \
         the next token would see"
    )]
    Forgotten {
        /// Tokens to keep.
        position: u64,
        /// Tokens in the cache.
        length: u64,
        /// The layer's window.
        window: u64,
    },
    /// A context past the learned positions.
    #[error(
        "the model has {positions} learned positions, fewer than the context of {context} tokens asked for"
    )]
    NoSuchPosition {
        /// Rows of the position table that can be used.
        positions: u64,
        /// The context asked for.
        context: u64,
    },
    /// A token that is not in the vocabulary.
    #[error("token {token} (number {index} of those given) is outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Its place, from 0.
        index: usize,
        /// Tokens in the vocabulary.
        vocabulary: u64,
    },
    /// Nothing to compute.
    #[error("no token was given")]
    NoTokens,
    /// A tensor that its source does not give.
    #[error("tensor `{tensor}`: {reason}")]
    Tensor {
        /// Its canonical name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// Options of a session that do not belong to the weights or the pool it is given.
    #[error("a session with {what} `{found}` on a {owner} with `{allowed}`")]
    Mismatch {
        /// The option.
        what: &'static str,
        /// What was asked for.
        found: String,
        /// What it must fit.
        owner: &'static str,
        /// What that has.
        allowed: String,
    },
    /// A measurement of nothing.
    #[error("nothing to measure: both the prompt and the generated tokens are 0")]
    NothingToMeasure,
    /// The memory of a process cannot be read, or its measuring child failed.
    #[error("peak memory cannot be measured: {reason}")]
    MemoryProbe {
        /// What is wrong.
        reason: String,
    },
}
