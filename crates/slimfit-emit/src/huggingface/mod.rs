//! What the `transformers` library loads: the config of the narrowest standard class, or of slimfit's own class with its
//! code beside it.

use crate::{Emission, EmitError, rendered::RenderedFile};
use slimfit_formats::config_out::{CUSTOM_MODULE, HeldBy, generation_config_json};

/// The code of slimfit's own class: every axis of an architecture in plain PyTorch. It imports nothing but `torch` and
/// `transformers`.
pub const MODELING_SLIMFIT: &str = include_str!("modeling_slimfit.py");

/// `config.json`, `generation_config.json`, and the class where no standard one holds the architecture.
pub(crate) fn files(emission: &Emission) -> Result<Vec<RenderedFile>, EmitError> {
    let held = HeldBy::narrowest(&emission.architecture);
    let config = held.config_json(&emission.architecture, emission.context);
    let generation = generation_config_json(emission.context);
    let mut files = vec![
        RenderedFile::json("config.json", "huggingface-config", &config)?,
        RenderedFile::json("generation_config.json", "huggingface-generation-config", &generation)?,
    ];
    if held.reason().is_some() {
        let name = format!("{CUSTOM_MODULE}.py");
        files.push(RenderedFile::new(name, "huggingface-class", MODELING_SLIMFIT.as_bytes().to_vec()));
    }
    Ok(files)
}
