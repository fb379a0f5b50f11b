//! The times of points that were found, priced once more by the parts of their units: for intervals, which a search does
//! not need.

use super::catalogue::{AttentionShape, Catalogue, FeedForwardShape};
use super::unit::{MixingPool, Unit, UnitKey, parts_of};
use crate::archive::Found;
use crate::parts::LayerCounts;
use crate::{Block, Inner, ModelEvaluator, SearchError, Space};
use slimfit_cost::{CostModel, RunTime};
use std::collections::{BTreeMap, HashMap};

/// What a point takes: as the device mostly is, and in the other placement of its threads where that was often seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointTimes {
    pub(crate) usual: RunTime,
    pub(crate) elsewhere: Option<RunTime>,
}

/// Where a point lies.
struct Place {
    found: usize,
    pair: (usize, usize),
    block: Block,
    inner: Inner,
}

/// Width, weight format and vocabulary of a unit, and the points that lie in it.
type UnitPlaces = ((usize, usize, usize), Vec<Place>);

/// The times of `found` on the one device of `evaluator`, in its order.
///
/// # Errors
/// When a point cannot be priced that a search found: a fault of this program.
pub(crate) fn times(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    found: &[Found],
) -> Result<Vec<PointTimes>, SearchError> {
    let catalogue = Catalogue::new(space);
    let mut rows: Vec<HashMap<AttentionShape, usize>> = Vec::new();
    let mut columns: Vec<HashMap<FeedForwardShape, usize>> = Vec::new();
    let mut widths: HashMap<u64, usize> = HashMap::new();
    for (place, width) in catalogue.widths.iter().enumerate() {
        widths.insert(width.hidden_size, place);
        rows.push(width.attentions.iter().enumerate().map(|(place, shape)| (*shape, place)).collect());
        columns.push(width.feed_forwards.iter().enumerate().map(|(place, shape)| (*shape, place)).collect());
    }
    let mut units: BTreeMap<(usize, usize, usize), Vec<Place>> = BTreeMap::new();
    for (place, point) in found.iter().enumerate() {
        let block =
            space.block(point.index / space.inner_size()).map_err(|reason| lost(point, reason.reason()))?;
        let inner = space.inner(point.index % space.inner_size());
        let attention =
            AttentionShape { head_size: block.head_size, heads: block.heads, kv_heads: block.kv_heads };
        let feed_forward = FeedForwardShape { size: block.ffn, gated: block.gated, experts: block.experts };
        let known = || {
            let width = *widths.get(&block.hidden_size)?;
            Some((width, (*rows[width].get(&attention)?, *columns[width].get(&feed_forward)?)))
        };
        let (width, pair) = known().ok_or_else(|| lost(point, "in no list of layers"))?;
        let unit = units.entry((width, inner.weights, inner.vocabulary)).or_default();
        unit.push(Place { found: place, pair, block, inner });
    }
    let units: Vec<UnitPlaces> = units.into_iter().collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = units.len().div_ceil(workers).max(1);
    let parts: Vec<Result<Vec<(usize, PointTimes)>, SearchError>> = std::thread::scope(|scope| {
        let catalogue = &catalogue;
        let workers: Vec<_> = units
            .chunks(share)
            .map(|units| scope.spawn(move || times_of_units(space, evaluator, catalogue, units, found)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all: Vec<Option<PointTimes>> = vec![None; found.len()];
    for part in parts {
        for (place, times) in part? {
            all[place] = Some(times);
        }
    }
    Ok(all.into_iter().map(|times| times.expect("every point lies in one unit")).collect())
}

fn times_of_units(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    catalogue: &Catalogue,
    units: &[UnitPlaces],
    found: &[Found],
) -> Result<Vec<(usize, PointTimes)>, SearchError> {
    let counts: Vec<u32> = evaluator.cost().thread_counts().collect();
    let mut all = Vec::new();
    // Mixing does not depend on the unit, but on the model that prices it.
    let mut pool = MixingPool::default();
    let mut elsewhere: BTreeMap<u32, MixingPool> = BTreeMap::new();
    for ((width, weights, vocabulary), places) in units {
        let key = UnitKey { width: *width, weights: *weights, vocabulary: *vocabulary };
        let pairs = || places.iter().map(|place| place.pair);
        let width = &catalogue.widths[*width];
        let mut unit = Unit::of_pairs(space, evaluator, width, key, pairs());
        let mut usual: Vec<RunTime> = Vec::with_capacity(places.len());
        for place in places {
            usual.push(price(space, evaluator, &mut unit, &mut pool, place, found, None)?);
        }
        let mut others: Vec<Option<RunTime>> = vec![None; places.len()];
        for (thread_place, threads) in counts.iter().enumerate() {
            let Some(cost) = evaluator.cost().often_elsewhere(*threads) else { continue };
            if usual.iter().all(|time| time.threads != *threads) {
                continue;
            }
            let other = evaluator.priced_by(cost);
            let mut unit = Unit::of_pairs(space, &other, width, key, pairs());
            let pool = elsewhere.entry(*threads).or_default();
            for ((place, usual), time) in places.iter().zip(&usual).zip(&mut others) {
                if usual.threads == *threads {
                    let thread_place = place_of(cost, *threads).unwrap_or(thread_place);
                    *time = Some(price(space, &other, &mut unit, pool, place, found, Some(thread_place))?);
                }
            }
        }
        for ((place, usual), elsewhere) in places.iter().zip(usual).zip(others) {
            all.push((place.found, PointTimes { usual, elsewhere }));
        }
    }
    Ok(all)
}

fn place_of(cost: &CostModel, threads: u32) -> Option<usize> {
    cost.thread_counts().position(|count| count == threads)
}

/// With the best thread count, or the one at a place.
fn price(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    unit: &mut Unit,
    pool: &mut MixingPool,
    place: &Place,
    found: &[Found],
    thread_place: Option<usize>,
) -> Result<RunTime, SearchError> {
    let Place { block, inner, pair, .. } = place;
    let heads = AttentionShape { head_size: block.head_size, heads: block.heads, kv_heads: block.kv_heads };
    let kv = space.kv()[inner.kv];
    let mixing = pool.place(space, evaluator, (block, heads), kv, inner.vocabulary);
    let point = &found[place.found];
    let mut parts = parts_of(unit, pool, *pair, mixing).map_err(|reason| lost(point, reason.reason()))?;
    let mut parts = parts.next().ok_or_else(|| lost(point, "priced on no device"))?;
    let (layers, passes) = (evaluator.depths[inner.layers], evaluator.passes[inner.loops]);
    let counts = LayerCounts::new(block.window, layers, passes);
    let tied = space.tyings()[inner.tied];
    Ok(match thread_place {
        None => parts.price(evaluator.cost(), counts, tied)?,
        Some(place) => parts.price_with(evaluator.cost(), counts, tied, place)?,
    })
}

fn lost(point: &Found, reason: &str) -> SearchError {
    SearchError::Option {
        name: format!("point {} of the space", point.index),
        found: reason.to_owned(),
        allowed: "a valid point".to_owned(),
    }
}
