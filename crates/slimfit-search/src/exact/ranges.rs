//! Sheets of several depths, or of several stacks at once: lower bounds of everything that lies in them.

use super::fill::{IMPOSSIBLE_SETS, column_sets, minus, row_sets};
use super::regimes::{Intervals, LeastTime, LeastTimes};
use super::sheet::{DeviceSheet, Places, RegimeTimes, Sheet, ThreadSheet};
use super::training::TrainingFlops;
use super::unit::{MixingPool, MixingRows, Unit, UnitParts};
use crate::device::Device;
use crate::model::Mixing;
use crate::parts::{LayerCounts, Part};
use crate::{Invalid, ModelEvaluator};
use slimfit_cost::PROCESS_BYTES;

/// What one stack brings into a sheet: layers that run once.
#[derive(Debug, Clone, Copy)]
pub(super) struct RangeStack<'t> {
    /// Place of its mixing.
    pub(super) mixing: usize,
    pub(super) tied: bool,
    /// Layers of the shallowest and of the deepest points.
    pub(super) counts: (LayerCounts, LayerCounts),
    pub(super) training: Option<&'t TrainingFlops>,
}

/// What a sheet of several depths is filled from.
pub(super) struct RangeInputs<'s> {
    pub(super) evaluator: &'s ModelEvaluator<'s>,
    pub(super) width: &'s super::catalogue::Width,
    /// Of each device.
    pub(super) intervals: &'s [Intervals],
    pub(super) stacks: &'s [RangeStack<'s>],
    pub(super) rows: &'s Places,
    pub(super) columns: &'s Places,
    pub(super) with_joules: bool,
    pub(super) with_file: bool,
}

impl Sheet {
    /// Fills the sheet with what no point of some stacks has less of, or none has more of where that is asked for.
    pub(super) fn fill_range(
        &mut self,
        inputs: &RangeInputs<'_>,
        unit: &mut Unit,
        pool: &mut MixingPool,
        mixings: &mut [MixingRows],
    ) {
        let RangeInputs { evaluator, width, stacks, rows, columns, .. } = *inputs;
        let depths =
            |of: fn(&RangeStack<'_>) -> LayerCounts| stacks.iter().map(move |stack| of(stack).layers());
        let least_layers = depths(|stack| stack.counts.0).min().unwrap_or(0);
        let most_layers = depths(|stack| stack.counts.1).max().unwrap_or(0);
        let any_tied = stacks.iter().any(|stack| stack.tied);
        // Stacks that differ in their tying alone have the same times.
        let mut mixed: Vec<(usize, LayerCounts, LayerCounts)> =
            stacks.iter().map(|stack| (stack.mixing, stack.counts.0, stack.counts.1)).collect();
        mixed.dedup();
        self.fill_parameters(evaluator, width, (least_layers, most_layers), (rows, columns));
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        self.training_flops.rows.fill(rows, |row| {
            let of =
                |stack: &RangeStack<'_>| stack.training.map_or(0.0, |flops| flops.row(row, stack.counts.0));
            least(&mut stacks.iter().map(of))
        });
        self.training_flops.columns.fill(columns, |column| {
            let of = |stack: &RangeStack<'_>| {
                stack.training.map_or(0.0, |flops| flops.column(column, stack.counts.0))
            };
            least(&mut stacks.iter().map(of))
        });

        if inputs.with_file {
            self.fill_file_bytes(unit, (least_layers, any_tied), (rows, columns));
        }
        self.looped = false;
        self.devices.resize_with(evaluator.devices.len(), DeviceSheet::default);
        for (place, sheet) in self.devices.iter_mut().enumerate() {
            let mut parts = RangeParts {
                place,
                device: &evaluator.devices[place],
                unit: &mut unit.devices[place],
                pool: &mut pool.devices[place],
                mixings,
                mixed: &mixed,
                layers: (least_layers, most_layers),
                any_tied,
            };
            sheet.fill_range(inputs, &mut parts);
        }
    }
}

