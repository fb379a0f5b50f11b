//! What cannot be planned.

use slimfit_arch::ArchitectureError;
use slimfit_quantity::QuantityError;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The architecture itself is impossible.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A matrix or a cache (`kv_cache`, whose rows are heads) that its format cannot hold.
    #[error("`{label}` has rows of {columns} values, which {source}; choose a multiple or another format")]
    Format {
        /// The matrix.
        label: &'static str,
        /// Its columns.
        columns: u64,
        /// Why.
        source: QuantityError,
    },
    /// An axis that no kernel computes.
    #[error("{what} is counted but no kernel computes it")]
    NoKernel {
        /// The axis.
        what: &'static str,
    },
    /// A format or a size that no kernel holds.
    #[error(transparent)]
    Kernel(#[from] slimfit_kernels::KernelError),
    /// A size past 64 bits.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// A context of no tokens.
    #[error("the context is 0 tokens; it must hold at least the prompt and what is generated")]
    EmptyContext,
}
