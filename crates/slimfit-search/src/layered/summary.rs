//! What a space of layers of their own choice holds, without pricing anything.

use super::census::{Refused, by_kind};
use crate::model::LayerParameters;
use crate::sample::mix;
use crate::space::{AnyAxis, BesideBlock, LayerAxis, Window, natural};
use crate::{Block, Inner, Invalid, Point, Space, SpaceSummary};
use num_bigint::BigUint;
use slimfit_arch::{Architecture, LayerRun};
use slimfit_study::ReasonCount;
use std::collections::BTreeMap;

/// Draws for each example that is wanted.
const TRIES: u64 = 1000;

/// A kind of layer that can exist, with its parameters.
struct Kind {
    number: u64,
    block: Block,
    parameters: u64,
}

/// The kinds of layers of a frame.
struct Frame {
    kinds: Vec<Kind>,
    /// Those that cannot exist, in the order of their numbers.
    refused: Vec<(u64, Invalid)>,
    /// Parameters without embeddings that no layer has.
    rest: u64,
}

impl Frame {
    fn new(space: &Space, frame: u64) -> Self {
        let mut found = Self { kinds: Vec::new(), refused: Vec::new(), rest: 0 };
        for number in 0..space.kinds() {
            let counted = space.kind(frame, number).and_then(|block| {
                let counts = LayerParameters::of(space, &block)?;
                found.rest = counts.rest;
                Ok(Kind { number, block, parameters: counts.layer })
            });
            match counted {
                Ok(kind) => found.kinds.push(kind),
                Err(reason) => found.refused.push((number, reason)),
            }
        }
        found
    }

    /// The kinds that rules allow beside something, and all refused ones.
    fn ruled(&self, space: &Space, beside: &BesideBlock) -> (Vec<&Kind>, Vec<(u64, Invalid)>) {
        let (mut allowed, mut refused) = (Vec::new(), self.refused.clone());
        for kind in &self.kinds {
            match space.check_rules(&kind.block, beside) {
                Ok(()) => allowed.push(kind),
                Err(reason) => refused.push((kind.number, reason)),
            }
        }
        refused.sort_by_key(|(number, _)| *number);
        (allowed, refused)
    }
}

/// Where the models of a space go.
#[derive(Default)]
struct Counts {
    possible: BigUint,
    invalid: Refused,
    parameters: Option<(u64, u64)>,
}

impl Counts {
    /// Counts the models of a frame beside an inner choice, each for so many.
    fn count(&mut self, space: &Space, frame: &Frame, inner: Inner, alike: u64) {
        let beside = space.beside_block(inner);
        let depth = beside.layers;
        let (kinds, refused) = frame.ruled(space, &beside);
        let mut invalid = Refused::new();
        let left = by_kind(space.kinds(), depth, &refused, &mut invalid);
        for (reason, count) in invalid {
            *self.invalid.entry(reason).or_default() += count * alike;
        }
        let Some(first) = kinds.first() else { return };
        let sizes = || kinds.iter().map(|kind| kind.parameters);
        let embedding = if beside.tied { 1 } else { 2 } * beside.vocabulary * first.block.hidden_size;
        let ends = [sizes().min(), sizes().max()].map(|layer| frame.rest + depth * layer.unwrap_or(0));
        let known = self.parameters.get_or_insert((u64::MAX, 0));
        *known = (known.0.min(ends[0] + embedding), known.1.max(ends[1] + embedding));
        let bounds = space.parameter_bounds(embedding);
        if ends[0] as f64 >= bounds.0 && ends[1] as f64 <= bounds.1 {
            self.possible += left * alike;
            return;
        }
        for (layers, count) in sums(&kinds, depth) {
            let size = frame.rest + layers;
            match space.check_parameters(size + embedding, size) {
                Ok(()) => self.possible += count * alike,
                Err(reason) => *self.invalid.entry(reason).or_default() += count * alike,
            }
        }
    }
}

