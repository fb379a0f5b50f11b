//! A unit of work: the points of one hidden size, weight format and vocabulary, with the parts that they share.

use super::catalogue::{AttentionShape, Width};
use super::regimes::LeastTimes;
use crate::device::Device;
use crate::model::Mixing;
use crate::parts::{Part, PartTimes, Parts};
use crate::space::{Block, Window};
use crate::{Invalid, ModelEvaluator, Space};
use slimfit_cost::CostModel;
use slimfit_plan::ModelPart;
use slimfit_quantity::NumberFormat;
use std::collections::{HashMap, HashSet};

/// Which points a unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnitKey {
    /// Place in the catalogue.
    pub(crate) width: usize,
    /// Place in the space's list of weight formats.
    pub(crate) weights: usize,
    /// Place in the space's list of vocabularies.
    pub(crate) vocabulary: usize,
}

/// The priced parts of a unit.
#[derive(Debug)]
pub(crate) struct Unit {
    /// On each device.
    pub(crate) devices: Vec<UnitParts>,
}

/// The parts of a unit as one device runs them. A part that cannot be priced holds the reason.
#[derive(Debug)]
pub(crate) struct UnitParts {
    pub(crate) outer: Result<Part, Invalid>,
    pub(crate) projections: Vec<Result<Part, Invalid>>,
    pub(crate) feed_forwards: Vec<Result<Part, Invalid>>,
    /// Times of projections and feed-forward parts by regime, where they were asked for.
    pub(super) times: Vec<Option<(Vec<PartTimes>, Vec<PartTimes>)>>,
    /// Least times of the three over spans of regimes, where they were asked for.
    pub(super) least: [LeastTimes; 3],
}

/// What the attentions of a unit mix with in one KV format and window.
#[derive(Debug)]
pub(crate) struct MixingRows {
    /// Places in the pool.
    pub(crate) places: Vec<usize>,
    /// By device.
    pub(super) times: Vec<MixingTimes>,
    /// Least times without and with a window over spans of regimes, by device, where they were asked for.
    pub(super) least: Vec<[LeastTimes; 2]>,
}

/// Times without and with a window by regime, where they were asked for.
pub(super) type MixingTimes = Vec<Option<Vec<(PartTimes, PartTimes)>>>;

impl MixingRows {
    pub(crate) fn new(places: Vec<usize>, evaluator: &ModelEvaluator<'_>) -> Self {
        let times = evaluator.devices.iter().map(|device| vec![None; device.cost.regimes().len()]);
        Self {
            places,
            times: times.collect(),
            least: vec![<[LeastTimes; 2]>::default(); evaluator.devices.len()],
        }
    }
}

/// Mixing parts by heads, KV format, window and vocabulary: they do not depend on the hidden size.
pub(crate) type MixingKey = (AttentionShape, NumberFormat, Option<(u64, bool)>, usize);

/// Parts that units of one worker share.
#[derive(Debug, Default)]
pub(crate) struct MixingPool {
    /// By device, then by place.
    pub(super) devices: Vec<Vec<Result<Mixing, Invalid>>>,
    places: HashMap<MixingKey, usize>,
}

impl MixingPool {
    /// Place of the mixing of a block with its window.
    pub(crate) fn place(
        &mut self,
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        (block, attention): (&Block, AttentionShape),
        kv: NumberFormat,
        vocabulary: usize,
    ) -> usize {
        let window = Window::cuts(block.window).map(|window| (window.size, window.full_every.is_some()));
        let Self { devices, places } = self;
        let next = places.len();
        *places.entry((attention, kv, window, vocabulary)).or_insert_with(|| {
            devices.resize_with(evaluator.devices.len(), Vec::new);
            for (parts, device) in devices.iter_mut().zip(&evaluator.devices) {
                parts.push(evaluator.mixing(device.cost, space, block, kv, vocabulary));
            }
            next
        })
    }

    /// Whether the mixing at a place can be priced on every device.
    pub(crate) fn is_priced(&self, place: usize) -> bool {
        self.devices.iter().all(|parts| parts[place].is_ok())
    }
}

