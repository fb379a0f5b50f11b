//! The header of a safetensors file: names, shapes and types, no values.

use crate::FormatsError;
use safetensors::tensor::Metadata;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// One tensor of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTensor {
    /// The name, such as `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// Row-major, slowest first.
    pub shape: Vec<u64>,
    /// The type as the file writes it: `F32`, `BF16`, …
    pub kind: String,
}

/// A header may be this long: the limit of the format's own library.
const MOST: u64 = 100_000_000;

/// Reads the header alone; the values stay on disk.
///
/// # Errors
/// [`FormatsError::Binary`] when the file cannot be read, is truncated or contradicts itself.
pub fn read_header(path: &Path) -> Result<Vec<StoredTensor>, FormatsError> {
    let failed = |offset: u64, message: String| FormatsError::Binary {
        file: path.display().to_string(),
        offset,
        message,
    };
    let mut file = File::open(path).map_err(|error| failed(0, format!("cannot be opened: {error}")))?;
    let length = file.metadata().map_err(|error| failed(0, error.to_string()))?.len();
    let mut prefix = [0_u8; 8];
    file.read_exact(&mut prefix).map_err(|_| failed(0, "shorter than 8 bytes".to_owned()))?;
    let header = u64::from_le_bytes(prefix);
    if header > MOST || header > length.saturating_sub(8) {
        return Err(failed(0, format!("the header claims {header} bytes, but the file has {length}")));
    }
    let mut bytes = Vec::with_capacity(header as usize);
    let read = file.take(header).read_to_end(&mut bytes).map_err(|error| failed(8, error.to_string()))?;
    if read as u64 != header {
        return Err(failed(8, "the file ends within the header".to_owned()));
    }
    // Offsets, overlaps and shapes are checked while it is parsed.
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|error| failed(8, error.to_string()))?;
    let end = metadata.data_len() as u64 + 8 + header;
    if end != length {
        return Err(failed(length, format!("the header describes {end} bytes, but the file has {length}")));
    }
    let mut tensors: Vec<StoredTensor> = metadata
        .tensors()
        .into_iter()
        .map(|(name, info)| StoredTensor {
            name,
            shape: info.shape.iter().map(|&size| size as u64).collect(),
            kind: format!("{:?}", info.dtype),
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}
