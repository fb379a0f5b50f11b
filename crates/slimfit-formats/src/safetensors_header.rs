//! A safetensors file: its header is read and checked when it is opened, its values when they are asked for.

use crate::FormatsError;
use crate::storage::Storage;
use safetensors::tensor::Metadata;
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
    /// Where its bytes begin in the file.
    pub start: u64,
}

/// A header may be this long: the limit of the format's own library.
const MOST: u64 = 100_000_000;

/// Reads the header alone; the values stay on disk.
///
/// # Errors
/// [`FormatsError::Binary`] when the file cannot be read, is truncated or contradicts itself.
pub fn read_header(path: &Path) -> Result<Vec<StoredTensor>, FormatsError> {
    Ok(SafetensorsFile::open(path)?.tensors)
}

/// An open file.
pub(crate) struct SafetensorsFile {
    pub(crate) storage: Storage,
    pub(crate) tensors: Vec<StoredTensor>,
}

impl SafetensorsFile {
    pub(crate) fn open(path: &Path) -> Result<Self, FormatsError> {
        let storage = Storage::open(path)?;
        let length = storage.len();
        let mut prefix = [0_u8; 8];
        if length < 8 {
            return Err(storage.error(0, "shorter than 8 bytes"));
        }
        storage.read_at(0, &mut prefix)?;
        let header = u64::from_le_bytes(prefix);
        if header > MOST || header > length - 8 {
            return Err(
                storage.error(0, format!("the header claims {header} bytes, but the file has {length}"))
            );
        }
        let mut bytes = vec![0; header as usize];
        storage.read_at(8, &mut bytes)?;
        // Offsets, overlaps and shapes are checked while it is parsed.
        let metadata: Metadata =
            serde_json::from_slice(&bytes).map_err(|error| storage.error(8, error.to_string()))?;
        let end = metadata.data_len() as u64 + 8 + header;
        if end != length {
            let message = format!("the header describes {end} bytes, but the file has {length}");
            return Err(storage.error(length, message));
        }
        let mut tensors: Vec<StoredTensor> = metadata
            .tensors()
            .into_iter()
            .map(|(name, info)| StoredTensor {
                name,
                shape: info.shape.iter().map(|&size| size as u64).collect(),
                kind: format!("{:?}", info.dtype),
                start: 8 + header + info.data_offsets.0 as u64,
            })
            .collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { storage, tensors })
    }
}
