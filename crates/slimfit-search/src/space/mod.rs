//! A search space: axes, what they share, and which combinations are points.

mod assignment;
mod axes;
mod blocks;
mod builtin;
mod expression;
mod layers;
mod outside;
mod point;
mod read;
mod rules;

pub(crate) use assignment::BesideBlock;
pub use axes::Axis;
pub(crate) use axes::{AnyAxis, AxisSet};
pub use layers::LayerAxis;
pub(crate) use layers::{MOST_LAYERS, natural};
pub use outside::Outside;
pub use point::{Block, Inner, Point};
pub(crate) use point::{looped, passes_of};
pub use read::{Fixed, SPACE_SCHEMA};
pub(crate) use rules::RuleKey;

use crate::SearchError;
use expression::Expression;
use rules::{Condition, Offers};
use sha2::{Digest, Sha256};
use slimfit_arch::Architecture;
use slimfit_document::{Document, DocumentError, suggestion};
use slimfit_formats::Loader;
use slimfit_quality::Assumption;
use slimfit_quantity::NumberFormat;
use slimfit_study::NamedHash;
use std::collections::BTreeSet;
use std::path::Path;

/// One value that an axis offers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    Number(u64),
    Expression(Expression),
}

pub(crate) type Numbers = Vec<Choice>;

/// A sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Keys a query sees, itself included.
    pub size: u64,
    /// Every this-many-th layer sees all keys instead; none: no layer does.
    pub full_every: Option<u64>,
}

impl Window {
    /// How many of `layers` layers see all keys.
    pub fn full_layers(window: Option<Self>, layers: u64) -> u64 {
        match window {
            None => layers,
            Some(Self { full_every: None, .. }) => 0,
            Some(Self { full_every: Some(every), .. }) => layers / every,
        }
    }

    /// Whether some layers of a point with this window have one.
    pub(crate) fn cuts(window: Option<Self>) -> Option<Self> {
        window.filter(|window| window.full_every != Some(1))
    }
}

/// A mixture of experts that share out the inner width of a dense part: a token visits as many inner values as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mixture {
    /// Experts of each layer.
    pub count: u64,
    /// Experts that a token visits, each `ffn / top_k` wide.
    pub top_k: u64,
}

/// A search space, ready to be enumerated.
#[derive(Debug, Clone)]
pub struct Space {
    name: String,
    description: String,
    text: String,
    numbers: [Numbers; Axis::COUNT],
    order: [Axis; 5],
    gated: Vec<bool>,
    tied: Vec<bool>,
    weights: Vec<NumberFormat>,
    kv: Vec<NumberFormat>,
    windows: Vec<Option<Window>>,
    experts: Vec<Option<Mixture>>,
    fixed: Fixed,
    /// Axes that each layer chooses for itself, in the order of [`LayerAxis::ALL`].
    per_layer: Vec<LayerAxis>,
    /// Combinations that are no points.
    exclude: Vec<Condition>,
    /// The axes of which some values are offered under conditions.
    offers: Vec<Offers>,
    parameters: Option<(u64, u64)>,
    non_embedding: Option<(u64, u64)>,
    /// What the file or the user says; absent: all of them.
    portable: Option<Vec<Loader>>,
    assume: BTreeSet<Assumption>,
    /// Assumptions that the file lists values for.
    listed: BTreeSet<Assumption>,
}