/// What a device's sheet of several depths is filled from.
struct RangeParts<'s> {
    /// Of the device.
    place: usize,
    device: &'s Device<'s>,
    unit: &'s mut UnitParts,
    pool: &'s mut [Result<Mixing, Invalid>],
    mixings: &'s mut [MixingRows],
    /// Mixing of each stack, and layers of its shallowest and deepest points.
    mixed: &'s [(usize, LayerCounts, LayerCounts)],
    /// The fewest and the most of all.
    layers: (u64, u64),
    any_tied: bool,
}

impl DeviceSheet {
    fn fill_range(&mut self, inputs: &RangeInputs<'_>, parts: &mut RangeParts<'_>) {
        let RangeInputs { rows, columns, .. } = *inputs;
        let RangeParts { unit, pool, mixings, mixed, layers: (least_layers, most_layers), .. } = parts;
        self.process_bytes = PROCESS_BYTES as f64;
        let Ok(outer) = &unit.outer else { unreachable!("sheets are filled for units that can be priced") };
        let sets = |row: usize, (mixing, counts): (usize, LayerCounts)| match (
            &unit.projections[row],
            &pool[mixings[mixing].places[row]],
        ) {
            (Ok(projections), Ok(mixing)) => row_sets(outer, projections, mixing, counts, parts.any_tied),
            _ => IMPOSSIBLE_SETS,
        };
        let at_least = |row: usize| {
            let each = mixed.iter().map(|(mixing, counts, _)| sets(row, (*mixing, *counts)));
            each.fold(IMPOSSIBLE_SETS, |least, sets| (least.0.min(sets.0), least.1.min(sets.1)))
        };
        let counts = |layers: u64| LayerCounts { full: layers, windowed: 0, passes: 1 };
        let of_column = |column: usize, layers: u64| column_sets(&unit.feed_forwards[column], counts(layers));
        self.working_set.rows.fill(rows, |row| at_least(row).0);
        self.working_set.columns.fill(columns, |column| of_column(column, *least_layers).0);
        self.minus_working_set.rows.fill(rows, |row| {
            let each = mixed.iter().map(|(mixing, _, counts)| minus(sets(row, (*mixing, *counts)).0));
            each.fold(f64::INFINITY, f64::min)
        });
        self.minus_working_set.columns.fill(columns, |column| minus(of_column(column, *most_layers).0));
        self.memory.rows.fill(rows, |row| at_least(row).1);
        self.memory.columns.fill(columns, |column| of_column(column, *least_layers).1);
        self.fill_least_times(inputs, parts);
        self.fill_scratch(inputs, parts);
    }

