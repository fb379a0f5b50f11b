//! Lower bounds of all objectives over a box of a sheet.
//!
//! Every quantity is at least the sum of its least parts, with whichever thread count and in whichever regime of the box
//! that is least; rounding keeps order, so this holds for computed numbers as for real ones. The loss is at least that of
//! the most parameters in the box ([`Law::least_base_nats`](slimfit_quality::Law::least_base_nats)). Percentiles are at least their
//! central time, and a score is at most that of the least loss. Of several devices, the bound is the largest of theirs.

use super::sheet::{DeviceSheet, Node, Pair, Sheet, ThreadSheet};
use crate::archive::Minimised;
use crate::metric::rounded;
use crate::tally::Bound;
use crate::{Metric, ModelEvaluator, SearchOptions};
use slimfit_quality::ScoreCurve;

/// What objectives and limits follow from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basics {
    pub(crate) nats: f64,
    /// The worst over the devices.
    pub(crate) taken: Taken,
    /// With embeddings.
    pub(crate) parameters: f64,
    pub(crate) training_flops: f64,
    pub(crate) file_bytes: f64,
    pub(crate) bytes_per_token: f64,
}

/// What points take on a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) tpot_seconds: f64,
    pub(crate) ttft_seconds: f64,
    pub(crate) memory_bytes: f64,
    pub(crate) joules: f64,
}

impl Taken {
    const NOTHING: Self = Self { tpot_seconds: 0.0, ttft_seconds: 0.0, memory_bytes: 0.0, joules: 0.0 };
    const UNKNOWN: Self = Self {
        tpot_seconds: f64::INFINITY,
        ttft_seconds: f64::INFINITY,
        memory_bytes: f64::INFINITY,
        joules: f64::INFINITY,
    };

    /// The worse of both.
    fn max(self, other: Self) -> Self {
        Self {
            tpot_seconds: self.tpot_seconds.max(other.tpot_seconds),
            ttft_seconds: self.ttft_seconds.max(other.ttft_seconds),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            joules: self.joules.max(other.joules),
        }
    }
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
    /// Places of the objectives that are of one device alone.
    on_devices: Vec<usize>,
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
            on_devices: (0..options.objectives.len())
                .filter(|place| options.objectives[*place].device().is_some())
                .collect(),
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
            Metric::TtftSeconds | Metric::TtftP95Seconds => rounded(basics.taken.ttft_seconds),
            Metric::TpotSeconds | Metric::TpotP95Seconds => rounded(basics.taken.tpot_seconds),
            Metric::SecondsPerByte => rounded(basics.taken.tpot_seconds / basics.bytes_per_token),
            Metric::MemoryBytes => basics.taken.memory_bytes,
            Metric::JoulesPerToken => rounded(basics.taken.joules * ROUNDING),
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
            // Set device by device; as a limit, where nothing sets it, nothing is a bound.
            Metric::OnDevice(_) => 0.0,
        }
    }

    /// Sets all objectives but those of one device alone, as dominance compares them.
    fn minimise(&self, basics: &Basics, point: &mut Minimised) {
        for (place, metric) in self.objectives.iter().enumerate() {
            if metric.device().is_none() {
                point[place] = self.least(*metric, basics);
            }
        }
    }

    /// Sets the objectives that are of that device alone, but for joules where those are not known.
    fn minimise_on(&self, device: usize, taken: Taken, basics: &Basics, point: &mut Minimised) {
        for place in &self.on_devices {
            let metric = self.objectives[*place];
            let is_known = metric.quantity() != Metric::JoulesPerToken || taken.joules.is_finite();
            if metric.device() == Some(device) && is_known {
                point[*place] = self.least(metric.quantity(), &Basics { taken, ..*basics });
            }
        }
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
        let mut basics = Basics {
            nats: rest.nats,
            taken: Taken::NOTHING,
            parameters: sheet.parameters.least(row, column) + rest.embedding,
            training_flops: sheet.training_flops.least(row, column),
            file_bytes: if rest.with_file { sheet.file.least(row, column) } else { 0.0 },
            bytes_per_token: rest.bytes_per_token,
        };
        let mut objectives = [0.0; Metric::COUNT];
        for (place, device) in sheet.devices.iter().enumerate() {
            let taken = device.least(row, column, rest.with_joules);
            basics.taken = basics.taken.max(taken);
            self.minimise_on(place, taken, &basics, &mut objectives);
        }
        self.minimise(&basics, &mut objectives);
        Bounds { objectives, basics, added_nats: rest.added_nats }
    }

    /// Objectives of one point whose loss is at least `nats`: still lower bounds.
    pub(crate) fn point(
        &self,
        sheet: &Sheet,
        (row, column): (usize, usize),
        bounds: &Bounds,
        nats: f64,
    ) -> Minimised {
        let mut basics = Basics { nats, ..bounds.basics };
        // Only those of one device alone may stay what they are in the box.
        let mut objectives =
            if self.on_devices.is_empty() { [0.0; Metric::COUNT] } else { bounds.objectives };
        let mut worst = Taken::NOTHING;
        for (place, device) in sheet.devices.iter().enumerate() {
            let taken = device.point(row, column, sheet.looped);
            worst = worst.max(taken);
            self.minimise_on(place, taken, &basics, &mut objectives);
        }
        basics.taken = Taken { joules: bounds.basics.taken.joules, ..worst };
        self.minimise(&basics, &mut objectives);
        objectives
    }
}

