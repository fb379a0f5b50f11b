//! Models as GGUF files.

use super::entry::{Value, put_entry, put_text};
use super::metadata::Metadata;
use super::{Family, gguf_family_in};
use crate::gguf::{ALIGNMENT, GgufType, Tokenizer, rope_divisors};
use crate::storage_out::{require_room, write_whole};
use crate::weights::layout::{StoredTensor, WriteFailed, lay_out, norm_offset};
use crate::weights::names::gguf::places;
use crate::{FormatsError, TensorSource};
use slimfit_arch::{Architecture, QkNorm, Tensor, TensorRole};
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_quantity::NumberFormat;
use std::io::{Error, Write};
use std::path::Path;

/// Of the file's layout.
const VERSION: u32 = 3;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct GgufOutput<'a> {
    /// `general.name`.
    pub name: &'a str,
    /// The network (validated).
    pub architecture: &'a Architecture,
    /// The format of its matrices: each is stored as [`Tensor::stored_as`] says.
    pub weights: NumberFormat,
    /// Tokens it is said to be made for. A model with a table of positions says the table's.
    pub context: u64,
    /// Of the file that the values come from; absent: none, which llama.cpp takes from token ids.
    pub tokenizer: Option<&'a Tokenizer>,
}

/// All of a file but the values.
struct Laid {
    head: Vec<u8>,
    tensors: Vec<StoredTensor>,
    divisors: Option<Vec<f32>>,
    /// Bytes of the file.
    bytes: u64,
}

impl GgufOutput<'_> {
    /// The architecture of llama.cpp that it is written as: see [`gguf_family_in`].
    ///
    /// # Errors
    /// None computes the model, or rows are no whole blocks, with what stands in the way.
    pub fn family(&self) -> Result<Family, FormatsError> {
        gguf_family_in(self.architecture, self.weights).map_err(|reason| {
            let error = DocumentError::new("no-gguf", reason.to_string());
            error.found(format!("`{}`", self.name)).into()
        })
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// As [`family`](Self::family), sizes that a file cannot say, and a tokenizer of another vocabulary.
    pub fn bytes(&self) -> Result<u64, FormatsError> {
        Ok(self.lay_out()?.bytes)
    }

    /// Writes the file whole or not at all, the values of `source` piece by piece.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), no room on the disk, a file that cannot be written, and what `source` reports.
    pub fn write(&self, path: &Path, source: &dyn TensorSource) -> Result<WrittenFile, FormatsError> {
        let laid = self.lay_out()?;
        require_room(path, laid.bytes)?;
        write_whole(path, "gguf", |file| laid.write(source, file))
    }

    fn lay_out(&self) -> Result<Laid, FormatsError> {
        let family = self.family()?;
        let tensors = self.tensors(family);
        let divisors = rope_divisors(self.architecture);
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
        let (entry_count, entries) = self.entries(family)?;
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((tensors.len() as u64 + u64::from(divisors.is_some())).to_le_bytes());
        head.extend(entry_count.to_le_bytes());
        head.extend(entries);
        head.extend(table);
        head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
        let bytes = head.len() as u64 + start;
        Ok(Laid { head, tensors, divisors, bytes })
    }

    /// Every tensor as the converter stores it.
    fn tensors(&self, family: Family) -> Vec<StoredTensor> {
        let model = self.architecture;
        let place = |tensor: &Tensor| {
            let first = places(family.name(), model, tensor).into_iter().next();
            first.expect("every tensor of a family has a name")
        };
        let format = |tensor: &Tensor| tensor.stored_as(self.weights);
        let mut laid = lay_out(&model.tensors(), place, format, norm_offset(model.norm.weight_plus_one));
        for stored in &mut laid {
            let Some(tensor) = stored.only() else { continue };
            let run = tensor.layer.and_then(|layer| model.each_layer().nth(layer as usize));
            let attention = run.map(|run| &run.attention);
            match (tensor.role, attention) {
                // One row is a vector there.
                (TensorRole::SharedExpertGate, _) => {
                    stored.shape.remove(0);
                }
                // One row for each head.
                (TensorRole::QueryNorm | TensorRole::KeyNorm, Some(attention))
                    if attention.qk_norm == QkNorm::EachHead =>
                {
                    stored.shape = vec![stored.shape[0] / attention.head_size, attention.head_size];
                }
                _ => {}
            }
        }
        laid
    }

    /// How many entries of metadata there are, and their bytes.
    fn entries(&self, family: Family) -> Result<(u64, Vec<u8>), FormatsError> {
        let metadata = Metadata::of(family, self.name, self.architecture, self.weights, self.context)?;
        let mut bytes = Vec::new();
        for (key, value) in &metadata.entries {
            put_entry(&mut bytes, key, value);
        }
        let own = metadata.entries.len() as u64;
        let Some(tokenizer) = self.tokenizer else {
            put_entry(&mut bytes, "tokenizer.ggml.model", &Value::Text("none".to_owned()));
            return Ok((own + 1, bytes));
        };
        let vocabulary = self.architecture.vocabulary_size;
        if let Some(tokens) = tokenizer.tokens().filter(|&tokens| tokens != vocabulary) {
            let error = DocumentError::new("no-gguf", "the tokenizer belongs to another vocabulary");
            return Err(error.found(format!("{tokens} tokens")).allowed(vocabulary).into());
        }
        bytes.extend(tokenizer.entries());
        Ok((own + tokenizer.entry_count(), bytes))
    }
}

impl Laid {
    fn write(&self, source: &dyn TensorSource, file: &mut dyn Write) -> Result<(), WriteFailed> {
        let put = |file: &mut dyn Write, bytes: &[u8]| file.write_all(bytes).map_err(WriteFailed::File);
        put(file, &self.head)?;
        for tensor in &self.tensors {
            tensor.write(source, file)?;
            pad(file, tensor.bytes()?).map_err(WriteFailed::File)?;
        }
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
