//! Does with a model's files what `slimfit measure` does, and holds it to its promises.

use crate::allocation::counted;
use slimfit_formats::{FormatsError, ModelWeights, load_model};
use std::path::Path;

/// Bytes that may be held for each byte of the files: a metadata list of single bytes becomes values of 32 bytes each,
/// and one growing table is copied into the next.
const MULTIPLE: u64 = 80;
/// And for what has no size of its own: names in errors, one buffer of values, lists of families.
const FIXED: u64 = 256 << 10;

/// Loads the model at `path`, opens its weights and reads every value. What was wrong, as one line, or the sum of all
/// values.
pub fn survey(path: &Path) -> Result<f64, String> {
    let (result, most) = counted(|| read_all(path));
    let bytes = if path.is_dir() { folder_bytes(path) } else { path.metadata().unwrap().len() };
    let allowed = MULTIPLE * bytes + FIXED;
    assert!(most <= allowed, "{most} bytes were held at once for files of {bytes}: at most {allowed}");
    result.map_err(|error| {
        let error = error.into_document();
        let message = error.to_string();
        assert!(!message.is_empty() && error.file.is_some(), "an error names its file: {message}");
        message
    })
}

fn folder_bytes(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn read_all(path: &Path) -> Result<f64, FormatsError> {
    let model = load_model(path.to_str().unwrap())?;
    model.architecture.validate().unwrap();
    let Some(weights) = ModelWeights::open(&model)? else { return Ok(0.0) };
    let mut sum = 0.0;
    // An odd size, so that pieces begin within blocks and rows.
    let mut piece = [0.0; 1001];
    for tensor in model.architecture.tensors() {
        let total = tensor.parameters();
        let mut first = 0;
        while first < total {
            let values = &mut piece[..(total - first).min(1001) as usize];
            weights.read(&tensor, first, values)?;
            sum += values.iter().map(|&value| f64::from(value)).sum::<f64>();
            first += values.len() as u64;
        }
        let mut beyond = [0.0];
        assert!(weights.read(&tensor, total, &mut beyond).is_err(), "`{}` has an end", tensor.name());
    }
    Ok(sum)
}
