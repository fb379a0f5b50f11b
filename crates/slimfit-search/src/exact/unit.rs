//! A unit of work: the points of one hidden size, weight format and vocabulary, with the parts that they share.

use super::catalogue::{AttentionShape, Width};
use super::passes::{LaterPass, PassSpans};
use super::regimes::LeastTimes;
use super::sheet::{Places, RegimeTimes, Sheet, ThreadSheet};
use crate::model::Mixing;
use crate::parts::{LayerCounts, Part, PartTimes, Parts};
use crate::space::{Block, Window};
use crate::{Invalid, ModelEvaluator, SearchError, Space};
use slimfit_cost::{BusyTime, PROCESS_BYTES};
use slimfit_plan::ModelPart;
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;

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

/// The priced parts of a unit. A part that cannot be priced holds the reason.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) outer: Result<Part, Invalid>,
    pub(crate) projections: Vec<Result<Part, Invalid>>,
    pub(crate) feed_forwards: Vec<Result<Part, Invalid>>,
    /// Times of projections and feed-forward parts by regime, where they were asked for.
    times: Vec<Option<(Vec<PartTimes>, Vec<PartTimes>)>>,
    /// Least times of the three over spans of regimes, where they were asked for.
    pub(super) least: [LeastTimes; 3],
}

/// What the attentions of a unit mix with in one KV format and window.
#[derive(Debug)]
pub(crate) struct MixingRows {
    /// Places in the pool.
    pub(crate) places: Vec<usize>,
    /// Times without and with a window by regime, where they were asked for.
    times: Vec<Option<Vec<(PartTimes, PartTimes)>>>,
    /// Least times without and with a window over spans of regimes, where they were asked for.
    pub(super) least: [LeastTimes; 2],
}

impl MixingRows {
    pub(crate) fn new(places: Vec<usize>, regimes: usize) -> Self {
        Self { places, times: vec![None; regimes], least: Default::default() }
    }
}

/// The time of what cannot be priced.
pub(super) const IMPOSSIBLE: PartTimes = {
    let time = BusyTime { seconds: f64::INFINITY, compute_seconds: 0.0 };
    PartTimes { decode: time, prefill: time }
};

/// Working set and resident bytes of what cannot be priced: no bound is to be loose for its sake.
pub(super) const IMPOSSIBLE_SETS: (f64, f64) = (f64::INFINITY, f64::INFINITY);

/// Mixing parts by heads, KV format, window and vocabulary: they do not depend on the hidden size.
pub(crate) type MixingKey = (AttentionShape, NumberFormat, Option<(u64, bool)>, usize);

/// Parts that units of one worker share.
#[derive(Debug, Default)]
pub(crate) struct MixingPool {
    pub(crate) parts: Vec<Result<Mixing, Invalid>>,
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
        let parts = &mut self.parts;
        *self.places.entry((attention, kv, window, vocabulary)).or_insert_with(|| {
            parts.push(evaluator.mixing(space, block, kv, vocabulary));
            parts.len() - 1
        })
    }
}

impl Unit {
    /// Prices the parts of a unit.
    pub(crate) fn new(space: &Space, evaluator: &ModelEvaluator<'_>, width: &Width, key: UnitKey) -> Self {
        let weights = space.weights()[key.weights];
        let part = |pair: (usize, usize), kind| {
            let block = width.block(pair.0, pair.1);
            evaluator.weighted_parts(space, &block, weights, key.vocabulary, [kind]).map(|[part]| part)
        };
        let (rows, columns) = (0..width.attentions.len(), 0..width.feed_forwards.len());
        // A plan is of a whole layer, so halves are planned beside others that a plan can be made with.
        let pairs = || rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
        let partner = pairs().find(|pair| part(*pair, ModelPart::Outer).is_ok()).unwrap_or((0, 0));
        Self {
            outer: part(partner, ModelPart::Outer),
            projections: rows.clone().map(|row| part((row, partner.1), ModelPart::Projections)).collect(),
            feed_forwards: columns
                .clone()
                .map(|column| part((partner.0, column), ModelPart::FeedForward))
                .collect(),
            times: vec![None; evaluator.cost.regimes().len()],
            least: Default::default(),
        }
    }
}

