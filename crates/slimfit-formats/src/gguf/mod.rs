//! GGUF files, versions 2 and 3: metadata, tensor table, tensor bytes, and the architecture they describe.

mod architecture;
pub(crate) mod container;
mod cursor;
mod data_bytes;
mod divisors;
#[cfg(test)]
mod tests;
mod tokenizer;
mod types;
mod value;

pub use crate::weights::{StoredPlace, stored_place};
pub use architecture::GgufModel;
pub use container::{CONTAINER_FAMILY, architecture_text};
pub use data_bytes::{data_bytes, rope_bytes, tensor_bytes};
pub use tokenizer::Tokenizer;
pub use types::GgufType;
pub use value::GgufValue;

pub(crate) use data_bytes::ALIGNMENT;
pub(crate) use divisors::rope_divisors;

use crate::FormatsError;
use crate::storage::Storage;
use cursor::Cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// One tensor of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufTensor {
    /// The name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Sizes, fastest first, as the file has them: `(columns, rows)`.
    pub sizes: Vec<u64>,
    /// How its values are stored.
    pub kind: GgufType,
    /// Where its bytes begin in the file.
    pub start: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

impl GgufTensor {
    /// How many values it has; the reader has checked that they fit 64 bits.
    pub fn values(&self) -> u64 {
        self.sizes.iter().product()
    }
}

/// An open GGUF file, its table read and checked against its length. Tensor bytes stay on disk.
#[derive(Debug)]
pub struct GgufFile {
    storage: Storage,
    /// Metadata by key.
    pub metadata: BTreeMap<String, GgufValue>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<GgufTensor>,
    /// Where the entries of its tokenizer lie.
    tokenizer_entries: Vec<Range<u64>>,
}

/// Bytes that are read at first: tables without a vocabulary are shorter.
const FIRST_READ: u64 = 1 << 16;

/// A table may be this long; those of the largest vocabularies have a tenth of it.
const MOST_TABLE: u64 = 1 << 28;

