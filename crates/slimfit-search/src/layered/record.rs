//! What a search of layers found, ready to be described.

use super::layer::{Families, Family, Layers, formats};
use super::pool::FoundModel;
use crate::exact::PointTimes;
use crate::space::natural;
use crate::{Invalid, ModelEvaluator, SearchError, SearchOptions, Space, Values};
use num_bigint::BigUint;
use slimfit_arch::Architecture;
use slimfit_quantity::NumberFormat;
use slimfit_study::{BoundCount, Natural, ReasonCount};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

/// A model whose layers may differ.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its number: frame, formats, vocabulary, tying and depth, then a kind for each layer.
    pub index: Natural,
    /// What it is.
    pub architecture: Architecture,
    /// How its weights are stored.
    pub weights: NumberFormat,
    /// How its KV cache is stored.
    pub kv: NumberFormat,
    /// Its metrics.
    pub values: Values,
    pub(crate) times: PointTimes,
}

/// What a search of layers found.
#[derive(Debug)]
pub struct LayeredOutcome {
    /// The front, ordered by its objectives.
    pub front: Vec<Model>,
    /// A sample of the other models that keep all limits.
    pub sample: Vec<Values>,
    /// Models in the space, each order of layers counted: `invalid + evaluated + Σ pruned + unvisited`.
    pub space_size: Natural,
    /// Models that are none.
    pub invalid: Natural,
    /// Why.
    pub invalid_by: Vec<ReasonCount>,
    /// Models whose metrics were computed.
    pub evaluated: Natural,
    /// Models that were ruled out unseen.
    pub pruned: Vec<BoundCount>,
    /// Models about which nothing is proven.
    pub unvisited: Natural,
    /// Models that answered for others by their sums and that a rule then refused: nothing is proven about those others.
    pub refused_answers: Vec<ReasonCount>,
    /// Proven distance to the exact front, 0 where it is exact; none where nothing is proven.
    pub epsilon: Option<f64>,
    /// Where no model keeps all limits: the one that comes nearest.
    pub nearest_miss: Option<Model>,
    /// Wall-clock time.
    pub duration: Duration,
}

/// What rules models out, as the certificate names it.
const RULED_OUT: &str = "dominated layer by layer, or the same layers in another order";

pub(super) struct Counts {
    pub(super) all: Natural,
    pub(super) invalid: Natural,
    pub(super) refused: BTreeMap<Invalid, Natural>,
    pub(super) evaluated: Natural,
    pub(super) pruned: Natural,
    pub(super) unvisited: Natural,
}

pub(super) struct Found<'f> {
    pub(super) space: &'f Space,
    pub(super) evaluator: &'f ModelEvaluator<'f>,
    pub(super) options: &'f SearchOptions<'f>,
    pub(super) families: Families,
    pub(super) front: Vec<FoundModel>,
    pub(super) nearest_miss: Option<(FoundModel, Families)>,
    pub(super) counts: Counts,
    pub(super) refused_answers: Vec<ReasonCount>,
    pub(super) epsilon: Option<f64>,
    pub(super) start: Instant,
}

pub(super) fn outcome(found: Found<'_>) -> Result<LayeredOutcome, SearchError> {
    let Found { space, evaluator, options, mut families, front, nearest_miss, counts, .. } = found;
    let sample = super::sample::sample(space, evaluator, options, &mut families);
    let mut elsewhere = BTreeMap::new();
    let front = front
        .iter()
        .map(|model| written(space, evaluator, &mut families, &mut elsewhere, model))
        .collect::<Result<_, _>>()?;
    let nearest_miss = match nearest_miss {
        None => None,
        Some((model, mut families)) => {
            Some(written(space, evaluator, &mut families, &mut BTreeMap::new(), &model)?)
        }
    };
    let counted = counts.refused.into_iter();
    let ruled_out = BoundCount { bound: RULED_OUT.to_owned(), count: counts.pruned };
    Ok(LayeredOutcome {
        front,
        sample,
        space_size: counts.all,
        invalid: counts.invalid,
        invalid_by: counted
            .map(|(reason, count)| ReasonCount { reason: reason.reason().to_owned(), count })
            .collect(),
        evaluated: counts.evaluated,
        pruned: if ruled_out.count.is_zero() { Vec::new() } else { vec![ruled_out] },
        unvisited: counts.unvisited,
        refused_answers: found.refused_answers,
        epsilon: found.epsilon,
        nearest_miss,
        duration: found.start.elapsed(),
    })
}

/// A family priced by another model of the device.
type Elsewhere = BTreeMap<(Family, u32), Layers>;

fn written(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    families: &mut Families,
    elsewhere: &mut Elsewhere,
    model: &FoundModel,
) -> Result<Model, SearchError> {
    let FoundModel { family, trunk, counts, values } = model;
    let layers = families.get_mut(family).expect("a model was found in a family");
    let usual = layers.price(evaluator.cost(), counts, trunk.tied, None)?;
    let other = match evaluator.cost().often_elsewhere(usual.threads) {
        None => None,
        Some(cost) => {
            let priced = match elsewhere.entry((*family, usual.threads)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) => {
                    let priced = Layers::new(space, &evaluator.priced_by(cost), *family);
                    free.insert(priced.map_err(|_| lost())?)
                }
            };
            let place = cost.thread_counts().position(|threads| threads == usual.threads);
            Some(priced.price(cost, counts, trunk.tied, place)?)
        }
    };
    let layers = &families[family];
    let (vocabulary, ..) = evaluator.vocabularies[family.vocabulary];
    let (weights, kv) = formats(space, *family);
    Ok(Model {
        index: index(space, layers, model),
        architecture: layers.architecture(space, counts, *trunk, vocabulary),
        weights,
        kv,
        values: *values,
        times: PointTimes { usual, elsewhere: other },
    })
}

fn lost() -> SearchError {
    SearchError::Option {
        name: "per_layer".to_owned(),
        found: "a model that the other placement of threads cannot price".to_owned(),
        allowed: "models that both can".to_owned(),
    }
}

fn index(space: &Space, layers: &Layers, model: &FoundModel) -> Natural {
    let FoundModel { family, trunk, counts, .. } = model;
    let depths = space.depths();
    let depth = depths.iter().position(|depth| *depth == trunk.layers).unwrap_or(0);
    let tied = space.tyings().iter().position(|tied| *tied == trunk.tied).unwrap_or(0);
    let inner = space.inner_of(family.weights, family.kv, family.vocabulary, tied, (depth, 0)).index;
    let mut index = BigUint::from(family.frame) * space.inner_size() + inner;
    for place in layers.arranged(counts, trunk.layers) {
        index = index * space.kinds() + layers.layers[place].kind;
    }
    natural(&index)
}
