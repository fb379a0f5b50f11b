//! Factors from a few runs, shrunk towards 1, and whether they help.
//!
//! The logarithms θ of the factors minimise Σ ρ(rᵢ/σ)/nᵢ + Σ (θₖ/τₖ)², where rᵢ = ln Σₖ e^θₖ Tᵢₖ − ln mᵢ for a run that
//! took mᵢ and whose predicted time is Tᵢₖ in class k. ρ is Huber's: one run that was disturbed cannot pull. nᵢ is how many
//! runs of that phase the same model has, since their errors are alike: a model counts once. σ is the scatter that is left,
//! found from the runs themselves: the more they scatter, the nearer the factors stay to 1.

use super::{CALIBRATION_CLASSES, class, interval};
use slimfit_hardware::{
    CalibrationError, CalibrationFactor, CalibrationPhase, CalibrationRegime, CalibrationTerm,
};
use slimfit_quantity::{Figure, Source, median};

type Vector = [f64; CALIBRATION_CLASSES];
type Matrix = [Vector; CALIBRATION_CLASSES];

/// How far factors are thought to be from 1 before anything was run: kernels were measured, so they are near; what an
/// operation costs besides is small and harder to measure.
const WORK_REACH: f64 = 0.15;
const FIXED_REACH: f64 = 0.30;
/// No factor is further from 1 than twice or half.
const FURTHEST: f64 = std::f64::consts::LN_2;
/// Runs do not repeat better than this.
const LEAST_SCATTER: f64 = 0.02;
/// Scatters past which a run pulls no harder.
const HUBER: f64 = 1.5;
/// From the median of absolute residuals to a normal distribution's deviation.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;
const STEPS: usize = 30;
/// Leaving one model out says nothing with fewer.
const LEAST_MODELS: usize = 3;
/// A correction must take at least this share of the error away: less is chance.
const LEAST_GAIN: f64 = 0.05;
/// A class that is less of a run than this tells nothing of its factor.
const LEAST_SHARE: f64 = 0.02;

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationSample {
    /// The model that ran: runs of one are left out together.
    pub model: String,
    /// The phase.
    pub phase: CalibrationPhase,
    /// Predicted seconds by class, without calibration.
    pub seconds: Vector,
    /// Of the 90 % interval predicted without calibration, the logarithm of its end over its middle.
    pub half_width: f64,
    /// Seconds that it took, the machine's drift taken out.
    pub measured: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationFit {
    /// Factors of the phases that they help; of no other.
    pub factors: Vec<CalibrationFactor>,
    /// Errors of every phase that was run, leaving each model out in turn.
    pub errors: Vec<CalibrationError>,
}

impl CalibrationFit {
    /// Whether a phase's errors are smaller with factors, by more than chance.
    pub fn helps(error: &CalibrationError) -> bool {
        error.after < (1.0 - LEAST_GAIN) * error.before
    }
}

/// Factors from `samples`, and the errors with and without them.
pub fn fit_calibration(samples: &[CalibrationSample]) -> CalibrationFit {
    let (mut factors, mut errors) = (Vec::new(), Vec::new());
    // A prompt ends with one token's logits: what decoding found holds there.
    let mut known = [0.0; CALIBRATION_CLASSES];
    for phase in CalibrationPhase::ALL {
        let usable = |sample: &&CalibrationSample| {
            let positive = [sample.measured, sample.half_width, sample.seconds.iter().sum()];
            sample.phase == phase && positive.into_iter().all(|value| value > 0.0)
        };
        let runs: Vec<&CalibrationSample> = samples.iter().filter(usable).collect();
        let mut models: Vec<&str> = runs.iter().map(|run| run.model.as_str()).collect();
        models.sort_unstable();
        models.dedup();
        if models.len() < LEAST_MODELS {
            continue;
        }
        let error = leave_one_out(phase, &runs, &models, &known);
        errors.push(error);
        if CalibrationFit::helps(&error) {
            let (logarithms, deviations) = solve(phase, &runs, &known);
            factors.extend(named(phase, &runs, &logarithms, &deviations));
            known = logarithms;
        }
    }
    CalibrationFit { factors, errors }
}

fn leave_one_out(
    phase: CalibrationPhase,
    runs: &[&CalibrationSample],
    models: &[&str],
    known: &Vector,
) -> CalibrationError {
    let (mut before, mut after) = (0.0, 0.0);
    // Of each run its model, and its error in half-widths without and with factors.
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for &model in models {
        let others: Vec<&CalibrationSample> = runs.iter().filter(|run| run.model != model).copied().collect();
        let logarithms = solve(phase, &others, known).0;
        for run in runs.iter().filter(|run| run.model == model) {
            let ratios = [run.seconds.iter().sum::<f64>(), predicted(run, &logarithms)]
                .map(|seconds| seconds / run.measured);
            before += (ratios[0] - 1.0).abs();
            after += (ratios[1] - 1.0).abs();
            let [plain, corrected] = ratios.map(|ratio| ratio.ln().abs() / run.half_width);
            without.push((model, plain));
            with.push((model, corrected));
        }
    }
    let n = runs.len() as f64;
    let mut error = CalibrationError {
        phase,
        n: runs.len() as u64,
        before: before / n,
        after: after / n,
        interval_scale: None,
    };
    // Of the times that will be predicted: corrected ones only where factors are kept.
    let kept = if CalibrationFit::helps(&error) { with } else { without };
    error.interval_scale = Some(interval::scale(&kept));
    error
}

fn named(
    phase: CalibrationPhase,
    runs: &[&CalibrationSample],
    logarithms: &Vector,
    deviations: &Vector,
) -> Vec<CalibrationFactor> {
    let mut factors = Vec::new();
    for regime in CalibrationRegime::ALL {
        for term in CalibrationTerm::ALL {
            let place = class(phase, regime, term);
            let told = |run: &&&CalibrationSample| {
                run.seconds[place] > LEAST_SHARE * run.seconds.iter().sum::<f64>()
            };
            let n = runs.iter().filter(told).count() as u64;
            if n == 0 {
                continue;
            }
            let (middle, half) = (logarithms[place], 1.645 * deviations[place]);
            let factor = Figure {
                value: Some(middle.exp()),
                low: Some((middle - half).exp()),
                high: Some((middle + half).exp()),
                n,
                source: Source::Modelled,
                reason: None,
                citation: None,
            };
            factors.push(CalibrationFactor { phase, regime, term, factor });
        }
    }
    factors
}

fn predicted(run: &CalibrationSample, logarithms: &Vector) -> f64 {
    run.seconds.iter().zip(logarithms).map(|(seconds, logarithm)| seconds * logarithm.exp()).sum()
}

/// The logarithms of a phase's factors and their deviations; those of the other phase stay as they are known.
fn solve(phase: CalibrationPhase, runs: &[&CalibrationSample], known: &Vector) -> (Vector, Vector) {
    let is_free = |place: usize| place / 4 == phase as usize;
    let alike: Vec<f64> =
        runs.iter().map(|run| runs.iter().filter(|other| other.model == run.model).count() as f64).collect();
    let mut logarithms = *known;
    let mut deviations = [0.0; CALIBRATION_CLASSES];
    let mut scatter = LEAST_SCATTER;
    for _ in 0..STEPS {
        let residuals: Vec<f64> =
            runs.iter().map(|run| (predicted(run, &logarithms) / run.measured).ln()).collect();
        // Gauss-Newton, one step: gradients are the shares of each class.
        let (mut normal, mut right) =
            ([[0.0; CALIBRATION_CLASSES]; CALIBRATION_CLASSES], [0.0; CALIBRATION_CLASSES]);
        for ((run, &residual), alike) in runs.iter().zip(&residuals).zip(&alike) {
            let pull = (HUBER * scatter / residual.abs()).min(1.0);
            let weight = pull / (scatter * scatter) / alike;
            let whole = predicted(run, &logarithms);
            let shares: Vector = std::array::from_fn(|place| {
                if is_free(place) { run.seconds[place] * logarithms[place].exp() / whole } else { 0.0 }
            });
            for (row, share) in normal.iter_mut().zip(shares) {
                for (value, other) in row.iter_mut().zip(shares) {
                    *value += weight * share * other;
                }
            }
            for (value, share) in right.iter_mut().zip(shares) {
                *value -= weight * share * residual;
            }
        }
        for (place, row) in normal.iter_mut().enumerate() {
            let reach = if place % 2 == CalibrationTerm::Work as usize { WORK_REACH } else { FIXED_REACH };
            let held = 1.0 / (reach * reach);
            row[place] += held;
            if is_free(place) {
                right[place] -= held * logarithms[place];
            }
        }
        let inverse = inverse(normal);
        for (place, row) in inverse.iter().enumerate() {
            let step: f64 = row.iter().zip(right).map(|(value, right)| value * right).sum();
            logarithms[place] = (logarithms[place] + step).clamp(-FURTHEST, FURTHEST);
            deviations[place] = row[place].sqrt();
        }
        let left: Vec<f64> =
            runs.iter().map(|run| (predicted(run, &logarithms) / run.measured).ln().abs()).collect();
        scatter = (MEDIAN_TO_DEVIATION * median(&left)).max(LEAST_SCATTER);
    }
    (logarithms, deviations)
}

/// Of a symmetric, positive definite matrix, by elimination without exchanges, which such a matrix never needs.
fn inverse(mut matrix: Matrix) -> Matrix {
    let mut inverse: Matrix =
        std::array::from_fn(|row| std::array::from_fn(|column| f64::from(u8::from(row == column))));
    for pivot in 0..CALIBRATION_CLASSES {
        let scale = matrix[pivot][pivot];
        for column in 0..CALIBRATION_CLASSES {
            matrix[pivot][column] /= scale;
            inverse[pivot][column] /= scale;
        }
        for row in (0..CALIBRATION_CLASSES).filter(|&row| row != pivot) {
            let times = matrix[row][pivot];
            for column in 0..CALIBRATION_CLASSES {
                matrix[row][column] -= times * matrix[pivot][column];
                inverse[row][column] -= times * inverse[pivot][column];
            }
        }
    }
    inverse
}
