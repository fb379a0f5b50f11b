//! The layers that models of one frame may have, counted and priced.

use super::model::Trunk;
use crate::file_bytes::FileBytes;
use crate::model::LayerParameters;
use crate::parts::{self, Part, PartTimes};
use crate::space::{BesideBlock, LayerAxis, Window};
use crate::{Block, Invalid, ModelEvaluator, Space};
use slimfit_cost::{BusyTime, CostModel, RegimeId};
use slimfit_plan::{Buffer, ModelPart, Plan};
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;

/// What all models of a family share: everything but depth, tying and the choices of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Family {
    /// Number of the frame in the space.
    pub(crate) frame: u64,
    /// Places in the lists of the space.
    pub(crate) weights: usize,
    pub(crate) kv: usize,
    pub(crate) vocabulary: usize,
}

/// Families that were priced.
pub(crate) type Families = BTreeMap<Family, Layers>;

/// Bytes that a model has once for its greediest layer: each buffer, rotary tables, and scratch by thread count.
pub(crate) type Once = Vec<u64>;

/// A layer that a model of the family may have: a kind, with or without the window of a pattern.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Number of its kind in the space.
    pub(crate) kind: u64,
    /// Its shape; its window is that of this layer.
    pub(crate) block: Block,
    pub(crate) window: Option<u64>,
    /// The window of its kind as the space lists it, which rules read.
    pub(crate) listed_window: Option<Window>,
    /// Whether the window is shorter than the workload's text.
    pub(crate) cuts: bool,
    /// Stored parameters, and those of them that a token does not visit.
    pub(crate) parameters: u64,
    pub(crate) idle: u64,
    /// Operations of a training, where they are asked for.
    pub(crate) flops: f64,
    pub(crate) bytes: u64,
    /// Bytes of its tensors in a file.
    pub(crate) file_bytes: u64,
    pub(crate) working_set_bytes: f64,
    pub(crate) once: Once,
    parts: [Part; 3],
}

/// What a model has beside its layers.
#[derive(Debug)]
pub(crate) struct Outer {
    pub(crate) parameters: u64,
    pub(crate) flops: [f64; 2],
    /// Bytes of its tensors in a file, untied and tied.
    pub(crate) file_bytes: [u64; 2],
    pub(crate) part: Part,
}

/// The layers of a family.
#[derive(Debug)]
pub(crate) struct Layers {
    pub(crate) outer: Outer,
    pub(crate) layers: Vec<Layer>,
    /// The pattern of windows, where it is not a choice of each layer.
    pub(crate) pattern: Option<Window>,
    /// Kinds that are no layer, and why, in the order of their numbers.
    pub(crate) refused: Vec<(u64, Invalid)>,
}

impl Layer {
    /// What the rules of a space say of models of a trunk that have it: each layer is asked as if all were like it.
    ///
    /// # Errors
    /// The rule that such a model breaks.
    pub(crate) fn check_rules(&self, space: &Space, family: Family, trunk: Trunk) -> Result<(), Invalid> {
        let (weights, kv) = formats(space, family);
        let beside = BesideBlock {
            layers: trunk.layers,
            passes: 1,
            vocabulary: space.vocabularies()[family.vocabulary],
            tied: trunk.tied,
            weights,
            kv,
        };
        space.check_rules(&Block { window: self.listed_window, ..self.block }, &beside)
    }

    /// Its times with the thread count at that place in a regime of it.
    pub(crate) fn times(&mut self, cost: &CostModel, thread_place: usize, regime: RegimeId) -> PartTimes {
        let mut times = PartTimes { decode: BusyTime::default(), prefill: BusyTime::default() };
        for part in &mut self.parts {
            let of_part = part.times(cost, thread_place, regime);
            times.decode = times.decode + of_part.decode;
            times.prefill = times.prefill + of_part.prefill;
        }
        times
    }

    /// Query heads for one key head.
    pub(crate) fn heads_per_kv_head(&self) -> u64 {
        self.block.heads / self.block.kv_heads
    }

    /// Whether several query heads share a single key head.
    pub(crate) fn single_kv_head(&self) -> bool {
        self.block.heads > 1 && self.block.kv_heads == 1
    }
}

impl Layers {
    /// Counts and prices the layers of a family; the reason where it has none.
    ///
    /// # Errors
    /// Why no layer can be, kind by kind.
    pub(crate) fn new(
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        family: Family,
    ) -> Result<Self, Vec<(u64, Invalid)>> {
        let own_windows = space.per_layer().contains(&LayerAxis::Window);
        let (mut layers, mut refused) = (Vec::new(), Vec::new());
        let (mut outer, mut pattern) = (None, None);
        for kind in 0..space.kinds() {
            let block = match space.kind(family.frame, kind) {
                Ok(block) => block,
                Err(reason) => {
                    refused.push((kind, reason));
                    continue;
                }
            };
            let window = Window::cuts(block.window);
            pattern = if own_windows { None } else { window };
            let windows: Vec<Option<u64>> = match window {
                Some(Window { size, full_every: Some(_) }) => vec![None, Some(size)],
                Some(Window { size, full_every: None }) => vec![Some(size)],
                None => vec![None],
            };
            let found: Result<Vec<(Layer, Outer)>, Invalid> = windows
                .into_iter()
                .map(|window| layer(space, evaluator, family, (kind, &block, window)))
                .collect();
            match found {
                Err(reason) => refused.push((kind, reason)),
                Ok(found) => {
                    for (layer, of_layer) in found {
                        layers.push(layer);
                        outer = outer.or(Some(of_layer));
                    }
                }
            }
        }
        match outer {
            Some(outer) => Ok(Self { outer, layers, pattern, refused }),
            None => Err(refused),
        }
    }
}

