//! One pass over the cells of one model in another runtime.

use super::{Phase, Subject, VerifyOptions};
use crate::engine::{EngineCell, EngineCommand, EngineFiles};
use crate::{WorkflowError, peak_type};
use slimfit_cost::{CostModel, RunShape};
use slimfit_hardware::HardwareProfile;
use slimfit_quantity::{Warning, median};
use slimfit_runtime::WeightsFrom;
use std::sync::atomic::AtomicBool;

/// What runs models, and what was said of them.
pub(super) struct External<'a> {
    pub(super) command: &'a EngineCommand,
    pub(super) cost: &'a CostModel,
    pub(super) profile: &'a HardwareProfile,
    pub(super) options: &'a VerifyOptions,
    pub(super) cancel: &'a AtomicBool,
}

impl External<'_> {
    /// Runs what `subject` was predicted for. What the runtime says it cannot run is noted there and left out.
    pub(super) fn run(&self, subject: &mut Subject) -> Result<(), WorkflowError> {
        if subject.refused.is_some() {
            return Ok(());
        }
        match self.run_cells(subject) {
            Err(WorkflowError::EngineRefused { reason, .. }) => {
                subject.refused = Some(reason);
                Ok(())
            }
            ended => ended,
        }
    }

    fn run_cells(&self, subject: &mut Subject) -> Result<(), WorkflowError> {
        let Self { command, cost, profile, options, cancel } = *self;
        let (architecture, weights, kv, threads) =
            (&subject.architecture, subject.weights, subject.kv, subject.threads);
        let context = options.context();
        let files = EngineFiles::new(
            (&subject.id, architecture),
            (weights, subject.id.clone()),
            &WeightsFrom::Seeded { seed: options.seed },
            context,
        )?;
        for cell in &mut subject.cells {
            let (prompt, generated, depth) = match cell.phase {
                Phase::Decode => (0, options.generated_tokens, cell.tokens),
                Phase::Prefill => (cell.tokens, 0, 0),
                Phase::Memory => continue,
            };
            let timed = EngineCell {
                architecture,
                weights,
                kv,
                threads,
                isa: options.isa,
                context,
                prompt,
                generated,
                depth,
                repetitions: options.rounds,
                seed: options.seed,
                working_set_bytes: cell.working_set_bytes,
            };
            let times = timed.time(command, &files, cancel)?;
            let (value, [before, after], profiled) = if cell.phase == Phase::Decode {
                let rates = times.read_bytes_per_s;
                (
                    median(&times.tpot_seconds()),
                    rates,
                    profile.read_bandwidth(threads, cell.working_set_bytes),
                )
            } else {
                let rates = times.peak_ops_per_s;
                (median(times.prefill_seconds()), rates, profile.peak_ops(peak_type(weights), threads))
            };
            cell.passes.push((value, (before + after) / 2.0 / profiled.unwrap_or(f64::NAN)));
            let run = RunShape { prompt_tokens: prompt, generated_tokens: generated, depth_tokens: depth };
            let plan = cost.plan(architecture, weights, kv, threads, run)?;
            let flags = timed.impossible(std::slice::from_ref(&times), &plan).into_iter();
            cell.impossible = cell.impossible.take().or(flags.map(|Warning { message, .. }| message).next());
            subject.engine = Some(times.engine());
        }
        Ok(())
    }
}
