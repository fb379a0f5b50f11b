//! What a search found: the head that every search prints, and the points of the front.

use crate::natural::Natural;
use crate::quality::{AnchorRef, QualityNotes, QualityTableRef, TrainingRef};
use crate::{Candidates, MeasuredSearch};
use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_quantity::{NumberFormat, Source, Warning};
use std::collections::BTreeMap;

/// `front.json`: the head of the search and its points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// `slimfit/front/v1`.
    pub schema: String,
    /// What was searched and how.
    #[serde(flatten)]
    pub head: SearchHead,
    /// The points, ordered by the first objective.
    pub points: Vec<FrontPoint>,
}

impl Front {
    /// Objectives that are the worst over several devices; one of a single device stands for itself.
    pub(crate) fn worst_of_devices(&self) -> Vec<&str> {
        let Some(device) = self.points.first().and_then(|point| point.by_device.first()) else {
            return Vec::new();
        };
        let names = self.head.objectives.iter().map(|objective| objective.name.as_str());
        names.filter(|name| device.objectives.contains_key(*name)).collect()
    }
}

/// What was searched, how, and how much of it was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchHead {
    /// The search space.
    pub space: NamedHash,
    /// The hardware profile.
    pub profile: ProfileRef,
    /// The hardware profiles of all devices that the model is chosen for, `profile` first; none where it is but one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<ProfileRef>,
    /// The runtime whose times are predicted: `slimfit`, or another.
    #[serde(default = "our_engine")]
    pub engine: String,
    /// The workload's name.
    pub workload: String,
    /// The quality recipe.
    pub recipe: RecipeRef,
    /// What is minimised or maximised.
    pub objectives: Vec<Objective>,
    /// Limits that every point keeps.
    pub constraints: Vec<Constraint>,
    /// Weakly founded values that were let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assume: Vec<String>,
    /// Loaders that hold every point. Absent in fronts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portable: Option<Vec<String>>,
    /// How sure the quality figures are, and what has none. Absent in fronts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityNotes>,
    /// Measured scores that stand for predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_table: Option<QualityTableRef>,
    /// Siblings of known score that moved the level of their task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<AnchorRef>,
    /// How the training was counted, where that is an objective or a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingRef>,
    /// How the front was measured, where it is one of measured points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_search: Option<MeasuredSearch>,
    /// Points in the space: `invalid + evaluated + Σ pruned + unvisited`.
    pub space_size: Natural,
    /// Points that are no architecture, or that a rule refused.
    pub invalid: Natural,
    /// Why points are invalid.
    #[serde(default)]
    pub invalid_by: Vec<ReasonCount>,
    /// Points whose objectives were computed.
    pub evaluated: Natural,
    /// Points ruled out by a proven bound, by bound.
    pub pruned: Vec<BoundCount>,
    /// Points not looked at because the search was interrupted.
    #[serde(default)]
    pub unvisited: Natural,
    /// Whether the front is exact for the model.
    pub exact: bool,
    /// Proven multiplicative distance to the exact front; 0 when exact. Absent where nothing is proven, which a warning
    /// explains.
    pub epsilon: Option<f64>,
    /// Seconds that processes were at work on the search, added up: the wall-clock time of a search that nothing disturbed; of
    /// one that was taken up, that of all its lives but for what each lost of its last second; of processes at once, of both.
    pub seconds: f64,
    /// Peak resident memory of the process while it searched. Absent where the system does not tell, as a warning says.
    pub peak_memory_bytes: Option<u64>,
    /// Points of the front.
    pub front_size: u64,
    /// Groups of points that cannot be told apart, single points included. Absent in fronts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tie_groups: Option<u64>,
    /// Where no point keeps all limits: the one that comes nearest, and what it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest_miss: Option<NearestMiss>,
    /// Models that exist, ranked beside the points, where the search was asked about some.
    #[serde(flatten)]
    pub existing: Candidates,
    /// The study's folder, as the user named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<String>,
    /// What the reader should know.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