impl Space {
    /// Names of the built-in spaces.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        builtin::SPACES.iter().map(|(name, _)| *name)
    }

    /// The text of a built-in space's file.
    pub fn builtin_text(name: &str) -> Option<&'static str> {
        builtin::SPACES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// A built-in space, or a file where `reference` is no built-in name; `assume`: the weakly founded values to let in.
    ///
    /// # Errors
    /// When the name is neither, or the file is no valid space.
    pub fn load(reference: &str, assume: &[Assumption]) -> Result<Self, SearchError> {
        if let Some(text) = Self::builtin_text(reference) {
            return Self::from_document(
                &Document::from_str(text, &format!("search-spaces/{reference}.yaml"))?,
                assume,
            );
        }
        let looks_like_a_name = !reference.contains(['/', '\\', '.']);
        if looks_like_a_name && !Path::new(reference).exists() {
            return Err(SearchError::Unknown {
                kind: "search space",
                found: reference.to_owned(),
                allowed: Self::builtin_names().collect::<Vec<_>>().join(", "),
                hint: suggestion(reference, Self::builtin_names()),
            });
        }
        Self::from_document(&Document::read(reference)?, assume)
    }

    /// Reads a space file.
    ///
    /// # Errors
    /// What the document says that no space can say, with its place.
    pub fn from_document(document: &Document, assume: &[Assumption]) -> Result<Self, SearchError> {
        read::read(document, &assume.iter().copied().collect())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Name and digest, as records hold them.
    pub fn named_hash(&self) -> NamedHash {
        let digest = Sha256::digest(self.text.as_bytes());
        NamedHash {
            name: self.name.clone(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Points whose layers are all equal, valid or not: all of them, unless layers may differ.
    pub fn size(&self) -> u64 {
        self.blocks() * self.inner_size()
    }

    /// Whether the vocabulary is an axis, so that candidates can only be compared per byte of text.
    pub fn vocabulary_is_axis(&self) -> bool {
        self.numbers[Axis::VocabularySize as usize].len() > 1
    }

    /// Names of the axes that offer more than one value; a mixture of experts has two names.
    pub(crate) fn varied_axes(&self) -> Vec<&'static str> {
        let numbers = Axis::ALL.into_iter().filter(|axis| self.numbers[*axis as usize].len() > 1);
        let mut names: Vec<&'static str> = numbers.map(Axis::name).collect();
        let others = [
            ("gated", self.gated.len()),
            ("experts", self.experts.len()),
            ("top_k", self.experts.len()),
            ("window", self.windows.len()),
            ("tied_embeddings", self.tied.len()),
            ("weights", self.weights.len()),
            ("kv", self.kv.len()),
        ];
        names.extend(others.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name));
        names
    }

    /// How many values each axis offers, in the order files list them.
    pub fn axis_lengths(&self) -> Vec<(&'static str, usize)> {
        let numbers = |axis: Axis| (axis.name(), self.numbers[axis as usize].len());
        let mut lengths = vec![
            numbers(Axis::Layers),
            numbers(Axis::Loops),
            numbers(Axis::HiddenSize),
            numbers(Axis::HeadSize),
            numbers(Axis::Heads),
            numbers(Axis::KvHeads),
            numbers(Axis::Ffn),
        ];
        lengths.extend([
            ("gated", self.gated.len()),
            ("experts", self.experts.len()),
            ("window", self.windows.len()),
            numbers(Axis::VocabularySize),
            ("tied_embeddings", self.tied.len()),
            ("weights", self.weights.len()),
            ("kv", self.kv.len()),
        ]);
        lengths
    }

    /// Assumptions in force.
    pub fn assumes(&self, assumption: Assumption) -> bool {
        self.assume.contains(&assumption)
    }

    /// Whether the file lists values for an assumption.
    pub fn lists(&self, assumption: Assumption) -> bool {
        self.listed.contains(&assumption)
    }

    /// What every point shares.
    pub fn fixed(&self) -> &Fixed {
        &self.fixed
    }

    /// The same points, held to these loaders whatever the file says.
    ///
    /// # Errors
    /// When its layers choose for themselves, which no loader holds.
    pub fn held_by(mut self, loaders: Vec<Loader>) -> Result<Self, SearchError> {
        if self.is_layered() && !loaders.is_empty() {
            let error =
                DocumentError::new("no-loader", "no loader holds layers that differ").field("portable");
            let names: Vec<&str> = loaders.iter().map(|loader| loader.name()).collect();
            let found = format!("`{}` for space `{}`, which has `per_layer`", names.join(", "), self.name);
            return Err(error.found(found).allowed("`none`").into());
        }
        self.portable = Some(loaders);
        Ok(self)
    }

    /// The loaders that must hold every point; all of them where nothing else was said.
    pub fn portable(&self) -> &[Loader] {
        self.portable.as_deref().unwrap_or(&Loader::ALL)
    }

    /// Whether the file, or [`held_by`](Self::held_by), says which loaders those are.
    pub fn says_portable(&self) -> bool {
        self.portable.is_some()
    }

    /// Whether some loader must hold every point.
    pub fn is_portable(&self) -> bool {
        !self.portable().is_empty()
    }

    /// The first of those loaders that does not hold a model.
    pub(crate) fn refusing_loader(&self, architecture: &Architecture) -> Option<Loader> {
        self.portable().iter().copied().find(|loader| loader.check(architecture).is_err())
    }

    /// Weight formats offered.
    pub fn weights(&self) -> &[NumberFormat] {
        &self.weights
    }

    /// KV formats offered.
    pub fn kv(&self) -> &[NumberFormat] {
        &self.kv
    }

    fn lengths(&self) -> [usize; 8] {
        let numbers = |axis: Axis| self.numbers[axis as usize].len();
        let [a, b, c, d, e] = Axis::BLOCK.map(numbers);
        [a, b, c, d, e, self.gated.len(), self.windows.len(), self.experts.len()]
    }

    /// How far the number of a block moves from one place of each list to the next.
    fn block_strides(&self) -> [u64; 8] {
        let mut strides = [1; 8];
        let lengths = self.lengths();
        for place in (0..7).rev() {
            strides[place] = strides[place + 1] * lengths[place + 1] as u64;
        }
        strides
    }

    fn inner_lengths(&self) -> [usize; 6] {
        let numbers = |axis: Axis| self.numbers[axis as usize].len();
        [
            self.weights.len(),
            self.kv.len(),
            numbers(Axis::VocabularySize),
            self.tied.len(),
            numbers(Axis::Layers),
            numbers(Axis::Loops),
        ]
    }

    fn checked_size(&self) -> Option<u64> {
        let all = self.lengths().into_iter().chain(self.inner_lengths());
        let size = all.map(|length| length as u64).try_fold(1_u64, u64::checked_mul)?;
        (size < 1 << 63).then_some(size)
    }
}
