//! Energy of a made-up device with 2 W idle, 4 W reading and 8 W computing.

use super::*;
use crate::RunShape;
use slimfit_document::Document;
use slimfit_hardware::GivenWatts;
use slimfit_quantity::Measured;

fn profile() -> HardwareProfile {
    let text = include_str!("../../../slimfit-hardware/tests/example.yaml");
    HardwareProfile::from_document(&Document::from_str(text, "example.yaml").unwrap()).unwrap()
}

fn load(class: &str, threads: u32, watts: f64) -> LoadedPower {
    let watts = Measured::new(vec![watts; 3]).unwrap().figure();
    LoadedPower { class: class.to_owned(), threads, watts }
}

fn powered() -> HardwareProfile {
    let mut profile = profile();
    profile.power.idle_watts = Measured::new(vec![2.0; 3]).unwrap().figure();
    profile.power.loaded = vec![load("read", 2, 4.0), load("compute", 2, 8.0), load("read", 1, 3.0)];
    profile
}

fn exactly(value: f64) -> Predicted {
    Predicted { value, low: value, high: value }
}

/// A prompt of 2 s, half of it computing, and 10 tokens of 0.1 s, all of it reading.
fn prediction() -> Prediction {
    Prediction {
        threads: 2,
        ttft_seconds: Some(exactly(2.0)),
        tpot_seconds: exactly(0.1),
        ttft_percentiles: crate::Percentiles::unavailable("not asked"),
        tpot_percentiles: crate::Percentiles::unavailable("not asked"),
        memory_bytes: exactly(1e6),
        joules_per_token: Figure::unavailable("not asked"),
        prefill_time: BusyTime { seconds: 2.0, compute_seconds: 1.0 },
        decode_time: BusyTime { seconds: 0.1, compute_seconds: 0.0 },
        run: RunShape::new(100, 10),
        calibrated: None,
    }
}

fn request(requests_per_hour: Option<f64>, wake_up_seconds: f64) -> Result<RequestEnergy, CostError> {
    let model = EnergyModel::new(&powered()).unwrap();
    model.request(&prediction(), RequestPattern { requests_per_hour, wake_up_seconds })
}

#[track_caller]
fn near(figure: &Figure, expected: f64) {
    let value = figure.value.unwrap_or_else(|| panic!("{figure:?}"));
    assert!((value / expected - 1.0).abs() < 1e-9, "{value} is not {expected}");
    assert_eq!(figure.source, Source::Modelled);
    let (low, high) = (figure.low.unwrap(), figure.high.unwrap());
    assert!(low < value && value < high, "{figure:?}");
}

#[test]
fn seconds_draw_the_watts_of_what_they_are_spent_on() {
    let model = EnergyModel::new(&powered()).unwrap();
    let time = |compute_seconds| BusyTime { seconds: 10.0, compute_seconds };
    assert_eq!(model.joules(time(0.0), 2), Some(40.0));
    assert_eq!(model.joules(time(10.0), 2), Some(80.0));
    assert_eq!(model.joules(time(2.5), 2), Some(50.0));
    assert_eq!(
        model.joules(time(10.0), 1),
        Some(30.0),
        "reading stands for computing where only it was measured"
    );
    assert_eq!(model.joules(time(0.0), 3), None);
    let unknown = model.figure(time(0.0), exactly(10.0), 3);
    assert!(unknown.reason.unwrap().contains("3 threads"));
    let filled = model.standing_for(&[1, 3]);
    assert_eq!(filled.joules(time(0.0), 3), Some(40.0), "the load of two threads");
    assert_eq!(filled.joules(time(0.0), 1), Some(30.0), "which is measured stays");
}

#[test]
fn an_operation_s_seconds_split_by_the_squares_of_its_terms_and_barriers_wait() {
    let step = |memory_seconds: f64, compute_seconds: f64| crate::StepCost {
        memory_seconds,
        compute_seconds,
        overhead_seconds: 1.0,
        seconds: memory_seconds.hypot(compute_seconds) + 1.0,
    };
    let time = step(3.0, 4.0).busy_time();
    assert_eq!(time.seconds, 6.0);
    assert!((time.compute_seconds - 16.0 / 5.0).abs() < 1e-12);
    let none = step(0.0, 0.0).busy_time();
    assert_eq!(none, BusyTime { seconds: 1.0, compute_seconds: 0.0 });
}

