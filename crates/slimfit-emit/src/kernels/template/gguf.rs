//! The tensors of a GGUF file: where each lies, and its rows.
//!
//! Metadata is passed over but for what tells models apart whose tensors are alike: what the model is was decided when this
//! crate was written.

use crate::{ModelError, WeightFormat};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Names and arrays longer than this are no model's.
const MOST: u64 = 1 << 32;

/// What files of a model say of themselves.
#[derive(Debug)]
pub(crate) struct FileOf {
    /// Their `general.architecture`: it decides the order of rows.
    pub(crate) family: &'static str,
    /// FNV-1a of their `slimfit.architecture`, where they have one.
    pub(crate) architecture: Option<u64>,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Gguf {
    path: PathBuf,
    file: File,
    tensors: HashMap<String, Tensor>,
    /// Where the tensors begin.
    data: u64,
}

#[derive(Debug)]
struct Tensor {
    /// Rows of all matrices, and values of a row.
    shape: [u64; 2],
    /// The number of its format.
    kind: u32,
    offset: u64,
}

fn fnv1a(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The number that a format has in the file.
const fn kind_of(format: WeightFormat) -> u32 {
    match format {
        WeightFormat::F32 => 0,
        WeightFormat::F16 => 1,
        WeightFormat::Q4_0 => 2,
        WeightFormat::Q8_0 => 8,
        WeightFormat::Q4K => 12,
        WeightFormat::Q6K => 14,
        WeightFormat::Bf16 => 30,
    }
}

impl Gguf {
    /// Reads the table of tensors of a file of the expected model.
    pub(crate) fn open(path: &Path, expected: &FileOf) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut head = Head { reader: BufReader::new(&file), path };
        if head.bytes::<4>()? != *b"GGUF" {
            return Err(head.wrong("it does not begin with `GGUF`"));
        }
        let version = head.number32()?;
        if !(2..=3).contains(&version) {
            return Err(head.wrong(&format!("version {version}, where 2 and 3 are read")));
        }
        let (tensor_count, entries) = (head.number()?, head.number()?);
        let (mut alignment, mut family, mut architecture) = (32, String::new(), None);
        for _ in 0..entries {
            let key = head.text()?;
            let kind = head.number32()?;
            if key == "general.alignment" && kind == 4 {
                alignment = u64::from(head.number32()?).max(1);
            } else if key == "general.architecture" && kind == 8 {
                family = head.text()?;
            } else if key == "slimfit.architecture" && kind == 8 {
                architecture = Some(fnv1a(head.text()?.as_bytes()));
            } else {
                head.skip_value(kind)?;
            }
        }
        let other = |reason| Err(ModelError::OtherModel { path: path.to_owned(), reason });
        if family != expected.family {
            let right = expected.family;
            return other(format!("it is of the architecture `{family}`, where this crate reads `{right}`"));
        }
        if expected.architecture.is_some() && architecture != expected.architecture {
            return other("its `slimfit.architecture` is another than this crate was made for".to_owned());
        }
        let mut tensors = HashMap::new();
        for _ in 0..tensor_count {
            let name = head.text()?;
            let dimensions = head.number32()?;
            if dimensions > 4 {
                return Err(head.wrong(&format!("`{name}` has {dimensions} dimensions")));
            }
            // The fastest comes first: the values of a row.
            let mut shape = [1_u64, 1];
            for place in 0..dimensions {
                let size = head.number()?;
                let slot = &mut shape[usize::from(place == 0)];
                *slot = slot.checked_mul(size).ok_or_else(|| head.wrong("a size that overflows"))?;
            }
            let (kind, offset) = (head.number32()?, head.number()?);
            tensors.insert(name, Tensor { shape, kind, offset });
        }
        let end = head.reader.stream_position().map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, tensors, data: end.next_multiple_of(alignment) })
    }

    /// Checks that the file has a tensor of this format and shape.
    pub(crate) fn check(
        &self,
        name: &str,
        format: WeightFormat,
        rows: usize,
        columns: usize,
    ) -> Result<(), ModelError> {
        let wrong = |reason| ModelError::OtherModel { path: self.path.clone(), reason };
        let Some(tensor) = self.tensors.get(name) else {
            return Err(wrong(format!("it has no tensor `{name}`")));
        };
        let [found_rows, found_columns] = tensor.shape;
        let values = (rows * columns) as u64;
        // One row may be a vector, and a vector a row.
        let fits = found_rows * found_columns == values && (columns == 1 || found_columns == columns as u64);
        if !fits {
            return Err(wrong(format!(
                "`{name}` has {found_rows} rows of {found_columns} values, where this crate is for {rows} of {columns}"
            )));
        }
        if tensor.kind != kind_of(format) {
            return Err(wrong(format!(
                "`{name}` has the number format {}, where this crate is for {} (`{}`)",
                tensor.kind,
                kind_of(format),
                format.name()
            )));
        }
        Ok(())
    }

    /// Reads bytes of a tensor that was checked, from `first` on.
    pub(crate) fn read(&self, name: &str, first: u64, bytes: &mut [u8]) -> Result<(), ModelError> {
        let start = self.data + self.tensors[name].offset + first;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(bytes))
            .map_err(|source| ModelError::Read { path: self.path.clone(), source })
    }
}

/// What stands before the tensors.
struct Head<'a> {
    reader: BufReader<&'a File>,
    path: &'a Path,
}

impl Head<'_> {
    fn wrong(&self, reason: &str) -> ModelError {
        ModelError::NotGguf { path: self.path.to_owned(), reason: reason.to_owned() }
    }

    fn bytes<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], ModelError> {
        let mut bytes = [0; COUNT];
        self.reader.read_exact(&mut bytes).map_err(|error| self.wrong(&error.to_string()))?;
        Ok(bytes)
    }

    fn number32(&mut self) -> Result<u32, ModelError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn number(&mut self) -> Result<u64, ModelError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, ModelError> {
        let length = self.number()?;
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        if read.ok() != usize::try_from(length).ok() {
            return Err(self.wrong("a name longer than the file"));
        }
        String::from_utf8(bytes).map_err(|_| self.wrong("a name that is no text"))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), ModelError> {
        let bytes = i64::try_from(bytes).map_err(|_| self.wrong("a size that overflows"))?;
        self.reader.seek_relative(bytes).map_err(|error| self.wrong(&error.to_string()))
    }

    fn skip_value(&mut self, kind: u32) -> Result<(), ModelError> {
        match kind {
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 => {
                let (of, count) = (self.number32()?, self.number()?);
                if count > MOST || of == 9 {
                    return Err(self.wrong("an array that no model has"));
                }
                if of == 8 {
                    return (0..count).try_for_each(|_| self.skip_value(8));
                }
                self.skip(count * self.value_bytes(of)?)
            }
            _ => {
                let bytes = self.value_bytes(kind)?;
                self.skip(bytes)
            }
        }
    }

    fn value_bytes(&self, kind: u32) -> Result<u64, ModelError> {
        match kind {
            0 | 1 | 7 => Ok(1),
            2 | 3 => Ok(2),
            4..=6 => Ok(4),
            10..=12 => Ok(8),
            _ => Err(self.wrong(&format!("a value of the unknown type {kind}"))),
        }
    }
}
