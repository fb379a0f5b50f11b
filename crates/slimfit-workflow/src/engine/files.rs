//! The files from which an engine reads a model: the user's own, else written for it and removed again.

use super::protocol::ModelFiles;
use crate::{WorkflowError, weights_source};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, write_atomically};
use slimfit_formats::{config_out, gguf_out::GgufOutput};
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{SeededWeights, WeightsFrom};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Files of one model, there as long as this is.
pub(crate) struct EngineFiles {
    pub(super) files: ModelFiles,
    /// Removed when this is dropped.
    _written: Option<TempDir>,
}

impl EngineFiles {
    /// Whether any file can hold a model with random weights.
    ///
    /// # Errors
    /// Neither a GGUF file nor a config can, with what stands in the way.
    pub(crate) fn check(architecture: &Architecture, weights: NumberFormat) -> Result<(), WorkflowError> {
        let gguf = GgufOutput { name: "this model", architecture, weights, context: 1, tokenizer: None };
        match gguf.family() {
            Ok(_) => Ok(()),
            Err(_) if config_out::standard_class(architecture).is_ok() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The user's own files of `source`, or new ones of its random weights, for `context` tokens.
    ///
    /// # Errors
    /// No file can hold the model, or there is no room for it.
    pub(crate) fn new(
        (name, architecture): (&str, &Architecture),
        (weights, id): (NumberFormat, String),
        source: &WeightsFrom,
        context: u64,
    ) -> Result<Self, WorkflowError> {
        let files = |gguf, huggingface| ModelFiles {
            name: name.to_owned(),
            id,
            gguf,
            huggingface,
            weights_source: weights_source(source),
        };
        let seed = match source {
            WeightsFrom::Seeded { seed } => *seed,
            WeightsFrom::File { path, .. } => {
                let path = absolute(path)?;
                let files = if path.extension().is_some_and(|ending| ending == "json") {
                    files(None, path.parent().map(Path::to_owned))
                } else {
                    files(Some(path), None)
                };
                return Ok(Self { files, _written: None });
            }
        };
        Self::check(architecture, weights)?;
        let folder = TempDir::with_prefix("slimfit-engine-").map_err(|error| {
            DocumentError::new("write-failed", format!("no folder for models can be made: {error}"))
                .file(std::env::temp_dir().display().to_string())
        })?;
        let gguf = GgufOutput { name, architecture, weights, context, tokenizer: None };
        let gguf = if gguf.family().is_ok() {
            let path = folder.path().join("model.gguf");
            gguf.write(&path, &SeededWeights::new(architecture, seed))?;
            Some(path)
        } else {
            None
        };
        let huggingface = match config_out::config_json(architecture, Some(context)) {
            Ok(config) => {
                let config_folder = folder.path().join("huggingface");
                write_atomically(config_folder.join("config.json"), config.to_string().as_bytes())?;
                Some(config_folder)
            }
            // No standard class holds it; the GGUF file does.
            Err(_) => None,
        };
        Ok(Self { files: files(gguf, huggingface), _written: Some(folder) })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, WorkflowError> {
    Ok(path.canonicalize().map_err(|error| {
        DocumentError::new("read-failed", error.to_string()).file(path.display().to_string())
    })?)
}
