//! Peak memory of one model in a process of its own.
//!
//! A process that has run other things cannot tell what one model takes: its peak only grows, and its allocator keeps
//! what it freed. So a fresh child loads the model, runs it and reports; the parent hands it the request on stdin and
//! reads the report from its stdout.

use crate::seeded::seeded_tokens;
use crate::{DepthFill, MeasureOptions, Model, RuntimeError, Session, WeightsFrom};
use serde::{Deserialize, Serialize};
use slimfit_arch::Architecture;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::PlanOptions;
use slimfit_quantity::NumberFormat;
use std::io::Write;
use std::process::{Command, Stdio};

/// The hidden argument with which the program must call [`memory_probe`] and nothing else.
pub const MEMORY_PROBE_ARGUMENT: &str = "memory-probe";

/// What the child runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRequest {
    /// The model.
    pub architecture: Architecture,
    /// How its matrices are stored.
    pub weights: NumberFormat,
    /// How its cache is stored.
    pub kv: NumberFormat,
    /// The cap on the instruction set.
    pub isa: String,
    /// Threads.
    pub threads: u64,
    /// Tokens of the prompt.
    pub prompt: u64,
    /// Tokens decoded.
    pub generate: u64,
    /// Tokens in the cache before them.
    pub depth: u64,
    /// Most tokens computed in one step.
    pub chunk: u64,
    /// Where the weights come from.
    pub source: WeightsFrom,
    /// Seed of the tokens.
    pub seed: u64,
}

/// What the child found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Resident bytes right before the model was loaded.
    pub resident_before_bytes: u64,
    /// The most that was ever resident.
    pub peak_resident_bytes: u64,
}

impl MemoryReport {
    /// What the model took: the peak less what the process had before.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.peak_resident_bytes.saturating_sub(self.resident_before_bytes)
    }
}

/// The child's side: runs the request and reports. To be called early in a fresh process.
///
/// # Errors
/// The request cannot run, or the system does not tell a process its memory.
pub fn memory_probe(request: &MemoryRequest) -> Result<MemoryReport, RuntimeError> {
    let isa = Isa::capped(&request.isa).map_err(slimfit_kernels::KernelError::from)?;
    let measure = MeasureOptions {
        prompt: request.prompt,
        generate: request.generate,
        depth: request.depth,
        depth_fill: DepthFill::Random,
        rounds: 1,
        settling: 0,
        seed: request.seed,
    };
    let options = PlanOptions {
        chunk: request.chunk,
        ..PlanOptions::new(request.weights, request.kv, isa, request.threads, measure.context())
    };
    let threads = usize::try_from(request.threads).unwrap_or(usize::MAX);
    let pool = Pool::new(threads)?;
    let weights = request.source.open(&request.architecture)?;
    let resident_before_bytes = status("VmRSS:")?;

    let model = Model::load_with_formats(&request.architecture, options, weights.formats, &*weights.source)?;
    let mut session = Session::new(&model, &pool)?;
    let vocabulary = request.architecture.vocabulary_size;
    if request.prompt > 0 {
        // The cache is resident from the start and every chunk works in the same buffers, so one chunk tells all.
        let prompt = seeded_tokens(vocabulary, request.prompt.min(request.chunk), request.seed);
        session.time_prefill(&prompt)?;
    }
    if request.generate > 0 {
        session.fill_random(request.depth, request.seed)?;
        session.prefill(&seeded_tokens(vocabulary, 1, request.seed))?;
    }
    let peak_resident_bytes = status("VmHWM:")?;
    Ok(MemoryReport { resident_before_bytes, peak_resident_bytes })
}

/// The parent's side: starts this program anew with [`MEMORY_PROBE_ARGUMENT`] and returns what the child found. The
/// child reads the request as JSON from stdin and prints a [`MemoryReport`] as JSON.
///
/// # Errors
/// The child cannot be started, fails, or prints no report.
pub fn measure_memory(request: &MemoryRequest) -> Result<MemoryReport, RuntimeError> {
    let failed = |reason: String| RuntimeError::MemoryProbe { reason };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let request = serde_json::to_vec(request).map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(program)
        .arg(MEMORY_PROBE_ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot start a child: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        // A child that ends before it reads says why on stderr, which tells more than the broken pipe.
        let _ = input.write_all(&request);
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("the child ended with {}: {}", output.status, said.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("the child's report: {error}")))
}

/// A line of `/proc/self/status`, in bytes.
fn status(field: &str) -> Result<u64, RuntimeError> {
    let failed = |reason: &str| RuntimeError::MemoryProbe { reason: reason.to_owned() };
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|_| failed("this system has no `/proc/self/status`"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| failed("`/proc/self/status` does not name the resident size"))
}
