//! Known truths are found, noise is not taken for one, and few runs cannot spoil what was right.

use super::fit::{CalibrationFit, CalibrationSample, fit_calibration};
use super::interval::scale;
use super::{CALIBRATION_CLASSES, class};
use slimfit_hardware::{CalibrationPhase, CalibrationRegime, CalibrationTerm};

/// The default interval of the made-up runs.
const HALF_WIDTH: f64 = 0.1;

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
                let half_width = HALF_WIDTH;
                samples.push(CalibrationSample {
                    model: model.to_string(),
                    phase,
                    seconds,
                    half_width,
                    measured,
                });
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

/// A number of the standard normal distribution, nearly: twelve uniform ones have its spread.
fn normal(state: &mut u64) -> f64 {
    (0..12).map(|_| random(state)).sum::<f64>() / 2.0
}

/// Errors of two runs of each model in units of the default half-width, `spread` times as large as it expects; of one
/// model alike.
fn errors(names: &[String], spread: f64, state: &mut u64) -> Vec<(String, f64)> {
    let run = |own: f64, state: &mut u64| (spread * (0.8 * own + 0.6 * normal(state)) / 1.645).abs();
    names
        .iter()
        .flat_map(|name| {
            let own = normal(state);
            [(name.clone(), run(own, state)), (name.clone(), run(own, state))]
        })
        .collect()
}

/// Mean scale, and the share of fresh errors that it holds, over many devices calibrated by so many models.
fn scale_and_coverage(models: usize, spread: f64) -> (f64, f64) {
    let names: Vec<String> = (0..models).map(|model| model.to_string()).collect();
    let fresh_names: Vec<String> = (0..100).map(|model| model.to_string()).collect();
    let (devices, mut scales, mut held) = (60, 0.0, 0.0);
    for device in 0..devices {
        let state = &mut (1 + device);
        let seen = errors(&names, spread, state);
        let found = scale(&seen.iter().map(|(name, error)| (name.as_str(), *error)).collect::<Vec<_>>());
        let fresh = errors(&fresh_names, spread, state);
        scales += found;
        held += fresh.iter().filter(|(_, error)| *error <= found).count() as f64 / fresh.len() as f64;
    }
    (scales / devices as f64, held / devices as f64)
}

#[test]
fn intervals_narrow_and_widen_to_the_errors_and_hold_nine_of_ten() {
    assert!((scale(&[]) - 1.0).abs() < 1e-9, "without runs the default stands");
    let mut last = f64::INFINITY;
    for models in [3, 5, 12, 40] {
        let (scale, coverage) = scale_and_coverage(models, 0.3);
        assert!(scale < last.min(0.9) && scale > 0.3, "{models}: {scale}");
        assert!(coverage > 0.9, "{models}: {coverage} of smaller errors");
        let (scale, coverage) = scale_and_coverage(models, 1.0);
        assert!(
            (0.8..1.2).contains(&scale) && (0.86..0.95).contains(&coverage),
            "{models}: {scale}, {coverage}"
        );
        last = last.min(scale_and_coverage(models, 0.3).0);
    }
    // Larger ones: a few models tell that intervals are too narrow, more tell by how much.
    let wide = [5, 12, 40].map(|models| scale_and_coverage(models, 2.5));
    assert!(wide.is_sorted_by(|a, b| a.1 < b.1), "{wide:?}");
    assert!(wide[0].0 > 1.3 && wide[0].1 > 0.7 && wide[2].1 > 0.87, "{wide:?}");
    for spread in [0.5, 1.0, 2.0] {
        let (_, coverage) = scale_and_coverage(120, spread);
        assert!((0.88..0.93).contains(&coverage), "{spread}: {coverage}");
    }
}

#[test]
fn one_model_that_went_wrong_widens_an_interval_a_little() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut seen = names.map(|name| (name, 0.3)).to_vec();
    let narrow = scale(&seen);
    seen[0].1 = 20.0;
    let wide = scale(&seen);
    assert!(narrow < 0.9 && wide > 1.0 && wide < 1.6, "{narrow} {wide}");
    // Many runs of a model weigh no more than one.
    seen.extend([("a", 20.0); 5]);
    assert!((scale(&seen) - wide).abs() < 1e-6);
}

#[test]
fn what_is_calibrated_gets_the_interval_of_what_is_left() {
    // Steady runs of a machine that is a fifth slower than predicted: small errors once corrected.
    let error = fit_calibration(&runs(12, 1.2, 1.2, 0.02, 5)).errors[0];
    assert!(CalibrationFit::helps(&error) && error.interval_scale.unwrap() < 0.7, "{error:?}");
    // Errors of ± 30 % that no factor takes away: those of plain predictions count.
    let error = fit_calibration(&runs(12, 1.0, 1.0, 0.3, 5)).errors[0];
    assert!(!CalibrationFit::helps(&error) && error.interval_scale.unwrap() > 1.5, "{error:?}");
    // Fresh runs lie in the interval nine times of ten.
    let (mut held, mut all) = (0, 0);
    for seed in 0..30 {
        let fit = fit_calibration(&runs(20, 1.1, 1.1, 0.15, seed));
        let mut factors = [1.0; CALIBRATION_CLASSES];
        for found in &fit.factors {
            factors[class(found.phase, found.regime, found.term)] = found.factor.value.unwrap();
        }
        for run in runs(30, 1.1, 1.1, 0.15, 500 + seed) {
            let predicted: f64 = run.seconds.iter().zip(factors).map(|(a, b)| a * b).sum();
            let error = fit.errors.iter().find(|error| error.phase == run.phase).unwrap();
            let half = run.half_width * error.interval_scale.unwrap();
            held += usize::from((predicted / run.measured).ln().abs() <= half);
            all += 1;
        }
    }
    let coverage = held as f64 / all as f64;
    assert!((0.87..=0.97).contains(&coverage), "{coverage}");
}
