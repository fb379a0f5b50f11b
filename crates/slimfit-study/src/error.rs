//! What can go wrong with a study.

use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

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
    /// No room.
    #[error("`{}` cannot be written: the disk is full", .0.display())]
    Full(PathBuf),
    /// The system takes no more bytes, for another reason than a full disk.
    #[error("`{}` cannot be written: the system refuses it (a file-size limit, a quota or a failing disk)", .0.display())]
    Refused(PathBuf),
    /// It may not be written.
    #[error("`{}` may not be written", .0.display())]
    ReadOnly(PathBuf),
    /// Another process holds it.
    #[error("`{}` is held by another process", .0.display())]
    Busy(PathBuf),
    /// Not a store of ours.
    #[error("`{}` is no study of slimfit", .0.display())]
    NotAStudy(PathBuf),
    /// The store's content breaks its own rules.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The store refuses.
    #[error("`{}`: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// The store was written by a newer version of the program.
    #[error("`{}` has store version {found}, written by a newer slimfit", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version that this program reads.
        known: i64,
    },
    /// No search of that number.
    #[error("`{}` holds no search {found}", path.display())]
    NoSearch {
        /// The file.
        path: PathBuf,
        /// The number asked for.
        found: i64,
    },
    /// A point that says something of a name that is no objective of its search.
    #[error("point `{id}` has a value of `{found}`, which is no objective of the search")]
    ForeignObjective {
        /// The point.
        id: String,
        /// The name.
        found: String,
        /// The search's objectives.
        allowed: String,
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

/// SQLite's extended codes of what makes a file longer or sends it to the disk.
const WRITING: [i32; 4] = [
    rusqlite::ffi::SQLITE_IOERR_WRITE,
    rusqlite::ffi::SQLITE_IOERR_TRUNCATE,
    rusqlite::ffi::SQLITE_IOERR_FSYNC,
    rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
];

impl StudyError {
    /// What SQLite says about `file`, in the user's words where there are some.
    pub(crate) fn store(file: &Path, source: rusqlite::Error) -> Self {
        let path = file.to_owned();
        let rusqlite::Error::SqliteFailure(failure, _) = &source else { return Self::Store { path, source } };
        match failure.code {
            ErrorCode::DiskFull => Self::Full(path),
            ErrorCode::SystemIoFailure if WRITING.contains(&failure.extended_code) => Self::Refused(path),
            ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Self::ReadOnly(path),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy(path),
            ErrorCode::NotADatabase => Self::NotAStudy(path),
            ErrorCode::DatabaseCorrupt => Self::Damaged { path, problem: source.to_string() },
            _ => Self::Store { path, source },
        }
    }

    pub(crate) fn damaged(file: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: file.to_owned(), problem: problem.into() }
    }
}
