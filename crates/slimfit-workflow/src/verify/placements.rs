//! A placement of the threads that shows up only now: profiled before anything is compared in it.
//!
//! What is measured for it are kernels and rates, never one of the models, and predictions are made from that before the
//! first run that counts in it.

use super::VerifyOptions;
use super::subject::{Subject, predict};
use crate::{Observer, WorkflowError};
use slimfit_hardware::{HardwareProfile, Placement};
use slimfit_kernels::pool::Pool;
use slimfit_probe::{ProbeOptions, barrier_seconds, probe_placement};
use slimfit_quantity::Warning;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Looks that have to agree before a placement counts as new, and how far apart they are.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(30);
/// Seconds that profiling a placement takes: a half of what the profile took, within these.
const SECONDS: std::ops::RangeInclusive<f64> = 8.0..=40.0;

/// What the machine is known to be, and the thread counts for which a new placement was sought in vain or found.
pub(super) struct Known {
    pub profile: HardwareProfile,
    pub warnings: Vec<Warning>,
    tried: Vec<u32>,
}

impl Known {
    pub fn new(profile: &HardwareProfile) -> Self {
        Self { profile: profile.clone(), warnings: Vec::new(), tried: Vec::new() }
    }

    /// Profiles the placement of `threads` threads, where it is none that the profile saw, and says what it makes of the
    /// subjects. Whether it did.
    ///
    /// # Errors
    /// The machine refuses to be measured, or the user wants to stop.
    pub fn extend(
        &mut self,
        threads: u32,
        subjects: &mut [Subject],
        options: &VerifyOptions,
        observer: &mut Observer<'_>,
    ) -> Result<bool, WorkflowError> {
        if threads == 1 || self.tried.contains(&threads) || self.profile.other_placement(threads).is_some() {
            return Ok(false);
        }
        let pool = Pool::new(threads as usize)?;
        let unknown = |_| {
            std::thread::sleep(BETWEEN_LOOKS);
            self.profile.placement_of(threads, barrier_seconds(&pool)) == Placement::Unknown
        };
        if !(0..LOOKS).all(unknown) {
            return Ok(false);
        }
        drop(pool);
        self.tried.push(threads);
        let mut probing = ProbeOptions::new(options.isa);
        probing.tuning = options.tuning.clone();
        probing.budget_seconds =
            (self.profile.provenance.budget_seconds / 2.0).clamp(*SECONDS.start(), *SECONDS.end());
        let cancel = observer.cancel;
        let progress = &mut *observer.progress;
        let found = probe_placement(&probing, threads, &self.profile, &mut |_, done| {
            progress("profile where the threads lie now", done);
            !cancel.load(Ordering::Relaxed)
        });
        let Some(other) = found? else { return Ok(false) };
        self.warnings.push(Warning::new(
            "placement-added",
            format!(
                "{threads} threads were found waiting {:.0} ns for each other, {:.0} ns when the profile was measured: the \
                 hypervisor moved them. That placement was profiled in {:.0} s before anything was compared in it; \
                 `slimfit profile` measures both where it meets both",
                other.barrier.value.unwrap_or(f64::NAN) * 1e9,
                self.profile.barrier_seconds(threads).unwrap_or(f64::NAN) * 1e9,
                probing.budget_seconds,
            ),
        ));
        self.profile.other_placements.push(other);
        let cost = options.cost(&self.profile)?;
        for subject in subjects.iter_mut().filter(|subject| subject.threads == threads) {
            subject.say_again(&cost, &self.profile, options)?;
        }
        Ok(true)
    }
}

impl Subject {
    /// Says again what is predicted of every cell, in each placement that is known by now.
    fn say_again(
        &mut self,
        cost: &slimfit_cost::CostModel,
        profile: &HardwareProfile,
        options: &VerifyOptions,
    ) -> Result<(), WorkflowError> {
        let mut again = Self::new(self.architecture.clone(), self.weights, self.kv);
        predict(&mut again, cost, profile, options)?;
        if again.threads == self.threads {
            for (cell, said) in self.cells.iter_mut().zip(again.cells) {
                // What was said before stands.
                let new = said.said.into_iter().filter(|(placement, _)| *placement != Placement::Usual);
                cell.said.truncate(1);
                cell.said.extend(new);
            }
        }
        Ok(())
    }
}
