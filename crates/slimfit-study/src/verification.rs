//! Predictions of unseen architectures beside their runs, and what the errors add up to.

use crate::ExternalEngine;
use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_quantity::{NumberFormat, Warning};

/// What `verify` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Architectures sampled.
    pub samples: u64,
    /// SHA-256 of the predictions, taken before the first run; where a placement of the threads showed up later, taken again
    /// with what was predicted for it, before the first run in it.
    pub predictions_sha256: String,
    /// The runtime that ran them, where it was not slimfit's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ExternalEngine>,
    /// Raw errors.
    pub summary: PhaseErrors,
    /// Errors after the bracketing sentinels took out the machine's drift.
    pub normalised: PhaseErrors,
    /// What simpler predictors would have reached.
    pub baselines: Baselines,
    /// One row for each cell.
    pub rows: Vec<VerificationRow>,
    /// What was not run, and why.
    pub skipped: Vec<Skipped>,
    /// What the reader should know of how it was done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Errors by phase; absent where that phase was not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseErrors {
    /// Seconds per decoded token.
    pub decode: Option<ErrorSummary>,
    /// Seconds of a prefill.
    pub prefill: Option<ErrorSummary>,
    /// Peak memory.
    pub memory: Option<ErrorSummary>,
    /// The 95th percentile of seconds per decoded token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_p95: Option<ErrorSummary>,
}

/// How far predictions were off. Fractions, not percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorSummary {
    /// Cells.
    pub n: u64,
    /// Mean |predicted ÷ measured − 1|.
    pub mape: f64,
    /// Mean of predicted ÷ measured − 1.
    pub bias: f64,
    /// 90 % quantile of the absolute error.
    pub p90: f64,
    /// Share within max(10 %, the retest's 95th percentile).
    pub within_10: f64,
    /// Rank agreement of predicted and measured; absent below two cells.
    pub kendall_tau: Option<f64>,
    /// Of pairs within a factor 1.5 whose measurements differ by more than 10 %, the share ordered rightly.
    pub pair_accuracy: Option<f64>,
    /// Share of measurements inside the 90 % interval.
    pub coverage_90: f64,
    /// Mean of (high − low) ÷ value.
    pub mean_interval_width: f64,
    /// Mean |test ÷ retest − 1|: the floor.
    pub retest_mape: Option<f64>,
}

/// Two plain predictors, for scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Ranking by parameter count.
    pub parameters: ParameterBaseline,
    /// Weight bytes over read bandwidth.
    pub bytes_over_bandwidth: BandwidthBaseline,
}

/// Ranking by parameter count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ParameterBaseline {
    /// Rank agreement with measured decode.
    pub kendall_tau: Option<f64>,
}

/// Weight bytes over read bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandwidthBaseline {
    /// Mean absolute error for decode.
    pub mape: Option<f64>,
    /// Rank agreement for decode.
    pub kendall_tau: Option<f64>,
}

/// One cell: a model in one phase at one context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerificationRow {
    /// The model's id.
    pub id: String,
    /// What ran.
    pub architecture: Architecture,
    /// Its parameters.
    pub parameters: u64,
    /// Weight format.
    pub weights: NumberFormat,
    /// KV format.
    pub kv: NumberFormat,
    /// Threads.
    pub threads: u32,
    /// `decode`, `prefill` or `memory`.
    pub phase: String,
    /// Prompt tokens (prefill).
    pub prompt_tokens: u64,
    /// Tokens in the cache (decode).
    pub depth_tokens: u64,
    /// Seconds (bytes for `memory`) the model said, with its 90 % interval.
    pub predicted: PredictedValue,
    /// What was measured first.
    pub measured: f64,
    /// What was measured again; nothing where the second run never came.
    pub retest: Option<f64>,
    /// Bracketing rate over the profile's rate.
    pub sentinel_ratio: f64,
    /// Where the threads lay, and what was predicted for: in the profile's `usual` placement, its `other` one, or in one that it
    /// does not know (`unknown`; predicted as the usual). Absent for one thread, for memory and for other runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Seconds within which the model said that 95 of 100 tokens come (decode, where the profile tells).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_p95: Option<PredictedValue>,
    /// Seconds within which they came, all runs together (decode, from 20 tokens on).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_p95: Option<f64>,
    /// Timed runs of both passes (decode and prefill of our own runtime).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// Those of them whose two sentinels differed, or in which the threads were moved. They were repeated, and the medians leave them out where enough others
    /// are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed_runs: Option<u64>,
    /// Why what was measured cannot be, where it is beyond the machine's limits. Such rows count in no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impossible: Option<String>,
}

/// A prediction as verification rows hold it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PredictedValue {
    /// Central value.
    pub value: f64,
    /// 5 % bound.
    pub low: f64,
    /// 95 % bound.
    pub high: f64,
}

/// A model that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}
