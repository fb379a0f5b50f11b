//! What can go wrong when a model is valued.

use crate::Refusal;
use crate::fit::FitRefusal;
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
    /// Training runs that cannot become a recipe.
    #[error("these training runs cannot be fitted: {} is {found}; allowed: {allowed}\nhint: {hint}", .refusal.subject())]
    FitRefused {
        /// Which rule refused them.
        refusal: FitRefusal,
        /// What they are.
        found: String,
        /// What is asked of them.
        allowed: String,
        /// What to do.
        hint: &'static str,
    },
    /// A form of fit that does not exist.
    #[error("form `{found}` is not known; known are {allowed}{}", .hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    UnknownForm {
        /// The name asked for.
        found: String,
        /// All names, comma-separated.
        allowed: String,
        /// The nearest name, as a question.
        hint: Option<String>,
    },
    /// A recipe file that cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An architecture that cannot exist.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
}

impl QualityError {
    /// The same as an error of a document, for one way of printing them all.
    pub fn into_document(self) -> DocumentError {
        match self {
            Self::Document(error) => error,
            Self::Refused { refusal, what, found, allowed } => {
                let message = format!("quality of this model cannot be predicted: {what}");
                let error = DocumentError::new("quality", message).found(found).allowed(allowed);
                match refusal.field() {
                    Some(field) => error.field(field),
                    None => error,
                }
            }
            Self::UnknownRecipe { found, allowed, hint } => {
                let error = DocumentError::new("quality", "no recipe of this name").field("recipe");
                error.found(format!("`{found}`")).allowed(allowed).maybe_hint(hint)
            }
            Self::FitRefused { refusal, found, allowed, hint } => {
                let message = format!("these training runs cannot be fitted: {}", refusal.subject());
                DocumentError::new("quality", message).found(found).allowed(allowed).hint(hint)
            }
            Self::UnknownForm { found, allowed, hint } => {
                let error = DocumentError::new("quality", "no form of this name").field("--form");
                error.found(format!("`{found}`")).allowed(allowed).maybe_hint(hint)
            }
            Self::Architecture(ArchitectureError::Field { field, found, allowed }) => {
                let error = DocumentError::new("architecture", "the architecture cannot exist").field(field);
                error.found(found).allowed(allowed)
            }
            Self::Architecture(other) => DocumentError::new("architecture", other.to_string()),
        }
    }
}
