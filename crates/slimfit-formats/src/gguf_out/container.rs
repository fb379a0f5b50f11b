//! slimfit's own container: any model as a GGUF file whose metadata holds the architecture as it is.
//!
//! Emitted kernels and slimfit read it; llama.cpp refuses its `general.architecture` by name. The values are those of the
//! architecture, nothing folded in: a norm that is an offset from 1 stays one.

use super::entry::Value;
use super::file::Laid;
use super::metadata::{context_of, general, unsigned};
use super::{GgufOutput, WHOLE_BLOCKS, has_whole_blocks};
use crate::gguf::container::{ARCHITECTURE_KEY, CONTAINER_FAMILY, CONTEXT_KEY, architecture_text};
use crate::weights::layout::{StoredTensor, lay_out};
use crate::weights::names::Place;
use crate::weights::names::gguf::tensor_name;
use crate::{FormatsError, TensorSource};
use slimfit_document::{DocumentError, WrittenFile};
use std::path::Path;

/// What is written, said as for a file of llama.cpp's.
#[derive(Debug, Clone, Copy)]
pub struct ContainerOutput<'a>(pub GgufOutput<'a>);

impl ContainerOutput<'_> {
    /// Bytes of the file.
    ///
    /// # Errors
    /// Rows that are no whole blocks of the format, sizes that a file cannot say, and a tokenizer of another vocabulary.
    pub fn bytes(&self) -> Result<u64, FormatsError> {
        Ok(self.lay_out()?.bytes)
    }

    /// Writes the file whole or not at all, the values of `source` piece by piece.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), no room on the disk, a file that cannot be written, and what `source` reports.
    pub fn write(&self, path: &Path, source: &dyn TensorSource) -> Result<WrittenFile, FormatsError> {
        self.lay_out()?.write(path, "slimfit-gguf", source)
    }

    fn lay_out(&self) -> Result<Laid, FormatsError> {
        let GgufOutput { name, architecture, weights, context, .. } = self.0;
        if !has_whole_blocks(architecture, weights) {
            let error = DocumentError::new("no-container", "rows of its matrices are no whole blocks");
            let error = error.field("weights").found(format!("`{weights}` for `{name}`"));
            return Err(error.allowed(WHOLE_BLOCKS).into());
        }
        let mut entries = general(CONTAINER_FAMILY, name, weights);
        entries.push((CONTEXT_KEY.to_owned(), unsigned(CONTEXT_KEY, context_of(architecture, context)?)?));
        entries.push((ARCHITECTURE_KEY.to_owned(), Value::Text(architecture_text(architecture))));
        Laid::of(&self.0.with_tokenizer(&entries)?, self.tensors(), None)
    }

    pub(super) fn tensors(&self) -> Vec<StoredTensor> {
        let GgufOutput { architecture, weights, .. } = self.0;
        lay_out(
            &architecture.tensors(),
            |tensor| Place::whole(tensor_name(CONTAINER_FAMILY, tensor)),
            |tensor| tensor.stored_as(weights),
            |_| 0.0,
        )
    }
}
