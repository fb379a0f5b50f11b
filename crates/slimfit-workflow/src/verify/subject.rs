//! Models to run, the cells of each, what is said of them before, and what they come to.

use super::VerifyOptions;
use super::timed::{self, TimedRun};
use crate::{WorkflowError, peak_type};
use slimfit_arch::Architecture;
use slimfit_cost::{CostModel, Prediction, RunShape};
use slimfit_hardware::{HardwareProfile, Placement};
use slimfit_plan::Plan;
use slimfit_quantity::{NumberFormat, Predicted, median};
use slimfit_runtime::available_memory;
use slimfit_study::ExternalEngine;

/// A model to run, with what was said of it.
pub(super) struct Subject {
    pub(super) id: String,
    pub(super) architecture: Architecture,
    pub(super) weights: NumberFormat,
    pub(super) kv: NumberFormat,
    pub(super) parameters: u64,
    pub(super) threads: u32,
    pub(super) cells: Vec<Cell>,
    /// The other runtime that ran it.
    pub(super) engine: Option<ExternalEngine>,
    /// Why that runtime does not run it, or not to the end.
    pub(super) stopped: Option<WorkflowError>,
}

impl Subject {
    pub(super) fn new(architecture: Architecture, weights: NumberFormat, kv: NumberFormat) -> Self {
        Self {
            id: architecture.id(weights, kv),
            parameters: architecture.parameters().total,
            architecture,
            weights,
            kv,
            threads: 0,
            cells: Vec::new(),
            engine: None,
            stopped: None,
        }
    }
}

/// A phase of a model at one context.
pub(super) struct Cell {
    pub(super) phase: Phase,
    pub(super) tokens: u64,
    pub(super) working_set_bytes: u64,
    /// By placement of the threads, the usual one first.
    pub(super) said: Vec<(Placement, Said)>,
    /// By pass: timed runs in our own runtime.
    pub(super) runs: Vec<Vec<TimedRun>>,
    /// By pass: a value that was measured otherwise, and its sentinel ratio.
    pub(super) passes: Vec<(f64, f64)>,
    /// Why what was measured cannot be.
    pub(super) impossible: Option<String>,
}

/// What was said of a cell before it ran, for one placement of the threads.
#[derive(Clone, Copy)]
pub(super) struct Said {
    pub(super) predicted: Predicted,
    /// Of its tokens' times, where the profile tells.
    pub(super) predicted_p95: Option<Predicted>,
    /// The profile's rate of what the sentinel does.
    pub(super) profiled: Option<f64>,
    pub(super) seconds_by_bytes: f64,
}

impl Cell {
    /// What was said for a placement; for one that was not profiled, of the usual one.
    pub(super) fn said(&self, placement: Placement) -> &Said {
        let (_, said) = self.said.iter().find(|(known, _)| *known == placement).unwrap_or(&self.said[0]);
        said
    }

    /// Whether another pass may bring what its passes lack.
    pub(super) fn wants_more(&self, rounds: usize) -> bool {
        !self.runs.is_empty() && timed::paired(&self.runs, rounds).is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Decode,
    Prefill,
    Memory,
}

impl Phase {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Prefill => "prefill",
            Self::Memory => "memory",
        }
    }
}