/// What a sheet is filled from.
pub(crate) struct SheetInputs<'s> {
    pub(crate) evaluator: &'s ModelEvaluator<'s>,
    pub(crate) width: &'s Width,
    pub(crate) counts: LayerCounts,
    /// What is to be filled in.
    pub(crate) rows: &'s Places,
    pub(crate) columns: &'s Places,
    pub(crate) tied: bool,
    pub(crate) with_joules: bool,
    pub(crate) with_file: bool,
    pub(crate) training: Option<&'s TrainingFlops>,
}

/// Operations of a training by what needs them: a sum over layers as often as they run, like everything else.
#[derive(Debug)]
pub(crate) struct TrainingFlops {
    outer: f64,
    full: Vec<f64>,
    windowed: Vec<f64>,
    feed_forwards: Vec<f64>,
}

impl TrainingFlops {
    /// Counts the layers of a width with one window; none where something leaves 64 bits.
    pub(crate) fn new(
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        window: Option<Window>,
        (vocabulary, tied): (usize, bool),
    ) -> Option<Self> {
        // Of a layer with that window, and of everything else.
        let count = |row: usize, column: usize, window: Option<Window>| {
            let block = Block { window, ..width.block(row, column) };
            let one = evaluator.training_flops(space, &block, 1, vocabulary, tied)?;
            let two = evaluator.training_flops(space, &block, 2, vocabulary, tied)?;
            Some((two - one, one - (two - one)))
        };
        let (base, outer) = count(0, 0, None)?;
        let rows = 0..width.attentions.len();
        let columns = 0..width.feed_forwards.len();
        let of_rows = |window: Option<Window>| -> Option<Vec<f64>> {
            rows.clone().map(|row| Some(count(row, 0, window)?.0)).collect()
        };
        let windowed = Window::cuts(window).map(|window| Window { full_every: None, ..window });
        Some(Self {
            outer,
            full: of_rows(None)?,
            windowed: if windowed.is_some() { of_rows(windowed)? } else { Vec::new() },
            feed_forwards: columns
                .map(|column| Some(count(0, column, None)?.0 - base))
                .collect::<Option<_>>()?,
        })
    }

    pub(super) fn row(&self, row: usize, counts: LayerCounts) -> f64 {
        let windowed = self.windowed.get(row).map_or(0.0, |flops| counts.windowed as f64 * flops);
        self.outer + counts.passes as f64 * (counts.full as f64 * self.full[row] + windowed)
    }

    pub(super) fn column(&self, column: usize, counts: LayerCounts) -> f64 {
        (counts.passes * counts.layers()) as f64 * self.feed_forwards[column]
    }
}

