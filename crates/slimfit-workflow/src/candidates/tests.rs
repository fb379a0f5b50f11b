//! Finding, pricing and ranking existing models on a device described from publications.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use super::gather::scores;
use super::known::known;
use super::*;
use slimfit_cost::{CostModel, Engine, EngineOptions};
use slimfit_formats::builtin;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_quantity::{NumberFormat, Source};
use slimfit_search::{Appraiser, Metric, Workload};
use slimfit_study::{CandidateModel, CandidateOrigin, Candidates};

const WEIGHTS: [NumberFormat; 4] =
    [NumberFormat::Bf16, NumberFormat::Q8_0, NumberFormat::Q4_K, NumberFormat::Q4_0];

fn ranked(models: ExistingModels, recipe: &str, limits: &[(Metric, f64)], tokens: Option<u64>) -> Candidates {
    let profile = HardwareProfile::builtin("raspberry-pi-5").unwrap().unwrap();
    let cost = CostModel::for_engine(&profile, Engine::LlamaCpp, EngineOptions::default()).unwrap();
    let quality = QualityModel::new(Recipe::builtin(recipe).unwrap());
    let workload = Workload::load("assistant").unwrap();
    let options = RankingOptions {
        weights: &WEIGHTS,
        kv: &[NumberFormat::F16],
        limits,
        costs: vec![Metric::TpotSeconds, Metric::MemoryBytes],
        tokens,
    };
    rank(&models, &Appraiser::new(&cost, &quality, &workload), &options, None).unwrap()
}

fn models(names: &[&str]) -> ExistingModels {
    gather(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn of<'a>(candidates: &'a Candidates, name: &str) -> &'a CandidateModel {
    candidates.candidates.iter().find(|candidate| candidate.name == name).unwrap()
}

#[test]
fn a_file_is_known_by_name_and_sizes_together() {
    let small = &builtin::find("smollm2-135m").unwrap().architecture;
    let large = &builtin::find("smollm2-360m").unwrap().architecture;
    for (name, is_itself) in [
        ("SmolLM2-135M", true),
        ("SmolLM2 135M", true),
        ("smollm2-135m-Q4_K_M", true),
        ("SmolLM2-135M.Q8_0", true),
        ("SmolLM2-135M-Instruct", false),
        ("SmolLM2-135M-Instruct-Q8_0", false),
    ] {
        let found = known(name, small).unwrap();
        assert_eq!((found.model.name.as_str(), found.is_itself), ("smollm2-135m", is_itself), "{name}");
    }
    assert!(known("SmolLM2-135M", large).is_none(), "sizes of another model");
    assert!(known("my-model", small).is_none(), "a name of nobody's");
    assert!(known("smollm2-135million", small).is_none());
}

#[test]
fn the_recommended_format_is_the_fastest_that_costs_next_to_nothing() {
    let candidates = ranked(models(&["smollm2-360m"]), "published", &[], None);
    let formats = &of(&candidates, "smollm2-360m").formats;
    let weights: Vec<NumberFormat> = formats.iter().map(|format| format.weights).collect();
    assert_eq!(weights[0], NumberFormat::Q8_0);
    assert!(weights.contains(&NumberFormat::Q4_0) && weights.contains(&NumberFormat::Bf16), "{weights:?}");
    assert!(formats[0].loss_nats < 0.01);
    let seconds: Vec<f64> = formats[1..].iter().map(|format| format.objectives["tpot_seconds"]).collect();
    assert!(seconds.is_sorted(), "{seconds:?}");
    // Where only the coarsest fits, it is that one.
    let least = formats.iter().map(|format| format.objectives["memory_bytes"]).fold(f64::INFINITY, f64::min);
    let limits = [(Metric::MemoryBytes, least * 1.001)];
    let limited = ranked(models(&["smollm2-360m"]), "published", &limits, None);
    let best = of(&limited, "smollm2-360m");
    assert_eq!((best.formats[0].weights, best.keeps_limits), (NumberFormat::Q4_0, true));
    assert!(best.formats[1..].iter().all(|format| !format.breaks.is_empty()));
}

