//! The tokenizer of a file, kept as the bytes that it is.

use super::{GgufFile, GgufValue};
use crate::FormatsError;

/// All metadata entries of a file whose keys begin with `tokenizer.`, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    entries: Vec<u8>,
    entry_count: u64,
    tokens: Option<u64>,
}

impl Tokenizer {
    /// Of entries that were just made.
    pub(crate) fn of_entries(entries: Vec<u8>, entry_count: u64, tokens: u64) -> Self {
        Self { entries, entry_count, tokens: Some(tokens) }
    }

    /// The entries as they lie in the file: keys, types and values.
    pub fn entries(&self) -> &[u8] {
        &self.entries
    }

    /// How many entries they are.
    pub fn entry_count(&self) -> u64 {
        self.entry_count
    }

    /// How many tokens it knows, where it lists them.
    pub fn tokens(&self) -> Option<u64> {
        self.tokens
    }
}

impl GgufFile {
    /// The tokenizer; none where the file has no such entry.
    ///
    /// # Errors
    /// [`FormatsError::Binary`] when the file can no longer be read.
    pub fn tokenizer(&self) -> Result<Option<Tokenizer>, FormatsError> {
        if self.tokenizer_entries.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for place in &self.tokenizer_entries {
            let begin = entries.len();
            entries.resize(begin + (place.end - place.start) as usize, 0);
            self.storage.read_at(place.start, &mut entries[begin..])?;
        }
        let tokens = match self.metadata.get("tokenizer.ggml.tokens") {
            Some(GgufValue::Skipped(count)) => Some(*count),
            _ => None,
        };
        Ok(Some(Tokenizer { entries, entry_count: self.tokenizer_entries.len() as u64, tokens }))
    }
}
