//! Models as GGUF files.

use super::entry::{Value, put_entry};
use super::file::{Entries, Laid};
use super::metadata::Metadata;
use super::{Family, gguf_family_in};
use crate::gguf::{Tokenizer, rope_divisors};
use crate::weights::layout::{StoredTensor, lay_out, norm_offset};
use crate::weights::names::{self, gguf::places};
use crate::{FormatsError, TensorSource};
use slimfit_arch::{Architecture, QkNorm, Tensor, TensorRole};
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_quantity::NumberFormat;
use std::path::Path;

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
        self.lay_out()?.write(path, "gguf", source)
    }

    fn lay_out(&self) -> Result<Laid, FormatsError> {
        let family = self.family()?;
        Laid::of(&self.entries(family)?, self.tensors(family), rope_divisors(self.architecture))
    }

    /// Every tensor as the converter stores it.
    fn tensors(&self, family: Family) -> Vec<StoredTensor> {
        let model = self.architecture;
        let place = |tensor: &Tensor| {
            let first = places(family.name(), model, tensor).into_iter().next();
            first.expect("every tensor of a family has a name")
        };
        let format = |tensor: &Tensor| tensor.stored_as(self.weights);
        let offset = names::gguf::norm_offset(family.name(), model);
        let mut laid = lay_out(&model.tensors(), place, format, norm_offset(offset));
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

    fn entries(&self, family: Family) -> Result<Entries, FormatsError> {
        let metadata = Metadata::of(family, self.name, self.architecture, self.weights, self.context)?;
        self.with_tokenizer(&metadata.entries)
    }

    /// Entries of metadata as bytes, those of the tokenizer after them.
    ///
    /// # Errors
    /// The tokenizer is of another vocabulary.
    pub(super) fn with_tokenizer(&self, entries: &[(String, Value)]) -> Result<Entries, FormatsError> {
        let mut bytes = Vec::new();
        for (key, value) in entries {
            put_entry(&mut bytes, key, value);
        }
        let own = entries.len() as u64;
        let Some(tokenizer) = self.tokenizer else {
            put_entry(&mut bytes, "tokenizer.ggml.model", &Value::Text("none".to_owned()));
            return Ok(Entries { count: own + 1, bytes });
        };
        let vocabulary = self.architecture.vocabulary_size;
        if let Some(tokens) = tokenizer.tokens().filter(|&tokens| tokens != vocabulary) {
            let error = DocumentError::new("no-gguf", "the tokenizer belongs to another vocabulary");
            return Err(error.found(format!("{tokens} tokens")).allowed(vocabulary).into());
        }
        bytes.extend(tokenizer.entries());
        Ok(Entries { count: own + tokenizer.entry_count(), bytes })
    }
}
