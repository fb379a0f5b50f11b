//! Which weights a run takes, said so that another process can take the same.

use crate::{RuntimeError, SeededWeights, TensorSource};
use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_formats::{ModelWeights, load_model};
use std::path::{Path, PathBuf};

/// Where the weights of a run come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightsFrom {
    /// Random ones, the same for the same seed.
    Seeded {
        /// The seed.
        seed: u64,
    },
    /// The model's own: a GGUF file, or the safetensors beside a `config.json`.
    File {
        /// The GGUF file or the `config.json`.
        path: PathBuf,
    },
}

impl WeightsFrom {
    /// Opens them for `architecture`.
    ///
    /// # Errors
    /// Files that are gone, damaged, or of another architecture.
    pub fn open(&self, architecture: &Architecture) -> Result<Box<dyn TensorSource>, RuntimeError> {
        match self {
            Self::Seeded { seed } => Ok(Box::new(SeededWeights::new(architecture, *seed))),
            Self::File { path } => Ok(Box::new(open_file(path, architecture)?)),
        }
    }
}

fn open_file(path: &Path, architecture: &Architecture) -> Result<ModelWeights, RuntimeError> {
    let mut model = load_model(&path.display().to_string())?;
    // As many passes as this run makes: the tensors are the same.
    if model.architecture.loops.map(|loops| (loops.first, loops.layers))
        == architecture.loops.map(|loops| (loops.first, loops.layers))
    {
        model.architecture.loops = architecture.loops;
    }
    if model.architecture != *architecture {
        let (tensor, reason) =
            (path.display().to_string(), "the file describes another architecture".to_owned());
        return Err(RuntimeError::Tensor { tensor, reason });
    }
    ModelWeights::open(&model)?.ok_or_else(|| RuntimeError::Tensor {
        tensor: path.display().to_string(),
        reason: "no weights lie beside it".to_owned(),
    })
}
