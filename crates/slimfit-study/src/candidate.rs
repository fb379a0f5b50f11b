//! Models that exist, priced and ranked on the device and for the use of a search.

use crate::{BrokenLimit, Interval, ParameterCounts, PublishedScore};
use serde::{Deserialize, Serialize};
use slimfit_quantity::{Figure, NumberFormat};
use std::collections::BTreeMap;

/// The models that a search or a ranking was asked about, best first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Candidates {
    /// Those that keep every limit, the best quality first; then those that break one, the nearest miss first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateModel>,
    /// What quality means in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates_ranked_by: Option<RankedBy>,
    /// Files that are no model of a known kind, and models that cannot be priced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates_skipped: Vec<SkippedCandidate>,
}

/// The quality that ranks candidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedBy {
    /// `score_hellaswag`, or `loss` where published scores are of another setting than the recipe's.
    pub name: String,
    /// How the score is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// The recipe that predicts it where nothing is published.
    pub recipe: String,
}

/// One model that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateModel {
    /// The built-in name, or the one its file gives it.
    pub name: String,
    /// Whether it comes from the built-in list or from a file.
    pub origin: CandidateOrigin,
    /// The file, as the user named its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The `model_type` or GGUF architecture.
    pub family: String,
    /// Its parameters.
    pub parameters: ParameterCounts,
    /// Its training, where anything is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<CandidateTraining>,
    /// Tokens it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Published scores.
    pub scores: Vec<PublishedScore>,
    /// What it is ranked by, in the first of `formats`.
    pub quality: Figure,
    /// Whether it keeps every limit in the first of `formats`.
    pub keeps_limits: bool,
    /// The format that most values have in its file, where that decides how it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<String>,
    /// In which formats it is worth running here: the recommended one first, then the others, fastest first. All are
    /// better than each other in something.
    pub formats: Vec<PricedFormat>,
    /// What is at least as good in everything: of the other candidates and of the points of the front the clearest case each.
    pub dominated_by: Vec<Dominator>,
    /// `extrapolated` and the like; `variant`: its training is that of the built-in model it was made of; `training-assumed`:
    /// that of the search's points stands for its own; `converted`: its file's format has no kernels here; `short-context`: it
    /// was made for fewer tokens than the use needs.
    pub flags: Vec<String>,
}

/// Where a candidate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CandidateOrigin {
    /// The built-in list.
    Public,
    /// A file of the user's.
    File,
}

/// How long a candidate was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateTraining {
    /// Tokens.
    pub tokens: u64,
    /// Whether nothing was published and the length that was asked for stands for it.
    pub assumed: bool,
}

/// A candidate in one pair of formats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PricedFormat {
    /// Its id in these formats.
    pub id: String,
    /// How its weights are stored; of a file that mixes formats, the one of most values.
    pub weights: NumberFormat,
    /// How its KV cache is stored.
    pub kv: NumberFormat,
    /// Whether each matrix has the format that the file gives it.
    pub as_stored: bool,
    /// Threads it runs best with.
    pub threads: u32,
    /// What the formats add to the loss, nats.
    pub loss_nats: f64,
    /// Predicted values by objective name, as it was trained.
    pub objectives: BTreeMap<String, f64>,
    /// Their 90 % intervals.
    pub intervals: BTreeMap<String, Interval>,
    /// Limits it breaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<BrokenLimit>,
}

/// What is at least as good as a candidate in everything that is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dominator {
    /// Whether it is a point of the front or another candidate.
    pub kind: DominatorKind,
    /// The point's id, or the candidate's name.
    pub name: String,
    /// Its id in its formats.
    pub id: String,
    /// Its weight format.
    pub weights: NumberFormat,
    /// What was compared beside the costs: `published score_hellaswag (setting)`, `predicted loss` …
    pub quality: String,
    /// Whether all differences lie within the noise of the prediction.
    pub tied: bool,
    /// How many dominate it in all.
    pub count: u64,
}

/// The kind of a dominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DominatorKind {
    /// A point of the front.
    Point,
    /// Another candidate.
    Candidate,
}

/// A file or model that is not among the candidates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedCandidate {
    /// The file, or the model's name.
    pub candidate: String,
    /// Why.
    pub reason: String,
}