/// Whether a file begins as a GGUF file does.
pub fn is_gguf(path: &Path) -> bool {
    let mut magic = [0_u8; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"GGUF"
}

impl GgufFile {
    /// Opens a file and reads its table.
    ///
    /// # Errors
    /// [`FormatsError::Binary`] with the place, when the file cannot be opened, is truncated, of an unknown version or
    /// contradicts itself.
    pub fn open(path: &Path) -> Result<Self, FormatsError> {
        Self::read(Storage::open(path)?)
    }

    /// Reads a file that is in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`GgufFile::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, FormatsError> {
        Self::read(Storage::in_memory(bytes, name))
    }

    fn read(storage: Storage) -> Result<Self, FormatsError> {
        // Nothing says how long the table is, so more is read until it is whole.
        let mut read = FIRST_READ.min(storage.len());
        loop {
            let mut bytes = vec![0; usize::try_from(read).unwrap_or(usize::MAX)];
            storage.read_at(0, &mut bytes)?;
            let mut cursor = Cursor::new(&bytes, storage.len(), storage.name());
            match table(&mut cursor) {
                Ok(Table { metadata, tensors, tokenizer_entries }) => {
                    return Ok(Self { storage, metadata, tensors, tokenizer_entries });
                }
                Err(_) if cursor.ran_out() && read >= MOST_TABLE => {
                    return Err(storage.error(read, format!("the table goes on past {MOST_TABLE} bytes")));
                }
                Err(_) if cursor.ran_out() => read = read.saturating_mul(2).min(storage.len()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The file in errors.
    pub fn name(&self) -> &str {
        self.storage.name()
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&GgufTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Reads stored bytes of a tensor of this file, from its byte `first` on.
    ///
    /// # Errors
    /// [`FormatsError::Binary`] when the tensor has not so many, or the file can no longer be read.
    pub fn read_data(&self, tensor: &GgufTensor, first: u64, bytes: &mut [u8]) -> Result<(), FormatsError> {
        if first.checked_add(bytes.len() as u64).is_none_or(|end| end > tensor.bytes) {
            let message = format!("`{}` has {} bytes, fewer than were asked for", tensor.name, tensor.bytes);
            return Err(self.error(message));
        }
        self.storage.read_at(tensor.start + first, bytes)
    }

    pub(crate) fn into_storage(self) -> Storage {
        self.storage
    }

    /// `general.architecture`.
    ///
    /// # Errors
    /// The file does not say.
    pub fn family(&self) -> Result<&str, FormatsError> {
        match self.metadata.get("general.architecture") {
            Some(GgufValue::Text(family)) => Ok(family),
            _ => Err(self.error("`general.architecture` is missing")),
        }
    }

    /// The architecture, checked against the tensor table.
    ///
    /// # Errors
    /// A model kind that is unknown, metadata that is missing or contradicts the tensors, and counts that differ.
    pub fn model(&self) -> Result<GgufModel, FormatsError> {
        architecture::read(self)
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> FormatsError {
        self.storage.error(0, message)
    }
}

struct Table {
    metadata: BTreeMap<String, GgufValue>,
    tensors: Vec<GgufTensor>,
    tokenizer_entries: Vec<Range<u64>>,
}

fn table(cursor: &mut Cursor) -> Result<Table, FormatsError> {
    if cursor.take(4, "the signature")? != b"GGUF" {
        return Err(cursor.error("not a GGUF file: it does not begin with `GGUF`"));
    }
    let version = cursor.u32("the version")?;
    if version != 2 && version != 3 {
        let hint = if version.swap_bytes() <= 3 { " (a big-endian file)" } else { "" };
        return Err(cursor.error(format!("version {version} is not supported{hint}; supported: 2, 3")));
    }
    // A tensor takes at least 8 + 4 + 4 + 8 bytes of the table, a metadata entry at least 8 + 4 + 1.
    let tensor_count = cursor.count(24, "the number of tensors")?;
    let entry_count = cursor.count(13, "the number of metadata entries")?;
    let mut metadata = BTreeMap::new();
    let mut tokenizer_entries = Vec::new();
    for _ in 0..entry_count {
        let begin = cursor.position() as u64;
        let key = cursor.text("a metadata key")?.to_owned();
        let value = GgufValue::read(cursor, &format!("`{key}`"))?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(cursor.error(format!("the metadata key `{key}` appears twice")));
        }
        if key.starts_with("tokenizer.") {
            tokenizer_entries.push(begin..cursor.position() as u64);
        }
    }
    let (mut tensors, mut entries) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for _ in 0..tensor_count {
        entries.push(cursor.position() as u64);
        let tensor = tensor(cursor)?;
        if !names.insert(tensor.name.clone()) {
            return Err(cursor.error(format!("the tensor `{}` appears twice", tensor.name)));
        }
        tensors.push(tensor);
    }
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => match value.as_size() {
            Some(size) if size.is_power_of_two() && size <= 1 << 20 => size,
            _ => return Err(cursor.error("`general.alignment` is not a power of two up to 1 MiB")),
        },
    };
    let base = (cursor.position() as u64).next_multiple_of(alignment);
    for (tensor, &entry) in tensors.iter_mut().zip(&entries) {
        place(tensor, base, alignment, cursor.file_bytes())
            .map_err(|message| cursor.error_at(entry, message))?;
    }
    refuse_overlaps(&tensors).map_err(|(index, message)| cursor.error_at(entries[index], message))?;
    Ok(Table { metadata, tensors, tokenizer_entries })
}

/// Makes a tensor's start one of the file, where it was one of the data, which begins at `base`.
fn place(tensor: &mut GgufTensor, base: u64, alignment: u64, file_bytes: u64) -> Result<(), String> {
    let start = base.checked_add(tensor.start).filter(|_| tensor.start.is_multiple_of(alignment));
    let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(tensor.bytes)?))) else {
        return Err(format!(
            "`{}` begins at the false offset {}, no multiple of {alignment} within 64 bits",
            tensor.name, tensor.start
        ));
    };
    if end > file_bytes {
        return Err(format!("`{}` ends at byte {end}, but the file has {file_bytes}", tensor.name));
    }
    tensor.start = start;
    Ok(())
}

/// No byte belongs to two tensors; else the index of the later one, and what is wrong.
fn refuse_overlaps(tensors: &[GgufTensor]) -> Result<(), (usize, String)> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&index| tensors[index].start);
    for pair in order.windows(2) {
        let (first, second) = (&tensors[pair[0]], &tensors[pair[1]]);
        if first.start + first.bytes > second.start {
            let (begin, end) = (second.start, first.start + first.bytes);
            let message = format!(
                "`{}` and `{}` overlap: one begins at byte {begin}, the other ends at {end}",
                second.name, first.name
            );
            return Err((pair[1], message));
        }
    }
    Ok(())
}

fn tensor(cursor: &mut Cursor) -> Result<GgufTensor, FormatsError> {
    let name = cursor.text("a tensor's name")?.to_owned();
    let what = format!("the entry of `{name}`");
    let dimensions = cursor.u32(&what)?;
    if dimensions == 0 || dimensions > 4 {
        return Err(cursor.error(format!("`{name}` has {dimensions} dimensions; allowed: 1 to 4")));
    }
    let sizes = (0..dimensions).map(|_| cursor.u64(&what)).collect::<Result<Vec<_>, _>>()?;
    let id = cursor.u32(&what)?;
    let Some(kind) = GgufType::from_id(id) else {
        return Err(cursor.error(format!("`{name}` has the unknown type {id}")));
    };
    let start = cursor.u64(&what)?;
    if sizes.contains(&0) {
        return Err(cursor.error(format!("`{name}` has the sizes {sizes:?}; allowed: above 0")));
    }
    if !sizes[0].is_multiple_of(kind.block_values) {
        let message =
            format!("`{name}` has rows of {} values, not a whole number of {} blocks", sizes[0], kind.name);
        return Err(cursor.error(message));
    }
    let values = sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
    let Some(bytes) = values.and_then(|values| (values / kind.block_values).checked_mul(kind.block_bytes))
    else {
        return Err(cursor.error(format!("the size of `{name}` overflows 64 bits")));
    };
    Ok(GgufTensor { name, sizes, kind, start, bytes })
}
