//! What can go wrong between a file and an architecture.

use slimfit_arch::ArchitectureError;
use slimfit_document::DocumentError;

/// A model that cannot be found, read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatsError {
    /// A text file, or a field of it, is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The sizes fit no architecture.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A binary file is damaged or of an unsupported kind.
    #[error("{file}: {message} (at byte {offset})")]
    Binary {
        /// The file.
        file: String,
        /// Where reading stopped.
        offset: u64,
        /// What is wrong there.
        message: String,
    },
    /// A tensor that its source does not give.
    #[error("tensor `{tensor}`: {reason}")]
    Tensor {
        /// Its canonical name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// A reference names neither a file nor a built-in model.
    #[error("no model `{reference}`: neither a file or folder nor a built-in name")]
    UnknownModel {
        /// What was asked for.
        reference: String,
        /// The nearest built-in names, or how to list them.
        hint: String,
    },
}

impl FormatsError {
    /// The same as an error of a document, for one way of printing them all.
    pub fn into_document(self) -> DocumentError {
        match self {
            Self::Document(error) => error,
            Self::Architecture(ArchitectureError::Field { field, found, allowed }) => {
                let message = "the architecture cannot exist";
                DocumentError::new("architecture", message).field(field).found(found).allowed(allowed)
            }
            Self::Architecture(other) => DocumentError::new("architecture", other.to_string()),
            Self::Binary { file, offset, message } => {
                DocumentError::new("binary", format!("{message} (at byte {offset})")).file(file)
            }
            Self::Tensor { .. } => DocumentError::new("tensor", self.to_string()),
            Self::UnknownModel { ref hint, ref reference } => {
                let error = DocumentError::new("unknown_model", self.to_string()).found(reference);
                error.hint(hint.clone())
            }
        }
    }
}
