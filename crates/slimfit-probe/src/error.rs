//! What can stop a measurement.

use slimfit_kernels::pool::PoolError;
use slimfit_kernels::{IsaError, KernelError};

/// Errors of this crate. What merely cannot be measured is no error: its figure is unavailable, with the reason.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The system states its memory nowhere.
    #[error("the size of the memory is not stated: neither `/proc/meminfo` nor the system library gives it")]
    MemoryUnknown,
    /// `SLIMFIT_ISA` names no tier of this machine.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// A pool of threads was refused.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A kernel could not be set up.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The system refused memory for a buffer.
    #[error(
        "cannot map {bytes} bytes to measure with: {source}\nhint: free some memory, or raise the container's limit"
    )]
    Memory {
        /// The size asked for.
        bytes: usize,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A budget that nothing can be measured in.
    #[error("a budget of {found} s is outside what can be kept; allowed: 2 s to 3600 s")]
    Budget {
        /// Seconds asked for.
        found: f64,
    },
    /// The tables hold no loop for this architecture.
    #[error("no {what} loop runs on this machine under the instruction set `{isa}`")]
    NoLoop {
        /// `read`, `peak` …
        what: &'static str,
        /// The cap.
        isa: &'static str,
    },
    /// The caller wanted to stop.
    #[error("the measurement was stopped")]
    Stopped,
}
