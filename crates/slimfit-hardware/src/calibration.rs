//! What a few models that were run on a device say of predictions for it: factors, and by how much they help.

use serde::{Deserialize, Serialize};
use slimfit_quantity::Figure;

/// Factors on predicted times, found by running a few models. Predictions need none; these were kept because they made
/// the predictions of models that were left out better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The runtime that ran them: factors say nothing of another.
    pub engine: String,
    /// The program and its version.
    pub tool: String,
    /// UTC, `2026-01-31T12:00:00Z`.
    pub created: String,
    /// Models that were run.
    pub models: u64,
    /// What is corrected; what does not stand here is not.
    pub factors: Vec<CalibrationFactor>,
    /// By how much, phase by phase.
    pub errors: Vec<CalibrationError>,
}

/// A factor on a part of predicted times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationFactor {
    /// The phase.
    pub phase: CalibrationPhase,
    /// Where the model's data come from.
    pub regime: CalibrationRegime,
    /// The part.
    pub term: CalibrationTerm,
    /// Modelled: its 90 % interval, and how many runs it rests on.
    pub factor: Figure,
}

/// The mean absolute error of predictions, with and without the factors, of models that the factors do not rest on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationError {
    /// The phase.
    pub phase: CalibrationPhase,
    /// Runs.
    pub n: u64,
    /// Without factors.
    pub before: f64,
    /// With factors found without that model.
    pub after: f64,
    /// How many times as wide as without calibration, in logarithms, the 90 % interval of this phase's times is: what
    /// those errors show. Nothing where they were not looked at so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_scale: Option<f64>,
}

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibrationPhase {
    /// One token at a time.
    Decode,
    /// Many tokens at once.
    Prefill,
}

/// Where a model's data come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibrationRegime {
    /// The last cache holds all that decoding touches.
    Cache,
    /// It does not.
    Memory,
}

/// A part of a predicted time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CalibrationTerm {
    /// Reading and computing.
    Work,
    /// What each operation costs besides: barrier, dispatch, hand-over.
    Fixed,
}

impl CalibrationPhase {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Decode, Self::Prefill];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
        }
    }
}

impl CalibrationRegime {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cache, Self::Memory];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Memory => "memory",
        }
    }
}

impl CalibrationTerm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Work, Self::Fixed];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Fixed => "fixed",
        }
    }
}

impl Calibration {
    /// One sentence for whoever reads a prediction: `calibrated by 5 models run on 2026-01-31`.
    pub fn sentence(&self) -> String {
        let day = self.created.split('T').next().unwrap_or(&self.created);
        format!("calibrated by {} models run on {day}", self.models)
    }
}