#[test]
fn a_request_in_a_minute_wakes_up_reads_answers_and_idles() {
    let energy = request(Some(60.0), 3.0).unwrap();
    assert_eq!(energy.busy_seconds.value, 6.0);
    near(&energy.wake_up_joules, 12.0);
    near(&energy.prefill_joules, 12.0);
    near(&energy.decode_joules, 4.0);
    near(&energy.idle_joules, 2.0 * 54.0);
    near(&energy.request_joules, 136.0);
    near(&energy.mean_watts, 136.0 / 60.0);
    near(&energy.joules_per_token, 13.6);
    near(&energy.tokens_per_watt_hour, 36_000.0 / 136.0);
    near(&energy.battery_hours(18.0), 18.0 * 60.0 / 136.0);
}

#[test]
fn requests_one_after_the_other_never_idle() {
    let energy = request(None, 0.0).unwrap();
    assert_eq!(energy.idle_joules.value, Some(0.0));
    near(&energy.request_joules, 16.0);
    near(&energy.mean_watts, 16.0 / 3.0);
    let full = request(Some(1200.0), 0.0).unwrap();
    assert!((full.request_joules.value.unwrap() - 16.0).abs() < 1e-9, "as many as fit is the same");
}

#[test]
fn more_requests_than_fit_an_hour_are_refused_with_how_many_fit() {
    let error = request(Some(1201.0), 0.0).unwrap_err();
    assert!(error.to_string().contains("1200"), "{error}");
    for (rate, wake_up) in [(Some(0.0), 0.0), (Some(f64::NAN), 0.0), (Some(1.0), -1.0)] {
        assert!(matches!(request(rate, wake_up), Err(CostError::Pattern { .. })));
    }
}

#[test]
fn intervals_widen_with_the_scatter_of_power_and_with_that_of_time() {
    let width = |figure: &Figure| figure.high.unwrap() / figure.low.unwrap();
    let time = BusyTime { seconds: 1.0, compute_seconds: 0.0 };
    let quiet = EnergyModel::new(&powered()).unwrap().figure(time, exactly(1.0), 2);
    assert!((width(&quiet) - (1.0 + POWER_HALF_WIDTH).powi(2)).abs() < 1e-9, "the allowance alone");
    let mut profile = powered();
    profile.power.loaded[0].watts = Measured::new(vec![3.5, 4.0, 4.5]).unwrap().figure();
    let noisy = EnergyModel::new(&profile).unwrap();
    assert!(width(&noisy.figure(time, exactly(1.0), 2)) > width(&quiet));
    let slow = Predicted::within_factor(1.0, 1.3);
    assert!(width(&noisy.figure(time, slow, 2)) > width(&noisy.figure(time, exactly(1.0), 2)));
}

#[test]
fn what_is_not_known_of_power_is_unavailable_with_the_reason() {
    let error = EnergyModel::new(&profile()).unwrap_err();
    let reason = profile().power.idle_watts.reason.unwrap();
    assert!(error.to_string().contains(&reason), "{error}");
    let mut profile = powered();
    profile.power.idle_watts = Figure::unavailable("the meter slept");
    let model = EnergyModel::new(&profile).unwrap();
    let pattern = RequestPattern { requests_per_hour: Some(1.0), wake_up_seconds: 0.0 };
    let energy = model.request(&prediction(), pattern).unwrap();
    near(&energy.decode_joules, 4.0);
    for figure in [&energy.idle_joules, &energy.request_joules, &energy.battery_hours(18.0)] {
        assert_eq!(figure.reason.as_deref(), Some("the meter slept"));
    }
    let busy = RequestPattern { requests_per_hour: None, wake_up_seconds: 0.0 };
    near(&model.request(&prediction(), busy).unwrap().request_joules, 16.0);
}

#[test]
fn given_watts_are_named_by_every_joule_that_rests_on_them() {
    let mut profile = profile();
    profile.give_watts(GivenWatts { idle_watts: 2.5, loaded_watts: 6.5 });
    let model = EnergyModel::new(&profile).unwrap();
    let pattern = RequestPattern { requests_per_hour: Some(60.0), wake_up_seconds: 0.0 };
    let energy = model.request(&prediction(), pattern).unwrap();
    near(&energy.request_joules, 3.0 * 6.5 + 57.0 * 2.5);
    for figure in [&energy.decode_joules, &energy.tokens_per_watt_hour, &energy.battery_hours(18.0)] {
        let origin = figure.citation.as_deref().unwrap();
        assert!(origin.contains("given by the user: 2.5 W idle, 6.5 W loaded"), "{origin}");
    }
}
