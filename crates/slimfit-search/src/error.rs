//! What can go wrong when a space is read or searched.

use slimfit_document::DocumentError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file that cannot be read, or that says what no space or workload can say.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name that is not built in.
    #[error("{kind} `{found}` is not known; known are {allowed}, or name a file{}", .hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default())]
    Unknown {
        /// `search space`, `workload`, `objective` …
        kind: &'static str,
        /// The name asked for.
        found: String,
        /// All names, comma-separated.
        allowed: String,
        /// The nearest name, as a question.
        hint: Option<String>,
    },
    /// A limit or objective that cannot be used.
    #[error("`{name}`: found {found}; allowed: {allowed}")]
    Option {
        /// The option.
        name: String,
        /// Its value.
        found: String,
        /// Its bounds.
        allowed: String,
    },
    /// A figure per token where tokens differ in length.
    #[error(
        "`{found}` counts tokens, and the space has vocabularies of {vocabularies}: their tokens are different lengths of text; allowed: `{allowed}`"
    )]
    Tokenizers {
        /// The objective.
        found: String,
        /// The vocabularies.
        vocabularies: String,
        /// The same per byte of text.
        allowed: String,
    },
    /// What was kept of a search cannot be gone on from.
    #[error("what was kept of this search was not made by this version: {0}; search into another folder")]
    Kept(String),
    /// The journal of a search cannot be read or written.
    #[error(transparent)]
    Journal(#[from] slimfit_study::StudyError),
    /// The cost of the space's points cannot be predicted.
    #[error(transparent)]
    Cost(#[from] slimfit_cost::CostError),
    /// The quality of the space's points cannot be predicted.
    #[error(transparent)]
    Quality(#[from] slimfit_quality::QualityError),
}
