//! The hardware profile: everything slimfit knows about a device, each number with its source.

use crate::{Calibration, OtherPlacement};
use serde::{Deserialize, Serialize};
use slimfit_quantity::{Figure, NumberFormat, Warning};

/// The schema name that files carry.
pub const PROFILE_SCHEMA: &str = "slimfit/profile/v1";

/// What a device is and what it can do. One YAML file; `profile --json` prints the same tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardwareProfile {
    /// Always [`PROFILE_SCHEMA`].
    pub schema: String,
    /// A label for tables: the processor's own name. Never a host name.
    pub name: String,
    /// Kind of device, for class efficiencies: `server`, `laptop`, `desktop`, `board`, `phone`, `unknown`.
    pub device_class: String,
    /// What decides whether this profile belongs to a machine.
    pub fingerprint: Fingerprint,
    /// Cores, caches, memory.
    pub topology: Topology,
    /// Sustained bandwidth by working set and threads.
    pub bandwidth: Vec<Bandwidth>,
    /// Load-to-use latency by working set.
    pub latency: Vec<Latency>,
    /// Peak multiply-add throughput by type, instruction sequence and threads.
    pub peak: Vec<Peak>,
    /// Times of our own kernels at sampled shapes.
    pub kernels: Vec<KernelTime>,
    /// How fast those kernels stream data from beyond the near caches.
    #[serde(default)]
    pub streaming: Vec<Streaming>,
    /// Fixed costs.
    pub overhead: Overhead,
    /// Power, where anything measures it.
    pub power: Power,
    /// How quiet the machine was.
    pub noise: Noise,
    /// What was measured while threads lay elsewhere than most of the time, where that was seen; everything above
    /// describes the usual placement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_placements: Vec<OtherPlacement>,
    /// What a few models that were run here say of predictions, where that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Who measured it, with what.
    pub provenance: ProfileProvenance,
    /// What the reader should know.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

/// Identity of the processor as this process sees it; equal fingerprints may share a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Maker: `AuthenticAMD`, `GenuineIntel`, `ARM` …
    pub vendor: String,
    /// Family number (x86) or implementer (Arm).
    pub family: u32,
    /// Model number (x86) or part (Arm).
    pub model: u32,
    /// Stepping (x86) or revision (Arm).
    pub stepping: u32,
    /// Cores this process may use.
    pub cores: u32,
    /// ISA tiers in use, lowest first; a cap (`SLIMFIT_ISA`) shortens the list, so it is another profile.
    pub isa: Vec<String>,
    /// Cache sizes, level 1 data first.
    pub caches: Vec<u64>,
}

/// Cores, caches and memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Physical cores this process may use.
    pub cores: u32,
    /// Hardware threads this process may use.
    pub threads: u32,
    /// Packages (sockets) that those lie on, where the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<u32>,
    /// Hardware threads of one core that the machine has switched on, whether this process may use them or not; 1 is no
    /// simultaneous multithreading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads_per_core: Option<u32>,
    /// Groups of equal cores, fastest first.
    #[serde(default)]
    pub clusters: Vec<Cluster>,
    /// Data caches, level 1 first.
    pub caches: Vec<Cache>,
    /// Memory nodes.
    pub numa_nodes: u32,
    /// The memory nodes one by one, where the system lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<MemoryNode>,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Sizes of the huge pages that the system knows, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub huge_page_bytes: Vec<u64>,
    /// When the system makes huge pages by itself: `always`, `madvise` (where a program asks) or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transparent_huge_pages: Option<String>,
    /// The hypervisor, where one shows itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// Memory this process may use, limits of control groups included.
    pub memory_limit_bytes: u64,
    /// What control groups grant this process, where they limit anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_group: Option<ControlGroup>,
    /// Where each of these was read.
    #[serde(default)]
    pub sources: Vec<TopologySource>,
}

/// A memory node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryNode {
    /// Its number.
    pub node: u32,
    /// Logical processors beside it, of those that this process may use.
    pub processors: Vec<u32>,
    /// Bytes of its memory, where the system says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// The limits of the control groups that this process is in; absent ones limit nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlGroup {
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processors' worth of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor_quota: Option<f64>,
    /// Logical processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<Vec<u32>>,
}

