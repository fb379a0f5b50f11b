//! The weights of an architecture as safetensors, under the names that a class of `transformers` gives them.
//!
//! All tensors have one type, as checkpoints have. Files past a limit become shards beside an index, cut between tensors
//! as the library cuts them.

#[cfg(test)]
mod tests;

use crate::config_out::{CUSTOM_MODEL_TYPE, Class};
use crate::storage_out::{require_room, write_whole};
use crate::weights::encode::write_tensors;
use crate::weights::layout::{StoredTensor, WriteFailed, lay_out};
use crate::weights::names::huggingface;
use crate::{FormatsError, TensorSource};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, WrittenFile, create_directory};
use slimfit_quantity::NumberFormat;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Bytes of the largest file unless another limit is said: 4 GB, so that every file system holds it.
pub const SHARD_BYTES: u64 = 4_000_000_000;

/// Whose names the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorNames {
    /// Those of a class of `transformers`: `model.layers.3.self_attn.q_proj.weight`.
    Class(Class),
    /// slimfit's own, of the model type `slimfit`: `layers.3.attention.query.weight`.
    Canonical,
}

impl TensorNames {
    /// The `model_type` of configs whose files have these names.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Class(class) => class.model_type(),
            Self::Canonical => CUSTOM_MODEL_TYPE,
        }
    }
}

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct SafetensorsOutput<'a> {
    /// The network, which the class must hold: see [`standard_class`](crate::config_out::standard_class).
    pub architecture: &'a Architecture,
    /// Whose names.
    pub names: TensorNames,
    /// The type of all values: f32, bf16 or f16.
    pub weights: NumberFormat,
    /// Bytes of the largest file; a tensor that alone has more makes a larger one.
    pub shard_bytes: u64,
}

/// One file and what is in it.
struct Shard {
    name: String,
    tensors: Vec<StoredTensor>,
    /// Length and header.
    head: Vec<u8>,
    data_bytes: u64,
}

impl SafetensorsOutput<'_> {
    /// Bytes of all files, the index left out.
    ///
    /// # Errors
    /// A format that safetensors have no type for, or sizes past 64 bits.
    pub fn bytes(&self) -> Result<u64, FormatsError> {
        Ok(total(&self.shards()?))
    }

    /// Writes `model.safetensors` into a folder, or shards `model-00001-of-00003.safetensors` and
    /// `model.safetensors.index.json`. Where one file fails, those before it are removed again.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), weights that the folder has already, no room on the disk, files that cannot be written,
    /// and what `source` reports.
    pub fn write(&self, folder: &Path, source: &dyn TensorSource) -> Result<Vec<WrittenFile>, FormatsError> {
        let shards = self.shards()?;
        refuse_weights(folder)?;
        require_room(folder, total(&shards))?;
        create_directory(folder)?;
        let mut written = Vec::new();
        let result = write_all(folder, &shards, source, &mut written);
        if result.is_err() {
            for file in &written {
                // What is wrong has been said; that a file cannot be removed either adds nothing.
                let _ = std::fs::remove_file(&file.path);
            }
        }
        result.map(|()| written)
    }

    fn dtype(&self) -> Result<Dtype, FormatsError> {
        match self.weights {
            NumberFormat::F32 => Ok(Dtype::F32),
            NumberFormat::F16 => Ok(Dtype::F16),
            NumberFormat::Bf16 => Ok(Dtype::BF16),
            other => {
                let error = DocumentError::new("no-safetensors", "safetensors have no such type");
                let error = error.found(format!("`{other}`")).allowed("f32, bf16, f16");
                Err(error.hint("quantised weights are written as GGUF").into())
            }
        }
    }

    /// Every tensor as the class has it.
    fn tensors(&self) -> Vec<StoredTensor> {
        let family = self.names.model_type();
        let place = |tensor: &_| {
            let places = huggingface::places(family, self.architecture, tensor);
            let mut place = places.into_iter().next().expect("every tensor of a class has a name");
            place.names.iter_mut().for_each(|name| *name = huggingface::whole(family, name));
            place
        };
        lay_out(&self.architecture.tensors(), place, |_| self.weights, |_| 0.0)
    }

    fn shards(&self) -> Result<Vec<Shard>, FormatsError> {
        let dtype = self.dtype()?;
        let mut groups: Vec<(Vec<StoredTensor>, u64)> = Vec::new();
        for tensor in self.tensors() {
            let bytes = tensor.bytes()?;
            match groups.last_mut() {
                Some((tensors, all)) if all.checked_add(bytes).is_some_and(|all| all <= self.shard_bytes) => {
                    tensors.push(tensor);
                    *all += bytes;
                }
                _ => groups.push((vec![tensor], bytes)),
            }
        }
        let count = groups.len();
        let shard = |(index, (tensors, data_bytes)): (usize, (Vec<StoredTensor>, u64))| {
            let name = match count {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{:05}-of-{count:05}.safetensors", index + 1),
            };
            Ok(Shard { name, head: head(&tensors, dtype)?, tensors, data_bytes })
        };
        groups.into_iter().enumerate().map(shard).collect()
    }
}

