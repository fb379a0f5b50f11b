//! What measuring some points of a front changed about it.

use crate::VerificationRow;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The record's kind in a study.
pub const REFINEMENT: &str = "refinement";

/// Points of a front that were run, how far predictions were off, and what the corrected search finds instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// Ids of the points that were chosen to be run.
    pub chosen: Vec<String>,
    /// The runs.
    pub rows: Vec<VerificationRow>,
    /// Errors without and with the correction, phase by phase, of points that the correction does not rest on.
    pub errors: Vec<CorrectionError>,
    /// Whether the cost model was corrected: only where that makes predictions of other points better.
    pub corrected: bool,
    /// What changed; none where nothing was corrected.
    pub moved: Option<Moved>,
}

/// The mean absolute error of predictions of one phase, as a fraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrectionError {
    /// `decode` or `prefill`.
    pub phase: String,
    /// Runs.
    pub n: u64,
    /// Without the correction.
    pub before: f64,
    /// With it, each point left out in turn.
    pub after: f64,
    /// Whether it is used.
    pub helps: bool,
}

/// Two fronts of one space, before and after a correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Points before.
    pub front_before: u64,
    /// Points after.
    pub front_after: u64,
    /// Points on both.
    pub stayed: u64,
    /// By how much predictions of points on both fronts changed.
    pub shifts: Vec<Shift>,
    /// The picks.
    pub picks: Vec<PickMove>,
}

/// A factor on predictions of one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The objective's name.
    pub objective: String,
    /// The median over points on both fronts; none where there are none.
    pub factor: Option<f64>,
    /// The least.
    pub low: Option<f64>,
    /// The most.
    pub high: Option<f64>,
}

/// A pick before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PickMove {
    /// `knee`, `fastest` …
    pub pick: String,
    /// The point before.
    pub before: PickedPoint,
    /// The point after.
    pub after: PickedPoint,
    /// Whether it is another point.
    pub moved: bool,
    /// Whether the two differ by more than the noise of the predictions, in some objective.
    pub beyond_noise: bool,
}

/// A point that was picked, with its objectives as predicted at the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PickedPoint {
    /// Its id.
    pub id: String,
    /// By objective.
    pub objectives: BTreeMap<String, f64>,
}