/// Where a topology value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopologySource {
    /// The field.
    pub field: String,
    /// The file, instruction or library.
    pub from: String,
}

/// A group of equal cores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Logical processors of the group, as the system numbers them.
    pub processors: Vec<u32>,
    /// Highest clock the system states, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_hz: Option<u64>,
}

/// A data or unified cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// 1, 2, 3 …
    pub level: u32,
    /// Its size.
    pub bytes: u64,
    /// Logical processors that share one of it.
    pub shared_by: u32,
}

/// What moves through memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BandwidthKind {
    /// Loads only: what decoding does to weights. Bytes read are counted.
    Read,
    /// `a[i] = b[i]`: bytes read plus bytes written (no write-allocate), as STREAM counts.
    Copy,
    /// `a[i] = b[i] + s·c[i]`: two reads and one write, as STREAM counts.
    Triad,
    /// The data sheet's figure; never measured.
    Theoretical,
}

/// One point of the bandwidth curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// What moved.
    pub kind: BandwidthKind,
    /// `sequential` (as weights are read, and a head's keys where they lie together) or `strided` (as a KV cache is read that
    /// is kept position by position: rows of 128 bytes, 512 apart, one head after another).
    pub pattern: String,
    /// Address streams per thread.
    pub streams: u32,
    /// Bytes touched by all threads together.
    pub working_set_bytes: u64,
    /// Threads.
    pub threads: u32,
    /// Whether huge pages were asked for.
    pub huge_pages: bool,
    /// Bytes per second of all threads together.
    pub bytes_per_s: Figure,
}

/// One point of the latency curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Bytes chased through.
    pub working_set_bytes: u64,
    /// Seconds per dependent load.
    pub seconds: Figure,
}

/// The type whose multiply-adds are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeakType {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Half precision.
    F16,
    /// bfloat16 products summed in f32.
    Bf16,
    /// 8-bit products summed in i32.
    Int8,
}

/// Peak throughput of one instruction sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// The type.
    #[serde(rename = "type")]
    pub number: PeakType,
    /// ISA tier.
    pub isa: String,
    /// The instructions, as in `vpmaddubsw+vpmaddwd+vpaddd`.
    pub sequence: String,
    /// Threads.
    pub threads: u32,
    /// Operations per second of all threads together; a multiply-add counts 2.
    pub ops_per_s: Figure,
    /// Effective clock under that load.
    pub clock_hz: Figure,
}

/// The time of one of our kernels at one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelTime {
    /// Operation kind, as plans name it: `matmul`, `attend` …
    pub operation: String,
    /// The variant that ran.
    pub variant: String,
    /// Format of weights (`matmul`, `embed`) or of the cache (`attend`, `rotate_store`); f32 elsewhere.
    pub format: NumberFormat,
    /// Output values per token (`matmul`), query values per token (`attend`, `rotate_store`), width (others).
    pub rows: u64,
    /// Input values per token (`matmul`), keys per query (`attend`), 1 (others).
    pub columns: u64,
    /// Tokens.
    pub batch: u64,
    /// Values of a head (`attend`, `rotate_store`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_size: Option<u64>,
    /// Key and value heads (`attend`, `rotate_store`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<u64>,
    /// Whether each head is normed first (`rotate_store`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub qk_norm: bool,
    /// Threads.
    pub threads: u32,
    /// Seconds of one execution, data in the nearest cache that holds it.
    pub seconds: Figure,
}

