//! A folder that appears whole or not at all.

use crate::{DocumentError, WrittenFile, create_directory};
use std::path::{Path, PathBuf};

/// A folder in progress: files are written beside its place, and [`finish`](Self::finish) puts all of them there at once.
/// Dropped before that, it leaves nothing.
#[derive(Debug)]
pub struct NewFolder {
    place: PathBuf,
    /// Where it lies meanwhile: on the same file system, so that moving it is one step.
    partial: PathBuf,
    finished: bool,
}

impl NewFolder {
    /// Begins a folder at `place`, where there is none, or an empty one.
    ///
    /// # Errors
    /// Something lies there, or its parent cannot be written to.
    pub fn begin(place: &Path) -> Result<Self, DocumentError> {
        let shown = || place.display().to_string();
        match std::fs::read_dir(place) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let error = DocumentError::new("not-empty", "the folder is not empty").file(shown());
                    return Err(error.hint("name a new folder"));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("no folder can be written there: {error}");
                return Err(DocumentError::new("write-failed", message).file(shown()));
            }
        }
        let name = place.file_name().ok_or_else(|| {
            DocumentError::new("write-failed", "this names no folder").file(shown()).hint("name a new folder")
        })?;
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        create_directory(parent)?;
        let hidden = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let partial = parent.join(hidden);
        // What a process of the same number left when it was killed.
        let _ = std::fs::remove_dir_all(&partial);
        create_directory(&partial)?;
        Ok(Self { place: place.to_owned(), partial, finished: false })
    }

    /// Where its files are written meanwhile.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Puts the folder in its place, and says where `files` lie then.
    ///
    /// # Errors
    /// Something came to lie there meanwhile, or the system refuses.
    pub fn finish(mut self, files: &mut [WrittenFile]) -> Result<(), DocumentError> {
        std::fs::rename(&self.partial, &self.place).map_err(|error| {
            let message = format!("the folder cannot be put in its place: {error}");
            DocumentError::new("write-failed", message).file(self.place.display().to_string())
        })?;
        self.finished = true;
        for file in files {
            if let Ok(inside) = Path::new(&file.path).strip_prefix(&self.partial) {
                file.path = self.place.join(inside).display().to_string();
            }
        }
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.finished {
            // What went wrong has been said; a folder that is gone cannot be removed either.
            let _ = std::fs::remove_dir_all(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_in_a_new_or_an_empty_place() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("empty")).unwrap();
        for place in ["new/model", "empty"] {
            let place = root.path().join(place);
            let folder = NewFolder::begin(&place).unwrap();
            let mut files = [WrittenFile::write(&folder.path().join("a/b.txt"), "text", b"abc").unwrap()];
            assert!(
                entries(&place.parent().unwrap().join(".")).iter().any(|name| name.ends_with(".partial"))
            );
            folder.finish(&mut files).unwrap();
            assert_eq!(files[0].path, place.join("a/b.txt").display().to_string());
            assert_eq!(std::fs::read(place.join("a/b.txt")).unwrap(), b"abc");
        }
        assert_eq!(entries(root.path()), ["empty", "new"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = NewFolder::begin(&root.path().join("model")).unwrap();
        std::fs::write(folder.path().join("half"), "written").unwrap();
        drop(folder);
        assert!(entries(root.path()).is_empty());
    }

    #[test]
    fn a_place_with_something_in_it_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        let error = NewFolder::begin(root.path()).unwrap_err().to_string();
        assert!(error.contains("not empty"), "{error}");
        assert!(NewFolder::begin(&root.path().join("file")).is_err());
        assert_eq!(entries(root.path()), ["file"]);
    }
}
