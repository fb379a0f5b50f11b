//! The GGUF files that llama.cpp reads: random weights of a model's shape, every matrix in one format.

use anyhow::{Context, Result};
use slimfit_arch::Architecture;
use slimfit_formats::gguf_out::GgufOutput;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::SeededWeights;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tokens that the files say they are made for.
const CONTEXT: u64 = 4096;

/// Where files lie.
pub struct GgufFiles {
    folder: PathBuf,
    /// Removed when this is dropped, unless the user named a folder.
    temporary: Option<TempDir>,
}

impl GgufFiles {
    /// Files in the user's folder, which stay there, or in a temporary one.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        Ok(match folder {
            Some(folder) => {
                slimfit_document::create_directory(folder)?;
                Self { folder: folder.to_owned(), temporary: None }
            }
            None => {
                let temporary = TempDir::with_prefix("slimfit-bench-").context("a folder for models")?;
                Self { folder: temporary.path().to_owned(), temporary: Some(temporary) }
            }
        })
    }

    /// The file of a model, written unless it is there.
    ///
    /// # Errors
    /// It cannot be written, or the model is of a kind that is not.
    pub fn file(&self, name: &str, architecture: &Architecture, weights: NumberFormat) -> Result<PathBuf> {
        let path = self.folder.join(format!("{name}-{weights}.gguf"));
        if !path.is_file() {
            eprintln!("writing {}", path.display());
            let file = GgufOutput { name, architecture, weights, context: CONTEXT, tokenizer: None };
            file.write(&path, &SeededWeights::new(architecture, 1))?;
        }
        Ok(path)
    }

    /// Removes a file that nobody asked to keep: the next one may need the room.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn done_with(&self, path: &Path) -> Result<()> {
        if self.temporary.is_some() {
            std::fs::remove_file(path).with_context(|| format!("`{}`", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;
    use slimfit_formats::gguf::GgufFile;

    #[test]
    fn a_temporary_file_goes_when_it_is_done_with() {
        let files = GgufFiles::new(None).unwrap();
        let architecture = models::find("slim-10m").unwrap();
        let path = files.file("tied", &architecture, NumberFormat::Q4_0).unwrap();
        let model = GgufFile::open(&path).unwrap().model().unwrap();
        assert_eq!(model.architecture, architecture.normalised());
        files.done_with(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn every_shape_of_the_targets_can_be_written() {
        for name in models::NAMES {
            let architecture = &models::find(name).unwrap();
            let weights = NumberFormat::Q8_0;
            GgufOutput { name, architecture, weights, context: CONTEXT, tokenizer: None }.family().unwrap();
        }
    }
}
