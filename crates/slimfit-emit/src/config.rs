//! `config.json` of the narrowest standard class, and the architecture in slimfit's own form.

use crate::EmitError;
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_formats::{ARCHITECTURE_SCHEMA, config_out};
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

/// Writes `config.json` and `architecture.json` into `folder`, which must be empty or not exist.
///
/// # Errors
/// When no standard class holds the architecture, the folder is not empty, or it cannot be written. Everything is
/// rendered before the first file is written, so nothing is left half-done.
pub fn emit_config(emission: &Emission, folder: &Path) -> Result<Vec<WrittenFile>, EmitError> {
    let config = config_out::config_json(&emission.architecture, Some(emission.context))
        .map_err(|reason| EmitError::NoClass { name: emission.name.clone(), reason: reason.to_string() })?;
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmitError::NotEmpty(folder.to_owned()));
    }
    let mut own =
        serde_json::to_value(&emission.architecture).map_err(|error| unprintable(emission, &error))?;
    if let Some(fields) = own.as_object_mut() {
        fields.insert("schema".to_owned(), ARCHITECTURE_SCHEMA.into());
    }
    let pretty = |value: &serde_json::Value| {
        serde_json::to_vec_pretty(value).map(|mut bytes| {
            bytes.push(b'\n');
            bytes
        })
    };
    let config = pretty(&config).map_err(|error| unprintable(emission, &error))?;
    let own = pretty(&own).map_err(|error| unprintable(emission, &error))?;
    Ok(vec![
        WrittenFile::write(&folder.join("config.json"), "huggingface-config", &config)?,
        WrittenFile::write(&folder.join("architecture.json"), "slimfit-architecture", &own)?,
    ])
}

fn unprintable(emission: &Emission, error: &serde_json::Error) -> DocumentError {
    DocumentError::new("unprintable", format!("`{}` cannot be written as JSON: {error}", emission.name))
}
