//! Writing files so that an interrupted run leaves the old one whole.

use crate::DocumentError;
use std::fs;
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Bytes between the system calls of one file.
const BUFFER_BYTES: usize = 1 << 18;

/// Writes `bytes` to a temporary file beside `path`, syncs it and renames it over `path`. Missing folders are created.
/// A path that exists and is no regular file (`/dev/stdout`) is written to directly; a link's target is replaced, not
/// the link.
///
/// # Errors
/// When the folder cannot be written, the disk is full, or `path` is a folder. The old file is untouched then.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), DocumentError> {
    stream_atomically(path, |writer| writer.write_all(bytes))
}

/// The same for content too large to be held at once: `fill` writes it piece by piece through a buffer.
///
/// # Errors
/// As [`write_atomically`], and what `fill` returns; the old file is untouched then.
pub fn stream_atomically<F>(path: impl AsRef<Path>, fill: F) -> Result<(), DocumentError>
where
    F: FnOnce(&mut dyn Write) -> Result<(), Error>,
{
    let path = path.as_ref();
    if path.is_dir() {
        return Err(DocumentError::new("write-failed", "this is a folder, not a file")
            .file(path.display().to_string()));
    }
    if path.exists() && !path.is_file() {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| filled(file, fill))
            .map(|_| ())
            .map_err(|error| failed(path, &error));
    }
    let target: PathBuf = if path.is_symlink() {
        fs::canonicalize(path).map_err(|error| failed(path, &error))?
    } else {
        path.to_owned()
    };
    let folder = folder_of(&target);
    create_directory(folder)?;
    write_beside(folder, &target, fill).map_err(|error| failed(path, &error))
}

/// Writes a file in place and syncs it: for a name that counts for nothing until something else says that it is whole. What
/// `fill` could not end stays there.
///
/// # Errors
/// As [`write_atomically`], and what `fill` returns.
pub fn stream_in_place<F>(path: impl AsRef<Path>, fill: F) -> Result<(), DocumentError>
where
    F: FnOnce(&mut dyn Write) -> Result<(), Error>,
{
    let path = path.as_ref();
    fs::File::create(path)
        .and_then(|file| filled(file, fill)?.sync_all())
        .map_err(|error| failed(path, &error))
}

/// The writer again, with everything written that `fill` gave.
fn filled<W: Write>(writer: W, fill: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<W, Error> {
    let mut buffer = BufWriter::with_capacity(BUFFER_BYTES, writer);
    fill(&mut buffer)?;
    // Not left to the buffer's drop, which would swallow the error of a full disk.
    buffer.into_inner().map_err(std::io::IntoInnerError::into_error)
}

/// Creates a folder and its parents; an existing one is right too.
///
/// # Errors
/// When it cannot be created, or a file stands in its place.
pub fn create_directory(path: impl AsRef<Path>) -> Result<(), DocumentError> {
    let path = path.as_ref();
    fs::create_dir_all(path).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return DocumentError::new("write-failed", "a file stands where a folder is wanted")
                .file(path.display().to_string());
        }
        failed(path, &error)
    })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_beside<F>(folder: &Path, target: &Path, fill: F) -> Result<(), Error>
where
    F: FnOnce(&mut dyn Write) -> Result<(), Error>,
{
    let mut builder = tempfile::Builder::new();
    builder.prefix(".slimfit-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Without this the file would be readable by its owner alone; the umask still applies.
        let mode = fs::metadata(target).map_or(0o666, |metadata| metadata.permissions().mode());
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let file = filled(builder.tempfile_in(folder)?, fill)?;
    file.as_file().sync_all()?;
    file.persist(target).map_err(|error| error.error)?;
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn failed(path: &Path, error: &Error) -> DocumentError {
    let (code, message, hint) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            "disk-full",
            "the disk is full: nothing was changed".to_owned(),
            Some("free some space and repeat"),
        ),
        ErrorKind::FileTooLarge => (
            "disk-full",
            "the file would be larger than this process or file system allows: nothing was changed"
                .to_owned(),
            Some("raise the limit (`ulimit -f`) or choose another place, and repeat"),
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            "write-failed",
            "this may not be written".to_owned(),
            Some("choose another place with `--out`, or change its permissions"),
        ),
        ErrorKind::NotADirectory => {
            ("write-failed", "a part of this path is a file, not a folder".to_owned(), None)
        }
        _ => ("write-failed", format!("cannot be written: {error}"), None),
    };
    DocumentError::new(code, message).file(path.display().to_string()).maybe_hint(hint.map(str::to_owned))
}
