//! Runs a few models, and has the cost model find factors from what they took.

use crate::verify::Subjects;
use crate::{Observer, VerifyOptions, WorkflowError, verify::verify_subjects};
use slimfit_cost::{CalibrationFit, CalibrationSample, CostModel, RunShape, fit_calibration};
use slimfit_hardware::{Calibration, CalibrationError, CalibrationPhase, HardwareProfile};
use slimfit_plan::Phase;
use slimfit_study::{Verification, VerificationRow};

/// What calibrating found.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationRun {
    /// Factors, where they help at all.
    pub calibration: Option<Calibration>,
    /// Errors with and without them, phase by phase, each model left out in turn.
    pub errors: Vec<CalibrationError>,
    /// What was run.
    pub verification: Verification,
}

/// Runs the subjects with the predictions of `profile`, without its calibration, and finds factors. `created` is the time,
/// in UTC. Nothing is stored.
///
/// # Errors
/// As [`verify`](crate::verify).
pub fn calibrate(
    subjects: Subjects<'_>,
    profile: &HardwareProfile,
    options: &VerifyOptions,
    created: &str,
    observer: &mut Observer<'_>,
) -> Result<CalibrationRun, WorkflowError> {
    let mut plain = profile.clone();
    plain.calibration = None;
    let options = VerifyOptions { memory: false, engine: None, ..options.clone() };
    let verification = verify_subjects(subjects, &plain, &options, observer)?;
    // Factors come from all models or from none.
    observer.at("fit", 1.0)?;
    let cost = CostModel::new(&plain)?;
    let samples = verification
        .rows
        .iter()
        .filter_map(|row| sample(row, &cost, options.generated_tokens).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let CalibrationFit { factors, errors } = fit_calibration(&samples);
    let mut models: Vec<&str> = samples.iter().map(|sample| sample.model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    let calibration = (!factors.is_empty()).then(|| Calibration {
        engine: cost.engine().to_owned(),
        tool: format!("slimfit {}", env!("CARGO_PKG_VERSION")),
        created: created.to_owned(),
        models: models.len() as u64,
        factors,
        errors: errors.clone(),
    });
    Ok(CalibrationRun { calibration, errors, verification })
}

/// A row as the fit wants it: what it took, had the machine been as fast as when it was profiled.
fn sample(
    row: &VerificationRow,
    cost: &CostModel,
    generated_tokens: u64,
) -> Result<Option<CalibrationSample>, WorkflowError> {
    let (named, phase, run) = match row.phase.as_str() {
        "decode" => {
            let depth_tokens = row.depth_tokens;
            (
                CalibrationPhase::Decode,
                Phase::Decode,
                RunShape { prompt_tokens: 0, generated_tokens, depth_tokens },
            )
        }
        "prefill" => {
            let prompt_tokens = row.prompt_tokens;
            let run = RunShape { prompt_tokens, generated_tokens: 0, depth_tokens: 0 };
            (CalibrationPhase::Prefill, Phase::Prefill, run)
        }
        _ => return Ok(None),
    };
    if !(row.sentinel_ratio > 0.0 && row.sentinel_ratio.is_finite()) {
        return Ok(None);
    }
    let plan = cost.plan(&row.architecture, row.weights, row.kv, row.threads, run)?;
    Ok(Some(CalibrationSample {
        model: row.id.clone(),
        phase: named,
        seconds: cost.seconds_by_class(phase, &plan, run, row.threads)?,
        half_width: (row.predicted.high / row.predicted.value).ln(),
        measured: row.measured * row.sentinel_ratio,
    }))
}
