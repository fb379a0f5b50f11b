//! What cannot be emitted.

use slimfit_document::DocumentError;
use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// The folder holds something already.
    #[error("`{}` is not empty; name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The kernels' crate cannot be named so.
    #[error("`{0}` gives no name for a crate: it needs a letter or digit of ASCII")]
    Unnameable(String),
    /// Kernels of another architecture than this program's.
    #[error("kernels for `{0}` are written on a machine of its architecture")]
    ForeignTier(&'static str),
    /// A broken promise of this program.
    #[error("internal: {0}")]
    Internal(&'static str),
    /// Writing failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A count does not fit 64 bits.
    #[error(transparent)]
    Architecture(#[from] slimfit_arch::ArchitectureError),
    /// A file of a format cannot be written.
    #[error(transparent)]
    Formats(#[from] slimfit_formats::FormatsError),
}
