//! What a space of layers of their own choice holds, without pricing anything.

use super::layer::Family;
use crate::model::LayerParameters;
use crate::sample::mix;
use crate::space::{LayerAxis, Window, natural};
use crate::{Block, Point, Space, SpaceSummary};
use num_bigint::BigUint;
use slimfit_arch::{Architecture, LayerRun};
use std::collections::BTreeMap;

/// Draws for each example that is wanted.
const TRIES: u64 = 1000;

/// A kind of layer that can exist, with its parameters.
struct Kind {
    block: Block,
    parameters: u64,
}

/// The kinds of a frame that can exist, and parameters that no layer has.
fn kinds(space: &Space, frame: u64) -> (Vec<Kind>, u64) {
    let mut rest = 0;
    let kind = |kind| {
        let block = space.kind(frame, kind).ok()?;
        let counts = LayerParameters::of(space, &block).ok()?;
        rest = counts.rest;
        Some(Kind { block, parameters: counts.layer })
    };
    ((0..space.kinds()).filter_map(kind).collect(), rest)
}

pub(crate) fn summary(space: &Space, wanted: usize, seed: u64) -> SpaceSummary {
    let formats = (space.weights().len() * space.kv().len()) as u64;
    let (mut possible, mut parameters) = (BigUint::ZERO, None);
    let frames: Vec<(Vec<Kind>, u64)> = (0..space.frames()).map(|frame| kinds(space, frame)).collect();
    for (kinds, rest) in frames.iter().filter(|(kinds, _)| !kinds.is_empty()) {
        let sizes = || kinds.iter().map(|kind| kind.parameters);
        let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
        for depth in space.depths() {
            let models = BigUint::from(kinds.len()).pow(depth as u32) * formats;
            for vocabulary in space.vocabularies() {
                for tied in space.tyings() {
                    let embedding = if *tied { 1 } else { 2 } * vocabulary * kinds[0].block.hidden_size;
                    let ends = [least, most].map(|layer| rest + depth * layer);
                    let known = parameters.get_or_insert((u64::MAX, 0_u64));
                    *known = (known.0.min(ends[0] + embedding), known.1.max(ends[1] + embedding));
                    let bounds = space.parameter_bounds(embedding);
                    if ends[0] as f64 >= bounds.0 && ends[1] as f64 <= bounds.1 {
                        possible += &models;
                    } else {
                        let within = |size: u64| (bounds.0..=bounds.1).contains(&(size as f64));
                        possible += sequences(kinds, depth, |layers| within(rest + layers)) * formats;
                    }
                }
            }
        }
    }
    SpaceSummary {
        size: space.point_count(),
        possible: natural(&possible),
        parameters,
        examples: drawn(space, &frames, wanted, seed),
    }
}

/// How many sequences of layers have parameters that are wanted.
fn sequences(kinds: &[Kind], depth: u64, wanted: impl Fn(u64) -> bool) -> BigUint {
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
    sums.into_iter().filter(|(sum, _)| wanted(*sum)).map(|(_, count)| count).sum()
}

/// Models at random, ascending by parameters.
fn drawn(space: &Space, frames: &[(Vec<Kind>, u64)], wanted: usize, seed: u64) -> Vec<Point> {
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
        let (kinds, _) = &frames[draw(frames.len())];
        if kinds.is_empty() {
            continue;
        }
        let (depth, tied) = (depths[draw(depths.len())], tyings[draw(tyings.len())]);
        let vocabulary = vocabularies[draw(vocabularies.len())];
        let family = Family {
            frame: 0,
            weights: draw(space.weights().len()),
            kv: draw(space.kv().len()),
            vocabulary: 0,
        };
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
            && layers.iter().all(|kind| space.check_whole_point(&kind.block, (depth, 1), vocabulary).is_ok());
        let (weights, kv) = (space.weights()[family.weights], space.kv()[family.kv]);
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