impl Unit {
    /// Prices the parts of a unit.
    pub(crate) fn new(space: &Space, evaluator: &ModelEvaluator<'_>, width: &Width, key: UnitKey) -> Self {
        let everything = |_| true;
        let on = |device: &Device<'_>| {
            UnitParts::new(space, evaluator, device.cost, (width, key), (&everything, &everything))
        };
        Self { devices: evaluator.devices.iter().map(on).collect() }
    }

    /// The same of some pairs alone: all other parts count as such that cannot be priced.
    pub(crate) fn of_pairs(
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        key: UnitKey,
        pairs: impl Iterator<Item = (usize, usize)>,
    ) -> Self {
        let (rows, columns): (HashSet<usize>, HashSet<usize>) = pairs.unzip();
        let wanted: Wanted<'_> = (&|row| rows.contains(&row), &|column| columns.contains(&column));
        let on = |device: &Device<'_>| UnitParts::new(space, evaluator, device.cost, (width, key), wanted);
        Self { devices: evaluator.devices.iter().map(on).collect() }
    }

    /// Whether what no layer has can be priced on every device.
    pub(crate) fn is_priced(&self) -> bool {
        self.devices.iter().all(|parts| parts.outer.is_ok())
    }

    /// Whether the projections of a row can be priced on every device.
    pub(crate) fn row_is_priced(&self, row: usize) -> bool {
        self.devices.iter().all(|parts| parts.projections[row].is_ok())
    }

    /// Whether the feed-forward part of a column can be priced on every device.
    pub(crate) fn column_is_priced(&self, column: usize) -> bool {
        self.devices.iter().all(|parts| parts.feed_forwards[column].is_ok())
    }
}

/// Whether a row, and whether a column, is to be priced.
type Wanted<'w> = (&'w dyn Fn(usize) -> bool, &'w dyn Fn(usize) -> bool);

impl UnitParts {
    fn new(
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        cost: &CostModel,
        (width, key): (&Width, UnitKey),
        (wanted_rows, wanted_columns): Wanted<'_>,
    ) -> Self {
        let weights = space.weights()[key.weights];
        let part = |pair: (usize, usize), kind| {
            let block = width.block(pair.0, pair.1);
            let parts = evaluator.weighted_parts(cost, space, &block, weights, key.vocabulary, [kind]);
            parts.map(|[part]| part)
        };
        let (rows, columns) = (0..width.attentions.len(), 0..width.feed_forwards.len());
        // A plan is of a whole layer, so halves are planned beside others that a plan can be made with.
        let mut pairs = rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
        let partner = pairs.find(|pair| part(*pair, ModelPart::Outer).is_ok()).unwrap_or((0, 0));
        let wanted = |is_wanted: bool, pair: (usize, usize), kind: ModelPart| {
            if is_wanted { part(pair, kind) } else { Err(Invalid::of("it was not asked for")) }
        };
        let projections = rows.map(|row| wanted(wanted_rows(row), (row, partner.1), ModelPart::Projections));
        let feed_forwards =
            columns.map(|column| wanted(wanted_columns(column), (partner.0, column), ModelPart::FeedForward));
        Self {
            outer: part(partner, ModelPart::Outer),
            projections: projections.collect(),
            feed_forwards: feed_forwards.collect(),
            times: vec![None; cost.regimes().len()],
            least: Default::default(),
        }
    }
}

/// The five parts of a point of a unit, for one device after the other.
///
/// # Errors
/// Why one of them cannot be priced on a device.
pub(crate) fn parts_of<'p>(
    unit: &'p mut Unit,
    pool: &'p mut MixingPool,
    (row, column): (usize, usize),
    mixing: usize,
) -> Result<impl Iterator<Item = Parts<'p>>, Invalid> {
    for UnitParts { outer, projections, feed_forwards, .. } in &unit.devices {
        for part in [outer, &projections[row], &feed_forwards[column]] {
            part.as_ref().map_err(Clone::clone)?;
        }
    }
    for parts in &pool.devices {
        parts[mixing].as_ref().map_err(Clone::clone)?;
    }
    let devices = unit.devices.iter_mut().zip(&mut pool.devices);
    Ok(devices.filter_map(move |(UnitParts { outer, projections, feed_forwards, .. }, parts)| {
        let mixing = parts[mixing].as_mut().ok()?;
        Some(Parts {
            outer: outer.as_mut().ok()?,
            projections: projections[row].as_mut().ok()?,
            full: mixing.full.as_mut(),
            windowed: mixing.windowed.as_mut(),
            feed_forward: feed_forwards[column].as_mut().ok()?,
        })
    }))
}
