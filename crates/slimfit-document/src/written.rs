//! A file that was written, as commands list it.

use crate::{DocumentError, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// One written file: where, what, how large, and its content's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Where it lies.
    pub path: String,
    /// What it is: `html`, `png`, `config.json` …
    pub kind: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

impl WrittenFile {
    /// Writes `bytes` to `path` atomically and describes the file.
    ///
    /// # Errors
    /// As [`write_atomically`].
    pub fn write(path: &Path, kind: &str, bytes: &[u8]) -> Result<Self, DocumentError> {
        write_atomically(path, bytes)?;
        Ok(Self {
            path: path.display().to_string(),
            kind: kind.to_owned(),
            bytes: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        })
    }
}

/// SHA-256 of `bytes`, in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_described_by_its_content() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a/b.txt");
        let written = WrittenFile::write(&path, "text", b"abc").expect("it can be written");
        assert_eq!(written.bytes, 3);
        assert_eq!(written.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(std::fs::read(path).expect("it is there"), b"abc");
    }
}
