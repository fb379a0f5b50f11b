//! A device nobody here owns: the search adds up layers to what the engine's formula says, and knows what it cannot know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use slimfit_cost::{CostModel, Engine, EngineOptions};
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::{Metric, ModelEvaluator, Space, Workload, for_each_point};
use std::ops::ControlFlow;

const TOKENS: u64 = 100_000_000_000;

fn cost(profile: &HardwareProfile, allow_class_prefill: bool) -> CostModel {
    CostModel::for_engine(profile, Engine::LlamaCpp, EngineOptions { allow_class_prefill }).unwrap()
}

/// Every so-manieth point of the demo space: found and predicted agree, and what is checked of each.
fn compare(cost: &CostModel) -> u32 {
    let space = Space::load("slm-demo", &[]).unwrap();
    let workload = Workload::load("assistant").unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let evaluator = ModelEvaluator::new(&space, cost, &quality, TOKENS, &workload);
    let mut checked = 0;
    let _ = for_each_point(&space, &evaluator, &[], |found, _| {
        if found.index % 997 != 0 {
            return ControlFlow::Continue(());
        }
        checked += 1;
        let point = space.point(found.index).unwrap();
        let run = workload.run_shape(evaluator.law(), point.architecture.vocabulary_size);
        let predicted = cost.predict(&point.architecture, point.weights, point.kv, run, None).unwrap();
        let close = |metric: Metric, value: f64| {
            let found = found.values[metric.column()];
            assert!((found / value - 1.0).abs() < 1e-9, "{}: {found} {value}", metric.name());
        };
        close(Metric::TpotSeconds, predicted.tpot_seconds.value);
        close(Metric::MemoryBytes, predicted.memory_bytes.value);
        match predicted.ttft_seconds {
            Some(seconds) => {
                close(Metric::TtftSeconds, seconds.value);
                assert!((seconds.high / seconds.value - 3.0).abs() < 1e-9);
            }
            None => assert!(found.values[Metric::TtftSeconds.column()].is_infinite()),
        }
        let plan = cost.plan(&point.architecture, point.weights, point.kv, predicted.threads, run).unwrap();
        let terms = cost.engine_terms(&plan, run.mean_depth(), predicted.threads).unwrap();
        close(Metric::TpotSeconds, terms.seconds);
        ControlFlow::Continue(())
    });
    checked
}

#[test]
fn the_search_adds_up_what_the_formula_says_on_every_published_device() {
    for name in ["raspberry-pi-5", "apple-m2-max", "amd-ryzen-9-7950x"] {
        let profile = HardwareProfile::builtin(name).unwrap().unwrap();
        assert!(compare(&cost(&profile, false)) > 20, "{name}");
    }
}

#[test]
fn prefill_is_there_only_where_a_class_figure_is_allowed() {
    let profile = HardwareProfile::builtin("raspberry-pi-5").unwrap().unwrap();
    let space = Space::load("slm-demo", &[]).unwrap();
    let workload = Workload::load("assistant").unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    for (allow, there) in [(false, false), (true, true)] {
        let cost = cost(&profile, allow);
        assert_eq!(cost.has_prefill(), there);
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
        let objectives = evaluator.default_objectives(&space);
        assert_eq!(objectives.contains(&Metric::TtftSeconds), there);
        // A wattage of this board is published.
        assert!(objectives.contains(&Metric::JoulesPerToken));
    }
    assert!(compare(&cost(&profile, true)) > 20);
}

#[test]
fn every_published_device_can_be_priced_and_is_bound_by_its_data_sheet() {
    let model = slimfit_formats::builtin::models()
        .iter()
        .find(|model| model.name == "smollm2-135m")
        .expect("a built-in model");
    let weights = slimfit_quantity::NumberFormat::Q4_0;
    let run = slimfit_cost::RunShape::new(128, 64);
    for name in HardwareProfile::builtin_names() {
        let profile = HardwareProfile::builtin(name).unwrap().unwrap();
        let cost = cost(&profile, false);
        let kv = slimfit_quantity::NumberFormat::F16;
        let predicted = cost.predict(&model.architecture, weights, kv, run, None).unwrap();
        let bytes = model.architecture.weight_bytes(weights).unwrap() as f64;
        let seconds = predicted.tpot_seconds;
        // The input table is read one row a token; it is tied here, so the head reads it whole.
        assert!(seconds.value > bytes / profile.theoretical_bandwidth().unwrap(), "{name}: {seconds:?}");
        assert!(seconds.high / seconds.value > 1.1, "{name}: too sure");
        assert!(predicted.prefill().is_err(), "{name}");
    }
}

#[test]
fn a_measured_profile_may_be_priced_for_the_other_engine_too() {
    let profile = profile::synthetic(true);
    let (ours, theirs) = (CostModel::new(&profile).unwrap(), cost(&profile, false));
    assert_eq!((ours.engine(), theirs.engine()), ("slimfit", "llama.cpp"));
    assert!(ours.citation().is_none() && theirs.citation().is_some());
    let counts = |cost: &CostModel| cost.thread_counts().collect::<Vec<_>>();
    assert_eq!(counts(&ours), counts(&theirs));
    assert!(theirs.has_power());
}

#[test]
fn our_own_runtime_is_refused_where_nothing_of_it_was_measured() {
    let profile = HardwareProfile::builtin("raspberry-pi-5").unwrap().unwrap();
    let error = CostModel::new(&profile).unwrap_err().to_string();
    assert!(error.contains("Raspberry Pi 5") && error.contains("--engine llama.cpp"), "{error}");
    assert_eq!(Engine::for_profile(None, &profile).unwrap(), Engine::LlamaCpp);
    assert!(Engine::for_profile(Some(Engine::Slimfit), &profile).is_err());
    assert_eq!(Engine::for_profile(None, &profile::synthetic(true)).unwrap(), Engine::Slimfit);
}
