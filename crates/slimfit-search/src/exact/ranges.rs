//! Sheets of several depths, or of several stacks at once: lower bounds of everything that lies in them.

use super::regimes::{Intervals, LeastTime, LeastTimes};
use super::sheet::{Places, RegimeTimes, Sheet, ThreadSheet};
use super::unit::{
    IMPOSSIBLE_SETS, MixingPool, MixingRows, TrainingFlops, Unit, column_sets, minus, row_sets,
};
use crate::ModelEvaluator;
use crate::parts::{LayerCounts, Part};
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
    pub(super) intervals: &'s Intervals,
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
        self.fill_parameters(evaluator, width, (least_layers as f64, most_layers as f64), (rows, columns));
        self.process_bytes = PROCESS_BYTES as f64;
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

        let Ok(outer) = &unit.outer else { unreachable!("sheets are filled for units that can be priced") };
        let sets = |row: usize, (mixing, counts): (usize, LayerCounts)| match (
            &unit.projections[row],
            &pool.parts[mixings[mixing].places[row]],
        ) {
            (Ok(projections), Ok(mixing)) => row_sets(outer, projections, mixing, counts, any_tied),
            _ => IMPOSSIBLE_SETS,
        };
        let at_least = |row: usize| {
            let each = mixed.iter().map(|(mixing, counts, _)| sets(row, (*mixing, *counts)));
            each.fold(IMPOSSIBLE_SETS, |least, sets| (least.0.min(sets.0), least.1.min(sets.1)))
        };
        let counts = |layers: u64| LayerCounts { full: layers, windowed: 0, passes: 1 };
        let of_column = |column: usize, layers: u64| column_sets(&unit.feed_forwards[column], counts(layers));
        self.working_set.rows.fill(rows, |row| at_least(row).0);
        self.working_set.columns.fill(columns, |column| of_column(column, least_layers).0);
        self.minus_working_set.rows.fill(rows, |row| {
            least(&mut mixed.iter().map(|(mixing, _, counts)| minus(sets(row, (*mixing, *counts)).0)))
        });
        self.minus_working_set.columns.fill(columns, |column| minus(of_column(column, most_layers).0));
        self.memory.rows.fill(rows, |row| at_least(row).1);
        self.memory.columns.fill(columns, |column| of_column(column, least_layers).1);
        if inputs.with_file {
            self.fill_file_bytes(unit, (least_layers, any_tied), (rows, columns));
        }
        self.looped = false;
        self.fill_least_times(inputs, &mixed, least_layers, unit, pool, mixings);
        self.fill_scratch(
            (rows, columns),
            evaluator.cost.thread_counts().count(),
            &mixed,
            unit,
            pool,
            mixings,
        );
    }

    /// Times of all thread counts together, in a few spans of regimes.
    fn fill_least_times(
        &mut self,
        inputs: &RangeInputs<'_>,
        mixed: &[(usize, LayerCounts, LayerCounts)],
        least_layers: u64,
        unit: &mut Unit,
        pool: &mut MixingPool,
        mixings: &mut [MixingRows],
    ) {
        let RangeInputs { evaluator, width, intervals, rows, columns, .. } = *inputs;
        let least = self.working_set.rows.over(1) + self.working_set.columns.over(1);
        let most = -(self.minus_working_set.rows.over(1) + self.minus_working_set.columns.over(1));
        // Where no pair can be priced, any regime will do.
        let (least, most) = if least.is_finite() { (least, most) } else { (0.0, 0.0) };
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
            let Unit { outer, projections, feed_forwards, least, .. } = &mut *unit;
            let [least_outer, least_projections, least_feed_forwards] = least;
            let node = span.node;
            least_outer
                .prepare(intervals, evaluator, node, 1, &mut |_, time| LeastTimes::of(outer.as_mut(), time));
            least_projections.prepare(intervals, evaluator, node, projections.len(), &mut |row, time| {
                LeastTimes::of(projections[row].as_mut(), time)
            });
            least_feed_forwards.prepare(
                intervals,
                evaluator,
                node,
                feed_forwards.len(),
                &mut |column, time| LeastTimes::of(feed_forwards[column].as_mut(), time),
            );
            for (place, ..) in mixed {
                let MixingRows { places, least: [full, windowed], .. } = &mut mixings[*place];
                let count = width.attentions.len();
                for (least, is_full) in [(full, true), (windowed, false)] {
                    least.prepare(intervals, evaluator, node, count, &mut |row, time| {
                        let mixing = pool.parts[places[row]].as_mut();
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
                    let [full, windowed] = &mixings[*place].least;
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
    fn fill_scratch(
        &mut self,
        (rows, columns): (&Places, &Places),
        threads: usize,
        mixed: &[(usize, LayerCounts, LayerCounts)],
        unit: &Unit,
        pool: &MixingPool,
        mixings: &[MixingRows],
    ) {
        let Ok(outer) = &unit.outer else { return };
        let of = |parts: &[Option<&Part>], place: usize| {
            let scratch = parts.iter().flatten().map(|part| part.scratch_bytes(place));
            scratch.max().unwrap_or(0) as f64
        };
        let sheet = &mut self.threads[0];
        sheet.row_scratch.fill(rows, |row| {
            let Ok(projections) = &unit.projections[row] else { return 0.0 };
            let mixings =
                mixed.iter().filter_map(|(place, ..)| pool.parts[mixings[*place].places[row]].as_ref().ok());
            let each = mixings.flat_map(|mixing| {
                let parts = [Some(outer), Some(projections), mixing.full.as_ref(), mixing.windowed.as_ref()];
                (0..threads).map(move |place| of(&parts, place))
            });
            each.reduce(f64::min).unwrap_or(0.0)
        });
        sheet.column_scratch.fill(columns, |column| {
            let Ok(part) = &unit.feed_forwards[column] else { return 0.0 };
            (0..threads).map(|place| of(&[Some(part)], place)).reduce(f64::min).unwrap_or(0.0)
        });
    }
}
