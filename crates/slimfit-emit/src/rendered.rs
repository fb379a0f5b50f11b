//! A file before it is written.

use slimfit_document::{DocumentError, WrittenFile};
use std::path::Path;

/// Name, kind and content.
pub(crate) struct Rendered {
    name: String,
    kind: &'static str,
    bytes: Vec<u8>,
}

impl Rendered {
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

    pub(crate) fn write(&self, folder: &Path) -> Result<WrittenFile, DocumentError> {
        WrittenFile::write(&folder.join(&self.name), self.kind, &self.bytes)
    }
}
