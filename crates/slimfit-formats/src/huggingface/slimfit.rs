//! slimfit's own model type: the architecture lies in the config as it is, and the usual sizes beside it must agree.

use super::decoder::Decoded;
use super::fields::Fields;
use super::harmless;
use crate::architecture_file::read_held;
use crate::config_out::summary;
use crate::{ARCHITECTURE_SCHEMA, FormatsError};

/// `slimfit`.
pub(super) fn slimfit(fields: &Fields) -> Result<Decoded, FormatsError> {
    let Some(own) = fields.object("architecture")? else {
        return Err(fields.refuse(
            "architecture",
            "nothing",
            "an architecture, as `architecture.json` holds it",
        ));
    };
    let schema = own.text("schema", ARCHITECTURE_SCHEMA)?;
    if schema != ARCHITECTURE_SCHEMA {
        return Err(fields.refuse("architecture.schema", schema, ARCHITECTURE_SCHEMA));
    }
    let architecture = read_held(fields.document())?;
    for (name, value) in summary(&architecture) {
        // `value` marks the field as read; absent and `null` leave it to the architecture.
        if let Some(found) = fields.value(name).filter(|found| **found != value) {
            let error = fields.error(name, "a field that contradicts `architecture`");
            return Err(error.found(harmless::short(found)).allowed(value.to_string()).into());
        }
    }
    let context = fields.optional_size("max_position_embeddings", None)?;
    Ok(Decoded { architecture, context })
}
