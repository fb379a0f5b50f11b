//! What was run for real, beside what was predicted for it.

use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_quantity::{Figure, NumberFormat};

/// What `measure` prints for one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The model's id, formats included.
    pub id: String,
    /// A label for tables, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What ran.
    pub architecture: Architecture,
    /// Weight format.
    pub weights: NumberFormat,
    /// Whether they are the model's own.
    #[serde(default)]
    pub weights_source: WeightsSource,
    /// The formats that the matrices really have: more than one where a file mixes them, or where rows of some do not
    /// divide into the format's blocks.
    #[serde(default)]
    pub weight_formats: Vec<FormatShare>,
    /// KV format.
    pub kv: NumberFormat,
    /// Threads.
    pub threads: u32,
    /// ISA tier.
    pub isa: String,
    /// The runtime that ran it, where it was not slimfit's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<ExternalEngine>,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens decoded.
    pub generated_tokens: u64,
    /// Tokens in the cache before decoding.
    pub depth_tokens: u64,
    /// What was measured.
    pub measured: RunFigures,
    /// Tail latencies.
    pub percentiles: Percentiles,
    /// What the cost model said before.
    pub predicted: RunFigures,
    /// What it said of the tails; absent in records that are older than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_percentiles: Option<PredictedPercentiles>,
    /// Where the threads lay as the profile names it, `usual` or `other`, and what was predicted for; `unknown` where the profile
    /// never saw it and what was predicted is of another; absent where the profile saw one placement and this was it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    /// Read bandwidth and peak right before and after.
    pub sentinel: Sentinels,
    /// How near the run came to the machine's limits.
    pub share: Shares,
    /// Where the time went.
    pub operations: Vec<OperationTime>,
}

/// Another runtime, as it names itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalEngine {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How many values of the matrices have one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatShare {
    /// The format.
    pub format: NumberFormat,
    /// Values in it.
    pub parameters: u64,
}

/// Where the weights of a run came from: their values decide what a model says, not how fast it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsSource {
    /// Random ones from a seed.
    #[default]
    Seeded,
    /// The model's file.
    File,
}

/// The figures of one run, measured or predicted: never both in one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFigures {
    /// Prompt tokens per second.
    pub prefill_tokens_per_s: Figure,
    /// Decoded tokens per second.
    pub decode_tokens_per_s: Figure,
    /// Prefill and the first token.
    pub ttft_seconds: Figure,
    /// Mean seconds per decoded token.
    pub tpot_seconds: Figure,
    /// Peak resident memory.
    pub peak_memory_bytes: Figure,
    /// Joules per decoded token.
    pub joules_per_token: Figure,
}

/// Tail latencies of TTFT and TPOT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Of prefill and first token.
    pub ttft_seconds: Tail,
    /// Of one decoded token.
    pub tpot_seconds: Tail,
}

/// Three percentiles; absent where too few samples were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Median.
    pub p50: Option<f64>,
    /// 95th.
    pub p95: Option<f64>,
    /// 99th.
    pub p99: Option<f64>,
}

/// Tails of TTFT and TPOT as the cost model predicts them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedPercentiles {
    /// Of prefill and first token, over requests.
    pub ttft_seconds: PredictedTail,
    /// Of one decoded token, over tokens.
    pub tpot_seconds: PredictedTail,
}

/// Two percentiles, modelled or unavailable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedTail {
    /// 95th.
    pub p95: Figure,
    /// 99th.
    pub p99: Figure,
}

/// Sentinel rates around the run: `[before, after]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sentinels {
    /// Read bandwidth at the model's working set.
    pub read_bytes_per_s: [f64; 2],
    /// Peak operations of the weight format's type.
    pub peak_ops_per_s: [f64; 2],
    /// Seconds of a barrier of the run's threads, which tell where they lie; absent for one thread and for other runtimes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier_seconds: Option<[f64; 2]>,
}

/// Shares of the machine's limits, absent where that phase did not run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Bytes decoded per second over the bracketing read bandwidth.
    pub decode_of_bandwidth: Option<f64>,
    /// Operations per second of prefill over the bracketing peak.
    pub prefill_of_peak: Option<f64>,
}

/// Time of one kind of operation in one phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationTime {
    /// The operation, `matmul qkv` say.
    pub name: String,
    /// `prefill` or `decode`.
    pub phase: String,
    /// The kernel variant that ran.
    pub variant: String,
    /// Seconds per step, all its executions together.
    pub seconds: f64,
    /// Of the step's time.
    pub share_of_time: f64,
    /// Of what the roofline allows it.
    pub share_of_roofline: Option<f64>,
}
