//! Two studies side by side: what differs from the first to the second, and whether that is more than noise.

use crate::{ErrorSummary, Objective, Shift};
use serde::{Deserialize, Serialize};
use slimfit_quantity::{Figure, Source};

/// What two studies of the same or of different devices say of the same questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The study that changes are counted from.
    pub first: ComparedStudy,
    /// The study that changes lead to.
    pub second: ComparedStudy,
    /// What was asked or given differently: reasons for everything below.
    pub conditions: Vec<Condition>,
    /// The fronts, where both have one.
    pub fronts: Option<ComparedFronts>,
    /// The devices, where both have a profile.
    pub devices: Option<ComparedDevices>,
    /// Models that were run in both under the same conditions.
    pub runs: Vec<ComparedRun>,
    /// Errors of predictions, where both were verified.
    pub errors: Vec<ComparedError>,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedStudy {
    /// What it is called: its folder's own name.
    pub label: String,
    /// The device, where there is a profile or a front.
    pub device: Option<String>,
    /// Points of its front.
    pub front_size: Option<u64>,
    /// Models that were run.
    pub runs: u64,
}

/// Something that differs between what the two were asked or given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `device`, `space`, `recipe` …
    pub what: String,
    /// In the first.
    pub first: String,
    /// In the second.
    pub second: String,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first.
    First,
    /// The second.
    Second,
}

/// A quantity that both have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Its name, unit included: `tpot_seconds`, `decode_tokens_per_s` …
    pub name: String,
    /// In the first.
    pub first: Figure,
    /// In the second.
    pub second: Figure,
    /// Second over first; none where either is missing or 0.
    pub ratio: Option<f64>,
    /// Whether they lie apart by more than what each is uncertain by; none where one does not tell how uncertain it is.
    pub beyond_noise: Option<bool>,
    /// Which is better, where that is more than noise.
    pub better: Option<Side>,
}

/// Two fronts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedFronts {
    /// Objectives that both have and that mean the same in both.
    pub objectives: Vec<Objective>,
    /// The others.
    pub left_out: Vec<LeftOut>,
    /// Models that lie on both.
    pub on_both: u64,
    /// Points of the first that some point of the second beats in every shared objective, or equals in some and beats in
    /// others.
    pub first_beaten: u64,
    /// Points of the second that some point of the first beats.
    pub second_beaten: u64,
    /// By how much predictions of the models on both differ.
    pub shifts: Vec<Shift>,
    /// The best value of each objective.
    pub best: Vec<Change>,
    /// Picks that both have.
    pub picks: Vec<ComparedPick>,
}

/// An objective that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub objective: String,
    /// Why.
    pub reason: String,
}

/// What one pick is in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedPick {
    /// `knee`, `fastest` …
    pub pick: String,
    /// The point's id in the first.
    pub first: String,
    /// The point's id in the second.
    pub second: String,
    /// Its objectives.
    pub changes: Vec<Change>,
}

/// Two profiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedDevices {
    /// The larger drift of the two while they were measured, which a difference must pass to count; none where no profile
    /// says.
    pub drift: Option<f64>,
    /// What the figures of each part add up to.
    pub parts: Vec<DevicePart>,
    /// Figures that both have.
    pub figures: Vec<DeviceFigure>,
}

/// All figures of one part of the profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevicePart {
    /// `bandwidth`, `peak`, `kernels` …
    pub part: String,
    /// Figures.
    pub n: u64,
    /// Where they come from; modelled where not all have one source.
    pub source: Source,
    /// Of those, how many differ by more than noise.
    pub beyond_noise: u64,
    /// The median of second over first.
    pub ratio: f64,
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// One figure of both profiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceFigure {
    /// Its part of the profile.
    pub part: String,
    /// Which.
    pub what: String,
    /// In the first.
    pub first: f64,
    /// In the second.
    pub second: f64,
    /// Second over first.
    pub ratio: f64,
    /// Where both come from; modelled where each has a source of its own.
    pub source: Source,
    /// Whether the quartiles lie apart, by more than the drift.
    pub beyond_noise: bool,
}

/// One model that ran in both under the same conditions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Its id.
    pub id: String,
    /// Its label.
    pub name: Option<String>,
    /// Threads, tokens and the like, in words.
    pub conditions: String,
    /// How much faster the machine read memory right around the second run.
    pub read_ratio: Option<f64>,
    /// How much faster it computed.
    pub peak_ratio: Option<f64>,
    /// What was measured.
    pub changes: Vec<Change>,
}

/// Errors of predictions of one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedError {
    /// `decode`, `prefill`, `memory`.
    pub phase: String,
    /// In the first.
    pub first: ErrorSummary,
    /// In the second.
    pub second: ErrorSummary,
    /// Whether the mean errors differ by more than repeating the runs does; none where no run was repeated.
    pub beyond_noise: Option<bool>,
}