fn total(shards: &[Shard]) -> u64 {
    shards.iter().map(|shard| shard.head.len() as u64 + shard.data_bytes).sum()
}

/// Length and header of a file.
fn head(tensors: &[StoredTensor], dtype: Dtype) -> Result<Vec<u8>, FormatsError> {
    let mut infos = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes()? as usize;
        let shape = tensor.shape.iter().map(|&size| size as usize).collect();
        infos.push((tensor.name.clone(), TensorInfo { dtype, shape, data_offsets: (start, end) }));
    }
    // The library refuses files that do not say which framework's names they hold.
    let framework = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let unprintable =
        |error: String| DocumentError::new("unprintable", format!("no safetensors header: {error}"));
    let metadata = Metadata::new(Some(framework), infos).map_err(|error| unprintable(error.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| unprintable(error.to_string()))?;
    // Values begin at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes()[..], &header].concat())
}

/// Weights of two models side by side would be read as one.
fn refuse_weights(folder: &Path) -> Result<(), FormatsError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let error = DocumentError::new("write-failed", format!("the folder cannot be read: {error}"));
            return Err(error.file(folder.display().to_string()).into());
        }
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let weights = |name: &String| name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
    match names.filter(weights).min() {
        None => Ok(()),
        Some(name) => {
            let error = DocumentError::new("not-empty", "the folder has weights already");
            let error = error.file(folder.display().to_string()).found(format!("`{name}`"));
            Err(error.hint("name a new folder").into())
        }
    }
}

fn write_all(
    folder: &Path,
    shards: &[Shard],
    source: &dyn TensorSource,
    written: &mut Vec<WrittenFile>,
) -> Result<(), FormatsError> {
    for shard in shards {
        let path: PathBuf = folder.join(&shard.name);
        written.push(write_whole(&path, "safetensors", |file| {
            file.write_all(&shard.head).map_err(WriteFailed::File)?;
            write_tensors(&shard.tensors, source, file, |_, _| Ok(()))
        })?);
    }
    if shards.len() > 1 {
        let path = folder.join("model.safetensors.index.json");
        written.push(WrittenFile::write(&path, "safetensors-index", &index(shards))?);
    }
    Ok(())
}

/// Which file holds which tensor.
fn index(shards: &[Shard]) -> Vec<u8> {
    let names = |shard: &Shard| {
        let file = shard.name.clone();
        shard.tensors.iter().map(move |tensor| (tensor.name.clone(), file.clone())).collect::<Vec<_>>()
    };
    let map: BTreeMap<String, String> = shards.iter().flat_map(names).collect();
    let size: u64 = shards.iter().map(|shard| shard.data_bytes).sum();
    let index = serde_json::json!({ "metadata": { "total_size": size }, "weight_map": map });
    let mut text = serde_json::to_vec_pretty(&index).expect("names are plain JSON");
    text.push(b'\n');
    text
}
