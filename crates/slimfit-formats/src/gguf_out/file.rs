//! The bytes of a GGUF file, whatever its names mean: head, table, padding, values.

use super::entry::put_text;
use crate::gguf::{ALIGNMENT, GgufType};
use crate::storage_out::{require_room, write_whole};
use crate::weights::encode::write_tensors;
use crate::weights::layout::{StoredTensor, WriteFailed};
use crate::{FormatsError, TensorSource};
use slimfit_document::WrittenFile;
use slimfit_quantity::NumberFormat;
use std::io::{Error, Write};
use std::path::Path;

/// Of the file's layout.
const VERSION: u32 = 3;

/// All of a file but the values.
pub(super) struct Laid {
    head: Vec<u8>,
    tensors: Vec<StoredTensor>,
    divisors: Option<Vec<f32>>,
    /// Bytes of the file.
    pub(super) bytes: u64,
}

/// Metadata as it lies in a file, and how many entries it is.
pub(super) struct Entries {
    pub(super) count: u64,
    pub(super) bytes: Vec<u8>,
}

impl Laid {
    /// Puts the tensors one after the other; `divisors` become `rope_freqs.weight` after them.
    ///
    /// # Errors
    /// Sizes that a file cannot say.
    pub(super) fn of(
        entries: &Entries,
        tensors: Vec<StoredTensor>,
        divisors: Option<Vec<f32>>,
    ) -> Result<Self, FormatsError> {
        let mut table = Vec::new();
        let mut start = 0_u64;
        let mut put = |name: &str, shape: &[u64], format: NumberFormat, bytes: u64| {
            put_text(&mut table, name);
            table.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|size| table.extend(size.to_le_bytes()));
            table.extend(GgufType::of(format).id.to_le_bytes());
            table.extend(start.to_le_bytes());
            let end = start.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(ALIGNMENT));
            start = end.ok_or_else(|| FormatsError::Tensor {
                tensor: name.to_owned(),
                reason: "the file would have more bytes than 64 bits can count".to_owned(),
            })?;
            Ok::<(), FormatsError>(())
        };
        for tensor in &tensors {
            put(&tensor.name, &tensor.shape, tensor.format, tensor.bytes()?)?;
        }
        if let Some(divisors) = &divisors {
            let values = divisors.len() as u64;
            put("rope_freqs.weight", &[values], NumberFormat::F32, 4 * values)?;
        }
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((tensors.len() as u64 + u64::from(divisors.is_some())).to_le_bytes());
        head.extend(entries.count.to_le_bytes());
        head.extend(&entries.bytes);
        head.extend(table);
        head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
        let bytes = head.len() as u64 + start;
        Ok(Self { head, tensors, divisors, bytes })
    }

    /// Writes the file whole or not at all, the values of `source` piece by piece.
    ///
    /// # Errors
    /// No room on the disk, a file that cannot be written, and what `source` reports.
    pub(super) fn write(
        &self,
        path: &Path,
        kind: &str,
        source: &dyn TensorSource,
    ) -> Result<WrittenFile, FormatsError> {
        require_room(path, self.bytes)?;
        write_whole(path, kind, |file| self.fill(source, file))
    }

    fn fill(&self, source: &dyn TensorSource, file: &mut dyn Write) -> Result<(), WriteFailed> {
        let put = |file: &mut dyn Write, bytes: &[u8]| file.write_all(bytes).map_err(WriteFailed::File);
        put(file, &self.head)?;
        write_tensors(&self.tensors, source, file, |file, tensor| {
            pad(file, tensor.bytes()?).map_err(WriteFailed::File)
        })?;
        if let Some(divisors) = &self.divisors {
            let bytes: Vec<u8> = divisors.iter().flat_map(|divisor| divisor.to_le_bytes()).collect();
            put(file, &bytes)?;
            pad(file, bytes.len() as u64).map_err(WriteFailed::File)?;
        }
        Ok(())
    }
}

/// Fills up to where the next tensor begins.
fn pad(file: &mut dyn Write, written: u64) -> Result<(), Error> {
    let padding = written.next_multiple_of(ALIGNMENT) - written;
    file.write_all(&[0; ALIGNMENT as usize][..padding as usize])
}
