//! What the points of one sheet, or of the sheets of several depths, share beside the sheet itself: which rules they can break,
//! and what they are counted by.

use super::catalogue::Width;
use super::quality::LeastNats;
use super::ruled::SheetRules;
use super::training::TrainingFlops;
use super::unit::{MixingRows, Unit, UnitKey};
use super::worker::Worker;
use crate::Invalid;
use crate::parts::LayerCounts;
use slimfit_formats::Loader;
use slimfit_quality::Shape;
use std::rc::Rc;

/// A unit at work.
pub(super) struct UnitWork<'s> {
    pub(super) width: &'s Width,
    pub(super) key: UnitKey,
    pub(super) unit: Unit,
    /// By KV format, then window.
    pub(super) mixings: Vec<MixingRows>,
    pub(super) stacks: Vec<Stack>,
}

/// The points of one unit, KV format, window and tying: sheets by depth.
pub(super) struct Stack {
    /// Places in the space's lists.
    pub(super) kv: usize,
    pub(super) window: usize,
    pub(super) tied: usize,
    /// Place in the unit's list.
    pub(super) mixing: usize,
    pub(super) training: Option<Rc<TrainingFlops>>,
}

/// What is known of one depth and number of passes of a stack before its layers are looked at.
#[derive(Debug, Clone)]
pub(super) struct Trunk {
    /// Places of depth and passes in the space's lists.
    pub(super) layers: usize,
    pub(super) loops: usize,
    pub(super) counts: LayerCounts,
    /// A shape as large as needed, its parameters left open.
    pub(super) shape: Shape,
    /// Embedding parameters that count on top of the others.
    pub(super) embedding: u64,
    /// Parameters without embeddings that break no bound of the space and no limit of the law, least and most.
    pub(super) allowed: (f64, f64),
    /// Parameters without embeddings below or above which the space's bounds alone refuse a point.
    pub(super) bounds: (f64, f64),
    /// Why no point is valid, whatever its layers, as far as what is asked of layers alone does not come first.
    pub(super) refusal: Option<Invalid>,
    pub(super) window_nats: f64,
}

/// What all points of a sheet share.
pub(super) struct SheetScope<'s, 'w> {
    pub(super) width: &'w Width,
    pub(super) work: &'s mut UnitWork<'w>,
    /// Place of the mixing in the unit's list.
    pub(super) mixing: usize,
    pub(super) key: UnitKey,
    pub(super) kv: usize,
    pub(super) window: usize,
    pub(super) tied: usize,
    pub(super) trunk: Trunk,
    /// What rules say of its points.
    pub(super) rules: SheetRules,
    /// Why no point of the sheet is valid, whatever its layers.
    pub(super) refusal: Option<Invalid>,
    /// Whether a point that lies within the trunk's `allowed` can be refused by a loader or its formats alone.
    pub(super) loaders_first: bool,
    /// Whether a point is valid when its parameters lie within `allowed`, no rule refuses it, and its row and its column are
    /// plain.
    pub(super) plain: bool,
    pub(super) plain_rows: Vec<bool>,
    pub(super) plain_columns: Vec<bool>,
    /// Columns whose points are visited whole by each token.
    pub(super) dense_columns: Vec<bool>,
    /// Where points can be valid.
    pub(super) least_nats: Option<Rc<LeastNats>>,
    /// Points that break the space's bounds on parameters: on all, and on those without embeddings.
    pub(super) outside: [u64; 2],
}

