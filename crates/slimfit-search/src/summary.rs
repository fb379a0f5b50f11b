//! What a space holds, without pricing anything: its size, the range of its parameters, some of its points.

use crate::exact::catalogue::{Catalogue, Width};
use crate::exact::ruled::Classes;
use crate::sample::mix;
use crate::space::AnyAxis;
use crate::{Axis, Block, Inner, Invalid, Point, Space, layered};
use slimfit_study::{Natural, ReasonCount};
use std::collections::BTreeMap;

/// What a space holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceSummary {
    /// Combinations of its axes; of each order of layers, where they choose for themselves.
    pub size: Natural,
    /// Those whose layers can exist, whose parameters keep the space's bounds and which none of its rules refuses. The quality
    /// law and loaders may still refuse some of them.
    pub possible: Natural,
    /// Why the others are none, by the first reason.
    pub invalid_by: Vec<ReasonCount>,
    /// Fewest and most parameters of models that its axes and rules make, whatever its bounds; none where there is no model.
    pub parameters: Option<(u64, u64)>,
    /// Some points, drawn with the seed, ascending by parameters. All keep the bounds and the exclusions, and the space's
    /// loaders hold them.
    pub examples: Vec<Point>,
}

/// Draws for each example that is wanted.
const TRIES: u64 = 10_000;

impl Space {
    /// Looks through the layers of the space.
    pub fn summary(&self, examples: usize, seed: u64) -> SpaceSummary {
        if self.is_layered() {
            return layered::summary(self, examples, seed);
        }
        let Catalogue { widths, invalid } = Catalogue::new(self);
        let mut counts = Counts { invalid, possible: 0, parameters: None };
        for width in &widths {
            counts.count(self, width);
        }
        let Counts { invalid, possible, parameters } = counts;
        let reasons = invalid.into_iter().filter(|(_, count)| *count > 0);
        SpaceSummary {
            size: self.point_count(),
            possible: possible.into(),
            invalid_by: reasons
                .map(|(reason, count)| ReasonCount {
                    reason: reason.reason().to_owned(),
                    count: count.into(),
                })
                .collect(),
            parameters,
            examples: self.drawn(examples, seed),
        }
    }

    fn drawn(&self, wanted: usize, seed: u64) -> Vec<Point> {
        let mut points: Vec<(u64, Point)> = Vec::new();
        for attempt in 0..TRIES * wanted as u64 {
            if points.len() >= wanted {
                break;
            }
            let index = mix(attempt ^ mix(seed)) % self.size();
            let Ok(point) = self.point(index) else { continue };
            let Ok(block) = self.block(index / self.inner_size()) else { continue };
            let beside = self.beside_block(self.inner(index % self.inner_size()));
            let Ok(parameters) = point.architecture.checked_parameters() else { continue };
            let kept = point.architecture.validate().is_ok()
                && self.check_parameters(parameters.total, parameters.non_embedding).is_ok()
                && self.check_rules(&block, &beside).is_ok()
                && self.refusing_loader(&point.architecture).is_none();
            if kept && points.iter().all(|(_, known)| known.index != index) {
                points.push((parameters.total, point));
            }
        }
        points.sort_by_key(|(parameters, point)| (*parameters, point.index));
        points.into_iter().map(|(_, point)| point).collect()
    }
}

/// Where the points of a space go.
struct Counts {
    invalid: BTreeMap<Invalid, u64>,
    possible: u64,
    parameters: Option<(u64, u64)>,
}

