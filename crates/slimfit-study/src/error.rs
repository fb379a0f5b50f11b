//! What can go wrong with a study.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// No study there.
    #[error("`{}` holds no study: `study.sqlite` is missing", .0.display())]
    Missing(PathBuf),
    /// The folder holds a study already, of other inputs.
    #[error("`{}` already holds a study of {found}; choose another folder", path.display())]
    OtherStudy {
        /// The folder.
        path: PathBuf,
        /// What it is a study of.
        found: String,
    },
    /// The folder or a file in it cannot be written or read.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The store refuses.
    #[error("`{}`: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The store was written by an unknown version.
    #[error("`{}` is of store version {found}; this program reads version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The version this program reads.
        known: i64,
    },
    /// A record that does not parse.
    #[error("record `{kind}` of `{}` cannot be read: {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The record's kind.
        kind: String,
        /// The parser's answer.
        source: serde_json::Error,
    },
    /// Writing a file failed.
    #[error(transparent)]
    Document(#[from] slimfit_document::DocumentError),
}
