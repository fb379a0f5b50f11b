//! What can go wrong before and between steps. Inside one, a wrong length is a broken promise and panics.

use crate::pool::PoolError;
use crate::{IsaError, KernelError};
use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The weights cannot be read.
    #[error("`{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no GGUF, or ends too early.
    #[error("`{}` is no GGUF file that can be read: {reason}", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file is of another model, or lacks a tensor, or has one in another shape or format.
    #[error("`{}` does not hold this model: {reason}", path.display())]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// What was found and what this crate was made for.
        reason: String,
    },
    /// A token outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocabulary}")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Tokens that there are.
        vocabulary: usize,
    },
    /// No token, or more than the context has room for.
    #[error("{tokens} tokens after {position} do not fit the context of {context}")]
    Context {
        /// Tokens asked for.
        tokens: usize,
        /// Tokens so far.
        position: usize,
        /// The most there may be.
        context: usize,
    },
    /// A kernel or its memory.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The instruction set that the environment asks for.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// The threads.
    #[error(transparent)]
    Pool(#[from] PoolError),
}
