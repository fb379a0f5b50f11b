//! The model that is asked about, and the formats it is priced in.

use crate::WorkflowError;
use crate::candidates::{ExistingModel, StoredWeights, gather_one};
use slimfit_arch::Architecture;
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::NumberFormat;
use slimfit_study::{Front, Study};
use std::path::Path;

/// The formats that a model is priced in, where the user says, and by whose training.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskedFormats {
    /// Weight format.
    pub weights: Option<NumberFormat>,
    /// KV format.
    pub kv: Option<NumberFormat>,
    /// Whether the model's own training counts instead of the study's.
    pub as_trained: bool,
}

/// A model that was found.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) architecture: Architecture,
    /// Tokens it was trained on, where published.
    pub(super) tokens: Option<u64>,
    pub(super) stored: Option<StoredWeights>,
    /// The formats that it has: those of a point, of its file.
    weights: Option<NumberFormat>,
    kv: Option<NumberFormat>,
}

impl AskedFormats {
    pub(super) fn weights(&self, asked: &Asked, offered: &[NumberFormat]) -> Vec<NumberFormat> {
        self.weights.or(asked.weights).map_or_else(|| offered.to_vec(), |weights| vec![weights])
    }

    pub(super) fn kv(&self, asked: &Asked, offered: &[NumberFormat]) -> Vec<NumberFormat> {
        self.kv.or(asked.kv).map_or_else(|| offered.to_vec(), |kv| vec![kv])
    }
}

/// Finds a model: a point of the study by its id, else as every command does.
pub(super) fn find(study: &Study, front: &Front, reference: &str) -> Result<Asked, WorkflowError> {
    if is_id(reference) && !Path::new(reference).exists() {
        return point(study, front, reference);
    }
    let ExistingModel { name, architecture, tokens, stored, point_format, .. } = gather_one(reference)?;
    let weights = stored.as_ref().map(|stored| stored.weights).or(point_format);
    Ok(Asked { name, architecture, tokens, stored, weights, kv: None })
}

fn is_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn point(study: &Study, front: &Front, id: &str) -> Result<Asked, WorkflowError> {
    let of = |architecture: &Architecture, weights: NumberFormat, kv: NumberFormat| Asked {
        name: format!("point {id}"),
        architecture: architecture.clone(),
        tokens: None,
        stored: None,
        weights: Some(weights),
        kv: Some(kv),
    };
    if let Some(point) = front.points.iter().find(|point| point.id == id) {
        return Ok(of(&point.architecture, point.weights, point.kv));
    }
    if let Some(run) = study.measurements()?.iter().find(|run| run.id == id) {
        return Ok(of(&run.architecture, run.weights, run.kv));
    }
    let verification = study.verification()?;
    if let Some(row) = verification.iter().flat_map(|found| &found.rows).find(|row| row.id == id) {
        return Ok(of(&row.architecture, row.weights, row.kv));
    }
    for candidate in &front.head.existing.candidates {
        let Some(format) = candidate.formats.iter().find(|format| format.id == id) else { continue };
        let reference = candidate.path.as_ref().unwrap_or(&candidate.name);
        let found = gather_one(reference)?;
        return Ok(Asked {
            name: candidate.name.clone(),
            tokens: found.tokens,
            stored: found.stored,
            ..of(&found.architecture, format.weights, format.kv)
        });
    }
    let known = front.points.iter().map(|point| point.id.as_str());
    let error = DocumentError::new("unknown-point", "the study keeps no point of this id");
    let error = error.file(study.folder().display().to_string()).found(format!("`{id}`"));
    let hint = suggestion(id, known).unwrap_or_else(|| {
        "points that the front dominates are not kept: name the architecture, in a file of its own".to_owned()
    });
    Err(error.allowed("points of the front, measured and verified models, candidates").hint(hint).into())
}
