//! Runs the most telling points of a front, corrects the cost model by them, searches again and says what moved.

mod choose;
pub(crate) mod moved;

use crate::{
    CalibrationRun, Observer, SearchInputs, SearchSettings, Subjects, VerifyOptions, WorkflowError,
    calibrate, search_into_study,
};
use slimfit_arch::Architecture;
use slimfit_cost::{CalibrationFit, CostModel, RunShape};
use slimfit_plan::Phase;
use slimfit_quantity::NumberFormat;
use slimfit_study::{CorrectionError, Front, REFINEMENT, Refinement, Study};

/// Fewer points tell nothing: each is left out in turn.
pub const LEAST_MEASURED: usize = 3;

/// Refines `before`, the front that `inputs` gave: the corrected front, where there is one, and what moved. Both are kept in
/// `study`. `created` is the time, in UTC; `again` searches the second time.
///
/// # Errors
/// When a point cannot be planned, the machine refuses to run, the study cannot be written, or the observer wants to stop.
pub fn refine(
    inputs: &SearchInputs,
    before: Front,
    (wanted, options): (usize, &VerifyOptions),
    again: &SearchSettings<'_>,
    (study, created): (&Study, &str),
    observer: &mut Observer<'_>,
) -> Result<(Front, Refinement), WorkflowError> {
    inputs.require_one_device("a measured refinement")?;
    let mut plain = inputs.profile.clone();
    plain.calibration = None;
    let cost = CostModel::new(&plain)?;
    let decode = options.depths.iter().map(|&depth_tokens| {
        let generated_tokens = options.generated_tokens;
        (Phase::Decode, RunShape { prompt_tokens: 0, generated_tokens, depth_tokens })
    });
    let prefill = options.prompts.iter().map(|&prompt_tokens| {
        (Phase::Prefill, RunShape { prompt_tokens, generated_tokens: 0, depth_tokens: 0 })
    });
    let runs: Vec<(Phase, RunShape)> = decode.chain(prefill).collect();
    let chosen = choose::informative(&before.points, &cost, &runs, wanted)?;
    if chosen.len() < LEAST_MEASURED {
        return Err(WorkflowError::NothingToRun {
            space: inputs.space.name().to_owned(),
            reason: format!(
                "the front has {} points that can be told apart, and a correction needs {LEAST_MEASURED} or more",
                chosen.len()
            ),
        });
    }
    let models: Vec<(Architecture, NumberFormat, NumberFormat)> = chosen
        .iter()
        .map(|place| &before.points[*place])
        .map(|point| (point.architecture.clone(), point.weights, point.kv))
        .collect();
    let found = calibrate(Subjects::Models(&models), &inputs.profile, options, created, observer)?;
    let ids = chosen.iter().map(|place| before.points[*place].id.clone()).collect();
    let CalibrationRun { calibration, errors, verification } = found;
    let mut refinement = Refinement {
        chosen: ids,
        rows: verification.rows,
        errors: errors
            .iter()
            .map(|error| CorrectionError {
                phase: error.phase.name().to_owned(),
                n: error.n,
                before: error.before,
                after: error.after,
                helps: CalibrationFit::helps(error),
            })
            .collect(),
        corrected: calibration.is_some(),
        moved: None,
    };
    let front = match calibration {
        None => before,
        Some(calibration) => {
            let mut corrected = inputs.clone();
            corrected.profile.calibration = Some(calibration);
            let after = search_into_study(&corrected, again, study)?;
            refinement.moved = Some(moved::moved(&before, &after));
            after
        }
    };
    study.append(REFINEMENT, inputs.space.name(), &refinement)?;
    Ok((front, refinement))
}
