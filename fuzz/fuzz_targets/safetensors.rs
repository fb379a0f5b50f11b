//! Any bytes as the weights of a small Llama.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slimfit_formats::{ModelWeights, load_model};

const CONFIG: &str = include_str!("../../tests/golden/llama/config.json");

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("config.json"), CONFIG).expect("a temporary file can be written");
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("a temporary file can be written");
    let reference = folder.path().to_str().expect("temporary folders have plain names");
    let model = load_model(reference).expect("the config is whole");
    let Ok(weights) = ModelWeights::open(&model) else { return };
    let weights = weights.expect("the folder has a file of weights");
    for tensor in model.architecture.tensors() {
        let mut values = vec![0.0; tensor.parameters() as usize];
        weights.read(&tensor, 0, &mut values).expect("what was found can be read");
    }
});
