//! slimfit's own container among GGUF files: the architecture stands in the metadata as it is, so that a file can hold any
//! model. llama.cpp knows no such architecture and refuses it by name.

use super::{GgufFile, GgufValue};
use crate::FormatsError;
use crate::architecture_file::{architecture_json, read_architecture};
use serde_json::Value;
use slimfit_arch::Architecture;
use slimfit_document::Document;
use std::collections::BTreeMap;

/// Its `general.architecture`.
pub const CONTAINER_FAMILY: &str = "slimfit";
/// The key of the architecture: the JSON of an architecture file.
pub(crate) const ARCHITECTURE_KEY: &str = "slimfit.architecture";
/// The key of the tokens that it was made for.
pub(crate) const CONTEXT_KEY: &str = "slimfit.context_length";

/// What a container of a (validated) architecture says under its key: the same text for the same model.
pub fn architecture_text(architecture: &Architecture) -> String {
    sorted(architecture_json(&architecture.normalised())).to_string()
}

/// Whatever order of keys the JSON library was built for.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The architecture, and the context where it is said.
///
/// # Errors
/// A key that is missing, unknown or of another type, and a text that is no architecture.
pub(super) fn read(file: &GgufFile) -> Result<(Architecture, Option<u64>), FormatsError> {
    let unknown = |key: &&String| {
        key.starts_with("slimfit.") && ![ARCHITECTURE_KEY, CONTEXT_KEY].contains(&key.as_str())
    };
    if let Some(key) = file.metadata.keys().find(unknown) {
        let known = format!("`{ARCHITECTURE_KEY}`, `{CONTEXT_KEY}`");
        return Err(file.error(format!("the metadata key `{key}` is unknown; known: {known}")));
    }
    let text = match file.metadata.get(ARCHITECTURE_KEY) {
        Some(GgufValue::Text(text)) => text,
        Some(_) => return Err(file.error(format!("`{ARCHITECTURE_KEY}` is not a text"))),
        None => return Err(file.error(format!("`{ARCHITECTURE_KEY}` is missing"))),
    };
    let context = match file.metadata.get(CONTEXT_KEY) {
        None => None,
        Some(value) => match value.as_size() {
            Some(size) => Some(size),
            None => return Err(file.error(format!("`{CONTEXT_KEY}` is not a whole number"))),
        },
    };
    // Errors have their line and column within that text.
    let document = Document::from_str(text, &format!("{} ({ARCHITECTURE_KEY})", file.name()))?;
    Ok((read_architecture(&document)?, context))
}
