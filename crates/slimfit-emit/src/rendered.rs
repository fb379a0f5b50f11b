//! A file before it is written.

use slimfit_document::{DocumentError, WrittenFile};
use std::path::Path;

/// A file that is rendered and not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Its name in the model's folder.
    pub name: String,
    /// What it is, as commands list it.
    pub kind: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl RenderedFile {
    pub(crate) fn new(name: impl Into<String>, kind: &'static str, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), kind, bytes }
    }

    pub(crate) fn json(
        name: &str,
        kind: &'static str,
        value: &serde_json::Value,
    ) -> Result<Self, DocumentError> {
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| {
            DocumentError::new("unprintable", format!("`{name}` cannot be written as JSON: {error}"))
        })?;
        bytes.push(b'\n');
        Ok(Self::new(name, kind, bytes))
    }

    /// Writes it into the model's folder.
    ///
    /// # Errors
    /// As [`WrittenFile::write`].
    pub fn write(&self, folder: &Path) -> Result<WrittenFile, DocumentError> {
        WrittenFile::write(&folder.join(&self.name), self.kind, &self.bytes)
    }
}
