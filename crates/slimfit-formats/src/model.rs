//! A `MODEL` of the command line, whatever it is: a config, a GGUF file, an architecture or a built-in name.

use crate::architecture_file::read_point;
use crate::builtin::{self, PublishedModel};
use crate::{FormatsError, gguf, huggingface};
use slimfit_arch::Architecture;
use slimfit_document::{Document, DocumentError};
use slimfit_quantity::NumberFormat;
use std::path::{Path, PathBuf};

/// A model that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedModel {
    /// The built-in name, or the name of the file or folder.
    pub name: String,
    /// The `model_type` or GGUF architecture; `slimfit` for slimfit's own files.
    pub family: String,
    /// The network.
    pub architecture: Architecture,
    /// Where it was found.
    pub origin: Origin,
    /// The format of its weights, where it says.
    pub weights_format: Option<NumberFormat>,
    /// Tokens it was made for, where it says.
    pub context: Option<u64>,
    /// What was published about it, for built-in models.
    pub published: Option<&'static PublishedModel>,
}

/// Where a model was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A Hugging Face `config.json`.
    HuggingFace(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
    /// A slimfit architecture file.
    Slimfit(PathBuf),
    /// The built-in list.
    BuiltIn,
}

/// Finds a model: a file or folder where there is one, else a built-in name in any case.
///
/// # Errors
/// [`FormatsError::UnknownModel`] with the nearest built-in name when nothing matches, and whatever is wrong in a file.
pub fn load_model(reference: &str) -> Result<LoadedModel, FormatsError> {
    let path = Path::new(reference);
    if path.is_dir() {
        let config = path.join("config.json");
        if config.is_file() {
            return load_text(&config, path);
        }
        if let Some(model) = builtin::find(reference) {
            return Ok(from_published(model));
        }
        let message = "a folder without a model";
        return Err(DocumentError::new("unknown_model", message)
            .file(reference)
            .allowed("a `config.json` in it")
            .into());
    }
    if path.is_file() {
        return if gguf::is_gguf(path) { load_gguf(path) } else { load_text(path, path) };
    }
    if let Some(model) = builtin::find(reference) {
        return Ok(from_published(model));
    }
    let looks_like_a_path = reference.contains(std::path::MAIN_SEPARATOR) && path.extension().is_some();
    if looks_like_a_path && ["json", "yaml", "yml", "gguf"].iter().any(|known| reference.ends_with(known)) {
        // Reading gives the system's own reason: missing, forbidden, …
        return load_text(path, path);
    }
    Err(FormatsError::UnknownModel { reference: reference.to_owned(), hint: builtin::hint(reference) })
}

fn from_published(model: &'static PublishedModel) -> LoadedModel {
    LoadedModel {
        name: model.name.clone(),
        family: model.family.clone(),
        architecture: model.architecture.clone(),
        origin: Origin::BuiltIn,
        weights_format: None,
        context: Some(model.context),
        published: Some(model),
    }
}

/// `named` gives the model its name: the folder of a `config.json`, else the file.
fn load_text(path: &Path, named: &Path) -> Result<LoadedModel, FormatsError> {
    let document = Document::read(path)?;
    let name = name_of(named);
    if document.has("model_type") || path.file_name().is_some_and(|name| name == "config.json") {
        let read = huggingface::from_document(&document)?;
        return Ok(LoadedModel {
            name: if name == "config" { name_of(path.parent().unwrap_or(path)) } else { name },
            family: read.family,
            architecture: read.architecture,
            origin: Origin::HuggingFace(path.to_owned()),
            weights_format: read.weights_format,
            context: read.context,
            published: None,
        });
    }
    let point = read_point(&document)?;
    Ok(LoadedModel {
        name,
        family: "slimfit".to_owned(),
        architecture: point.architecture,
        origin: Origin::Slimfit(path.to_owned()),
        weights_format: point.weights,
        context: None,
        published: None,
    })
}

fn load_gguf(path: &Path) -> Result<LoadedModel, FormatsError> {
    let file = gguf::GgufFile::open(path)?;
    let read = file.model()?;
    Ok(LoadedModel {
        name: read.name.unwrap_or_else(|| name_of(path)),
        family: read.family,
        architecture: read.architecture,
        origin: Origin::Gguf(path.to_owned()),
        weights_format: read.weights_format,
        context: read.context,
        published: None,
    })
}

/// The last part without extension; the current folder's own name for `.`.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let part = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    part.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}
