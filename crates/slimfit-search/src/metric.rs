//! The quantities that points are compared by. All are minimised but scores.

use crate::OnDevice;
use slimfit_quality::{MOST_TASKS, Recipe};
use slimfit_study::{ByDevice, Objective};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A quantity of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Nats per token of the recipe's tokenizer.
    Loss,
    /// Nats per byte of text.
    LossPerByte,
    /// Seconds to the first token of the workload's prompt.
    TtftSeconds,
    /// Seconds per generated token.
    TpotSeconds,
    /// Seconds per byte of generated text.
    SecondsPerByte,
    /// Peak resident bytes.
    MemoryBytes,
    /// Joules per generated token.
    JoulesPerToken,
    /// Stored parameters.
    Parameters,
    /// Seconds within which 95 of 100 requests have their first token.
    TtftP95Seconds,
    /// Seconds within which 95 of 100 generated tokens come.
    TpotP95Seconds,
    /// Operations of the training.
    TrainingFlops,
    /// Seconds of the training, at the rate that the user gave.
    TrainingSeconds,
    /// Price of the training, at the rate and price that the user gave.
    TrainingCost,
    /// Bytes of the tensors of its GGUF file.
    FileBytes,
    /// Percent of a task solved: the one kind that is maximised.
    Score(Task),
    /// One of the above on one of several devices.
    OnDevice(OnDevice),
}

/// A task of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    place: u8,
    name: &'static str,
}

const PREFIX: &str = "score_";

impl Task {
    /// The task's own name: `hellaswag`.
    pub fn name(self) -> &'static str {
        &self.name[PREFIX.len()..]
    }
}

impl Metric {
    /// All but the scores and those of one device of several, in the order that points hold them.
    pub const FIXED: [Self; 14] = [
        Self::Loss,
        Self::LossPerByte,
        Self::TtftSeconds,
        Self::TpotSeconds,
        Self::SecondsPerByte,
        Self::MemoryBytes,
        Self::JoulesPerToken,
        Self::Parameters,
        Self::TtftP95Seconds,
        Self::TpotP95Seconds,
        Self::TrainingFlops,
        Self::TrainingSeconds,
        Self::TrainingCost,
        Self::FileBytes,
    ];
    /// How many values a point holds.
    pub const COUNT: usize = Self::FIXED.len() + MOST_TASKS;
    /// A point of which nothing is known: the worst of everything.
    pub const UNKNOWN: Values = {
        let mut values = [f64::INFINITY; Self::COUNT];
        let mut place = Self::FIXED.len();
        while place < Self::COUNT {
            values[place] = f64::NEG_INFINITY;
            place += 1;
        }
        values
    };

    /// The scores that a recipe predicts, by task.
    pub fn scores(recipe: &Recipe) -> impl Iterator<Item = Self> {
        recipe.scores.tasks.keys().enumerate().map(|(place, task)| {
            Self::Score(Task { place: place as u8, name: interned(format!("{PREFIX}{task}")) })
        })
    }

    /// The metric of that name, scores by the tasks of a recipe.
    pub fn named(name: &str, recipe: &Recipe) -> Option<Self> {
        Self::FIXED.into_iter().chain(Self::scores(recipe)).find(|metric| metric.name() == name)
    }

    /// Where a point holds it.
    pub const fn column(self) -> usize {
        match self {
            Self::Loss => 0,
            Self::LossPerByte => 1,
            Self::TtftSeconds => 2,
            Self::TpotSeconds => 3,
            Self::SecondsPerByte => 4,
            Self::MemoryBytes => 5,
            Self::JoulesPerToken => 6,
            Self::Parameters => 7,
            Self::TtftP95Seconds => 8,
            Self::TpotP95Seconds => 9,
            Self::TrainingFlops => 10,
            Self::TrainingSeconds => 11,
            Self::TrainingCost => 12,
            Self::FileBytes => 13,
            Self::Score(task) => Self::FIXED.len() + task.place as usize,
            Self::OnDevice(on) => on.column(),
        }
    }

