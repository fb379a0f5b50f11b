//! Which models the user means: the built-in list, files, and whatever lies in folders.

use super::StoredWeights;
use super::known::known;
use crate::WorkflowError;
use slimfit_arch::Architecture;
use slimfit_document::DocumentError;
use slimfit_formats::{FormatsError, LoadedModel, Origin, PublishedModel, builtin, load_model};
use slimfit_quantity::NumberFormat;
use slimfit_study::{CandidateOrigin, PublishedScore, SkippedCandidate};
use std::path::{Path, PathBuf};

/// The word for all built-in models; a folder of that name is `./public`.
pub const PUBLIC: &str = "public";
/// Folders within folders that are looked into. Caches of downloads put models four deep.
const DEEPEST: usize = 6;

/// A model that exists.
#[derive(Debug, Clone)]
pub struct ExistingModel {
    /// The built-in name, or the one its file gives it.
    pub name: String,
    /// Whether it comes from the built-in list or from a file.
    pub origin: CandidateOrigin,
    /// The file.
    pub path: Option<String>,
    /// The `model_type` or GGUF architecture.
    pub family: String,
    /// What it is.
    pub architecture: Architecture,
    /// Tokens it was made for.
    pub context: Option<u64>,
    /// Tokens it was trained on, where published.
    pub tokens: Option<u64>,
    /// Whether its training is that of the built-in model it is a variant of.
    pub is_variant: bool,
    /// Published scores.
    pub scores: Vec<PublishedScore>,
    /// How its file stores it, where that is how it runs.
    pub stored: Option<StoredWeights>,
    /// The weight format that a point of a front, in a file of its own, was found in.
    pub point_format: Option<NumberFormat>,
}

/// All models that were found, and the files that are none.
#[derive(Debug, Clone, Default)]
pub struct ExistingModels {
    /// The models, in the order in which they were named.
    pub models: Vec<ExistingModel>,
    /// Files in folders that could not be read, with the reason.
    pub skipped: Vec<SkippedCandidate>,
}

/// Finds the models that `references` name: `public` for all built-in ones, a built-in name, a file, or a folder. A file in a
/// folder that is no model of a known kind is skipped; one that is named itself is an error.
///
/// # Errors
/// A name that is neither file nor built in, a file that cannot be read, and a folder in which nothing can.
pub fn gather(references: &[String]) -> Result<ExistingModels, WorkflowError> {
    let mut found = ExistingModels::default();
    for reference in references {
        if reference == PUBLIC {
            found.add_all(builtin::models().iter().map(public).collect());
            continue;
        }
        let path = Path::new(reference);
        if path.is_dir() && !path.join("config.json").is_file() {
            found.add_folder(path)?;
            continue;
        }
        found.add_all(vec![gather_one(reference)?]);
    }
    Ok(found)
}

/// The one model that `reference` names.
///
/// # Errors
/// A name that is neither file nor built in, and a file that cannot be read.
pub fn gather_one(reference: &str) -> Result<ExistingModel, WorkflowError> {
    existing(load_model(reference)?)
}

impl ExistingModels {
    /// Each once, however often it was named.
    fn add_all(&mut self, models: Vec<ExistingModel>) {
        for mut model in models {
            let same = |known: &ExistingModel| known.path == model.path && known.name == model.name;
            if self.models.iter().any(same) {
                continue;
            }
            if self.models.iter().any(|known| known.name == model.name)
                && let Some(path) = &model.path
            {
                model.name = format!("{} ({})", model.name, end_of(path));
            }
            self.models.push(model);
        }
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), WorkflowError> {
        let mut files = Vec::new();
        files_below(folder, DEEPEST, &mut files).map_err(|error| {
            DocumentError::new("file-unreadable", error.to_string()).file(folder.display().to_string())
        })?;
        if files.is_empty() {
            let error = DocumentError::new("no-models", "a folder without a model");
            let error = error.file(folder.display().to_string());
            return Err(error
                .allowed("`.gguf` files, or `config.json` files in folders of their own")
                .into());
        }
        let (mut models, mut skipped) = (Vec::new(), Vec::new());
        for file in &files {
            let file = file.display().to_string();
            match load_model(&file).map_err(WorkflowError::from).and_then(existing) {
                Ok(model) => models.push(model),
                Err(error) => {
                    skipped
                        .push(SkippedCandidate { candidate: file.clone(), reason: sentence(&error, &file) });
                }
            }
        }
        if models.is_empty() {
            let reasons =
                skipped.iter().map(|skipped| format!("`{}`: {}", skipped.candidate, skipped.reason));
            let error = DocumentError::new("no-models", "no file of the folder can be read as a model");
            let error = error.file(folder.display().to_string());
            return Err(error.found(reasons.collect::<Vec<_>>().join("; ")).into());
        }
        self.add_all(models);
        self.skipped.extend(skipped);
        Ok(())
    }
}