/// A layer, and what a model has beside layers.
fn layer(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    family: Family,
    (kind, block, window): (u64, &Block, Option<u64>),
) -> Result<(Layer, Outer), Invalid> {
    let counts = LayerParameters::of(space, block)?;
    let listed_window = block.window;
    let block = Block { window: window.map(|size| Window { size, full_every: None }), ..*block };
    if !evaluator.allows_heads(block.heads, block.kv_heads) {
        return Err(Invalid::of("rests on an assumption: needs --assume mqa"));
    }
    if !evaluator.allows_experts(block.experts) {
        return Err(Invalid::of(slimfit_quality::Refusal::Experts.reason()));
    }
    let (vocabulary, run, _) = evaluator.vocabularies[family.vocabulary];
    let cuts = window.is_some_and(|window| evaluator.law.cuts(window, vocabulary));
    if cuts && window.is_some_and(|window| window < evaluator.law.window_rule().0) {
        return Err(Invalid::of(slimfit_quality::Refusal::Window.reason()));
    }
    let cost = evaluator.cost();
    let (weights, kv) = (space.weights()[family.weights], space.kv()[family.kv]);
    let architecture = space.architecture(&block, 1, vocabulary, false);
    let plans = parts::plans(cost, &architecture, weights, kv, run)?;
    let read = |kind| Part::read(cost, kind, &plans, run).map_err(|error| parts::refused(error, weights, kv));
    let parts = [read(ModelPart::Projections)?, read(ModelPart::Mixing)?, read(ModelPart::FeedForward)?];
    let file = |kind| FileBytes::of(&architecture, kind, weights);
    let (projections, feed_forward, outer) =
        (file(ModelPart::Projections), file(ModelPart::FeedForward), file(ModelPart::Outer));
    // Layers differ in no head size, so what they have once is the same for all of them.
    let tied_bytes = outer.each + projections.once;
    let (flops, outer_flops) = flops(space, evaluator, &block, family)?;
    let layer = Layer {
        kind,
        block,
        window,
        listed_window,
        cuts,
        parameters: counts.layer,
        idle: counts.idle,
        flops,
        file_bytes: projections.each + feed_forward.each,
        bytes: parts.iter().map(|part| part.layer_bytes).sum(),
        working_set_bytes: parts.iter().map(|part| part.working_set_bytes).sum(),
        once: once(&plans),
        parts,
    };
    let outer = Outer {
        parameters: counts.rest,
        flops: outer_flops,
        file_bytes: [tied_bytes + outer.head, tied_bytes],
        part: read(ModelPart::Outer)?,
    };
    Ok((layer, outer))
}

/// Operations of a training: of the layer, and of everything else, untied and tied; zeros where nobody asks.
fn flops(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    block: &Block,
    family: Family,
) -> Result<(f64, [f64; 2]), Invalid> {
    if !evaluator.counts_training() {
        return Ok((0.0, [0.0; 2]));
    }
    let count = |layers: u64, tied: bool| {
        let flops = evaluator.training_flops(space, block, layers, family.vocabulary, tied);
        flops.ok_or_else(|| Invalid::of("its training leaves 64 bits"))
    };
    let layer = count(2, false)? - count(1, false)?;
    Ok((layer, [count(1, false)? - layer, count(1, true)? - layer]))
}

fn once(plans: &[Plan]) -> Once {
    let plan = &plans[0];
    let buffer = |buffer: Buffer| 4 * plan.buffer_width(buffer) * plan.buffer_rows(buffer);
    let ropes = plan.ropes.iter().map(|slot| 4 * slot.rotated * plan.options.context).sum();
    let scratch = plans.iter().map(Plan::scratch_bytes);
    Buffer::ALL.into_iter().map(buffer).chain([ropes]).chain(scratch).collect()
}

/// Bytes of what a model has once with the thread count at that place.
pub(crate) fn once_bytes(once: &[u64], thread_place: usize) -> u64 {
    let common = Buffer::ALL.len() + 1;
    once[..common].iter().sum::<u64>() + once[common + thread_place]
}

/// What suits both.
pub(crate) fn joined(a: &[u64], b: &[u64]) -> Once {
    a.iter().zip(b).map(|(a, b)| *a.max(b)).collect()
}

/// The formats of a family.
pub(crate) fn formats(space: &Space, family: Family) -> (NumberFormat, NumberFormat) {
    (space.weights()[family.weights], space.kv()[family.kv])
}