impl SearchHead {
    /// Names of what was asked for: objectives, then limits; one that is both comes twice.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        let objectives = self.objectives.iter().map(|objective| objective.name.as_str());
        objectives.chain(self.constraints.iter().map(|constraint| constraint.name.as_str()))
    }
}

/// A file by name and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedHash {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// A profile by fingerprint and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRef {
    /// Identity of the device.
    pub fingerprint_id: String,
    /// SHA-256 of the profile's bytes, in hex.
    pub sha256: String,
    /// The device's own name.
    pub name: String,
}

/// A quality recipe and the training length it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeRef {
    /// Its name.
    pub name: String,
    /// Training tokens.
    pub tokens: u64,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// `loss`, `ttft_seconds`, `tpot_seconds`, `memory_bytes`, `joules_per_token` …
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// `min` or `max`.
    pub direction: String,
    /// Where the model is chosen for several devices and this is what it takes on one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_device: Option<ByDevice>,
}

/// Which quantity on which device an objective is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByDevice {
    /// The quantity: the objective's name without its device.
    pub objective: String,
    /// The device, from 1: `profiles` has them in this order.
    pub device: u64,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// The objective's name.
    pub name: String,
    /// Its largest allowed value (smallest, for objectives that are maximised).
    pub limit: f64,
}

/// How many points fell to one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: Natural,
}

/// How many points one bound ruled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundCount {
    /// The bound.
    pub bound: String,
    /// How many.
    pub count: Natural,
}

/// The point that comes nearest to keeping all limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NearestMiss {
    /// Its id.
    pub id: String,
    /// Limits it breaks, with its value.
    pub breaks: Vec<BrokenLimit>,
}

/// A limit and the value that breaks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BrokenLimit {
    /// The objective's name.
    pub name: String,
    /// Its limit.
    pub limit: f64,
    /// The value.
    pub value: f64,
}

/// One point of the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontPoint {
    /// First 12 hex digits of the SHA-256 of its canonical form, formats included.
    pub id: String,
    /// What it is.
    pub architecture: Architecture,
    /// How its weights are stored.
    pub weights: NumberFormat,
    /// How its KV cache is stored.
    pub kv: NumberFormat,
    /// Its parameters.
    pub parameters: ParameterCounts,
    /// Threads it runs best with, on the first device.
    pub threads: u32,
    /// Central values by objective name.
    pub objectives: BTreeMap<String, f64>,
    /// 90 % intervals by objective name.
    pub intervals: BTreeMap<String, Interval>,
    /// Half of the 90 % interval against other points of this front, where that is narrower than `intervals`: scores
    /// share the noise of the recipe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relative_noise: BTreeMap<String, f64>,
    /// Where values come from that are not modelled, by objective name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Source>,
    /// Points with the same number differ by less than their joint noise.
    pub tie_group: u64,
    /// Whether this is the cheapest of its tie group.
    pub representative: bool,
    /// Why it was picked: `knee`, `fastest`, `best-quality` …
    #[serde(default)]
    pub picks: Vec<String>,
    /// `extrapolated` and the like.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Where it is chosen for several devices: what it takes on each, in the order of `profiles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_device: Vec<DevicePoint>,
}

/// What a point takes on one of several devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DevicePoint {
    /// Threads it runs best with there.
    pub threads: u32,
    /// Central values of all objectives that depend on the device, by the quantity's name.
    pub objectives: BTreeMap<String, f64>,
}

/// The engine of fronts that were written before others could be priced.
fn our_engine() -> String {
    "slimfit".to_owned()
}

/// The four counts of `inspect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterCounts {
    /// Every stored tensor once.
    pub total: u64,
    /// Without input table, output head and learned positions.
    pub non_embedding: u64,
    /// Input table, output head and learned positions.
    pub embedding: u64,
    /// Without the experts that a token does not visit.
    pub active: u64,
}

/// A 90 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 5 % bound.
    pub low: f64,
    /// 95 % bound.
    pub high: f64,
}
