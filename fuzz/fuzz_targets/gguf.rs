//! Any bytes as a GGUF file: its table, the architecture that it describes, and every value of its tensors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slimfit_formats::ModelWeights;
use slimfit_formats::gguf::GgufFile;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = GgufFile::from_bytes(bytes.to_vec(), "fuzzed.gguf") else { return };
    for tensor in &file.tensors {
        let mut last = [0];
        file.read_data(tensor, tensor.bytes - 1, &mut last).expect("a tensor lies within its file");
    }
    let Ok(model) = file.model() else { return };
    let path = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    let Ok(weights) = ModelWeights::open_gguf(path.path(), &model.architecture) else { return };
    for tensor in model.architecture.tensors() {
        let mut values = vec![0.0; tensor.parameters() as usize];
        weights.read(&tensor, 0, &mut values).expect("what was found can be read");
    }
});