impl Counts {
    /// Counts the points of a width: those that differ in nothing that a rule reads all at once.
    fn count(&mut self, space: &Space, width: &Width) {
        let classes = Classes::new(space.layer_rule_axes(), width);
        let layers = layer_parameters(width, &classes);
        let named = space.later_rule_axes();
        // The places of an axis that are asked, and for how many points each stands.
        let asked = |axis: AnyAxis, count: usize| {
            if named.contains(axis) { (0..count, 1) } else { (0..1, count as u64) }
        };
        let (windows, of_windows) = asked(AnyAxis::Window, space.windows().len());
        let (passes, of_passes) = asked(AnyAxis::Number(Axis::Loops), space.passes().len());
        let (weights, of_weights) = asked(AnyAxis::Weights, space.weights().len());
        let (kv, of_kv) = asked(AnyAxis::Kv, space.kv().len());
        let alike = of_windows * of_passes * of_weights * of_kv;
        let mut formats = Vec::new();
        for weights in weights {
            formats.extend(kv.clone().map(|kv| (weights, kv)));
        }
        let mut others = Vec::new();
        for window in windows {
            for loops in passes.clone() {
                others.extend(formats.iter().map(|formats| (window, loops, *formats)));
            }
        }
        for (vocabulary, size) in space.vocabularies().into_iter().enumerate() {
            for (tied, is_tied) in space.tyings().iter().enumerate() {
                let embedding = if *is_tied { 1 } else { 2 } * size * width.hidden_size;
                for (place, depth) in space.depths().into_iter().enumerate() {
                    for (window, loops, (weights, kv)) in &others {
                        let inner = space.inner_of(*weights, *kv, vocabulary, tied, (place, *loops));
                        let sheet = Sheet { space, width, depth, embedding, window: *window, inner, alike };
                        self.count_sheet(&sheet, &classes, &layers);
                    }
                }
            }
        }
    }

    fn count_sheet(&mut self, sheet: &Sheet<'_>, classes: &Classes, layers: &[Vec<u64>]) {
        let Sheet { space, width, depth, embedding, window, inner, alike } = *sheet;
        let beside = space.beside_block(inner);
        let block = Block { window: space.windows()[window], ..width.block(0, 0) };
        let of_sheet = space.check_sheet(&block, &beside).err();
        let refusals = match of_sheet {
            Some(reason) => vec![Some(reason); classes.count()],
            None => classes.refusals(space, width, window, &beside),
        };
        let total = |layer: u64| width.rest_parameters + depth * layer;
        let (least, most) = space.parameter_bounds(embedding);
        for (layers, refusal) in layers.iter().zip(refusals).filter(|(layers, _)| !layers.is_empty()) {
            let first = layers.partition_point(|layer| (total(*layer) as f64) < least);
            let end = layers.partition_point(|layer| total(*layer) as f64 <= most).max(first);
            let mut outside = [0_u64; 2];
            for layer in layers[..first].iter().chain(&layers[end..]) {
                outside[space.broken_bound(total(*layer) as f64, embedding)] += alike;
            }
            for (broken, count) in outside.into_iter().enumerate() {
                *self.invalid.entry(Space::bound_reason(broken)).or_insert(0) += count;
            }
            let within = (end - first) as u64 * alike;
            match refusal {
                Some(reason) => *self.invalid.entry(reason).or_insert(0) += within,
                None => {
                    self.possible += within;
                    let known = self.parameters.get_or_insert((u64::MAX, 0));
                    let ends = [layers[0], layers[layers.len() - 1]].map(|layer| total(layer) + embedding);
                    *known = (known.0.min(ends[0]), known.1.max(ends[1]));
                }
            }
        }
    }
}

/// Points that differ in their layers alone, and how many others each of them stands for.
struct Sheet<'s> {
    space: &'s Space,
    width: &'s Width,
    depth: u64,
    embedding: u64,
    window: usize,
    inner: Inner,
    alike: u64,
}

/// Parameters of the layers of each class of a width, ascending.
fn layer_parameters(width: &Width, classes: &Classes) -> Vec<Vec<u64>> {
    let mut layers = vec![Vec::new(); classes.count()];
    for (row, column) in width.all_pairs() {
        if width.number(row, column, 0).is_some() {
            let layer = width.attention_parameters[row] + width.feed_forward_parameters[column];
            layers[classes.of((row, column))].push(layer);
        }
    }
    for layers in &mut layers {
        layers.sort_unstable();
    }
    layers
}