pub(super) fn predict(
    subject: &mut Subject,
    cost: &CostModel,
    profile: &HardwareProfile,
    options: &VerifyOptions,
) -> Result<(), WorkflowError> {
    let (architecture, weights, kv) = (&subject.architecture, subject.weights, subject.kv);
    let run_shape = |prompt, generated, depth| RunShape {
        prompt_tokens: prompt,
        generated_tokens: generated,
        depth_tokens: depth,
    };
    let largest = |tokens: &[u64]| tokens.iter().copied().max().unwrap_or(0);
    let whole_run = run_shape(largest(&options.prompts), options.generated_tokens, largest(&options.depths));
    let whole = cost.predict(architecture, weights, kv, whole_run, None)?;
    let threads = whole.threads;
    let needed_bytes = whole.memory_bytes.value as u64;
    if let Some(available_bytes) = available_memory()
        && needed_bytes > available_bytes
    {
        return Err(slimfit_runtime::RuntimeError::OutOfMemory { needed_bytes, available_bytes }.into());
    }
    let placements: Vec<(Placement, CostModel, Option<HardwareProfile>)> =
        [Placement::Usual, Placement::Other]
            .into_iter()
            .filter_map(|placement| Some((placement, cost.in_placement(threads, placement)?)))
            .map(|(placement, model)| {
                let other =
                    (placement == Placement::Other).then(|| profile.in_other_placement(threads)).flatten();
                (placement, model, other)
            })
            .collect();
    let number = peak_type(weights);
    let cell = |phase: Phase, tokens: u64, run: RunShape| -> Result<Cell, WorkflowError> {
        let plan: Plan = cost.plan(architecture, weights, kv, threads, run)?;
        let working_set = CostModel::working_set_bytes(&plan, run.mean_depth());
        let said = placements
            .iter()
            .map(|(placement, model, other)| {
                let profile = other.as_ref().unwrap_or(profile);
                let prediction = model.predict(architecture, weights, kv, run, Some(threads))?;
                let read = profile.read_bandwidth(threads, working_set as u64);
                let said = Said {
                    predicted: match phase {
                        Phase::Decode => prediction.tpot_seconds,
                        Phase::Prefill => prediction.prefill()?,
                        Phase::Memory => prediction.memory_bytes,
                    },
                    predicted_p95: if phase == Phase::Decode { p95(&prediction) } else { None },
                    profiled: if phase == Phase::Prefill { profile.peak_ops(number, threads) } else { read },
                    seconds_by_bytes: working_set / read.unwrap_or(f64::NAN),
                };
                Ok((*placement, said))
            })
            .collect::<Result<Vec<_>, WorkflowError>>()?;
        let (runs, passes, impossible) = (Vec::new(), Vec::new(), None);
        Ok(Cell { phase, tokens, working_set_bytes: working_set as u64, said, runs, passes, impossible })
    };
    let mut cells = Vec::new();
    for &depth in &options.depths {
        cells.push(cell(Phase::Decode, depth, run_shape(0, options.generated_tokens, depth))?);
    }
    let prompts = if cost.has_prefill() { &options.prompts[..] } else { &[] };
    for &prompt in prompts {
        cells.push(cell(Phase::Prefill, prompt, run_shape(prompt, 0, 0))?);
    }
    // What is predicted is what our own runtime keeps.
    if options.memory && options.engine.is_none() {
        cells.push(cell(Phase::Memory, 0, whole_run)?);
    }
    (subject.threads, subject.cells) = (threads, cells);
    Ok(())
}

/// The predicted 95th percentile of a token's time.
fn p95(prediction: &Prediction) -> Option<Predicted> {
    let figure = &prediction.tpot_percentiles.p95;
    Some(Predicted { value: figure.value?, low: figure.low?, high: figure.high? })
}

/// What a cell comes to: its two values, the ratio of the first's sentinel, where its threads lay, its tokens' times.
pub(super) struct Measured {
    /// Test, and retest where there was one.
    pub(super) values: (f64, Option<f64>),
    pub(super) sentinel_ratio: f64,
    pub(super) placement: Option<Placement>,
    pub(super) token_seconds: Vec<f64>,
}

impl Cell {
    pub(super) fn measured(&self, rounds: usize) -> Option<Measured> {
        if let Some(&(measured, sentinel_ratio)) = self.passes.first() {
            let (placement, token_seconds) = (None, Vec::new());
            let retest = self.passes.get(1).map(|pass| pass.0);
            return Some(Measured { values: (measured, retest), sentinel_ratio, placement, token_seconds });
        }
        let chosen = timed::chosen(&self.runs, rounds)?;
        let of = |runs: &[&TimedRun], value: fn(&TimedRun) -> f64| {
            median(&runs.iter().map(|run| value(run)).collect::<Vec<_>>())
        };
        let profiled = self.said(chosen.placement).profiled;
        Some(Measured {
            values: (
                of(&chosen.test, |run| run.value),
                (!chosen.retest.is_empty()).then(|| of(&chosen.retest, |run| run.value)),
            ),
            // Of the runs that were measured: the machine may be another one in the next.
            sentinel_ratio: of(&chosen.test, TimedRun::sentinel) / profiled.unwrap_or(f64::NAN),
            placement: Some(chosen.placement),
            token_seconds: chosen
                .test
                .iter()
                .chain(&chosen.retest)
                .flat_map(|run| run.token_seconds.iter().copied())
                .collect(),
        })
    }
}
