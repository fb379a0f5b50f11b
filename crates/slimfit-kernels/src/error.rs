//! What can go wrong before a kernel runs. Inside one, a wrong length is a broken promise and panics.

use crate::IsaError;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// No kernel does this.
    #[error("operation `{operation}` does not support {what}")]
    Unsupported {
        /// The operation's name.
        operation: &'static str,
        /// What of it has no kernel.
        what: String,
    },
    /// A row does not divide into whole blocks of its format.
    #[error("a row of {columns} values is not made of whole `{format}` blocks of {block} values")]
    PartialBlock {
        /// Values of the row.
        columns: u64,
        /// The format's name.
        format: &'static str,
        /// Values of a block.
        block: u64,
    },
    /// Something larger than this machine can address.
    #[error("a `{format}` matrix of {rows} x {columns} does not fit the address space")]
    TooLarge {
        /// Rows of the matrix.
        rows: u64,
        /// Columns of the matrix.
        columns: u64,
        /// The format's name.
        format: &'static str,
    },
    /// Rows given to a matrix that are not its own.
    #[error(
        "rows {first}..{end} do not belong to a matrix of {rows} rows, or are given as {found} values or bytes instead of {expected}"
    )]
    Rows {
        /// First row given.
        first: usize,
        /// One past the last row given.
        end: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Values or bytes given.
        found: usize,
        /// Values or bytes of that many rows.
        expected: usize,
    },
    /// The system gave no memory.
    #[error("the system refused {bytes} bytes of memory")]
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// A tuning that was made for other kernels.
    #[error("a tuning names `{variant}` for `{key}`, which this version does not have; tune again")]
    UnknownTuning {
        /// What was tuned.
        key: String,
        /// What was chosen.
        variant: String,
    },
    /// The instruction set cannot be had.
    #[error(transparent)]
    Isa(#[from] IsaError),
}