    /// Its name in records, flags and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::LossPerByte => "loss_per_byte",
            Self::TtftSeconds => "ttft_seconds",
            Self::TpotSeconds => "tpot_seconds",
            Self::SecondsPerByte => "seconds_per_byte",
            Self::MemoryBytes => "memory_bytes",
            Self::JoulesPerToken => "joules_per_token",
            Self::Parameters => "parameters",
            Self::TtftP95Seconds => "ttft_p95_seconds",
            Self::TpotP95Seconds => "tpot_p95_seconds",
            Self::TrainingFlops => "training_flops",
            Self::TrainingSeconds => "training_seconds",
            Self::TrainingCost => "training_cost",
            Self::FileBytes => "file_bytes",
            Self::Score(task) => task.name,
            Self::OnDevice(on) => on.name(),
        }
    }

    /// Its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Loss => "nats/token",
            Self::LossPerByte => "nats/byte",
            Self::TtftSeconds | Self::TtftP95Seconds | Self::TrainingSeconds => "s",
            Self::TpotSeconds | Self::TpotP95Seconds => "s/token",
            Self::SecondsPerByte => "s/byte",
            Self::MemoryBytes | Self::FileBytes => "B",
            Self::JoulesPerToken => "J/token",
            Self::Parameters => "parameters",
            Self::TrainingFlops => "FLOP",
            Self::TrainingCost => "currency of the price",
            Self::Score(_) => "percent",
            Self::OnDevice(on) => on.quantity().unit(),
        }
    }

    /// Whether it says how good a point is rather than what it costs.
    pub const fn is_quality(self) -> bool {
        matches!(self, Self::Loss | Self::LossPerByte | Self::Score(_))
    }

    /// Whether it is a percentile of times, which the profile must have watched single steps for.
    pub const fn is_percentile(self) -> bool {
        matches!(self.quantity(), Self::TtftP95Seconds | Self::TpotP95Seconds)
    }

    /// Whether it says what the training of a point takes.
    pub const fn is_training(self) -> bool {
        matches!(self, Self::TrainingFlops | Self::TrainingSeconds | Self::TrainingCost)
    }

    /// Whether more of it is better.
    pub const fn is_maximised(self) -> bool {
        matches!(self, Self::Score(_))
    }

    /// The value as a number of which less is better: what dominance compares.
    pub const fn minimised(self, value: f64) -> f64 {
        if self.is_maximised() { -value } else { value }
    }

    /// Whether a value keeps a limit: at most so much, or at least where more is better.
    pub fn keeps(self, value: f64, limit: f64) -> bool {
        self.minimised(value) <= self.minimised(limit)
    }

    /// How far a value lies beyond a limit, as a logarithm: 0 on it, less within.
    pub(crate) fn excess(self, value: f64, limit: f64) -> f64 {
        let ratio = (value / limit).ln();
        if !self.is_maximised() {
            ratio
        } else if value > 0.0 {
            -ratio
        } else {
            f64::INFINITY
        }
    }

    /// The record that heads carry.
    pub fn objective(self) -> Objective {
        let direction = if self.is_maximised() { "max" } else { "min" };
        Objective {
            name: self.name().to_owned(),
            unit: self.unit().to_owned(),
            direction: direction.to_owned(),
            by_device: self.device().map(|place| ByDevice {
                objective: self.quantity().name().to_owned(),
                device: place as u64 + 1,
            }),
        }
    }
}

/// A modelled time or energy to 40 binary digits.
///
/// Sums of the same terms in another order differ in their last digits; without this such dust would decide which of two
/// equal points is on a front. Rounding keeps order, so bounds that are rounded alike stay bounds.
pub(crate) fn rounded(value: f64) -> f64 {
    const DROPPED: u64 = 1 << (52 - 40);
    if !value.is_finite() {
        return value;
    }
    // To the nearest, ties away from zero; a carry into the exponent is the right one.
    f64::from_bits((value.to_bits() + DROPPED / 2) & !(DROPPED - 1))
}

/// The value of each metric of a point, by [`Metric::column`]; [`Metric::UNKNOWN`] where it cannot be predicted.
pub type Values = [f64; Metric::COUNT];

/// One copy of each name, for good: recipes have few tasks, and metrics stay small enough to be copied.
pub(crate) fn interned(name: String) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match known.get(name.as_str()) {
        Some(name) => name,
        None => {
            let name: &'static str = Box::leak(name.into_boxed_str());
            known.insert(name);
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_column_and_is_found_by_its_name() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        let all: Vec<Metric> = Metric::FIXED.into_iter().chain(Metric::scores(&recipe)).collect();
        assert_eq!(all.len(), 14 + recipe.scores.tasks.len());
        for (place, metric) in all.iter().enumerate() {
            assert_eq!(metric.column(), place);
            assert_eq!(Metric::named(metric.name(), &recipe), Some(*metric));
        }
        assert_eq!(Metric::named("score_mmlu", &recipe), None);
    }

    #[test]
    fn rounding_keeps_order_and_ends_dust() {
        let terms = [0.1, 0.2, 0.3];
        let forwards: f64 = terms.iter().sum();
        let backwards: f64 = terms.iter().rev().sum();
        assert_ne!(forwards, backwards);
        assert_eq!(rounded(forwards), rounded(backwards));
        let mut value = 1e-3_f64;
        for _ in 0..1000 {
            let next = f64::from_bits(value.to_bits() + 1_234_567);
            assert!(rounded(value) <= rounded(next));
            assert!((rounded(value) / value - 1.0).abs() < 1e-12);
            value = next;
        }
        assert_eq!((rounded(0.0), rounded(f64::INFINITY)), (0.0, f64::INFINITY));
    }

    #[test]
    fn scores_are_maximised_and_the_rest_is_minimised() {
        let recipe = Recipe::builtin("gemstones").unwrap();
        let score = Metric::named("score_hellaswag", &recipe).unwrap();
        assert_eq!(
            (score.objective().direction.as_str(), score.objective().unit.as_str()),
            ("max", "percent")
        );
        assert!(score.keeps(41.0, 40.0) && score.keeps(40.0, 40.0) && !score.keeps(39.0, 40.0));
        assert!(score.excess(20.0, 40.0) > 0.0 && score.excess(50.0, 40.0) < 0.0);
        assert_eq!(score.excess(f64::NEG_INFINITY, 40.0), f64::INFINITY);
        assert!(Metric::Loss.keeps(2.0, 3.0) && !Metric::Loss.keeps(3.1, 3.0));
        assert!(!score.keeps(Metric::UNKNOWN[score.column()], 1.0));
        assert!(!Metric::Loss.keeps(Metric::UNKNOWN[0], 1e300));
    }
}
