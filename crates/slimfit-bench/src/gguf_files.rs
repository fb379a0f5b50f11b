//! The GGUF files that llama.cpp reads: in a folder of the user's, which keeps them.

use crate::whole_model::Subject;
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// Where files lie.
pub struct GgufFiles {
    folder: PathBuf,
}

impl GgufFiles {
    /// Files in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of a model.
    ///
    /// # Errors
    /// There is none.
    pub fn file(&self, subject: &Subject<'_>) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}-{}.gguf", subject.name, subject.weights));
        ensure!(path.is_file(), "`{}` is missing", path.display());
        Ok(path)
    }
}