impl Sheet {
    /// Fills the sheet for one depth and number of passes.
    ///
    /// # Errors
    /// When the cost model does not know its own thread counts: a fault of this program.
    pub(crate) fn fill(
        &mut self,
        inputs: &SheetInputs<'_>,
        unit: &mut Unit,
        pool: &mut MixingPool,
        rows: &mut MixingRows,
    ) -> Result<(), SearchError> {
        let MixingRows { places: mixing, times: mixing_times, .. } = rows;
        let SheetInputs { evaluator, width, counts, tied, with_joules, with_file, training, .. } = *inputs;
        let (wanted_rows, wanted_columns) = (inputs.rows, inputs.columns);
        let cost = evaluator.cost;
        let (row_count, column_count) = (width.attentions.len(), width.feed_forwards.len());
        let (layers, full, windowed) = (counts.layers() as f64, counts.full as f64, counts.windowed as f64);
        self.fill_parameters(evaluator, width, (layers, layers), (wanted_rows, wanted_columns));

        self.process_bytes = PROCESS_BYTES as f64;
        self.training_flops
            .rows
            .fill(wanted_rows, |row| training.map_or(0.0, |training| training.row(row, counts)));
        self.training_flops
            .columns
            .fill(wanted_columns, |column| training.map_or(0.0, |training| training.column(column, counts)));

        let Ok(outer) = &unit.outer else { unreachable!("sheets are filled for units that can be priced") };
        let sets = |row: usize| match (&unit.projections[row], &pool.parts[mixing[row]]) {
            (Ok(projections), Ok(mixing)) => row_sets(outer, projections, mixing, counts, tied),
            _ => IMPOSSIBLE_SETS,
        };
        let column_sets = |column: usize| column_sets(&unit.feed_forwards[column], counts);
        self.working_set.rows.fill(wanted_rows, |row| sets(row).0);
        self.working_set.columns.fill(wanted_columns, |column| column_sets(column).0);
        self.minus_working_set.rows.fill(wanted_rows, |row| minus(sets(row).0));
        self.minus_working_set.columns.fill(wanted_columns, |column| minus(column_sets(column).0));
        self.memory.rows.fill(wanted_rows, |row| sets(row).1);
        self.memory.columns.fill(wanted_columns, |column| column_sets(column).1);

        if with_file {
            self.fill_file_bytes(unit, (layers as u64, tied), (wanted_rows, wanted_columns));
        }

        let mut least = self.working_set.rows.over(1) + self.working_set.columns.over(1);
        let mut most = -(self.minus_working_set.rows.over(1) + self.minus_working_set.columns.over(1));
        if !least.is_finite() {
            // No pair of them can be priced, so that any regime will do.
            (least, most) = (0.0, 0.0);
        }
        self.looped = counts.passes > 1;
        let spans = if self.looped { PassSpans::new(self, width, counts, unit, pool, mixing) } else { None };
        let later = counts.later_passes() as f64;
        // Times of passes are summed in another order than those of a point.
        let rounding = if self.looped { 1.0 - 1e-12 } else { 1.0 };
        let Ok(outer) = unit.outer.as_mut() else { unreachable!("it was priced above") };
        self.threads.resize_with(cost.thread_counts().count(), ThreadSheet::default);
        for (thread_place, threads) in cost.thread_counts().enumerate() {
            let sheet = &mut self.threads[thread_place];
            sheet.used = 0;
            sheet.up_to_bytes.clear();
            let last = cost.regime(threads, most)?;
            for regime in cost.regimes_between(threads, least, most)? {
                if sheet.regimes.len() == sheet.used {
                    sheet.regimes.push(RegimeTimes::default());
                }
                let times = &mut sheet.regimes[sheet.used];
                sheet.used += 1;
                sheet.up_to_bytes.push(cost.regimes()[regime.index()].up_to_bytes);
                let outer_times = outer.times(cost, thread_place, regime);
                let times_of = |part: &mut Result<Part, Invalid>| {
                    part.as_mut().map_or(IMPOSSIBLE, |part| part.times(cost, thread_place, regime))
                };
                let (projections, feed_forwards) = unit.times[regime.index()].get_or_insert_with(|| {
                    let projections = unit.projections.iter_mut().map(times_of).collect();
                    (projections, unit.feed_forwards.iter_mut().map(times_of).collect())
                });
                let mixed = mixing_times[regime.index()].get_or_insert_with(|| {
                    let of = |place: &usize| match &mut pool.parts[*place] {
                        Ok(mixing) => {
                            let time = |part: &mut Option<Part>| {
                                part.as_mut().map_or(PartTimes::default(), |part| {
                                    part.times(cost, thread_place, regime)
                                })
                            };
                            (time(&mut mixing.full), time(&mut mixing.windowed))
                        }
                        Err(_) => (IMPOSSIBLE, IMPOSSIBLE),
                    };
                    mixing.iter().map(of).collect()
                });
                let joules = |time: BusyTime| evaluator.joules(time, threads).unwrap_or(f64::INFINITY);
                let (mut later_rows, mut later_columns) = (Vec::new(), Vec::new());
                if let Some(spans) = &spans {
                    let reach = spans.reach(cost, regime, regime == last)?;
                    let pass = |part: &mut Part, layers: f64| {
                        LaterPass::least(part, cost, thread_place, regime, &reach, joules) * (later * layers)
                    };
                    later_rows.extend((0..row_count).map(|row| {
                        let (Ok(projections), Ok(mixing)) =
                            (&mut unit.projections[row], &mut pool.parts[mixing[row]])
                        else {
                            return LaterPass::default();
                        };
                        let mut sum = pass(projections, layers);
                        for (part, layers) in [(&mut mixing.full, full), (&mut mixing.windowed, windowed)] {
                            sum = part.as_mut().map_or(sum, |part| sum + pass(part, layers));
                        }
                        sum
                    }));
                    later_columns.extend((0..column_count).map(|column| {
                        let part = unit.feed_forwards[column].as_mut();
                        part.map_or(LaterPass::default(), |part| pass(part, layers))
                    }));
                }
                let later_row = |row: usize| later_rows.get(row).copied().unwrap_or_default();
                let later_column = |column: usize| later_columns.get(column).copied().unwrap_or_default();
                // The order of these sums is that of `Parts::price`.
                let row_time = |row: usize, time: fn(&PartTimes) -> BusyTime| {
                    let base = time(&outer_times) + time(&projections[row]) * layers;
                    let (without, with) = &mixed[row];
                    base + (time(without) * full + time(with) * windowed)
                };
                let column_time =
                    |column: usize, time: fn(&PartTimes) -> BusyTime| time(&feed_forwards[column]) * layers;
                times.decode.rows.fill(wanted_rows, |row| {
                    let first = row_time(row, |times| times.decode).seconds;
                    (first + later_row(row).decode_seconds) * rounding
                });
                times.decode.columns.fill(wanted_columns, |column| {
                    let first = column_time(column, |times| times.decode).seconds;
                    (first + later_column(column).decode_seconds) * rounding
                });
                times.prefill.rows.fill(wanted_rows, |row| {
                    let first = row_time(row, |times| times.prefill).seconds;
                    (first + later_row(row).prefill_seconds) * rounding
                });
                times.prefill.columns.fill(wanted_columns, |column| {
                    let first = column_time(column, |times| times.prefill).seconds;
                    (first + later_column(column).prefill_seconds) * rounding
                });
                if with_joules {
                    times.joules.rows.fill(wanted_rows, |row| {
                        joules(row_time(row, |times| times.decode)) + later_row(row).joules
                    });
                    times.joules.columns.fill(wanted_columns, |column| {
                        joules(column_time(column, |times| times.decode)) + later_column(column).joules
                    });
                }
            }
            let scratch = |part: &Part| part.scratch_bytes(thread_place) as f64;
            let outer_scratch = scratch(outer);
            sheet.row_scratch.fill(wanted_rows, |row| {
                let (Ok(projections), Ok(mixing)) = (&unit.projections[row], &pool.parts[mixing[row]]) else {
                    return 0.0;
                };
                let parts = [Some(projections), mixing.full.as_ref(), mixing.windowed.as_ref()];
                parts.into_iter().flatten().map(scratch).fold(outer_scratch, f64::max)
            });
            sheet
                .column_scratch
                .fill(wanted_columns, |column| unit.feed_forwards[column].as_ref().map_or(0.0, scratch));
        }
        Ok(())
    }
}

