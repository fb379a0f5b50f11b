//! Any text as a config of `transformers`, and as an architecture of slimfit in YAML or JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slimfit_document::Document;
use slimfit_formats::{huggingface, read_architecture};

fuzz_target!(|text: &str| {
    if let Ok(model) = huggingface::read_config(text, "config.json") {
        model.architecture.validate().expect("what is read is valid");
    }
    for name in ["fuzzed.yaml", "fuzzed.json"] {
        let Ok(document) = Document::from_str(text, name) else { continue };
        if let Ok(architecture) = read_architecture(&document) {
            architecture.validate().expect("what is read is valid");
        }
    }
});
