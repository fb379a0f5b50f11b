//! Numbers that say where they come from.

use crate::estimator::Summary;
use serde::{Deserialize, Serialize};

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Timed or counted here, on this machine.
    Measured,
    /// Read from the operating system or the processor.
    Read,
    /// Taken from a publication, which `citation` names.
    Published,
    /// Computed by a model.
    Modelled,
    /// Not to be had; `reason` says why.
    Unavailable,
}

/// A number as every command prints it: `{"value", "low", "high", "n", "source"}`.
///
/// Measured: `low` and `high` are the quartiles and `n` counts samples. Modelled: they are the 90 % interval.
/// Unavailable: `value` is `null` and `reason` says why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The estimate, or nothing when unavailable.
    pub value: Option<f64>,
    /// Lower quartile (measured) or 5 % bound (modelled).
    pub low: Option<f64>,
    /// Upper quartile (measured) or 95 % bound (modelled).
    pub high: Option<f64>,
    /// Samples behind the value; 0 where nothing was sampled.
    #[serde(default)]
    pub n: u64,
    /// Where the number comes from.
    pub source: Source,
    /// Why it is unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The publication it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}

impl Figure {
    /// A number that cannot be had here, with the reason.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            value: None,
            low: None,
            high: None,
            n: 0,
            source: Source::Unavailable,
            reason: Some(reason.into()),
            citation: None,
        }
    }

    /// A number read from the system.
    pub fn read(value: f64) -> Self {
        Self {
            value: Some(value),
            low: Some(value),
            high: Some(value),
            n: 1,
            source: Source::Read,
            reason: None,
            citation: None,
        }
    }

    /// A number from a publication.
    pub fn published(value: f64, low: f64, high: f64, citation: impl Into<String>) -> Self {
        Self {
            value: Some(value),
            low: Some(low),
            high: Some(high),
            n: 1,
            source: Source::Published,
            reason: None,
            citation: Some(citation.into()),
        }
    }
}

/// Something that was timed or counted here: raw samples and their summary.
///
/// The estimator is the **median**: on shared machines single runs are disturbed in both directions (a neighbour slows
/// one, a quiet moment speeds another), so neither the mean nor the best run repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Every sample, in the order taken.
    pub samples: Vec<f64>,
    /// Median, quartiles and flagged outliers of `samples`.
    pub summary: Summary,
}

impl Measured {
    /// Summarises `samples`; nothing when there are none.
    pub fn new(samples: Vec<f64>) -> Option<Self> {
        let summary = Summary::of(&samples)?;
        Some(Self { samples, summary })
    }

    /// The documented estimator: the median.
    pub fn value(&self) -> f64 {
        self.summary.median
    }

    /// The figure that commands print.
    pub fn figure(&self) -> Figure {
        Figure {
            value: Some(self.summary.median),
            low: Some(self.summary.lower_quartile),
            high: Some(self.summary.upper_quartile),
            n: self.samples.len() as u64,
            source: Source::Measured,
            reason: None,
            citation: None,
        }
    }

    /// The same samples in another unit: seconds to tokens per second, say. `map` must be monotone.
    pub fn map(&self, map: impl Fn(f64) -> f64) -> Option<Self> {
        Self::new(self.samples.iter().map(|&sample| map(sample)).collect())
    }
}

/// Something a model says: a central value and its 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Central value.
    pub value: f64,
    /// 5 % bound.
    pub low: f64,
    /// 95 % bound.
    pub high: f64,
}

impl Predicted {
    /// A central value between `value / factor` and `value * factor`.
    pub fn within_factor(value: f64, factor: f64) -> Self {
        Self { value, low: value / factor, high: value * factor }
    }

    /// The figure that commands print.
    pub fn figure(&self) -> Figure {
        Figure {
            value: Some(self.value),
            low: Some(self.low),
            high: Some(self.high),
            n: 0,
            source: Source::Modelled,
            reason: None,
            citation: None,
        }
    }

    /// The same prediction in another unit. `map` must be monotone; a falling one swaps the bounds.
    pub fn map(&self, map: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (map(self.low), map(self.high));
        Self { value: map(self.value), low: a.min(b), high: a.max(b) }
    }
}
