//! A file that was written, as commands list it.

use crate::{DocumentError, stream_atomically, write_atomically};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Error, Write};
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

impl WrittenFile {
    /// Writes a large file piece by piece, as [`stream_atomically`], and describes it.
    ///
    /// # Errors
    /// As [`stream_atomically`].
    pub fn stream<F>(path: &Path, kind: &str, fill: F) -> Result<Self, DocumentError>
    where
        F: FnOnce(&mut dyn Write) -> Result<(), Error>,
    {
        let (mut hasher, mut bytes) = (Sha256::new(), 0);
        stream_atomically(path, |writer| {
            fill(&mut Watched { writer, hasher: &mut hasher, bytes: &mut bytes })
        })?;
        Ok(Self {
            path: path.display().to_string(),
            kind: kind.to_owned(),
            bytes,
            sha256: hex(&hasher.finalize()),
        })
    }

    /// Describes a regular file that is there, without holding all of it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path, kind: &str) -> Result<Self, DocumentError> {
        let mut hasher = Sha256::new();
        let bytes =
            File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher)).map_err(|error| {
                DocumentError::new("file-unreadable", format!("the file cannot be read: {error}"))
                    .file(path.display().to_string())
            })?;
        Ok(Self {
            path: path.display().to_string(),
            kind: kind.to_owned(),
            bytes,
            sha256: hex(&hasher.finalize()),
        })
    }
}

/// Hashes and counts what passes to a writer.
struct Watched<'a> {
    writer: &'a mut dyn Write,
    hasher: &'a mut Sha256,
    bytes: &'a mut u64,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let written = self.writer.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        *self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush()
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of `bytes`, in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
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
        assert_eq!(std::fs::read(&path).expect("it is there"), b"abc");
        assert_eq!(WrittenFile::of(&path, "text").as_ref(), Ok(&written));
        let pieces =
            |writer: &mut dyn Write| [b"a", b"b", b"c"].iter().try_for_each(|piece| writer.write_all(*piece));
        assert_eq!(WrittenFile::stream(&path, "text", pieces), Ok(written));
    }
}