#[test]
fn published_scores_rank_and_predictions_fill_the_gaps_in_the_same_setting() {
    let candidates = ranked(models(&[PUBLIC]), "published", &[], None);
    let basis = candidates.candidates_ranked_by.as_ref().unwrap();
    assert_eq!(basis.name, "score_hellaswag");
    let known = of(&candidates, "smollm-360m");
    let published = known.scores[0].percent;
    // Its format costs a little of what was published.
    let value = known.quality.value.unwrap();
    assert!(value <= published && value > published - 0.5, "{value} of {published}");
    assert!(known.quality.citation.is_some());
    let unknown = of(&candidates, "smollm2-360m");
    assert_eq!((unknown.quality.source, &unknown.quality.citation), (Source::Modelled, &None));
    let values: Vec<f64> = candidates.candidates.iter().filter_map(|model| model.quality.value).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
}

#[test]
fn scores_of_another_setting_are_not_mixed_with_the_recipes() {
    let candidates = ranked(models(&["smollm-360m", "smollm2-360m"]), "gemstones", &[], None);
    let basis = candidates.candidates_ranked_by.as_ref().unwrap();
    assert_eq!((basis.name.as_str(), &basis.setting), ("loss", &None));
    for candidate in &candidates.candidates {
        assert_eq!(candidate.quality.source, Source::Modelled);
        assert!(candidate.quality.value.unwrap() < 4.0, "a loss");
    }
}

#[test]
fn a_score_of_another_setting_beats_nobody() {
    let mut found = models(&["smollm-360m", "openelm-450m"]);
    // Far worse and larger: dominated, where the scores are of one setting.
    found.models[1].scores[0].percent = 30.0;
    let dominated = |found: &ExistingModels, recipe: &str| {
        let candidates = ranked(found.clone(), recipe, &[], None);
        of(&candidates, "openelm-450m").dominated_by.iter().any(|by| by.quality.starts_with("published"))
    };
    assert!(dominated(&found, "published") && dominated(&found, "gemstones"));
    found.models[1].scores[0].setting = Some("0-shot".to_owned());
    assert!(!dominated(&found, "published") && !dominated(&found, "gemstones"));
}

#[test]
fn limits_come_before_quality_and_the_nearest_miss_before_others() {
    let limits = [(Metric::MemoryBytes, 300e6)];
    let candidates = ranked(models(&[PUBLIC]), "published", &limits, None).candidates;
    let keeps: Vec<bool> = candidates.iter().map(|model| model.keeps_limits).collect();
    let first_miss = keeps.iter().position(|keeps| !keeps).unwrap();
    assert!(first_miss > 5 && keeps[first_miss..].iter().all(|keeps| !keeps), "{keeps:?}");
    let misses: Vec<f64> =
        candidates[first_miss..].iter().map(|model| model.formats[0].breaks[0].value).collect();
    assert!(misses[0] > 300e6 && misses.is_sorted(), "{misses:?}");
}

#[test]
fn a_limit_on_an_unknown_quality_is_not_said_to_be_kept() {
    let recipe = Recipe::builtin("published").unwrap();
    let limits = [(Metric::named("score_hellaswag", &recipe).unwrap(), 30.0)];
    let mut found = models(&["smollm2-360m"]);
    found.models[0].tokens = None;
    let unknown = &ranked(found.clone(), "published", &limits, None).candidates[0];
    assert_eq!((unknown.keeps_limits, unknown.formats[0].breaks.len()), (false, 0));
    assert!(unknown.quality.reason.as_ref().unwrap().contains("trained"));
    let told = &ranked(found, "published", &limits, Some(4_000_000_000_000)).candidates[0];
    assert!(told.keeps_limits && told.training.as_ref().unwrap().assumed);
    assert!(told.flags.iter().any(|flag| flag == "training-assumed"));
}

#[test]
fn every_built_in_model_is_found_once() {
    let found = models(&[PUBLIC, "smollm2-135m", PUBLIC]);
    assert_eq!(found.models.len(), builtin::models().len());
    assert!(found.models.iter().all(|model| model.origin == CandidateOrigin::Public && model.path.is_none()));
    let with_score = builtin::models().iter().find(|model| model.hellaswag.is_some()).unwrap();
    assert!(scores(with_score)[0].setting.is_some());
}
