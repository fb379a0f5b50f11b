//! The tensors of a model's files: where each lies, in which format, and how much of it was claimed.

use super::Blocks;
use crate::FormatsError;
use crate::gguf::{GgufFile, GgufType};
use crate::safetensors_header::SafetensorsFile;
use crate::storage::Storage;
use slimfit_document::Document;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// One stored tensor.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its name in the file.
    pub(super) name: String,
    /// Slowest first.
    pub(super) shape: Vec<u64>,
    pub(super) kind: GgufType,
    pub(super) blocks: Blocks,
    file: usize,
    start: u64,
    claimed: u64,
}

impl Stored {
    /// The reader has checked that the count fits 64 bits.
    pub(super) fn values(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// All tensors of one model.
#[derive(Debug)]
pub(super) struct Table {
    files: Vec<Storage>,
    tensors: Vec<Stored>,
    /// By the name that [`super::names`] gives.
    by_name: HashMap<String, usize>,
    /// Errors about the whole model name this.
    origin: String,
    forgiven: Vec<String>,
}

impl Table {
    pub(super) fn of_gguf(mut file: GgufFile) -> Self {
        let entries = std::mem::take(&mut file.tensors);
        let storage = file.into_storage();
        let origin = storage.name().to_owned();
        let mut table = Self::empty(origin);
        for entry in entries {
            let shape = entry.sizes.into_iter().rev().collect();
            table.insert(entry.name.clone(), entry.name, shape, entry.kind, 0, entry.start);
        }
        table.files.push(storage);
        table
    }

    /// The safetensors of a folder; none where it has none.
    pub(super) fn of_safetensors(folder: &Path) -> Result<Option<Self>, FormatsError> {
        let (single, index) = (folder.join("model.safetensors"), folder.join("model.safetensors.index.json"));
        let (origin, paths) = if single.is_file() {
            (single.display().to_string(), vec![single])
        } else if index.is_file() {
            (index.display().to_string(), parts(folder, &index)?)
        } else {
            return Ok(None);
        };
        let mut table = Self::empty(origin);
        for path in paths {
            let file = SafetensorsFile::open(&path)?;
            let number = table.files.len();
            for entry in file.tensors {
                let name = super::names::huggingface::plain(&entry.name);
                if super::names::is_computed(&name) {
                    continue;
                }
                let Some(kind) = GgufType::named(&entry.kind.to_lowercase()) else {
                    let allowed = "F64, F32, F16, BF16";
                    let message = format!(
                        "`{}` has values of type {}, which is not read; read are {allowed}",
                        entry.name, entry.kind
                    );
                    return Err(file.storage.error(entry.start, message));
                };
                if table.by_name.contains_key(&name) {
                    let message = format!("the tensor `{}` is stored twice", entry.name);
                    return Err(file.storage.error(entry.start, message));
                }
                table.insert(name, entry.name, entry.shape, kind, number, entry.start);
            }
            table.files.push(file.storage);
        }
        Ok(Some(table))
    }

    fn empty(origin: String) -> Self {
        let (files, tensors, by_name) = (Vec::new(), Vec::new(), HashMap::new());
        Self { files, tensors, by_name, origin, forgiven: Vec::new() }
    }

    fn insert(
        &mut self,
        plain: String,
        name: String,
        shape: Vec<u64>,
        kind: GgufType,
        file: usize,
        start: u64,
    ) {
        self.by_name.insert(plain, self.tensors.len());
        let blocks = Blocks::of(kind);
        self.tensors.push(Stored { name, shape, kind, blocks, file, start, claimed: 0 });
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn stored(&self, index: usize) -> &Stored {
        &self.tensors[index]
    }

    /// Notes that `values` of a tensor are read by someone.
    pub(super) fn claim(&mut self, index: usize, values: u64) {
        self.tensors[index].claimed += values;
    }

    /// An output head may be stored although it is the input table.
    pub(super) fn forgive_head(&mut self) {
        self.forgiven.extend(
            ["lm_head.weight", "embed_out.weight", "output.weight", "head.weight"].map(str::to_owned),
        );
    }

    /// Everything in the files must have been claimed exactly once, or something was misunderstood.
    pub(super) fn refuse_unread(&self) -> Result<(), FormatsError> {
        let unread: BTreeMap<&str, usize> = self
            .by_name
            .iter()
            .filter(|(plain, index)| {
                let stored = &self.tensors[**index];
                let forgiven = self.forgiven.contains(*plain) || super::names::is_computed(plain);
                stored.claimed != stored.values() && !(stored.claimed == 0 && forgiven)
            })
            .map(|(_, &index)| (self.tensors[index].name.as_str(), index))
            .collect();
        let Some((name, &index)) = unread.iter().next() else { return Ok(()) };
        let stored = &self.tensors[index];
        let message = format!(
            "`{name}` has {} values, and the architecture reads {} of them: a variant that is not supported{}",
            stored.values(),
            stored.claimed,
            if unread.len() > 1 {
                format!(" ({} more tensors like this)", unread.len() - 1)
            } else {
                String::new()
            }
        );
        Err(self.files[stored.file].error(stored.start, message))
    }

    pub(super) fn bytes(&self) -> u64 {
        let of = |tensor: &Stored| tensor.values() / tensor.kind.block_values * tensor.kind.block_bytes;
        self.tensors.iter().map(of).sum()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FormatsError {
        FormatsError::Binary { file: self.origin.clone(), offset: 0, message: message.into() }
    }

    pub(super) fn error_at(&self, index: usize, message: impl Into<String>) -> FormatsError {
        let stored = &self.tensors[index];
        self.files[stored.file].error(stored.start, message)
    }

    /// The values `first..first + values.len()` of a stored tensor, in its own order.
    pub(super) fn read(&self, index: usize, first: u64, values: &mut [f32]) -> Result<(), FormatsError> {
        if values.is_empty() {
            return Ok(());
        }
        let stored = &self.tensors[index];
        let block = stored.kind.block_values;
        let (from, to) = (first / block, (first + values.len() as u64).div_ceil(block));
        let mut bytes = vec![0; ((to - from) * stored.kind.block_bytes) as usize];
        self.read_blocks(index, from, &mut bytes)?;
        let decode = |values: &mut [f32]| {
            stored.blocks.decode(&bytes, values).map_err(|message| self.error_at(index, message))
        };
        let skipped = (first - from * block) as usize;
        if skipped == 0 && values.len() as u64 == (to - from) * block {
            return decode(values);
        }
        let mut whole = vec![0.0; ((to - from) * block) as usize];
        decode(&mut whole)?;
        values.copy_from_slice(&whole[skipped..skipped + values.len()]);
        Ok(())
    }

    /// Stored bytes from block `first` on.
    pub(super) fn read_blocks(&self, index: usize, first: u64, bytes: &mut [u8]) -> Result<(), FormatsError> {
        let stored = &self.tensors[index];
        self.files[stored.file].read_at(stored.start + first * stored.kind.block_bytes, bytes)
    }
}

/// The files that an index lists.
fn parts(folder: &Path, index: &Path) -> Result<Vec<std::path::PathBuf>, FormatsError> {
    let document = Document::read(index)?;
    let value = document.value()?;
    let Some(map) = value.get("weight_map").and_then(serde_json::Value::as_object) else {
        let error = document.error_at("weight_map", "no list of files");
        return Err(error.allowed("an object of tensor names and file names").into());
    };
    let mut names: Vec<&str> = Vec::new();
    for (tensor, file) in map {
        let field = format!("weight_map.{tensor}");
        match file.as_str() {
            // A name alone: a file elsewhere is no part of this model.
            Some(name) if Path::new(name).file_name().is_some_and(|part| part == name) => {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            _ => {
                let error = document.error_at(&field, "no file of this folder").found(file.to_string());
                return Err(error.allowed("the name of a file beside the index").into());
            }
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