impl DeviceSheet {
    /// The least that a point of a box takes.
    fn least(&self, row: &Node, column: &Node, with_joules: bool) -> Taken {
        let set = self.working_set.least(row, column);
        let most_set = -self.minus_working_set.least(row, column);
        let mut taken = Taken::UNKNOWN;
        let stored = self.memory.least(row, column);
        for thread in &self.threads {
            let first = thread.place_of(set);
            // Where nothing of the box can be priced it has no working set, and no time in any regime.
            let last = thread.place_of(most_set).max(first);
            for times in &thread.regimes[first..=last] {
                taken.tpot_seconds = taken.tpot_seconds.min(times.decode.least(row, column));
                taken.ttft_seconds = taken.ttft_seconds.min(times.prefill.least(row, column));
                if with_joules {
                    taken.joules = taken.joules.min(times.joules.least(row, column));
                }
            }
            let scratch = thread.row_scratch.over(row.node).max(thread.column_scratch.over(column.node));
            taken.memory_bytes = taken.memory_bytes.min(stored + scratch + self.process_bytes);
        }
        taken
    }

    /// The least that one point takes, but for its joules. `looped`: whether times are lower bounds only.
    fn point(&self, row: usize, column: usize, looped: bool) -> Taken {
        let sum = |pair: &Pair| pair.rows.values[row] + pair.columns.values[column];
        let set = sum(&self.working_set);
        let mut taken = Taken::UNKNOWN;
        for thread in &self.threads {
            let times = &thread.regimes[thread.place_of(set)];
            let tpot = sum(&times.decode);
            let of_thread = || {
                let scratch = thread.row_scratch.values[row].max(thread.column_scratch.values[column]);
                (sum(&times.prefill), sum(&self.memory) + scratch + self.process_bytes)
            };
            if looped {
                // Which thread count is the fastest, a lower bound of each does not tell.
                let (ttft, memory) = of_thread();
                taken.tpot_seconds = taken.tpot_seconds.min(tpot);
                taken.ttft_seconds = taken.ttft_seconds.min(ttft);
                taken.memory_bytes = taken.memory_bytes.min(memory);
            } else if tpot < taken.tpot_seconds {
                taken.tpot_seconds = tpot;
                (taken.ttft_seconds, taken.memory_bytes) = of_thread();
            }
        }
        taken
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
