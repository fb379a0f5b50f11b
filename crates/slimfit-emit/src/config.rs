//! The files of a model without weights: its Hugging Face config, and the architecture in slimfit's own form.

use crate::rendered::Rendered;
use crate::{EmitError, huggingface};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_formats::ARCHITECTURE_SCHEMA;
use std::path::Path;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Emission {
    /// The point's name in errors: its id or a pick.
    pub name: String,
    /// What it is.
    pub architecture: Architecture,
    /// Positions the config promises (`max_position_embeddings`).
    pub context: u64,
}

/// Writes `config.json`, `generation_config.json` and `architecture.json` into `folder`, which must be empty or not
/// exist; and `modeling_slimfit.py` where no standard class holds the architecture.
///
/// # Errors
/// When the folder is not empty or cannot be written. Everything is rendered before the first file is written, so
/// nothing is left half-done.
pub fn emit_config(emission: &Emission, folder: &Path) -> Result<Vec<WrittenFile>, EmitError> {
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmitError::NotEmpty(folder.to_owned()));
    }
    let mut files = huggingface::files(emission)?;
    let mut own = serde_json::to_value(&emission.architecture).map_err(|error| {
        DocumentError::new("unprintable", format!("`{}` cannot be written as JSON: {error}", emission.name))
    })?;
    if let Some(fields) = own.as_object_mut() {
        fields.insert("schema".to_owned(), ARCHITECTURE_SCHEMA.into());
    }
    files.push(Rendered::json("architecture.json", "slimfit-architecture", &own)?);
    files.iter().map(|file| file.write(folder).map_err(EmitError::from)).collect()
}
