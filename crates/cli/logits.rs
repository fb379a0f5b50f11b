//! Given tokens in, their logits out, so that anyone can compare with another program.

use crate::failure::Failure;
use crate::interrupt;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_plan::PlanOptions;
use slimfit_runtime::{Model, Session};
use slimfit_workflow::MeasureRequest;
use std::path::Path;

/// Runs the tokens of a file one by one and writes the logits of every position, `(tokens, vocabulary)` in f32.
pub fn write(request: &MeasureRequest, tokens: &Path, file: &Path) -> Result<WrittenFile, Failure> {
    let request = &request.with_loops_applied()?;
    let ids = read_tokens(tokens)?;
    let threads = request.threads.map_or_else(|| allowed_cpus().len(), |threads| threads as usize);
    let pool = Pool::new(threads)?;
    let options =
        PlanOptions::new(request.weights, request.kv, request.isa, threads as u64, ids.len() as u64);
    let weights = request.source.open(&request.architecture)?;
    let model = Model::load_with_formats(&request.architecture, options, weights.formats, &*weights.source)?;
    let mut session = Session::new(&model, &pool)?;
    let vocabulary = request.architecture.vocabulary_size;
    let mut bytes = header(ids.len(), vocabulary);
    for token in ids {
        interrupt::check()?;
        for logit in session.decode(token)? {
            bytes.extend_from_slice(&logit.to_le_bytes());
        }
    }
    Ok(WrittenFile::write(file, "npy", &bytes)?)
}

fn read_tokens(path: &Path) -> Result<Vec<u32>, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        DocumentError::new("file-unreadable", format!("the file cannot be read: {error}")).file(&name)
    })?;
    let mut ids = Vec::new();
    for (line, content) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let words = content.split(|c: char| c.is_whitespace() || c == ',' || c == '[' || c == ']');
        for word in words.filter(|word| !word.is_empty()) {
            let id = word.parse().map_err(|_| {
                let error =
                    DocumentError::new("syntax", "no token number").file(&name).at(line as u64 + 1, 1);
                error
                    .found(format!("`{word}`"))
                    .allowed("whole numbers from 0, separated by white space or commas")
            })?;
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Err(DocumentError::new("syntax", "the file holds no token").file(name).into());
    }
    Ok(ids)
}

/// The head of a NumPy file, version 1.0: padded so that the data begins at a multiple of 64 bytes.
fn header(rows: usize, columns: u64) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let length = u16::try_from(text.len()).expect("a header of two numbers is short");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_data_begins_at_a_multiple_of_64() {
        for (rows, columns) in [(1, 8), (128, 151_936)] {
            let header = super::header(rows, columns);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])) + 10, header.len());
        }
    }
}
