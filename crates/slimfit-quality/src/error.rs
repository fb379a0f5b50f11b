//! What can go wrong when a model is valued.

use crate::Refusal;
use slimfit_arch::ArchitectureError;
use slimfit_document::DocumentError;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QualityError {
    /// A recipe name that is not built in.
    #[error("recipe `{found}` is not known; known are {allowed}{}", .hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    UnknownRecipe {
        /// The name asked for.
        found: String,
        /// All names, comma-separated.
        allowed: String,
        /// The nearest name, as a question.
        hint: Option<String>,
    },
    /// The law does not reach this model.
    #[error("quality of this model cannot be predicted: {what} is {found}; allowed: {allowed}")]
    Refused {
        /// Which rule refused it.
        refusal: Refusal,
        /// What is out of bounds.
        what: String,
        /// Its value.
        found: String,
        /// Its bounds.
        allowed: String,
    },
    /// A recipe file that cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An architecture that cannot exist.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
}