/// How fast one of our kernels streams its data when a model's step uses each part of it once: a share of a plain read
/// of as many bytes, taken right before and after, so that what the machine did at that moment cancels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// `matmul` of one token, or `attend` of one token.
    pub operation: String,
    /// The variant that ran.
    pub variant: String,
    /// Format of the weights (`matmul`) or of the cache (`attend`).
    pub format: NumberFormat,
    /// Output values (`matmul`), query values (`attend`).
    pub rows: u64,
    /// Input values (`matmul`), keys (`attend`).
    pub columns: u64,
    /// Values of a head (`attend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_size: Option<u64>,
    /// Key and value heads (`attend`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<u64>,
    /// Threads.
    pub threads: u32,
    /// Bytes of one execution's weights or keys and values.
    pub bytes: u64,
    /// Bytes of all matrices, or layers' caches, that were gone through in turn.
    pub working_set_bytes: u64,
    /// Bytes per second over those of the plain read.
    pub share_of_read: Figure,
}

/// Fixed costs of running on several threads and of starting an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overhead {
    /// One barrier, by threads.
    pub barrier: Vec<BarrierTime>,
    /// Starting one operation on one thread.
    pub dispatch: Figure,
    /// What an operation costs more among others, in a model's step, than repeated by itself.
    #[serde(default)]
    pub hand_over: Vec<HandOver>,
}

/// What an operation costs more when its input was just written by another: by the other threads, and pushed out of the
/// first cache by the weights in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// Threads.
    pub threads: u32,
    /// Tokens.
    pub tokens: u64,
    /// Bytes of activations that an operation of the sequence reads and writes, mean.
    pub activation_bytes: u64,
    /// Bytes of weights that one reads, mean, where `seconds` hold what they cost on their way from beyond the near caches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_bytes: Option<u64>,
    /// Bytes of all the sequence's matrices, gone through in turn, in that case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_set_bytes: Option<u64>,
    /// Seconds per operation; 0 where repeating was not faster.
    pub seconds: Figure,
}

/// Seconds of one barrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarrierTime {
    /// Threads that meet.
    pub threads: u32,
    /// Seconds from the first arrival to the last departure.
    pub seconds: Figure,
}

/// Power, measured or unavailable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// The meter that answered, absent when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// Watts when idle.
    pub idle_watts: Figure,
    /// Watts under load, by class of kernel.
    #[serde(default)]
    pub loaded: Vec<LoadedPower>,
    /// Joules per byte read from memory.
    pub joules_per_byte: Figure,
    /// Joules per multiply-add operation.
    pub joules_per_op: Figure,
}

/// Watts under one class of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadedPower {
    /// `read` or `compute`.
    pub class: String,
    /// Threads.
    pub threads: u32,
    /// Watts, idle included.
    pub watts: Figure,
}

/// How quiet the machine was while it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Whether this is a virtual machine.
    pub virtual_machine: bool,
    /// Share of processor time that the hypervisor gave to others.
    pub steal_fraction: Figure,
    /// How far the sentinel that moved most moved: its 90 % quantile over its 10 % quantile, less 1; `low` is the same of
    /// the quartiles, `high` of the extremes.
    pub drift: Figure,
    /// Samples flagged as disturbed.
    pub flagged: u64,
    /// Cells that were measured again because of that.
    pub repeated: u64,
    /// How far the times of steps scattered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tails: Vec<Tail>,
}

/// How far the times of steps of one length scattered: steps of our kernels one right after the other, as a model's
/// tokens are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// Threads.
    pub threads: u32,
    /// Bytes of all matrices that the steps went through in turn.
    pub working_set_bytes: u64,
    /// Seconds of a step: median and quartiles; `n` counts steps that do not overlap.
    pub seconds: Figure,
    /// The time that 90 % of the steps stay below; absent below 20 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_seconds: Option<f64>,
    /// The same of 95 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_seconds: Option<f64>,
    /// The same of 99 %; absent below 100 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
}

/// Who measured it, with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileProvenance {
    /// The program and its version.
    pub tool: String,
    /// UTC, `2026-01-31T12:00:00Z`.
    pub created: String,
    /// Seconds the measurement took.
    pub seconds: f64,
    /// Seconds it was allowed.
    pub budget_seconds: f64,
    /// Whether the figures were measured here or taken from publications.
    pub kind: ProfileKind,
}

/// Where a profile's figures come from as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileKind {
    /// Measured on the device itself.
    Measured,
    /// Described from publications.
    Published,
}
