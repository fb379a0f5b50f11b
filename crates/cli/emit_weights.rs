//! The weights that `slimfit emit` writes: a model's own, or initial ones from a seed.

use crate::failure::Failure;
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_formats::config_out::HeldBy;
use slimfit_formats::gguf_out::{ContainerOutput, GgufOutput};
use slimfit_formats::{
    InitialWeights, LoadedModel, ModelWeights, SHARD_BYTES, SafetensorsOutput, TensorNames, TensorSource,
};
use slimfit_quantity::NumberFormat;
use std::path::Path;

/// Where a model's values come from.
pub struct WeightSource {
    source: Box<dyn TensorSource>,
    /// How a file has most of them; initial ones are f32.
    stored: NumberFormat,
    /// Whether they mean nothing yet.
    pub initial: bool,
}

impl WeightSource {
    /// Initial values.
    pub fn initial(architecture: &Architecture, seed: u64) -> Self {
        let source = Box::new(InitialWeights::new(architecture, seed));
        Self { source, stored: NumberFormat::F32, initial: true }
    }

    /// A model's own values, where it has files of them; initial ones where it has none, or where a seed is said.
    ///
    /// # Errors
    /// Files that do not hold the model.
    pub fn of(model: &LoadedModel, seed: Option<u64>) -> Result<Self, Failure> {
        let own = if seed.is_none() { ModelWeights::open(model)? } else { None };
        let Some(own) = own else {
            return Ok(Self::initial(&model.architecture, seed.unwrap_or(crate::companions::SEED)));
        };
        let stored = model.weights_format.unwrap_or(NumberFormat::F32);
        Ok(Self { source: Box::new(own), stored, initial: false })
    }

    /// Writes safetensors beside a config: in `dtype`, else as they are stored where that is no quantised format.
    ///
    /// # Errors
    /// Another type than safetensors have, no room on the disk, or a source that cannot be read.
    pub fn safetensors(
        &self,
        architecture: &Architecture,
        class: &HeldBy,
        dtype: Option<NumberFormat>,
        folder: &Path,
    ) -> Result<Vec<WrittenFile>, Failure> {
        let stored = if self.stored.block_values() == 1 { self.stored } else { NumberFormat::F32 };
        let names = match class {
            HeldBy::Standard(class) => TensorNames::Class(*class),
            HeldBy::Custom(_) => TensorNames::Canonical,
        };
        let weights = dtype.unwrap_or(stored);
        let output = SafetensorsOutput { architecture, names, weights, shard_bytes: SHARD_BYTES };
        Ok(output.write(folder, &*self.source)?)
    }

    /// Writes a GGUF file.
    ///
    /// # Errors
    /// No architecture of llama.cpp computes the model, no room on the disk, or a source that cannot be read.
    pub fn gguf(&self, output: &GgufOutput<'_>, path: &Path) -> Result<WrittenFile, Failure> {
        Ok(output.write(path, &*self.source)?)
    }

    /// Writes slimfit's own container.
    ///
    /// # Errors
    /// Rows that are no whole blocks, no room on the disk, or a source that cannot be read.
    pub fn container(&self, output: &GgufOutput<'_>, path: &Path) -> Result<WrittenFile, Failure> {
        Ok(ContainerOutput(*output).write(path, &*self.source)?)
    }
}

/// Refuses a type that safetensors do not have, before anything is written.
///
/// # Errors
/// The format is quantised.
pub fn require_float(dtype: Option<NumberFormat>) -> Result<(), Failure> {
    match dtype {
        Some(format) if format.block_values() > 1 => {
            let error = DocumentError::new("usage", "safetensors have no quantised types").field("--dtype");
            let error = error.found(format!("`{format}`")).allowed("f32, bf16, f16");
            Err(error.hint("`--what gguf --weights` writes quantised weights").into())
        }
        _ => Ok(()),
    }
}
