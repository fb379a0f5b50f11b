//! A model file that is read piece by piece at stated places.
//!
//! Files are not mapped: pages of a map count as this process's memory, so loading would seem to take the model twice,
//! and a file that is cut short while it is mapped kills the process.

use crate::FormatsError;
use std::fs::File;
use std::path::Path;

/// An open file, or one in memory, and its name in errors.
#[derive(Debug)]
pub(crate) struct Storage {
    name: String,
    source: Source,
    bytes: u64,
}

#[derive(Debug)]
enum Source {
    File(File),
    Memory(Vec<u8>),
}

impl Storage {
    pub(crate) fn open(path: &Path) -> Result<Self, FormatsError> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| FormatsError::Binary {
            file: name.clone(),
            offset: 0,
            message: format!("cannot be opened: {error}"),
        };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(Self { name, source: Source::File(file), bytes })
    }

    pub(crate) fn in_memory(bytes: Vec<u8>, name: &str) -> Self {
        Self { name: name.to_owned(), bytes: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the file when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn error(&self, offset: u64, message: impl Into<String>) -> FormatsError {
        FormatsError::Binary { file: self.name.clone(), offset, message: message.into() }
    }

    /// Fills `bytes` from the file's byte `first` on. Any thread may read at any time.
    pub(crate) fn read_at(&self, first: u64, bytes: &mut [u8]) -> Result<(), FormatsError> {
        let beyond =
            || self.error(first, format!("the file ends before {} bytes could be read", bytes.len()));
        match &self.source {
            Source::File(file) => read_exact_at(file, first, bytes).map_err(|error| {
                let message = format!("{} bytes cannot be read: {error}", bytes.len());
                self.error(first, message)
            }),
            Source::Memory(all) => {
                let place = usize::try_from(first).ok().and_then(|start| {
                    let end = start.checked_add(bytes.len())?;
                    all.get(start..end)
                });
                let found = place.ok_or_else(beyond)?;
                bytes.copy_from_slice(found);
                Ok(())
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, first: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, first)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut first: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, first)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        first += read as u64;
        bytes = &mut bytes[read..];
    }
    Ok(())
}
