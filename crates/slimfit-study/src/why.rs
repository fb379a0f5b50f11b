//! Why a model is not on a front: the answer as it is recorded.

use crate::{FrontPoint, Interval, ParameterCounts};
use serde::{Deserialize, Serialize};
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;

/// What a study says of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The model as it was asked about.
    pub model: AskedModel,
    /// The answer in a word.
    pub verdict: Verdict,
    /// Limits of the study that it breaks.
    pub breaks: Vec<Excess>,
    /// How many points of the front dominate it.
    pub dominated_by: u64,
    /// At most three of them, the one that dominates by the most first; where the model is on the front, the points that it ties
    /// with.
    pub points: Vec<Opponent>,
    /// How many points of the front it would push out.
    pub pushes_out: u64,
    /// At most three of them, the one that it beats by the most first.
    pub pushed_out: Vec<Opponent>,
    /// In what it differs from every point of the space.
    pub outside: Vec<OutsideSpace>,
    /// Why its quality cannot be predicted, where it is an objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_predicted: Option<String>,
}

/// A model that was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AskedModel {
    /// Its name, or the id of a point.
    pub name: String,
    /// Its id in the formats it was priced in.
    pub id: String,
    /// Its parameters.
    pub parameters: ParameterCounts,
    /// Its weight format.
    pub weights: NumberFormat,
    /// Its KV format.
    pub kv: NumberFormat,
    /// How many pairs of formats were tried, of which this is the one in which it does best.
    pub formats_tried: u64,
    /// Threads it runs best with.
    pub threads: u32,
    /// Training tokens that its quality is predicted for.
    pub tokens: u64,
    /// Whether they are its own rather than the study's.
    pub as_trained: bool,
    /// Predicted values of the study's objectives.
    pub objectives: BTreeMap<String, f64>,
    /// Their 90 % intervals.
    pub intervals: BTreeMap<String, Interval>,
    /// `extrapolated` and the like.
    pub flags: Vec<String>,
}

/// The answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is a point of the front.
    OnFront,
    /// It breaks a limit of the study.
    BreaksLimits,
    /// A point of the front is at least as good in everything and better in something.
    Dominated,
    /// No point of the front dominates it, and it keeps every limit.
    WouldBeOnFront,
    /// Its quality cannot be predicted, so that it compares with nothing.
    NotPredicted,
}

/// A limit and by how much it is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excess {
    /// The objective's name.
    pub name: String,
    /// Its limit.
    pub limit: f64,
    /// The model's value.
    pub value: f64,
    /// The value over the limit.
    pub ratio: f64,
    /// The value less the limit.
    pub difference: f64,
    /// Whether the 90 % interval of the value reaches the limit.
    pub within_noise: bool,
}

/// A point of the front beside the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opponent {
    /// Its id.
    pub id: String,
    /// Why it was picked.
    pub picks: Vec<String>,
    /// Its parameters.
    pub parameters: ParameterCounts,
    /// Its weight format.
    pub weights: NumberFormat,
    /// Its KV format.
    pub kv: NumberFormat,
    /// The smallest factor by which the one that dominates is better; that of losses counts above the loss that nothing falls
    /// below.
    pub factor: f64,
    /// Whether all differences lie within the noise: they cannot be told apart.
    pub tied: bool,
    /// Objective by objective.
    pub differences: Vec<ObjectiveDifference>,
}

impl Opponent {
    /// A point without what it is compared by.
    pub fn of_point(point: &FrontPoint) -> Self {
        Self {
            id: point.id.clone(),
            picks: point.picks.clone(),
            parameters: point.parameters,
            weights: point.weights,
            kv: point.kv,
            factor: 1.0,
            tied: false,
            differences: Vec::new(),
        }
    }
}

/// A model and a point in one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveDifference {
    /// What is compared: the objective, or the same per byte of text where the vocabularies differ.
    pub name: String,
    /// Whether it is per byte of text although the objective is per token.
    pub per_byte: bool,
    /// The model's value.
    pub model: f64,
    /// The point's value.
    pub point: f64,
    /// The model's over the point's.
    pub ratio: f64,
    /// The model's less the point's.
    pub difference: f64,
    /// Whether `low` and `high` are of the ratio (costs) or of the difference (quality).
    pub interval_of: IntervalOf,
    /// 5 % bound.
    pub low: f64,
    /// 95 % bound.
    pub high: f64,
    /// Which of the two is better.
    pub better: Better,
    /// Whether the two differ by less than their joint noise.
    pub within_noise: bool,
}

/// What an interval is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntervalOf {
    /// The model's value over the point's.
    Ratio,
    /// The model's value less the point's.
    Difference,
}

/// Which of a model and a point is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The model.
    Model,
    /// The point.
    Point,
    /// Neither.
    Equal,
}

/// One way in which a model lies outside the space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideSpace {
    /// The axis, the fixed part or the rule.
    pub axis: String,
    /// What the model has.
    pub found: String,
    /// The nearest that the space offers, where nearness means something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// What the space offers.
    pub allowed: String,
}