    /// Times of all thread counts together, in a few spans of regimes.
    fn fill_least_times(&mut self, inputs: &RangeInputs<'_>, parts: &mut RangeParts<'_>) {
        let RangeInputs { width, rows, columns, .. } = *inputs;
        let RangeParts { place: of_device, device, unit, pool, mixings, mixed, .. } = parts;
        let (intervals, least_layers) = (&inputs.intervals[*of_device], parts.layers.0);
        let (least, most) = self.set_range();
        self.threads.resize_with(1, ThreadSheet::default);
        let sheet = &mut self.threads[0];
        sheet.used = 0;
        sheet.up_to_bytes.clear();
        for span in intervals.cover(least, most) {
            if sheet.regimes.len() == sheet.used {
                sheet.regimes.push(RegimeTimes::default());
            }
            let times = &mut sheet.regimes[sheet.used];
            sheet.used += 1;
            sheet.up_to_bytes.push(span.up_to_bytes);
            let UnitParts { outer, projections, feed_forwards, least, .. } = &mut **unit;
            let [least_outer, least_projections, least_feed_forwards] = least;
            let node = span.node;
            least_outer
                .prepare(intervals, device, node, 1, &mut |_, time| LeastTimes::of(outer.as_mut(), time));
            least_projections.prepare(intervals, device, node, projections.len(), &mut |row, time| {
                LeastTimes::of(projections[row].as_mut(), time)
            });
            least_feed_forwards.prepare(intervals, device, node, feed_forwards.len(), &mut |column, time| {
                LeastTimes::of(feed_forwards[column].as_mut(), time)
            });
            for (place, ..) in mixed.iter() {
                let MixingRows { places, least, .. } = &mut mixings[*place];
                let [full, windowed] = &mut least[*of_device];
                let count = width.attentions.len();
                for (least, is_full) in [(full, true), (windowed, false)] {
                    least.prepare(intervals, device, node, count, &mut |row, time| {
                        let mixing = pool[places[row]].as_mut();
                        match mixing
                            .map(|mixing| if is_full { &mut mixing.full } else { &mut mixing.windowed })
                        {
                            Ok(None) => LeastTime::NOTHING,
                            Ok(Some(part)) => time(part),
                            Err(reason) => LeastTimes::of(Err(reason), time),
                        }
                    });
                }
            }
            let (outer, projections) = (least_outer.at(node)[0], least_projections.at(node));
            let feed_forwards = least_feed_forwards.at(node);
            let mixed: Vec<_> = (mixed.iter())
                .map(|(place, counts, _)| {
                    let [full, windowed] = &mixings[*place].least[*of_device];
                    (full.at(node), windowed.at(node), *counts)
                })
                .collect();
            // The order of these sums is that of `Parts::price`.
            let row_least = |row: usize, time: fn(&LeastTime) -> f64| {
                let of = |(full, windowed, counts): &(&[LeastTime], &[LeastTime], LayerCounts)| {
                    let base = time(&outer) + time(&projections[row]) * counts.layers() as f64;
                    base + (time(&full[row]) * counts.full as f64
                        + time(&windowed[row]) * counts.windowed as f64)
                };
                mixed.iter().map(of).fold(f64::INFINITY, f64::min)
            };
            let column_least = |column: usize, time: fn(&LeastTime) -> f64| {
                time(&feed_forwards[column]) * least_layers as f64
            };
            times.decode.rows.fill(rows, |row| row_least(row, |time| time.decode_seconds));
            times.decode.columns.fill(columns, |column| column_least(column, |time| time.decode_seconds));
            times.prefill.rows.fill(rows, |row| row_least(row, |time| time.prefill_seconds));
            times.prefill.columns.fill(columns, |column| column_least(column, |time| time.prefill_seconds));
            if inputs.with_joules {
                times.joules.rows.fill(rows, |row| row_least(row, |time| time.joules));
                times.joules.columns.fill(columns, |column| column_least(column, |time| time.joules));
            }
        }
    }

    /// Scratch of either side, of the thread count that takes the least.
    fn fill_scratch(&mut self, inputs: &RangeInputs<'_>, parts: &RangeParts<'_>) {
        let RangeParts { device, unit, pool, mixings, mixed, .. } = parts;
        let Ok(outer) = &unit.outer else { return };
        let threads = device.cost.thread_counts().count();
        let of = |parts: &[Option<&Part>], place: usize| {
            let scratch = parts.iter().flatten().map(|part| part.scratch_bytes(place));
            scratch.max().unwrap_or(0) as f64
        };
        let sheet = &mut self.threads[0];
        sheet.row_scratch.fill(inputs.rows, |row| {
            let Ok(projections) = &unit.projections[row] else { return 0.0 };
            let mixings =
                mixed.iter().filter_map(|(place, ..)| pool[mixings[*place].places[row]].as_ref().ok());
            let each = mixings.flat_map(|mixing| {
                let parts = [Some(outer), Some(projections), mixing.full.as_ref(), mixing.windowed.as_ref()];
                (0..threads).map(move |place| of(&parts, place))
            });
            each.reduce(f64::min).unwrap_or(0.0)
        });
        sheet.column_scratch.fill(inputs.columns, |column| {
            let Ok(part) = &unit.feed_forwards[column] else { return 0.0 };
            (0..threads).map(|place| of(&[Some(part)], place)).reduce(f64::min).unwrap_or(0.0)
        });
    }
}
