//! Measures this machine: which kernels are fastest on it, then its profile, with those kernels.

use crate::{Observer, WorkflowError};
use slimfit_hardware::{HardwareProfile, TuningChoice, TuningRecord};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, KernelError, Tuning, TuningOutcome, tune, usual_keys};
use slimfit_probe::{PowerSource, ProbeOptions, fingerprint, measured_threads, probe};
use slimfit_quantity::{Figure, Measured, NumberFormat, Warning};
use std::path::Path;
use std::time::{Duration, Instant};

/// Formats for which kernels are chosen, the likeliest first.
const FORMATS: [NumberFormat; 4] =
    [NumberFormat::Q4_0, NumberFormat::Q8_0, NumberFormat::Bf16, NumberFormat::F32];
/// Share of a budget that goes to choosing kernels.
const TUNING_SHARE: f64 = 0.2;
/// Below this many seconds for choosing, races would be too short to tell anything.
const LEAST_TUNING_SECONDS: f64 = 1.0;

/// What was chosen for this machine under this cap, from the record in `folder`. A record of another version's kernels
/// is left aside, and the warning says so.
///
/// # Errors
/// The record is damaged, or the machine cannot be described.
pub fn local_tuning(folder: &Path, isa: Isa) -> Result<(Tuning, Option<Warning>), WorkflowError> {
    let Some(record) = TuningRecord::find(folder, &fingerprint(isa)?)? else {
        return Ok((Tuning::default(), None));
    };
    Ok(match of_record(&record) {
        Ok(tuning) => (tuning, None),
        Err(error) => (Tuning::default(), Some(Warning::new("tuning-outdated", error.to_string()))),
    })
}

fn of_record(record: &TuningRecord) -> Result<Tuning, KernelError> {
    Tuning::read(record.choices.iter().map(|choice| (choice.key.as_str(), choice.variant.as_str())))
}

/// Chooses kernels, keeps the choices in `folder`, then probes the machine with them, all within the budget. Power comes
/// from `power`. The profile is not saved.
///
/// # Errors
/// What the probe reports, a record that cannot be read or written, or that the user wants to stop.
pub fn measure_machine(
    folder: &Path,
    isa: Isa,
    budget_seconds: f64,
    power: &PowerSource,
    observer: &mut Observer<'_>,
) -> Result<HardwareProfile, WorkflowError> {
    let started = Instant::now();
    let tuning_seconds = budget_seconds * TUNING_SHARE;
    let tuning = if tuning_seconds >= LEAST_TUNING_SECONDS {
        tune_machine(folder, isa, tuning_seconds, observer)?
    } else {
        local_tuning(folder, isa)?.0
    };
    let options = ProbeOptions {
        budget_seconds: (budget_seconds - started.elapsed().as_secs_f64()).max(budget_seconds / 2.0),
        isa,
        tuning,
        thread_counts: None,
        power: power.clone(),
    };
    let mut profile = probe(&options, &mut |name, share| {
        observer.at(name, TUNING_SHARE + (1.0 - TUNING_SHARE) * share).is_ok()
    })?;
    // What the caller allowed and waited for, the choice of kernels included.
    profile.provenance.budget_seconds = budget_seconds;
    profile.provenance.seconds = started.elapsed().as_secs_f64();
    observer.at("profile", 1.0)?;
    Ok(profile)
}

/// Races kernels for the usual shapes on every thread count that profiles measure. What an earlier run chose is only
/// displaced by what beats it beyond the noise.
fn tune_machine(
    folder: &Path,
    isa: Isa,
    seconds: f64,
    observer: &mut Observer<'_>,
) -> Result<Tuning, WorkflowError> {
    let fingerprint = fingerprint(isa)?;
    let tool = format!("slimfit {}", env!("CARGO_PKG_VERSION"));
    let known = TuningRecord::find(folder, &fingerprint)?.filter(|record| of_record(record).is_ok());
    let mut record = known.unwrap_or_else(|| TuningRecord::new(fingerprint, tool.clone()));
    record.tool = tool;
    let mut tuning = of_record(&record)?;
    let counts = measured_threads()?;
    let started = Instant::now();
    let mut stopped = false;
    for (place, &threads) in counts.iter().enumerate() {
        let keys = usual_keys(&FORMATS, isa, threads as usize);
        let end = seconds * (place + 1) as f64 / counts.len() as f64;
        let pool = Pool::new(threads as usize)?;
        let deadline = started + Duration::from_secs_f64(end);
        let outcomes = tune(&pool, &keys, &tuning, deadline, &mut |_, key| {
            let done = started.elapsed().as_secs_f64() / seconds;
            stopped = observer.at(&format!("kernels: {key}"), TUNING_SHARE * done.min(1.0)).is_err();
            !stopped
        })?;
        for outcome in &outcomes {
            tuning.choose(outcome);
            record.choose(choice(outcome));
        }
    }
    if stopped {
        return Err(WorkflowError::Interrupted);
    }
    if !record.choices.is_empty() {
        record.save(folder)?;
    }
    Ok(tuning)
}

fn choice(outcome: &TuningOutcome) -> TuningChoice {
    let figure = |seconds: &[f64]| {
        Measured::new(seconds.to_vec())
            .map_or_else(|| Figure::unavailable("it was not run"), |measured| measured.figure())
    };
    TuningChoice {
        key: outcome.key.to_string(),
        variant: outcome.variant.to_owned(),
        seconds: figure(&outcome.seconds),
        default_variant: outcome.default_variant.to_owned(),
        default_seconds: figure(&outcome.default_seconds),
        candidates: outcome.candidates as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_record_of_other_kernels_is_left_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let isa = Isa::best();
        let (tuning, warning) = local_tuning(folder.path(), isa).unwrap();
        assert!(tuning.is_empty() && warning.is_none());
        let mut record = TuningRecord::new(fingerprint(isa).unwrap(), "slimfit 0.0.1");
        record.choose(TuningChoice {
            key: usual_keys(&[NumberFormat::Q8_0], isa, 1)[0].to_string(),
            variant: "gemv-of-old".to_owned(),
            seconds: Figure::read(1.0),
            default_variant: "gemv".to_owned(),
            default_seconds: Figure::read(1.0),
            candidates: 2,
        });
        record.save(folder.path()).unwrap();
        let (tuning, warning) = local_tuning(folder.path(), isa).unwrap();
        assert!(tuning.is_empty());
        assert!(warning.unwrap().message.contains("gemv-of-old"));
    }

    #[test]
    fn what_is_chosen_is_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = AtomicBool::new(false);
        let mut observer = Observer { progress: &mut |_, _| {}, cancel: &cancel };
        let tuning = tune_machine(folder.path(), Isa::best(), 0.05, &mut observer).unwrap();
        assert_eq!(local_tuning(folder.path(), Isa::best()).unwrap(), (tuning, None));
    }

    #[test]
    fn tuning_stops_when_the_user_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = AtomicBool::new(true);
        let mut observer = Observer { progress: &mut |_, _| {}, cancel: &cancel };
        let stopped = tune_machine(folder.path(), Isa::best(), 1.0, &mut observer);
        assert!(matches!(stopped, Err(WorkflowError::Interrupted)));
    }
}
