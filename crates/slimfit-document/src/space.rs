//! Room on a file system.

use crate::DocumentError;
use std::path::Path;

/// Bytes that a user without special rights may still write to the file system where `path` lies or would lie.
///
/// # Errors
/// The system does not say.
pub fn available_bytes(path: impl AsRef<Path>) -> Result<u64, DocumentError> {
    let path = path.as_ref();
    // A path that does not exist yet is made in the nearest folder above it that does.
    let there = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    fs4::available_space(there).map_err(|error| {
        DocumentError::new("disk-unknown", format!("the free space of its file system is not known: {error}"))
            .file(path.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_has_the_room_of_the_folder_above_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = folder.path().join("a/b/c.bin");
        assert!(available_bytes(&missing).expect("it is known") > 0);
        assert!(available_bytes("no-such-file").expect("it is known") > 0);
    }
}
