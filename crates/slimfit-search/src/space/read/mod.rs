//! A space file: from text to axes, with the place of everything that is wrong.

mod conditions;
mod fixed;
mod layers;
mod limits;
mod numbers;
mod sources;
mod values;

pub use fixed::Fixed;

use super::axes::{Axis, EXPERTS, LOOPS};
use super::{Choice, Numbers, Space};
use crate::SearchError;
use serde::Deserialize;
use serde_json::Value;
use slimfit_document::{Document, DocumentError, suggestion};
use slimfit_quality::Assumption;
use slimfit_quantity::NumberFormat;
use sources::Sources;
use std::collections::{BTreeMap, BTreeSet};

/// The schema name that space files carry.
pub const SPACE_SCHEMA: &str = "slimfit/space/v1";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpaceFile {
    #[expect(dead_code, reason = "checked before the file is parsed")]
    schema: String,
    name: String,
    description: String,
    axes: BTreeMap<String, Value>,
    #[serde(default)]
    fixed: Fixed,
    #[serde(default)]
    per_layer: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    constraints: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    assume: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    portable: Option<Vec<String>>,
}

pub(super) fn read(document: &Document, assume: &BTreeSet<Assumption>) -> Result<Space, SearchError> {
    document.schema(&[SPACE_SCHEMA])?;
    let file: SpaceFile = document.parse()?;
    let reader = Reader { document };
    let sources = Sources::new(&reader, &file, assume)?;
    let mut numbers: [Numbers; Axis::COUNT] = std::array::from_fn(|_| Vec::new());
    if !file.axes.contains_key(LOOPS) {
        numbers[Axis::Loops as usize].push(Choice::Number(1));
    }
    for axis in Axis::ALL {
        for (field, value) in sources.of(axis.name()) {
            reader.numbers(&field, value, axis, &mut numbers[axis as usize])?;
        }
        reader.distinct(axis, &numbers[axis as usize])?;
    }
    let order = reader.order(&numbers)?;
    let (mut windows, mut experts) = (Vec::new(), Vec::new());
    for (field, value) in sources.of("window") {
        reader.list(&field, value, &mut windows, |field, value| reader.window(field, value))?;
    }
    if !file.axes.contains_key(EXPERTS) {
        experts.push(None);
    }
    for (field, value) in sources.of(EXPERTS) {
        reader.list(&field, value, &mut experts, |field, value| reader.mixture(field, value))?;
    }
    let (gated, tied) = (reader.truths(&sources, "gated")?, reader.truths(&sources, "tied_embeddings")?);
    let weights = reader.formats(&sources, "weights", &NumberFormat::SEARCHABLE_WEIGHTS)?;
    let kv = reader.formats(&sources, "kv", &NumberFormat::SEARCHABLE_KV)?;
    let [parameters, non_embedding] = reader.parameter_bounds(&file.constraints)?;
    let exclude = reader.exclusions(&file.exclude)?;
    let portable = file.portable.as_deref().map(|names| reader.loaders(names)).transpose()?;
    reader.passes(&numbers)?;
    let space = Space {
        name: file.name,
        description: file.description,
        text: document.text().to_owned(),
        numbers,
        order,
        gated,
        tied,
        weights,
        kv,
        windows,
        experts,
        fixed: file.fixed,
        per_layer: reader.per_layer(&file.per_layer)?,
        exclude,
        parameters,
        non_embedding,
        portable,
        assume: assume.clone(),
        listed: Assumption::ALL
            .into_iter()
            .filter(|assumption| file.assume.contains_key(assumption.name()))
            .collect(),
    };
    if space.checked_size().is_none() {
        return Err(document.error_at("axes", "the space has more than 2^63 points").into());
    }
    if space.is_layered() {
        reader.check_layers(&space)?;
    }
    Ok(space)
}

/// Reads one document.
struct Reader<'a> {
    document: &'a Document,
}

impl Reader<'_> {
    fn wrong(&self, field: &str, found: &Value, allowed: &str) -> DocumentError {
        self.document
            .error_at(field, "wrong value")
            .code("wrong-type")
            .found(format!("`{found}`"))
            .allowed(allowed)
    }

    fn unknown(&self, field: &str, message: &str, found: &str, known: &[&str]) -> DocumentError {
        let error = self.document.error_at(field, message).code("unknown-name").found(format!("`{found}`"));
        error.allowed(known.join(", ")).maybe_hint(suggestion(found, known.iter().copied()))
    }
}
