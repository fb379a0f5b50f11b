//! The values of a model's tensors in its own files, GGUF or safetensors, under the names and in the layout that an
//! architecture gives them.
//!
//! Families store the same matrices differently: query, key and value as one, experts stacked or apart, rows of a head
//! in another order, a matrix transposed. [`names`] says for each tensor of an architecture where it may lie,
//! [`ModelWeights::open`] finds it, checks shapes, and refuses a file that lacks a tensor or has one that nothing reads.

mod blocks;
pub(crate) mod encode;
pub(crate) mod layout;
pub(crate) mod names;
mod table;
#[cfg(test)]
mod tests;
mod view;

use crate::{FormatsError, LoadedModel, Origin};
use blocks::Blocks;
use slimfit_arch::{Architecture, Tensor, TensorPart, TensorRole};
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;
use std::path::Path;
use table::Table;
use view::View;

pub use names::gguf::{StoredPlace, stored_place};

type Key = (TensorRole, TensorPart, Option<u64>);

/// Open weight files of one model. Values are read from disk when they are asked for, by any number of threads.
#[derive(Debug)]
pub struct ModelWeights {
    table: Table,
    views: HashMap<Key, View>,
    /// What the files hold added to the weights of norms.
    norm_offset: f32,
}

impl ModelWeights {
    /// Opens the weights of a model that was loaded: the GGUF file itself, or the safetensors beside its `config.json`.
    /// None where a model has none: an architecture, a built-in name, a config alone.
    ///
    /// # Errors
    /// A file that is damaged, lacks a tensor, has one of another shape, in a format that is not read or that the
    /// architecture knows nothing of.
    pub fn open(model: &LoadedModel) -> Result<Option<Self>, FormatsError> {
        match &model.origin {
            Origin::Gguf(path) => Self::open_gguf(path, &model.architecture).map(Some),
            Origin::HuggingFace(path) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                Self::open_safetensors(folder, &model.family, &model.architecture)
            }
            Origin::Slimfit(_) | Origin::BuiltIn => Ok(None),
        }
    }

    /// Opens a GGUF file of this architecture.
    ///
    /// # Errors
    /// As [`ModelWeights::open`].
    pub fn open_gguf(path: &Path, architecture: &Architecture) -> Result<Self, FormatsError> {
        let file = crate::gguf::GgufFile::open(path)?;
        let family = file.family()?.to_owned();
        let places = |tensor: &Tensor| names::gguf::places(&family, architecture, tensor);
        let norm_offset = names::gguf::norm_offset(&family, architecture);
        Ok(Self { norm_offset, ..Self::resolve(Table::of_gguf(file), architecture, places)? })
    }

    /// Opens `model.safetensors`, or the files that `model.safetensors.index.json` lists, of a folder; `family` is the
    /// `model_type`. None where the folder has neither.
    ///
    /// # Errors
    /// As [`ModelWeights::open`].
    pub fn open_safetensors(
        folder: &Path,
        family: &str,
        architecture: &Architecture,
    ) -> Result<Option<Self>, FormatsError> {
        let Some(table) = Table::of_safetensors(folder)? else { return Ok(None) };
        if let Some(reason) = names::huggingface::refused(family) {
            let message = format!("weights of the model type `{family}` are not read: {reason}");
            return Err(table.error(message));
        }
        Self::resolve(table, architecture, |tensor| names::huggingface::places(family, architecture, tensor))
            .map(Some)
    }

    fn resolve(
        mut table: Table,
        architecture: &Architecture,
        places: impl Fn(&Tensor) -> Vec<names::Place>,
    ) -> Result<Self, FormatsError> {
        if architecture.tied_embeddings {
            table.forgive_head();
        }
        let mut views = HashMap::new();
        for tensor in architecture.tensors() {
            let view = View::find(&mut table, &tensor, &places(&tensor))?;
            views.insert((tensor.role, tensor.part, tensor.layer), view);
        }
        table.refuse_unread()?;
        Ok(Self { table, views, norm_offset: 0.0 })
    }

    /// Writes the values `first..first + values.len()` of `tensor`, counted row-major.
    ///
    /// # Errors
    /// The files' architecture has no such tensor or none so large, or a file can no longer be read.
    pub fn read(&self, tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        self.view(tensor)?.read(&self.table, first, values)?;
        let offset = self.stored_offset(tensor);
        if offset != 0.0 {
            values.iter_mut().for_each(|value| *value -= offset);
        }
        Ok(())
    }

    /// The stored bytes of the rows `first..first + rows` of a matrix, where they are rows of `format` in GGUF's layout
    /// already, so that nothing is rounded twice; with [`stored_offset`](Self::stored_offset) in them. False, and nothing
    /// read, where they are not.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_encoded(
        &self,
        tensor: &Tensor,
        format: NumberFormat,
        first: u64,
        bytes: &mut [u8],
    ) -> Result<bool, FormatsError> {
        self.view(tensor)?.read_encoded(&self.table, format, first, bytes)
    }

    /// What the files hold added to each value of a tensor: 1 for norms whose weights are offsets from it, in llama.cpp's
    /// files.
    pub fn stored_offset(&self, tensor: &Tensor) -> f32 {
        if tensor.role.is_norm() && tensor.part == TensorPart::Weight { self.norm_offset } else { 0.0 }
    }

    /// The format in which a tensor lies in the files, by its GGUF name: `bf16`, `q5_k`, …
    ///
    /// # Errors
    /// The files' architecture has no such tensor.
    pub fn stored_as(&self, tensor: &Tensor) -> Result<&'static str, FormatsError> {
        Ok(self.view(tensor)?.kind(&self.table).name)
    }

    /// Bytes of all tensors in the files.
    pub fn bytes(&self) -> u64 {
        self.table.bytes()
    }

    fn view(&self, tensor: &Tensor) -> Result<&View, FormatsError> {
        let key = (tensor.role, tensor.part, tensor.layer);
        self.views.get(&key).ok_or_else(|| self.table.error(format!("it holds no `{}`", tensor.name())))
    }
}
