//! A space file: from text to axes, with the place of everything that is wrong.

mod conditions;
mod fixed;
mod layers;
mod limits;
mod numbers;
mod reach;
mod sources;
mod values;

pub use fixed::Fixed;

use super::axes::{AnyAxis, Axis, EXPERTS, LOOPS};
use super::rules::Offers;
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
    let mut offers = Vec::new();
    for axis in Axis::ALL {
        let once = axis == Axis::Loops && !file.axes.contains_key(LOOPS);
        let found = reader.numbers(&sources, axis, once.then_some(Choice::Number(1)))?;
        numbers[axis as usize] = found.0;
        offers.push(found.1);
    }
    let order = reader.order(&numbers)?;
    let mut list = Lists { reader: &reader, sources: &sources, offers };
    let windows = list.read(AnyAxis::Window, None, |reader, field, value| reader.window(field, value))?;
    let dense = (!file.axes.contains_key(EXPERTS)).then_some(None);
    let experts = list.read(AnyAxis::Experts, dense, |reader, field, value| reader.mixture(field, value))?;
    let gated = list.read(AnyAxis::Gated, None, |reader, field, value| reader.truth(field, value))?;
    let tied = list.read(AnyAxis::TiedEmbeddings, None, |reader, field, value| reader.truth(field, value))?;
    let weights = list.read(AnyAxis::Weights, None, |reader, field, value| {
        reader.format(field, value, &NumberFormat::SEARCHABLE_WEIGHTS)
    })?;
    let kv = list.read(AnyAxis::Kv, None, |reader, field, value| {
        reader.format(field, value, &NumberFormat::SEARCHABLE_KV)
    })?;
    let mut offers = list.offers;
    offers.retain(|offers| !offers.conditions.is_empty());
    let [parameters, non_embedding] = reader.parameter_bounds(&file.constraints)?;
    let exclude = reader.exclusions(&file.exclude)?;
    let portable = file.portable.as_deref().map(|names| reader.loaders(names)).transpose()?;
    reader.passes(&numbers)?;
    let space = Space {
        name: file.name.clone(),
        description: file.description.clone(),
        text: document.text().to_owned(),
        numbers,
        order,
        gated,
        tied,
        weights,
        kv,
        windows,
        experts,
        fixed: file.fixed.clone(),
        per_layer: reader.per_layer(&file.per_layer)?,
        exclude,
        offers,
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
    reader.check_offers(&space, &sources)?;
    if space.is_layered() {
        reader.check_layers(&space)?;
    }
    Ok(space)
}

/// Reads the lists of axes one after the other, and notes when their values are offered.
struct Lists<'l, 'f> {
    reader: &'l Reader<'l>,
    sources: &'l Sources<'f>,
    offers: Vec<Offers>,
}

impl Lists<'_, '_> {
    fn read<T: PartialEq>(
        &mut self,
        axis: AnyAxis,
        always: Option<T>,
        read: impl Fn(&Reader<'_>, &str, &Value) -> Result<T, DocumentError>,
    ) -> Result<Vec<T>, DocumentError> {
        let value = |field: &str, value: &Value| read(self.reader, field, value);
        let (values, offers) = self.reader.list(self.sources, axis, always, value)?;
        self.offers.push(offers);
        Ok(values)
    }
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
