//! Which weights a run takes, said so that another process can take the same.

use crate::{RuntimeError, SeededWeights, TensorSource};
use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_formats::{FormatsError, ModelWeights, load_model};
use slimfit_plan::WeightFormats;
use slimfit_quantity::NumberFormat;
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
        /// Whether each matrix keeps the format it has in the file, or the nearest finer one that has kernels.
        as_stored: bool,
    },
}

impl WeightsFrom {
    /// Opens them for `architecture`.
    ///
    /// # Errors
    /// Files that are gone, damaged, or of another architecture.
    pub fn open(&self, architecture: &Architecture) -> Result<OpenWeights, RuntimeError> {
        let (source, formats): (Box<dyn TensorSource>, _) = match self {
            Self::Seeded { seed } => {
                (Box::new(SeededWeights::new(architecture, *seed)), WeightFormats::default())
            }
            Self::File { path, as_stored } => {
                let weights = open_file(path, architecture)?;
                let formats = if *as_stored {
                    stored_formats(&weights, architecture)?
                } else {
                    WeightFormats::default()
                };
                (Box::new(weights), formats)
            }
        };
        Ok(OpenWeights { source, formats })
    }
}

/// Weights that can be read, and the formats to keep them in.
pub struct OpenWeights {
    /// Their values.
    pub source: Box<dyn TensorSource>,
    /// Matrices that are kept in another format than the rest.
    pub formats: WeightFormats,
}

/// What the file has, where there are kernels for it, else one that loses little of it.
fn stored_formats(
    weights: &ModelWeights,
    architecture: &Architecture,
) -> Result<WeightFormats, RuntimeError> {
    let mut formats = WeightFormats::default();
    for tensor in architecture.tensors().iter().filter(|tensor| tensor.is_quantisable()) {
        let name = weights.stored_as(tensor)?;
        let known = NumberFormat::ALL.into_iter().find(|format| format.name() == name);
        let format = known.unwrap_or(match name {
            "f64" => NumberFormat::F32,
            // Sub-blocks of 16 values in both. Those of q4_k are of 32, which can cost a fifth of the logits.
            "q2_k" | "q3_k" => NumberFormat::Q6_K,
            _ => NumberFormat::Q8_0,
        });
        formats.set(tensor.role, tensor.layer, format);
    }
    Ok(formats)
}

fn open_file(path: &Path, architecture: &Architecture) -> Result<ModelWeights, RuntimeError> {
    let mut model = load_model(&path.display().to_string())?;
    // As many passes as this run makes: the tensors are the same.
    if model.architecture.loops.map(|loops| (loops.first, loops.layers))
        == architecture.loops.map(|loops| (loops.first, loops.layers))
    {
        model.architecture.loops = architecture.loops;
    }
    let changed = |message: &str| FormatsError::Binary {
        file: path.display().to_string(),
        offset: 0,
        message: message.to_owned(),
    };
    if model.architecture != *architecture {
        return Err(changed("the file changed: it describes another model than the one asked for").into());
    }
    Ok(ModelWeights::open(&model)?.ok_or_else(|| changed("no safetensors lie beside it any more"))?)
}
