//! Writing files so that an interrupted run leaves the old one whole.

use crate::DocumentError;
use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to a temporary file beside `path`, syncs it and renames it over `path`. Missing folders are created.
/// A path that exists and is no regular file (`/dev/stdout`) is written to directly; a link's target is replaced, not
/// the link.
///
/// # Errors
/// When the folder cannot be written, the disk is full, or `path` is a folder. The old file is untouched then.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), DocumentError> {
    let path = path.as_ref();
    if path.is_dir() {
        return Err(DocumentError::new("write-failed", "this is a folder, not a file")
            .file(path.display().to_string()));
    }
    if path.exists() && !path.is_file() {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|error| failed(path, &error));
    }
    let target: PathBuf = if path.is_symlink() {
        fs::canonicalize(path).map_err(|error| failed(path, &error))?
    } else {
        path.to_owned()
    };
    let folder = folder_of(&target);
    create_directory(folder)?;
    write_beside(folder, &target, bytes).map_err(|error| failed(path, &error))
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

fn write_beside(folder: &Path, target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".slimfit-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Without this the file would be readable by its owner alone; the umask still applies.
        let mode = fs::metadata(target).map_or(0o666, |metadata| metadata.permissions().mode());
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
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
