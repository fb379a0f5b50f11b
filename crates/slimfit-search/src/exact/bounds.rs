//! Lower bounds of all objectives over a box of a sheet.
//!
//! Every quantity is at least the sum of its least parts, with whichever thread count and in whichever regime of the box
//! that is least; rounding keeps order, so this holds for computed numbers as for real ones. The loss is at least that of
//! the most parameters in the box ([`Law::least_base_nats`](slimfit_quality::Law::least_base_nats)). Percentiles are at least their
//! central time, and a score is at most that of the least loss.

use super::sheet::{Node, Sheet, ThreadSheet};
use crate::archive::Minimised;
use crate::metric::rounded;
use crate::tally::Bound;
use crate::{Metric, ModelEvaluator, SearchOptions};
use slimfit_quality::ScoreCurve;

/// What objectives and limits follow from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basics {
    pub(crate) nats: f64,
    pub(crate) tpot_seconds: f64,
    pub(crate) ttft_seconds: f64,
    pub(crate) memory_bytes: f64,
    pub(crate) joules: f64,
    /// With embeddings.
    pub(crate) parameters: f64,
    pub(crate) training_flops: f64,
    pub(crate) file_bytes: f64,
    pub(crate) bytes_per_token: f64,
}

/// Lower bounds of a box.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) basics: Basics,
    /// Nats of window and formats in the loss.
    pub(crate) added_nats: f64,
    pub(crate) objectives: Minimised,
}

/// The objectives and limits of a search.
#[derive(Debug, Clone)]
pub(crate) struct Objectives {
    objectives: Vec<Metric>,
    limits: Vec<(Metric, f64)>,
    /// Curve and least anchor shift of each score that is asked for.
    scores: Vec<(Metric, ScoreCurve, f64)>,
    /// Seconds and price of an operation of the training.
    seconds_per_flop: f64,
    price_per_flop: f64,
    per_byte: f64,
    /// Allowed distance to the exact front.
    epsilon: f64,
    irreducible_nats: f64,
}

/// What rounding may take from a sum that is formed in another order than that of a point.
const ROUNDING: f64 = 1.0 - 1e-12;

impl Objectives {
    pub(crate) fn new(evaluator: &ModelEvaluator<'_>, options: &SearchOptions<'_>) -> Self {
        let (seconds_per_flop, price_per_flop) = evaluator.training_rates();
        Self {
            objectives: options.objectives.clone(),
            limits: options.limits.clone(),
            scores: evaluator.score_curves(),
            seconds_per_flop,
            price_per_flop,
            per_byte: evaluator.law().per_byte(1.0),
            epsilon: 0.0,
            irreducible_nats: evaluator.law().irreducible_nats(),
        }
    }

    /// Allows this distance to the exact front.
    pub(crate) fn allow(&mut self, epsilon: f64) {
        self.epsilon = epsilon;
    }

    /// Why a box is ruled out by a point.
    pub(crate) fn bound(&self) -> Bound {
        if self.epsilon == 0.0 { Bound::Dominated } else { Bound::WithinEpsilon }
    }

    /// What a point must be at most to be within the allowed distance of everything that is at least `point`.
    pub(crate) fn relaxed(&self, point: &Minimised) -> Minimised {
        if self.epsilon == 0.0 {
            return *point;
        }
        let mut relaxed = *point;
        let factor = 1.0 + self.epsilon;
        for (value, metric) in relaxed.iter_mut().zip(&self.objectives) {
            let base = match metric {
                Metric::Loss => self.irreducible_nats,
                Metric::LossPerByte => self.irreducible_nats * self.per_byte,
                _ => 0.0,
            };
            // A score is maximised, so it stands here with its sign turned round.
            *value = if *value < 0.0 { *value / factor } else { base + (*value - base).max(0.0) * factor };
        }
        relaxed
    }

    /// The metric's least value, negative where it is maximised.
    fn least(&self, metric: Metric, basics: &Basics) -> f64 {
        match metric {
            Metric::Loss => basics.nats,
            Metric::LossPerByte => basics.nats * self.per_byte * ROUNDING,
            Metric::TtftSeconds | Metric::TtftP95Seconds => rounded(basics.ttft_seconds),
            Metric::TpotSeconds | Metric::TpotP95Seconds => rounded(basics.tpot_seconds),
            Metric::SecondsPerByte => rounded(basics.tpot_seconds / basics.bytes_per_token),
            Metric::MemoryBytes => basics.memory_bytes,
            Metric::JoulesPerToken => rounded(basics.joules * ROUNDING),
            Metric::Parameters => basics.parameters,
            Metric::FileBytes => basics.file_bytes,
            Metric::TrainingFlops => basics.training_flops * ROUNDING,
            Metric::TrainingSeconds => basics.training_flops * self.seconds_per_flop * ROUNDING,
            Metric::TrainingCost => basics.training_flops * self.price_per_flop * ROUNDING,
            Metric::Score(_) => {
                let known = self.scores.iter().find(|(known, ..)| *known == metric);
                let (_, curve, shift) = known.expect("scores that are asked for have curves");
                -(curve.percent(basics.nats + shift) / ROUNDING)
            }
        }
    }

