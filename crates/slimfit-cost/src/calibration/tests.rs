//! Known truths are found, noise is not taken for one, and few runs cannot spoil what was right.

use super::fit::{CalibrationFit, CalibrationSample, fit_calibration};
use super::{CALIBRATION_CLASSES, class};
use slimfit_hardware::{CalibrationPhase, CalibrationRegime, CalibrationTerm};

/// SplitMix64, as a number in −1..1.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) as f64 / (1_u64 << 63) as f64 - 1.0
}

/// Runs of models whose true times are `work` and `fixed` times the predicted ones, scattered by up to ± `noise`; two
/// runs of each phase a model, every third model in cache.
fn runs(models: usize, work: f64, fixed: f64, noise: f64, seed: u64) -> Vec<CalibrationSample> {
    let mut state = seed;
    let mut samples = Vec::new();
    for model in 0..models {
        let regime = if model % 3 == 0 { CalibrationRegime::Cache } else { CalibrationRegime::Memory };
        for phase in CalibrationPhase::ALL {
            for depth in 1..=2 {
                let mut seconds = [0.0; CALIBRATION_CLASSES];
                // Large models are work, small ones are half overhead.
                let (products, rest) = (1e-3 * (model + depth) as f64, 1e-3);
                seconds[class(phase, regime, CalibrationTerm::Work)] = products;
                seconds[class(phase, regime, CalibrationTerm::Fixed)] = rest;
                let measured = (work * products + fixed * rest) * (1.0 + noise * random(&mut state));
                samples.push(CalibrationSample { model: model.to_string(), phase, seconds, measured });
            }
        }
    }
    samples
}

fn factor(fit: &CalibrationFit, regime: CalibrationRegime, term: CalibrationTerm) -> f64 {
    let wanted = fit.factors.iter().find(|factor| {
        factor.phase == CalibrationPhase::Decode && factor.regime == regime && factor.term == term
    });
    wanted.and_then(|factor| factor.factor.value).expect("a factor")
}

#[test]
fn known_factors_are_found() {
    let fit = fit_calibration(&runs(9, 1.2, 1.5, 0.005, 1));
    for regime in CalibrationRegime::ALL {
        let (work, fixed) =
            (factor(&fit, regime, CalibrationTerm::Work), factor(&fit, regime, CalibrationTerm::Fixed));
        assert!((work / 1.2 - 1.0).abs() < 0.03, "{work} in {}", regime.name());
        assert!((fixed / 1.5 - 1.0).abs() < 0.12, "{fixed} in {}", regime.name());
    }
    for error in &fit.errors {
        assert!(error.before > 0.15 && error.after < 0.03, "{error:?}");
        assert!(CalibrationFit::helps(error));
    }
    let memory = fit.factors.iter().find(|factor| factor.regime == CalibrationRegime::Memory).unwrap();
    let figure = &memory.factor;
    assert!(figure.low < figure.value && figure.value < figure.high && figure.n == 12, "{figure:?}");
}

#[test]
fn five_models_are_enough_for_a_plain_bias() {
    let fit = fit_calibration(&runs(5, 1.12, 1.12, 0.03, 7));
    for error in &fit.errors {
        assert!(error.after < 0.5 * error.before, "{error:?}");
    }
}

#[test]
fn noise_does_not_make_predictions_of_other_models_worse() {
    let (mut without, mut with) = (0.0, 0.0);
    for seed in 0..40 {
        let fit = fit_calibration(&runs(5, 1.0, 1.0, 0.15, seed));
        let mut logarithms = [1.0; CALIBRATION_CLASSES];
        for found in &fit.factors {
            logarithms[class(found.phase, found.regime, found.term)] = found.factor.value.unwrap();
        }
        for run in runs(12, 1.0, 1.0, 0.15, 1000 + seed) {
            let predicted: f64 = run.seconds.iter().zip(logarithms).map(|(a, b)| a * b).sum();
            without += (run.seconds.iter().sum::<f64>() / run.measured - 1.0).abs();
            with += (predicted / run.measured - 1.0).abs();
        }
    }
    assert!(with < 1.02 * without, "{:.4} of the error without", with / without);
}

#[test]
fn one_disturbed_run_does_not_pull() {
    let mut samples = runs(6, 1.1, 1.1, 0.01, 3);
    let disturbed = samples.iter().position(|run| run.phase == CalibrationPhase::Decode).unwrap();
    samples[disturbed].measured *= 5.0;
    let work = factor(&fit_calibration(&samples), CalibrationRegime::Memory, CalibrationTerm::Work);
    assert!((work / 1.1 - 1.0).abs() < 0.03, "{work}");
}

#[test]
fn too_few_models_and_right_predictions_give_no_factors() {
    assert_eq!(fit_calibration(&[]), CalibrationFit { factors: Vec::new(), errors: Vec::new() });
    let two = fit_calibration(&runs(2, 1.5, 1.5, 0.0, 1));
    assert!(two.factors.is_empty() && two.errors.is_empty());
    let right = fit_calibration(&runs(6, 1.0, 1.0, 0.0, 1));
    assert!(right.factors.is_empty() && right.errors.len() == 2, "{right:?}");
}