/// Model files below a folder, by name. Links to folders are not followed: they may lead round in circles.
fn files_below(folder: &Path, deepest: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if deepest > 0 && !name.starts_with('.') {
                files_below(&path, deepest - 1, files)?;
            }
            continue;
        }
        let is_gguf = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
        if path.is_file() && (is_gguf || name == "config.json") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with a file, in one sentence that does not name it again.
fn sentence(error: &WorkflowError, file: &str) -> String {
    let text = match error {
        WorkflowError::Formats(FormatsError::Document(error)) | WorkflowError::Document(error) => {
            let mut text = error.message.clone();
            for (label, part) in [("found", &error.found), ("allowed", &error.allowed)] {
                if let Some(part) = part {
                    text = format!("{text}; {label} {part}");
                }
            }
            text
        }
        other => other.to_string(),
    };
    let text = text.replace(&format!("{file}: "), "");
    text.lines().collect::<Vec<_>>().join("; ")
}

fn public(model: &'static PublishedModel) -> ExistingModel {
    ExistingModel {
        name: model.name.clone(),
        origin: CandidateOrigin::Public,
        path: None,
        family: model.family.clone(),
        architecture: model.architecture.clone(),
        context: Some(model.context),
        tokens: model.tokens,
        is_variant: false,
        scores: scores(model),
        stored: None,
        point_format: None,
    }
}

fn existing(model: LoadedModel) -> Result<ExistingModel, WorkflowError> {
    if let (Origin::BuiltIn, Some(published)) = (&model.origin, model.published) {
        return Ok(public(published));
    }
    let stored = match &model.origin {
        Origin::Gguf(path) => Some(StoredWeights::of_gguf(path, &model.architecture)?),
        _ => None,
    };
    let is_point = matches!(model.origin, Origin::Slimfit(_));
    let point_format = model.weights_format.filter(|_| is_point);
    let path = match &model.origin {
        Origin::Gguf(path) | Origin::HuggingFace(path) | Origin::Slimfit(path) => {
            Some(path.display().to_string())
        }
        Origin::BuiltIn => None,
    };
    let name = path.as_deref().and_then(cached_name).map_or(model.name, str::to_owned);
    let known = known(&name, &model.architecture);
    Ok(ExistingModel {
        tokens: known.and_then(|known| known.model.tokens),
        is_variant: known.is_some_and(|known| !known.is_itself),
        scores: known.filter(|known| known.is_itself).map(|known| scores(known.model)).unwrap_or_default(),
        name,
        origin: CandidateOrigin::File,
        path,
        family: model.family,
        architecture: model.architecture,
        context: model.context,
        stored,
        point_format,
    })
}

/// The file and the folder that holds it: enough to tell files of one name apart, and nothing of where the user keeps them.
fn end_of(path: &str) -> &str {
    let mut places = path.rmatch_indices(['/', '\\']).map(|(place, _)| place + 1);
    places.nth(1).map_or(path, |place| &path[place..])
}

/// The model's name in a cache of downloads, whose folders are named by owner and model, and then by the hash of a revision.
fn cached_name(path: &str) -> Option<&str> {
    let mut parts = path.split(['/', '\\']).rev();
    parts.find_map(|part| part.strip_prefix("models--"))?.rsplit("--").next()
}

/// What was published about a built-in model.
pub(crate) fn scores(model: &PublishedModel) -> Vec<PublishedScore> {
    let hellaswag = model.hellaswag.iter().map(|score| PublishedScore {
        task: "hellaswag".to_owned(),
        percent: score.percent,
        setting: Some(score.setting.clone()),
        source: format!("{} ({})", score.source, score.setting),
    });
    hellaswag.collect()
}