    /// Objectives as dominance compares them.
    pub(crate) fn minimised(&self, basics: &Basics) -> Minimised {
        let mut point = [0.0; Metric::COUNT];
        for (place, metric) in self.objectives.iter().enumerate() {
            point[place] = self.least(*metric, basics);
        }
        point
    }

    /// Whether every point of the box breaks a limit.
    pub(crate) fn breaks_limit(&self, bounds: &Bounds) -> bool {
        self.limits
            .iter()
            .any(|(metric, limit)| self.least(*metric, &bounds.basics) > metric.minimised(*limit))
    }

    /// How far every point of the box lies beyond its worst limit at least, as a logarithm.
    pub(crate) fn least_excess(&self, bounds: &Bounds) -> f64 {
        let excess = self.limits.iter().map(|(metric, limit)| {
            let value = metric.minimised(self.least(*metric, &bounds.basics));
            metric.excess(value, *limit)
        });
        // The least of all excesses must not be lost to rounding.
        excess.fold(f64::NEG_INFINITY, f64::max) - 1e-12
    }

    /// Lower bounds of a box. `nats`: no point of it has a smaller loss.
    pub(crate) fn bounds(&self, sheet: &Sheet, row: &Node, column: &Node, rest: Rest) -> Bounds {
        let set = sheet.working_set.least(row, column);
        let most_set = -sheet.minus_working_set.least(row, column);
        let mut basics = Basics {
            nats: rest.nats,
            tpot_seconds: f64::INFINITY,
            ttft_seconds: f64::INFINITY,
            memory_bytes: f64::INFINITY,
            joules: f64::INFINITY,
            parameters: sheet.parameters.least(row, column) + rest.embedding,
            training_flops: sheet.training_flops.least(row, column),
            file_bytes: if rest.with_file { sheet.file.least(row, column) } else { 0.0 },
            bytes_per_token: rest.bytes_per_token,
        };
        let stored = sheet.memory.least(row, column);
        for thread in &sheet.threads {
            let first = thread.place_of(set);
            // Where nothing of the box can be priced it has no working set, and no time in any regime.
            let last = thread.place_of(most_set).max(first);
            for times in &thread.regimes[first..=last] {
                basics.tpot_seconds = basics.tpot_seconds.min(times.decode.least(row, column));
                basics.ttft_seconds = basics.ttft_seconds.min(times.prefill.least(row, column));
                if rest.with_joules {
                    basics.joules = basics.joules.min(times.joules.least(row, column));
                }
            }
            let scratch = thread.row_scratch.over(row.node).max(thread.column_scratch.over(column.node));
            basics.memory_bytes = basics.memory_bytes.min(stored + scratch + sheet.process_bytes);
        }
        Bounds { objectives: self.minimised(&basics), basics, added_nats: rest.added_nats }
    }

    /// Objectives of one point whose loss is at least `nats`: still lower bounds.
    pub(crate) fn point(
        &self,
        sheet: &Sheet,
        (row, column): (usize, usize),
        bounds: &Bounds,
        nats: f64,
    ) -> Minimised {
        let sum = |pair: &super::sheet::Pair| pair.rows.values[row] + pair.columns.values[column];
        let set = sum(&sheet.working_set);
        let mut basics = Basics { nats, ..bounds.basics };
        let mut best = f64::INFINITY;
        for thread in &sheet.threads {
            let times = &thread.regimes[thread.place_of(set)];
            let tpot = sum(&times.decode);
            if sheet.looped {
                // Which thread count is the fastest, a lower bound of each does not tell.
                let ttft = if best.is_finite() { basics.ttft_seconds } else { f64::INFINITY };
                let memory = if best.is_finite() { basics.memory_bytes } else { f64::INFINITY };
                best = best.min(tpot);
                basics.tpot_seconds = best;
                basics.ttft_seconds = ttft.min(sum(&times.prefill));
                let scratch = thread.row_scratch.values[row].max(thread.column_scratch.values[column]);
                basics.memory_bytes = memory.min(sum(&sheet.memory) + scratch + sheet.process_bytes);
            } else if tpot < best {
                best = tpot;
                basics.tpot_seconds = tpot;
                basics.ttft_seconds = sum(&times.prefill);
                let scratch = thread.row_scratch.values[row].max(thread.column_scratch.values[column]);
                basics.memory_bytes = sum(&sheet.memory) + scratch + sheet.process_bytes;
            }
        }
        self.minimised(&basics)
    }
}

/// What bounds of a box need beside the sheet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest {
    pub(crate) nats: f64,
    /// Of which window and formats.
    pub(crate) added_nats: f64,
    pub(crate) embedding: f64,
    pub(crate) bytes_per_token: f64,
    pub(crate) with_joules: bool,
    pub(crate) with_file: bool,
}

impl ThreadSheet {
    /// Place of the regime of a working set.
    fn place_of(&self, working_set_bytes: f64) -> usize {
        let up_to = &self.up_to_bytes[..self.used - 1];
        up_to.partition_point(|up_to| *up_to < working_set_bytes)
    }
}
