//! Filling the sheet of one depth: everything that its points are sums of.

use super::catalogue::{AttentionShape, Width};
use super::passes::{LaterPass, PassSpans};
use super::sheet::{DeviceSheet, Places, RegimeTimes, Sheet, ThreadSheet};
use super::training::TrainingFlops;
use super::unit::{MixingPool, MixingRows, MixingTimes, Unit, UnitParts};
use crate::device::Device;
use crate::model::Mixing;
use crate::parts::{LayerCounts, Part, PartTimes};
use crate::{Invalid, ModelEvaluator, SearchError};
use slimfit_cost::{BusyTime, PROCESS_BYTES};

/// What a sheet is filled from.
pub(super) struct SheetInputs<'s> {
    pub(super) evaluator: &'s ModelEvaluator<'s>,
    pub(super) width: &'s Width,
    pub(super) counts: LayerCounts,
    /// What is to be filled in.
    pub(super) rows: &'s Places,
    pub(super) columns: &'s Places,
    pub(super) tied: bool,
    pub(super) with_joules: bool,
    pub(super) with_file: bool,
    pub(super) training: Option<&'s TrainingFlops>,
}

/// The time of what cannot be priced.
const IMPOSSIBLE: PartTimes = {
    let time = BusyTime { seconds: f64::INFINITY, compute_seconds: 0.0 };
    PartTimes { decode: time, prefill: time }
};

/// Working set and resident bytes of what cannot be priced: no bound is to be loose for its sake.
pub(super) const IMPOSSIBLE_SETS: (f64, f64) = (f64::INFINITY, f64::INFINITY);

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
        let SheetInputs { evaluator, width, counts, tied, training, .. } = *inputs;
        let layers = counts.layers();
        self.fill_parameters(evaluator, width, (layers, layers), (inputs.rows, inputs.columns));
        self.training_flops
            .rows
            .fill(inputs.rows, |row| training.map_or(0.0, |training| training.row(row, counts)));
        self.training_flops
            .columns
            .fill(inputs.columns, |column| training.map_or(0.0, |training| training.column(column, counts)));

        if inputs.with_file {
            self.fill_file_bytes(unit, (layers, tied), (inputs.rows, inputs.columns));
        }
        self.looped = counts.passes > 1;
        self.devices.resize_with(evaluator.devices.len(), DeviceSheet::default);
        let sheets = self.devices.iter_mut().zip(&evaluator.devices);
        let parts = unit.devices.iter_mut().zip(&mut pool.devices).zip(&mut rows.times);
        for ((sheet, device), ((unit, mixing), times)) in sheets.zip(parts) {
            sheet.fill(inputs, device, unit, (mixing, &rows.places, times))?;
        }
        Ok(())
    }
}

impl DeviceSheet {
    /// Fills what one device takes. `pool`: its mixing parts, the place of each attention's in them, and their times.
    ///
    /// # Errors
    /// When the cost model does not know its own thread counts: a fault of this program.
    fn fill(
        &mut self,
        inputs: &SheetInputs<'_>,
        device: &Device<'_>,
        unit: &mut UnitParts,
        (pool, mixing, mixing_times): (&mut [Result<Mixing, Invalid>], &[usize], &mut MixingTimes),
    ) -> Result<(), SearchError> {
        let SheetInputs {
            width, counts, tied, with_joules, rows: wanted_rows, columns: wanted_columns, ..
        } = *inputs;
        let cost = device.cost;
        let (row_count, column_count) = (width.attentions.len(), width.feed_forwards.len());
        let (layers, full, windowed) = (counts.layers() as f64, counts.full as f64, counts.windowed as f64);
        self.process_bytes = PROCESS_BYTES as f64;
        let Ok(outer) = &unit.outer else { unreachable!("sheets are filled for units that can be priced") };
        let sets = |row: usize| match (&unit.projections[row], &pool[mixing[row]]) {
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

        let (least, most) = self.set_range();
        let looped = counts.passes > 1;
        let spans = if looped { PassSpans::new(self, width, counts, unit, pool, mixing) } else { None };
        let later = counts.later_passes() as f64;
        // Times of passes are summed in another order than those of a point.
        let rounding = if looped { 1.0 - 1e-12 } else { 1.0 };
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
                    let of = |place: &usize| match &mut pool[*place] {
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
                let joules = |time: BusyTime| device.joules(time, threads).unwrap_or(f64::INFINITY);
                let (mut later_rows, mut later_columns) = (Vec::new(), Vec::new());
                if let Some(spans) = &spans {
                    let reach = spans.reach(cost, regime, regime == last)?;
                    let pass = |part: &mut Part, layers: f64| {
                        LaterPass::least(part, cost, thread_place, regime, &reach, joules) * (later * layers)
                    };
                    later_rows.extend((0..row_count).map(|row| {
                        let (Ok(projections), Ok(mixing)) =
                            (&mut unit.projections[row], &mut pool[mixing[row]])
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
                let (Ok(projections), Ok(mixing)) = (&unit.projections[row], &pool[mixing[row]]) else {
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
    /// Fills the sheet of a depth of which no point is valid: for other than the usual reason where parameters say so.
    pub(super) fn fill_refused(
        &mut self,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        layers: u64,
        (rows, columns): (&Places, &Places),
    ) {
        self.fill_parameters(evaluator, width, (layers, layers), (rows, columns));
        for unpriced in [&mut self.training_flops, &mut self.file] {
            unpriced.rows.fill(rows, |_| 0.0);
            unpriced.columns.fill(columns, |_| 0.0);
        }
    }

    /// Parameters of points from the least to the most layers, and what their heads cost.
    pub(super) fn fill_parameters(
        &mut self,
        evaluator: &ModelEvaluator<'_>,
        width: &Width,
        (least_layers, most_layers): (u64, u64),
        (rows, columns): (&Places, &Places),
    ) {
        let (least_layers, most_layers) = (least_layers as f64, most_layers as f64);
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
        // In a file they are the same for every device.
        let UnitParts { outer, projections, feed_forwards, .. } = &unit.devices[0];
        let outer = file(outer);
        let outer = outer.each + if tied { 0 } else { outer.head };
        self.file.rows.fill(rows, |row| {
            let projections = file(&projections[row]);
            (outer + projections.once + layers * projections.each) as f64
        });
        self.file.columns.fill(columns, |column| (layers * file(&feed_forwards[column]).each) as f64);
    }
}

impl DeviceSheet {
    /// The least and the largest working set of what was filled in.
    pub(super) fn set_range(&self) -> (f64, f64) {
        let least = self.working_set.rows.over(1) + self.working_set.columns.over(1);
        let most = -(self.minus_working_set.rows.over(1) + self.minus_working_set.columns.over(1));
        // Where no pair can be priced, any regime will do.
        if least.is_finite() { (least, most) } else { (0.0, 0.0) }
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
