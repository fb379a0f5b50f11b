//! The most memory that a process holds which loads and runs one model, beside weights, cache and an allowance.

use crate::options::Options;
use crate::record::MemoryCell;
use anyhow::{Context, Result};
use slimfit_bench::models;
use slimfit_kernels::Isa;
use slimfit_plan::{Plan, PlanOptions};
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{MemoryRequest, WeightsFrom, measure_memory};

/// What the target allows beside weights and cache.
pub const ALLOWANCE: u64 = 64 << 20;
/// Tokens of the prompt, and in the cache.
const PROMPT: u64 = 512;
const DEPTH: u64 = 1024;

/// Every model in every format, on the largest of the thread counts, each in a child process.
///
/// # Errors
/// A child fails.
pub fn measure(options: &Options, isa: Isa) -> Result<Vec<MemoryCell>> {
    let threads = options.threads.iter().copied().max().unwrap_or(1) as u64;
    let mut found = Vec::new();
    for name in &options.models {
        let architecture = models::find(name)?;
        for &weights in &options.formats {
            eprintln!("peak memory of {name} in {weights}");
            let plan_options = PlanOptions::new(weights, NumberFormat::F16, isa, threads, DEPTH + 1);
            let memory = Plan::new(&architecture, plan_options)?.memory();
            let report = measure_memory(&MemoryRequest {
                source: WeightsFrom::Seeded { seed: 1 },
                architecture: architecture.clone(),
                weights,
                kv: NumberFormat::F16,
                isa: isa.name().to_owned(),
                threads,
                prompt: PROMPT,
                generate: 1,
                depth: DEPTH,
                chunk: plan_options.chunk,
                seed: 1,
            })
            .with_context(|| format!("peak memory of {name} in {weights}"))?;
            found.push(MemoryCell {
                model: name.clone(),
                parameters: architecture.parameters().total,
                weights,
                threads: threads as usize,
                weight_bytes: memory.weight_bytes,
                kv_bytes: memory.kv_bytes,
                peak_bytes: report.peak_resident_bytes,
            });
        }
    }
    Ok(found)
}