impl Sheet {
    /// Parameters of points from the least to the most layers, and what their heads cost.
    pub(super) fn fill_parameters(
        &mut self,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        (least_layers, most_layers): (f64, f64),
        (rows, columns): (&Places, &Places),
    ) {
        let rest = width.rest_parameters as f64;
        let of_row = |layers: f64| move |row: usize| rest + layers * width.attention_parameters[row] as f64;
        let of_column =
            |layers: f64| move |column: usize| layers * width.feed_forward_parameters[column] as f64;
        let idle = |column: usize| most_layers * width.idle_parameters[column] as f64;
        let (most_of_row, most_of_column) = (of_row(most_layers), of_column(most_layers));
        self.parameters.rows.fill(rows, of_row(least_layers));
        self.parameters.columns.fill(columns, of_column(least_layers));
        self.minus_parameters.rows.fill(rows, |row| -most_of_row(row));
        self.minus_parameters.columns.fill(columns, |column| -most_of_column(column));
        self.minus_active.rows.fill(rows, |row| -most_of_row(row));
        self.minus_active.columns.fill(columns, |column| idle(column) - most_of_column(column));
        self.heads_nats.fill(rows, |row| {
            let AttentionShape { heads, kv_heads, .. } = width.attentions[row];
            evaluator.law().heads_nats(heads / kv_heads, heads > 1 && kv_heads == 1)
        });
    }