impl Worker<'_> {
    /// Refuses all of a sheet that one loader holds nothing of.
    pub(super) fn ask_loaders(&mut self, scope: &mut SheetScope<'_, '_>) {
        if !scope.loaders_first {
            return;
        }
        let places = (scope.key, scope.window, scope.tied);
        scope.refusal = self.loader_against_all(scope.width, places, &scope.trunk).map(Invalid::by_loader);
    }

    /// The loader that holds nothing of a sheet, where it is the same for all of it: of a unit, and places of window and tying.
    pub(super) fn loader_against_all(
        &mut self,
        width: &Width,
        places: (UnitKey, usize, usize),
        trunk: &Trunk,
    ) -> Option<Loader> {
        if !self.space.is_portable() {
            return None;
        }
        let mut refusing = None;
        for column in self.held.kinds(places.0.width) {
            for row in 0..width.attentions.len() {
                let loader = self.loader_against(width, places, trunk, (row, column));
                if loader.is_none() || *refusing.get_or_insert(loader) != loader {
                    return None;
                }
            }
        }
        refusing.flatten()
    }

    /// Looks up the least loss of the dense points of a sheet.
    pub(super) fn look_up_nats(&mut self, scope: &mut SheetScope<'_, '_>) {
        let SheetScope { width, key, tied, ref trunk, .. } = *scope;
        let family = (key.width, key.vocabulary, tied, (trunk.layers, trunk.loops));
        let least_nats = self.least_nats.entry(family).or_insert_with(|| {
            let (least, most) = width.parameters_at(trunk.counts.layers());
            let range = (least.max(trunk.allowed.0), most.min(trunk.allowed.1));
            Rc::new(LeastNats::new(self.evaluator.law(), trunk.shape, range))
        });
        scope.least_nats = Some(Rc::clone(least_nats));
    }

    /// A depth and number of passes of a stack.
    pub(super) fn trunk(&self, work: &UnitWork<'_>, stack: usize, (layers, loops): (usize, usize)) -> Trunk {
        let (space, evaluator) = (self.space, self.evaluator);
        let UnitWork { width, key, .. } = *work;
        let Stack { kv, window, tied, .. } = work.stacks[stack];
        let window = space.windows()[window];
        let counts = LayerCounts::new(window, evaluator.depths[layers], evaluator.passes[loops]);
        let block = crate::Block { window, ..width.block(0, 0) };
        let place = (key.vocabulary, space.tyings()[tied]);
        let counted = width.counted(block, (0, 0), (counts.layers(), counts.passes), place);
        let mut shape = evaluator.shape(&counted);
        (shape.experts, shape.heads_per_kv_head, shape.single_kv_head) = (1, 1, false);
        let embedding = evaluator.total_parameters(&counted) - counted.non_embedding;
        let bounds = space.parameter_bounds(embedding);
        let reachable = evaluator.law().reachable_parameters();
        let allowed = (bounds.0.max(reachable.0), bounds.1.min(reachable.1));
        let formats = (space.weights()[key.weights], space.kv()[kv]);
        let inner = space.inner_of(key.weights, kv, key.vocabulary, tied, (layers, loops));
        let refusal = match space.check_sheet(&block, &space.beside_block(inner)) {
            Err(reason) => Some(reason),
            Ok(()) => evaluator.refusal_whatever_the_layers(shape, allowed, formats, space.is_portable()),
        };
        Trunk {
            layers,
            loops,
            counts,
            shape,
            embedding,
            allowed,
            bounds,
            refusal,
            window_nats: evaluator.law().window_nats(&shape),
        }
    }

    /// What the points of one sheet share.
    pub(super) fn scope<'s, 'u>(
        &mut self,
        work: &'s mut UnitWork<'u>,
        stack: usize,
        trunk: Trunk,
    ) -> SheetScope<'s, 'u> {
        let (space, evaluator) = (self.space, self.evaluator);
        let UnitWork { width, key, .. } = *work;
        let Stack { kv, window, tied, mixing, .. } = work.stacks[stack];
        let (unit, places) = (&work.unit, &work.mixings[mixing].places);
        let plain_rows: Vec<bool> = (0..width.attentions.len())
            .map(|row| {
                unit.row_is_priced(row)
                    && self.pool.is_priced(places[row])
                    && evaluator.allows_heads(width.attentions[row].heads, width.attentions[row].kv_heads)
            })
            .collect();
        let plain_columns = (0..width.feed_forwards.len())
            .map(|column| {
                unit.column_is_priced(column) && evaluator.allows_experts(width.feed_forwards[column].experts)
            })
            .collect();
        let trunk_places = (trunk.layers, trunk.loops);
        let inner = space.inner_of(key.weights, kv, key.vocabulary, tied, trunk_places);
        let rules = self.ruled.of_sheet(space, (key.width, width), window, &space.beside_block(inner));
        let by_layer = rules.is_by_layer();
        let all_heads =
            width.attentions.iter().all(|heads| evaluator.allows_heads(heads.heads, heads.kv_heads));
        let all_experts = width.feed_forwards.iter().all(|part| evaluator.allows_experts(part.experts));
        let is_open = trunk.refusal.is_none();
        // What is not a rule refuses all layers alike where nothing about layers comes before it.
        let refusal =
            trunk.refusal.clone().filter(|_| rules.of_sheet().is_some() || (!by_layer && all_heads));
        SheetScope {
            rules,
            refusal,
            plain: is_open && unit.is_priced(),
            width,
            work,
            mixing,
            key,
            kv,
            window,
            tied,
            trunk,
            loaders_first: is_open && !by_layer && all_heads && all_experts,
            plain_rows,
            plain_columns,
            dense_columns: width.idle_parameters.iter().map(|idle| *idle == 0).collect(),
            least_nats: None,
            outside: [0; 2],
        }
    }
}
