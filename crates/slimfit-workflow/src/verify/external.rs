//! One pass over the cells of one model in another runtime.

use super::VerifyOptions;
use super::subject::{Cell, Phase, Subject};
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
    /// Runs what `subject` was predicted for. What stops it stops this model alone and is noted there: a command that
    /// crashes on one model, or takes too long, takes nothing from the others. What one pass did not reach, the next does
    /// not try again.
    pub(super) fn run(&self, subject: &mut Subject) -> Result<(), WorkflowError> {
        if subject.stopped.is_some() && subject.cells.iter().all(|cell| cell.passes.is_empty()) {
            return Ok(());
        }
        match self.run_cells(subject) {
            Err(WorkflowError::Interrupted) => Err(WorkflowError::Interrupted),
            Err(error) => {
                subject.stopped.get_or_insert(error);
                Ok(())
            }
            Ok(()) => Ok(()),
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
        let reached = |cell: &Cell| subject.stopped.is_none() || !cell.passes.is_empty();
        for cell in subject.cells.iter_mut().take_while(|cell| reached(cell)) {
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

/// What stopped the first model, where not one gave a single measurement.
pub(super) fn nothing_measured(subjects: &mut [Subject]) -> Option<WorkflowError> {
    if subjects.iter().any(|subject| subject.cells.iter().any(|cell| !cell.passes.is_empty())) {
        return None;
    }
    Some(match subjects.iter_mut().find_map(|subject| subject.stopped.take())? {
        WorkflowError::EngineRefused { reason, .. } => {
            WorkflowError::NothingToRun { space: "what was drawn".to_owned(), reason }
        }
        error => error,
    })
}

/// What stopped a model, in one line: the runtime's own sentence where it gave one.
pub(super) fn reason(error: &WorkflowError) -> String {
    match error {
        WorkflowError::EngineRefused { reason, .. } => reason.clone(),
        error => error.to_string().replace('\n', "; "),
    }
}
