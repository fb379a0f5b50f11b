//! GGUF files, versions 2 and 3: metadata, tensor table, tensor bytes, and the architecture they describe.

#![expect(
    unsafe_code,
    reason = "files are memory-mapped, so that a model need not fit in memory to be inspected"
)]

mod architecture;
mod cursor;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use architecture::GgufModel;
pub use types::GgufType;
pub use value::GgufValue;

use crate::FormatsError;
use cursor::Cursor;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
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

/// The bytes of a file: mapped, or in memory in tests.
enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// An open GGUF file, its table read and checked against its length.
pub struct GgufFile {
    name: String,
    bytes: Bytes,
    /// Metadata by key.
    pub metadata: BTreeMap<String, GgufValue>,
    /// The tensors, in the order of the file.
    pub tensors: Vec<GgufTensor>,
}

/// Whether a file begins as a GGUF file does.
pub fn is_gguf(path: &Path) -> bool {
    let mut magic = [0_u8; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"GGUF"
}

impl GgufFile {
    /// Maps a file and reads its table.
    ///
    /// # Errors
    /// [`FormatsError::Binary`] with the place, when the file cannot be opened, is truncated, of an unknown version or
    /// contradicts itself.
    pub fn open(path: &Path) -> Result<Self, FormatsError> {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| FormatsError::Binary {
            file: name.clone(),
            offset: 0,
            message: format!("cannot be opened: {error}"),
        };
        let file = File::open(path).map_err(failed)?;
        // SAFETY: the map is private and read-only; that nobody truncates the file while it is mapped is the contract
        // of every reader of model files, and a change of its bytes cannot break an invariant since they are re-read
        // through bounds-checked slices only.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
        Self::read(Bytes::Mapped(map), name)
    }

    /// Reads a file that is in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`GgufFile::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, FormatsError> {
        Self::read(Bytes::Owned(bytes), name.to_owned())
    }

    fn read(bytes: Bytes, name: String) -> Result<Self, FormatsError> {
        let (metadata, tensors) = table(&bytes, &name)?;
        Ok(Self { name, bytes, metadata, tensors })
    }

    /// The file in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&GgufTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The stored bytes of a tensor of this file.
    pub fn data(&self, tensor: &GgufTensor) -> &[u8] {
        // Both ends were checked against the length when the table was read.
        &self.bytes[tensor.start as usize..(tensor.start + tensor.bytes) as usize]
    }

    /// The architecture, checked against the tensor table.
    ///
    /// # Errors
    /// A model kind that is unknown, metadata that is missing or contradicts the tensors, and counts that differ.
    pub fn model(&self) -> Result<GgufModel, FormatsError> {
        architecture::read(self)
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> FormatsError {
        FormatsError::Binary { file: self.name.clone(), offset: 0, message: message.into() }
    }
}

type Table = (BTreeMap<String, GgufValue>, Vec<GgufTensor>);

fn table(bytes: &[u8], name: &str) -> Result<Table, FormatsError> {
    let mut cursor = Cursor::new(bytes, name);
    if cursor.take(4, "the signature")? != b"GGUF" {
        return Err(Cursor::new(bytes, name).error("not a GGUF file: it does not begin with `GGUF`"));
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
    for _ in 0..entry_count {
        let key = cursor.text("a metadata key")?.to_owned();
        let value = GgufValue::read(&mut cursor, &format!("`{key}`"))?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(cursor.error(format!("the metadata key `{key}` appears twice")));
        }
    }
    let mut tensors: Vec<GgufTensor> = Vec::with_capacity(tensor_count);
    let mut names = BTreeSet::new();
    for _ in 0..tensor_count {
        let tensor = tensor(&mut cursor)?;
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
    for tensor in &mut tensors {
        let aligned = tensor.start.is_multiple_of(alignment);
        let start = base.checked_add(tensor.start);
        let end = start.and_then(|start| start.checked_add(tensor.bytes));
        match (start, end) {
            (Some(start), Some(end)) if aligned && end <= bytes.len() as u64 => tensor.start = start,
            _ => {
                let Some(end) = end.filter(|_| aligned) else {
                    return Err(cursor.error(format!("`{}` begins at a false offset", tensor.name)));
                };
                let message =
                    format!("`{}` ends at byte {end}, but the file has {}", tensor.name, bytes.len());
                return Err(cursor.error(message));
            }
        }
    }
    Ok((metadata, tensors))
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
    if sizes.contains(&0) || !sizes[0].is_multiple_of(kind.block_values) {
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
