//! The quantities that points are compared by. All are minimised.

use slimfit_study::Objective;

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
}

impl Metric {
    /// All of them, in the order that points hold them.
    pub const ALL: [Self; Self::COUNT] = [
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
    ];
    /// How many there are.
    pub const COUNT: usize = 10;

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
        }
    }

    /// Its unit.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Loss => "nats/token",
            Self::LossPerByte => "nats/byte",
            Self::TtftSeconds | Self::TtftP95Seconds => "s",
            Self::TpotSeconds | Self::TpotP95Seconds => "s/token",
            Self::SecondsPerByte => "s/byte",
            Self::MemoryBytes => "B",
            Self::JoulesPerToken => "J/token",
            Self::Parameters => "parameters",
        }
    }

    /// Whether it says how good a point is rather than what it costs.
    pub const fn is_quality(self) -> bool {
        matches!(self, Self::Loss | Self::LossPerByte)
    }

    /// Whether it is a percentile of times, which the profile must have watched single steps for.
    pub const fn is_percentile(self) -> bool {
        matches!(self, Self::TtftP95Seconds | Self::TpotP95Seconds)
    }

    /// The metric of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// The record that heads carry.
    pub fn objective(self) -> Objective {
        Objective { name: self.name().to_owned(), unit: self.unit().to_owned(), direction: "min".to_owned() }
    }
}

/// The value of each metric of a point, in the order of [`Metric::ALL`]; infinite where it cannot be predicted.
pub type Values = [f64; Metric::COUNT];