    /// Bytes of the tensors in a file.
    pub(super) fn fill_file_bytes(
        &mut self,
        unit: &Unit,
        (layers, tied): (u64, bool),
        (rows, columns): (&Places, &Places),
    ) {
        let file = |part: &Result<Part, Invalid>| part.as_ref().map(|part| part.file).unwrap_or_default();
        let outer = file(&unit.outer);
        let outer = outer.each + if tied { 0 } else { outer.head };
        self.file.rows.fill(rows, |row| {
            let projections = file(&unit.projections[row]);
            (outer + projections.once + layers * projections.each) as f64
        });
        self.file.columns.fill(columns, |column| (layers * file(&unit.feed_forwards[column]).each) as f64);
    }
}

/// Working set and resident bytes of what a row counts.
pub(super) fn row_sets(
    outer: &Part,
    projections: &Part,
    mixing: &Mixing,
    counts: LayerCounts,
    tied: bool,
) -> (f64, f64) {
    let part_of = |part: &Option<Part>| {
        part.as_ref().map_or((0.0, 0), |part| (part.set_bytes(counts), part.bytes(counts)))
    };
    let ((full_set, full_bytes), (windowed_set, windowed_bytes)) =
        (part_of(&mixing.full), part_of(&mixing.windowed));
    let set = outer.working_set_bytes
        + counts.layers() as f64 * projections.set_bytes(counts)
        + counts.full as f64 * full_set
        + counts.windowed as f64 * windowed_set;
    let head = if tied { 0 } else { outer.head_bytes };
    let stored = outer.layer_bytes
        + head
        + counts.layers() * projections.bytes(counts)
        + counts.full * full_bytes
        + counts.windowed * windowed_bytes;
    (set, (stored + outer.fixed_bytes + projections.fixed_bytes) as f64)
}

/// The same of a column.
pub(super) fn column_sets(part: &Result<Part, Invalid>, counts: LayerCounts) -> (f64, f64) {
    let Ok(part) = part else { return IMPOSSIBLE_SETS };
    let stored = counts.layers() * part.bytes(counts) + part.fixed_bytes;
    (counts.layers() as f64 * part.set_bytes(counts), stored as f64)
}

/// A working set with its sign turned round, so that what cannot be priced is the least of neither.
pub(super) fn minus(set: f64) -> f64 {
    if set.is_finite() { -set } else { set }
}

/// The five parts of a point of a unit.
///
/// # Errors
/// Why one of them cannot be priced.
pub(crate) fn parts_of<'p>(
    unit: &'p mut Unit,
    pool: &'p mut MixingPool,
    (row, column): (usize, usize),
    mixing: usize,
) -> Result<Parts<'p>, Invalid> {
    let (outer, projections, feed_forward, mixing) = (
        unit.outer.as_mut(),
        unit.projections[row].as_mut(),
        unit.feed_forwards[column].as_mut(),
        pool.parts[mixing].as_mut(),
    );
    match (outer, projections, feed_forward, mixing) {
        (Ok(outer), Ok(projections), Ok(feed_forward), Ok(mixing)) => Ok(Parts {
            outer,
            projections,
            full: mixing.full.as_mut(),
            windowed: mixing.windowed.as_mut(),
            feed_forward,
        }),
        (Err(reason), ..) | (_, Err(reason), ..) | (_, _, Err(reason), _) | (_, _, _, Err(reason)) => {
            Err(reason.clone())
        }
    }
}