pub(crate) fn summary(space: &Space, wanted: usize, seed: u64) -> SpaceSummary {
    let named = space.later_rule_axes();
    // Formats change no parameters: one stands for all where no rule names them.
    let asked = |axis: AnyAxis, count: usize| if named.contains(axis) { count } else { 1 };
    let (weights, kv) = (space.weights().len(), space.kv().len());
    let (asked_weights, asked_kv) = (asked(AnyAxis::Weights, weights), asked(AnyAxis::Kv, kv));
    let alike = (weights / asked_weights * (kv / asked_kv)) as u64;
    let frames: Vec<Frame> = (0..space.frames()).map(|frame| Frame::new(space, frame)).collect();
    let mut counts = Counts::default();
    for inner in (0..space.inner_size()).map(|inner| space.inner(inner)) {
        if inner.weights < asked_weights && inner.kv < asked_kv {
            for frame in &frames {
                counts.count(space, frame, inner, alike);
            }
        }
    }
    let Counts { possible, invalid, parameters } = counts;
    SpaceSummary {
        size: space.point_count(),
        possible: natural(&possible),
        invalid_by: invalid
            .into_iter()
            .map(|(reason, count)| ReasonCount { reason: reason.reason().to_owned(), count: natural(&count) })
            .collect(),
        parameters,
        examples: drawn(space, &frames, wanted, seed),
    }
}

/// How many sequences of layers have each sum of parameters.
fn sums(kinds: &[&Kind], depth: u64) -> BTreeMap<u64, BigUint> {
    let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
    for kind in kinds {
        *sizes.entry(kind.parameters).or_insert(0) += 1;
    }
    let mut sums: BTreeMap<u64, BigUint> = BTreeMap::from([(0, BigUint::from(1_u32))]);
    for _ in 0..depth {
        let mut next: BTreeMap<u64, BigUint> = BTreeMap::new();
        for (sum, count) in &sums {
            for (size, kinds) in &sizes {
                *next.entry(sum + size).or_default() += count * *kinds;
            }
        }
        sums = next;
    }
    sums
}

/// Models at random, ascending by parameters.
fn drawn(space: &Space, frames: &[Frame], wanted: usize, seed: u64) -> Vec<Point> {
    let (depths, tyings, vocabularies) = (space.depths(), space.tyings(), space.vocabularies());
    let own_windows = space.per_layer().contains(&LayerAxis::Window);
    let mut points: Vec<(u64, Point)> = Vec::new();
    for attempt in 0..TRIES * wanted as u64 {
        if points.len() >= wanted {
            break;
        }
        let mut state = mix(attempt ^ mix(seed));
        let mut draw = |choices: usize| {
            state = mix(state);
            (state % choices as u64) as usize
        };
        let Frame { kinds, .. } = &frames[draw(frames.len())];
        if kinds.is_empty() {
            continue;
        }
        let (depth, tied) = (depths[draw(depths.len())], tyings[draw(tyings.len())]);
        let vocabulary = vocabularies[draw(vocabularies.len())];
        let (weights, kv) =
            (space.weights()[draw(space.weights().len())], space.kv()[draw(space.kv().len())]);
        let beside = BesideBlock { layers: depth, passes: 1, vocabulary, tied, weights, kv };
        // Layers all at random would be models of middling size alone.
        let few: Vec<usize> = (0..1 + draw(4)).map(|_| draw(kinds.len())).collect();
        let mut layers: Vec<&Kind> = (0..depth).map(|_| &kinds[few[draw(few.len())]]).collect();
        layers.sort_by_key(|kind| kind.parameters);
        let runs = layers.iter().zip(0..).map(|(kind, position): (_, u64)| {
            let window = match kind.block.window {
                Some(Window { size, full_every: Some(every) }) if !own_windows => {
                    let full = (position + 1).is_multiple_of(every);
                    (!full).then_some(Window { size, full_every: None })
                }
                window => window,
            };
            space.architecture(&Block { window, ..kind.block }, 1, vocabulary, tied).layers
        });
        let runs: Vec<LayerRun> = runs.flatten().collect();
        let base = space.architecture(&layers[0].block, 1, vocabulary, tied);
        let architecture = Architecture { layers: merged(runs), ..base };
        let Ok(counts) = architecture.checked_parameters() else { continue };
        let kept = space.check_parameters(counts.total, counts.non_embedding).is_ok()
            && layers.iter().all(|kind| space.check_rules(&kind.block, &beside).is_ok());
        let point = Point { index: attempt, architecture, weights, kv };
        if kept && points.iter().all(|(_, known)| known.architecture != point.architecture) {
            points.push((counts.total, point));
        }
    }
    points.sort_by_key(|(parameters, point)| (*parameters, point.index));
    points.into_iter().map(|(_, point)| point).collect()
}

/// The same layers, those that are alike and stand together as one run.
fn merged(runs: Vec<LayerRun>) -> Vec<LayerRun> {
    let mut merged: Vec<LayerRun> = Vec::with_capacity(runs.len());
    for run in runs {
        match merged.last_mut() {
            Some(last) if last.attention == run.attention && last.ffn == run.ffn => last.repeat += run.repeat,
            _ => merged.push(run),
        }
    }
    merged
}
