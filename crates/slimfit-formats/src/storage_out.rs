//! Model files that are written: room for them first, then the whole file or none.

use crate::FormatsError;
use crate::weights::layout::WriteFailed;
use slimfit_document::{DocumentError, WrittenFile, available_bytes};
use slimfit_quantity::format_bytes;
use std::io::{Error, Write};
use std::path::Path;

/// Refuses to begin what the file system of `path` has no room for.
///
/// # Errors
/// It has less than `needed` bytes free, or does not say.
pub(crate) fn require_room(path: &Path, needed: u64) -> Result<(), FormatsError> {
    let free = available_bytes(path)?;
    if needed <= free {
        return Ok(());
    }
    let text = |bytes: u64| format_bytes(bytes as f64);
    let message = format!("too big for the disk: needs {}, {} free", text(needed), text(free));
    let error = DocumentError::new("disk-full", message).file(path.display().to_string());
    let error = error.found(format!("{needed} bytes")).allowed(format!("{free} bytes"));
    Err(error.hint("choose another place, a smaller format of weights, or make room").into())
}

/// Writes a file whole or not at all.
///
/// # Errors
/// What `fill` reports, or the file cannot be written.
pub(crate) fn write_whole(
    path: &Path,
    kind: &str,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), WriteFailed>,
) -> Result<WrittenFile, FormatsError> {
    let mut failed = None;
    let written = WrittenFile::stream(path, kind, |file| match fill(file) {
        Ok(()) => Ok(()),
        Err(WriteFailed::File(error)) => Err(error),
        Err(WriteFailed::Source(error)) => {
            failed = Some(error);
            Err(Error::other("the source failed"))
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(written?),
    }
}
