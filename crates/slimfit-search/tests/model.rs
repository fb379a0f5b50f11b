//! The real evaluator on a made-up device: the factorised way and the long way give the same numbers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_formats::Loader;
use slimfit_formats::gguf::data_bytes;
use slimfit_formats::gguf_out::{gguf_family, gguf_family_in};
use slimfit_quality::{Assumption, QualityModel, Recipe, TrainingPlan};
use slimfit_search::{
    Evaluator, Metric, ModelEvaluator, SearchOptions, Space, Workload, dominates, enumerate, for_each_point,
    search, shortlist,
};
use slimfit_study::{Natural, ProfileRef};
use std::ops::ControlFlow;

const TOKENS: u64 = 100_000_000_000;

const SPACE: &str = "
schema: slimfit/space/v1
name: mixed
description: A little of every axis.
axes:
  layers: [6, 8, 14]
  hidden_size: [256, 384]
  head_size: [32, 64]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: [2.5 * hidden_size round 64, 1000]
  gated: [true, false]
  experts: [none, {count: 8, top_k: 2}]
  window: [none, {size: 512, full_every: 4}, {size: 600, full_every: 1}, 4096]
  vocabulary_size: [32768, 49152]
  tied_embeddings: [true, false]
  weights: [f32, bf16, q8_0, q4_0, q4_k]
  kv: [f32, f16]
portable: []
fixed:
  qk_norm: per_head
constraints:
  non_embedding: {min: 5M}
exclude:
  - layers == 14 and hidden_size < 300
";

struct World {
    cost: CostModel,
    quality: QualityModel,
    workload: Workload,
}

fn world(power: bool, workload: &str) -> World {
    World {
        cost: CostModel::new(&profile::synthetic(power)).unwrap(),
        quality: QualityModel::new(Recipe::builtin("gemstones").unwrap()),
        workload: Workload::load(workload).unwrap(),
    }
}

fn mixed() -> Space {
    Space::from_document(&Document::from_str(SPACE, "mixed.yaml").unwrap(), &[]).unwrap()
}

fn options(evaluator: &ModelEvaluator<'_>, space: &Space) -> SearchOptions<'static> {
    SearchOptions {
        objectives: evaluator.default_objectives(space),
        limits: Vec::new(),
        workers: 2,
        seed: 1,
        sample: 1000,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    }
}

fn profile_ref() -> ProfileRef {
    ProfileRef { fingerprint_id: "0".to_owned(), sha256: "0".to_owned(), name: "made up".to_owned() }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * a.abs().max(b.abs())
}

#[test]
fn the_factorised_way_agrees_with_predict_and_estimate_at_every_point() {
    // Every seventh point keeps the test short and still meets every combination of axes.
    agreement(&mixed(), 7);
}

#[test]
fn the_factorised_way_agrees_where_all_layers_run_several_times() {
    let text = SPACE.replace("  hidden_size:", "  loops: [none, 2, 5]\n  hidden_size:");
    let document = Document::from_str(&text, "looped.yaml").unwrap();
    let space = Space::from_document(&document, &[Assumption::Loops]).unwrap();
    assert_eq!(space.size(), 3 * mixed().size());
    agreement(&space, 23);
}

fn agreement(space: &Space, every: u64) {
    for name in ["assistant", "control-loop", "summary"] {
        let World { cost, quality, workload } = world(true, name);
        let evaluator = ModelEvaluator::new(space, &cost, &quality, TOKENS, &workload);
        let (mut checked, mut mixtures) = (0_u32, 0_u32);
        let _ = for_each_point(space, &evaluator, &[], |found, _| {
            if found.index % every != 0 {
                return ControlFlow::Continue(());
            }
            checked += 1;
            let point = space.point(found.index).unwrap();
            let mixture = matches!(point.architecture.layers[0].ffn, slimfit_arch::FeedForward::Moe(_));
            mixtures += u32::from(mixture);
            let run = workload.run_shape(evaluator.law(), point.architecture.vocabulary_size);
            let prediction = cost.predict(&point.architecture, point.weights, point.kv, run, None).unwrap();
            let estimate = quality
                .estimate(&point.architecture, point.weights, point.kv, TOKENS, &workload.bytes())
                .unwrap();
            let value = |metric: Metric| found.values[metric.column()];
            assert_eq!(value(Metric::Loss), estimate.loss.value);
            assert_eq!(value(Metric::LossPerByte), estimate.loss_per_byte.value);
            assert_eq!(value(Metric::MemoryBytes), prediction.memory_bytes.value);
            let file = data_bytes(&point.architecture, point.weights) as f64;
            assert_eq!(value(Metric::FileBytes), file, "{point:?}");
            assert_eq!(value(Metric::Parameters), point.architecture.parameters().total as f64);
            assert!(close(value(Metric::TtftSeconds), prediction.prefill().unwrap().value), "{point:?}");
            assert!(close(value(Metric::TpotSeconds), prediction.tpot_seconds.value), "{point:?}");
            assert!(close(value(Metric::JoulesPerToken), prediction.joules_per_token.value.unwrap()));
            let (ttft, tpot) = (&prediction.ttft_percentiles, &prediction.tpot_percentiles);
            assert!(close(value(Metric::TtftP95Seconds), ttft.p95.value.unwrap()), "{point:?}");
            assert!(close(value(Metric::TpotP95Seconds), tpot.p95.value.unwrap()), "{point:?}");
            assert!(value(Metric::TpotP95Seconds) > value(Metric::TpotSeconds));
            for metric in Metric::scores(quality.recipe()) {
                let Metric::Score(task) = metric else { unreachable!("scores are scores") };
                assert_eq!(value(metric), estimate.scores[task.name()].percent.value);
            }
            let training =
                TrainingPlan::default().cost(quality.recipe(), &point.architecture, TOKENS).unwrap();
            assert_eq!(value(Metric::TrainingFlops), training.flops);
            assert!(tpot.p99.value >= tpot.p95.value && tpot.p95.low < tpot.p95.value);
            ControlFlow::Continue(())
        });
        assert!(checked > 150 && mixtures > 50, "{name}: {checked}, {mixtures} of them mixtures");
    }
}

#[test]
fn the_front_of_a_real_space_is_brute_force_with_and_without_limits() {
    let World { cost, quality, workload } = world(true, "assistant");
    let space = mixed();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    for limits in [vec![], vec![(Metric::MemoryBytes, 60e6), (Metric::TtftSeconds, 1.5)]] {
        let options = SearchOptions { limits, ..options(&evaluator, &space) };
        let mut points: Vec<(u64, Vec<f64>)> = Vec::new();
        let _ = for_each_point(&space, &evaluator, &options.limits, |found, feasible| {
            if feasible {
                let values = options.objectives.iter().map(|metric| found.values[metric.column()]);
                points.push((found.index, values.collect()));
            }
            ControlFlow::Continue(())
        });
        let front =
            points.iter().filter(|(_, point)| !points.iter().any(|(_, other)| dominates(other, point)));
        let mut expected: Vec<u64> = front.map(|(index, _)| *index).collect();
        expected.sort_unstable();
        let outcome = search(&space, &evaluator, &options).unwrap();
        let mut found: Vec<u64> = outcome.front.iter().map(|found| found.index).collect();
        found.sort_unstable();
        assert!(!found.is_empty());
        assert_eq!(found, expected);
        let mut total: Natural = outcome.pruned.iter().map(|bound| &bound.count).sum();
        total.add(&Natural::from(outcome.invalid + outcome.evaluated + outcome.unvisited));
        assert_eq!(total, outcome.space_size);
        assert_eq!(outcome.unvisited, 0);
        // Looked at one by one, the same points are valid and the same are not.
        let all = enumerate(&space, &evaluator, &options).unwrap();
        assert_eq!(all.space_size, all.invalid + all.evaluated);
        assert_eq!(all.nearest_miss, outcome.nearest_miss);
        assert!(outcome.invalid <= all.invalid && outcome.evaluated <= all.evaluated);
    }
}

#[test]
fn percentiles_are_objectives_and_limits_where_the_profile_tells_them_and_refused_by_name_elsewhere() {
    let World { cost, quality, workload } = world(false, "assistant");
    let space = mixed();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let limit = {
        let all = search(&space, &evaluator, &options(&evaluator, &space)).unwrap();
        all.front.iter().map(|found| found.values[Metric::TpotP95Seconds.column()]).fold(0.0, f64::max) / 2.0
    };
    let limits = vec![(Metric::TpotP95Seconds, limit)];
    let objectives = vec![Metric::LossPerByte, Metric::TpotP95Seconds, Metric::TtftP95Seconds];
    let options = SearchOptions { limits, objectives, ..options(&evaluator, &space) };
    let outcome = search(&space, &evaluator, &options).unwrap();
    assert!(!outcome.front.is_empty());
    assert!(outcome.front.iter().all(|found| found.values[Metric::TpotP95Seconds.column()] <= limit));
    let (front, _) = evaluator.front(&space, &outcome, &options, profile_ref()).unwrap();
    for point in &front.points {
        let interval = &point.intervals["tpot_p95_seconds"];
        let value = point.objectives["tpot_p95_seconds"];
        assert!(interval.low < value && value < interval.high, "{point:?}");
    }

    let mut silent = profile::synthetic(false);
    silent.noise.tails.clear();
    let cost = CostModel::new(&silent).unwrap();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let error = search(&space, &evaluator, &options).unwrap_err().to_string();
    assert!(error.contains("`tpot_p95_seconds`") && error.contains("slimfit profile"), "{error}");
}

#[test]
fn of_a_stopped_search_no_distance_is_claimed_and_a_warning_says_why() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let space = Space::load("slm-demo", &[]).unwrap();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let stopped = std::time::Instant::now();
    let options = SearchOptions { deadline: Some(stopped), ..options(&evaluator, &space) };
    let outcome = search(&space, &evaluator, &options).unwrap();
    assert!(outcome.unvisited > 0);
    let (front, _) = evaluator.front(&space, &outcome, &options, profile_ref()).unwrap();
    assert_eq!((front.head.exact, front.head.epsilon), (false, None));
    let warning = front.head.warnings.iter().find(|warning| warning.code == "search-stopped").unwrap();
    assert!(warning.message.contains("`epsilon` is null"), "{}", warning.message);
    assert!(serde_json::to_value(&front.head).unwrap()["epsilon"].is_null());
}

#[test]
fn a_front_is_recorded_with_intervals_groups_and_picks() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let space = Space::load("slm-demo", &[]).unwrap();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let options = options(&evaluator, &space);
    let outcome = search(&space, &evaluator, &options).unwrap();
    let (front, cloud) = evaluator.front(&space, &outcome, &options, profile_ref()).unwrap();
    assert_eq!(front.head.front_size as usize, front.points.len());
    assert!(front.head.exact && front.head.epsilon == Some(0.0));
    assert!(front.points.len() > 50 && cloud.len() > 500, "{} {}", front.points.len(), cloud.len());
    for point in &front.points {
        for (name, value) in &point.objectives {
            let interval = &point.intervals[name];
            assert!(interval.low <= *value && *value <= interval.high, "{name} {value} {interval:?}");
        }
        assert!(point.tie_group > 0);
    }
    let representatives = front.points.iter().filter(|point| point.representative).count() as u64;
    assert_eq!(representatives, front.points.iter().map(|point| point.tie_group).max().unwrap());
    for pick in ["knee", "best-quality", "fastest", "first-token-soonest", "smallest"] {
        assert_eq!(
            front.points.iter().filter(|point| point.picks.iter().any(|name| name == pick)).count(),
            1,
            "{pick}"
        );
    }
    let losses: Vec<f64> = front.points.iter().map(|point| point.objectives["loss"]).collect();
    assert!(losses.is_sorted());
    let short = shortlist(&front, 20);
    assert_eq!(short.len(), 20);
    assert_eq!(front.points[short[0]].picks[0], "knee");
}

#[test]
fn what_nothing_keeps_is_told_by_its_nearest_miss() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let space = Space::load("slm-demo", &[]).unwrap();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let limits = vec![(Metric::MemoryBytes, 1e6), (Metric::Loss, 100.0)];
    let options = SearchOptions { limits, ..options(&evaluator, &space) };
    let outcome = search(&space, &evaluator, &options).unwrap();
    let (front, _) = evaluator.front(&space, &outcome, &options, profile_ref()).unwrap();
    let miss = front.head.nearest_miss.unwrap();
    assert_eq!(miss.breaks.len(), 1);
    assert_eq!(miss.breaks[0].name, "memory_bytes");
    assert!(miss.breaks[0].value > 1e6);
    assert_eq!(front.head.warnings[0].code, "empty-front");
}

#[test]
fn single_key_heads_need_to_be_assumed() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let text = SPACE.replace("kv_heads: [heads, heads / 2]", "kv_heads: 1");
    let document = Document::from_str(&text, "mixed.yaml").unwrap();
    let count = |assume: &[Assumption]| {
        let space = Space::from_document(&document, assume).unwrap();
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
        let outcome = search(&space, &evaluator, &options(&evaluator, &space)).unwrap();
        let refused = outcome.invalid_by.iter().find(|reason| reason.reason.contains("--assume mqa"));
        (outcome.front.len(), refused.map_or(0, |reason| reason.count.to_u128().unwrap()))
    };
    let (front, refused) = count(&[]);
    assert!(front == 0 && refused > 0, "{front} {refused}");
    let (front, refused) = count(&[Assumption::Mqa]);
    assert!(front > 0 && refused == 0, "{front} {refused}");
}

#[test]
fn layers_that_run_several_times_need_to_be_assumed_and_are_no_standard_class() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let text = SPACE.replace("  hidden_size:", "  loops: [3, 9]\n  hidden_size:");
    let counts = |text: &str, assume: &[Assumption]| {
        let space = Space::from_document(&Document::from_str(text, "looped.yaml").unwrap(), assume).unwrap();
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
        let outcome = search(&space, &evaluator, &options(&evaluator, &space)).unwrap();
        let count = |part: &str| {
            let reasons = outcome.invalid_by.iter().filter(|reason| reason.reason.contains(part));
            reasons.map(|reason| reason.count.to_u128().unwrap()).sum::<u128>()
        };
        let passes = outcome.front.iter().map(|found| {
            let point = space.point(found.index).unwrap();
            assert_eq!(point.architecture.loops.unwrap().layers, point.architecture.depth());
            point.architecture.loops.unwrap().count
        });
        let passes: std::collections::BTreeSet<u64> = passes.collect();
        (passes, count("--assume loops"), count("too many loops"), count("no standard class"))
    };
    // Nine passes are more than the law reaches.
    let (passes, refused, beyond, _) = counts(&text, &[]);
    assert!(passes.is_empty() && refused > 0 && beyond > 0, "{passes:?} {refused} {beyond}");
    let (passes, refused, beyond, _) = counts(&text, &[Assumption::Loops]);
    assert!(passes == [3].into() && refused == 0 && beyond > 0, "{passes:?} {refused} {beyond}");
    let portable = text.replace("portable: []", "portable: [hf]");
    let (passes, _, _, unheld) = counts(&portable, &[Assumption::Loops]);
    assert!(passes.is_empty() && unheld > 0, "{passes:?} {unheld}");
}

#[test]
fn every_built_in_space_has_the_documented_size_and_workloads_load() {
    for name in Space::builtin_names() {
        let space = Space::load(name, &[]).unwrap();
        let stated = space.text().lines().take(2).find_map(|line| {
            line.strip_suffix(" points.").or_else(|| line.split_once(" points,").map(|(head, _)| head))
        });
        let digits: String =
            stated.unwrap().rsplit(", ").next().unwrap().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(digits, space.point_count().to_string(), "{name}");
        assert_eq!(space.name(), name);
        for assumption in Assumption::ALL {
            assert!(Space::load(name, &[assumption]).unwrap().size() >= space.size());
        }
    }
    for name in Workload::builtin_names() {
        assert_eq!(Workload::load(name).unwrap().name, name);
    }
}

/// A stride through the blocks of a space that meets a few hundred of them and every value of every axis.
fn some_blocks(space: &Space) -> usize {
    // A prime beside the lengths of all axes.
    let stride = usize::try_from(space.blocks() / 600).unwrap().max(96);
    (stride..).find(|stride| (2..=stride.isqrt()).all(|divisor| !stride.is_multiple_of(divisor))).unwrap()
}

#[test]
fn every_built_in_space_offers_only_what_a_standard_class_holds() {
    let World { cost, quality, workload } = world(false, "voice-command");
    for name in Space::builtin_names() {
        let space = Space::load(name, &[]).unwrap();
        // Two of them are for what no class holds.
        if ["slm-huge", "slm-layers"].contains(&name) {
            assert!(!space.is_portable(), "{name}");
            continue;
        }
        assert!(space.is_portable(), "{name}");
        let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
        // Some blocks of every kind, whole: all depths, tyings and formats.
        let (mut evaluated, mut refused) = (0, 0);
        for block in (0..space.blocks()).step_by(some_blocks(&space)) {
            let Ok(mut prepared) = space.block(block).and_then(|block| evaluator.prepare(&space, &block))
            else {
                continue;
            };
            for inner in 0..space.inner_size() {
                let mut values = Metric::UNKNOWN;
                match evaluator.evaluate(&mut prepared, space.inner(inner), &mut values) {
                    Ok(()) => evaluated += 1,
                    Err(invalid) => refused += u64::from(invalid.reason().starts_with("portable")),
                }
            }
        }
        assert!(evaluated > 100 && refused == 0, "{name}: {evaluated} {refused}");
    }
}

#[test]
fn a_portable_space_leaves_out_what_its_loaders_do_not_hold() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let read =
        |text: &str| Space::from_document(&Document::from_str(text, "mixed.yaml").unwrap(), &[]).unwrap();
    // Evaluated points, and those that each loader refuses.
    let count = |space: &Space| {
        let evaluator = ModelEvaluator::new(space, &cost, &quality, TOKENS, &workload);
        let outcome = enumerate(space, &evaluator, &options(&evaluator, space)).unwrap();
        let refused = |reason: &str| {
            let found = outcome.invalid_by.iter().find(|known| known.reason == reason);
            found.map_or(0, |reason| reason.count.to_u128().unwrap())
        };
        let (class, family) =
            ("portable: no standard class holds it", "portable: llama.cpp has no architecture for it");
        (u128::from(outcome.evaluated), refused(class), refused(family))
    };
    let text = SPACE.replace(", 1000]", ", 1024]");
    let anything = count(&read(&text));
    assert_eq!((anything.1, anything.2), (0, 0));
    // Two matrices with a norm on queries and keys: nobody has that.
    let standard = count(&read(&text.replace("portable: []", "portable: [hf]")));
    assert_eq!((standard.2, anything.0), (0, standard.0 + standard.1));
    assert!(standard.0 > 0 && standard.1 > 0);
    // Neither has llama.cpp, nor Qwen 3's windows.
    let only = count(&read(&text.replace("portable: []", "portable: [llama.cpp]")));
    assert_eq!((only.1, anything.0), (0, only.0 + only.2));
    assert!(only.0 > 0 && only.0 < standard.0, "{only:?} {standard:?}");
    // Both where nothing is said, in the order of their names.
    let both = count(&read(&text.replace("portable: []\n", "")));
    assert_eq!((both.0, both.1), (only.0, standard.1));
    assert_eq!(both.0 + both.1 + both.2, anything.0);
    // Whatever the file says, the user may say otherwise.
    let other = read(&text).held_by(vec![Loader::LlamaCpp]).unwrap();
    assert!(other.says_portable() && other.portable() == [Loader::LlamaCpp]);
    assert_eq!(count(&other), only);
    assert_eq!(count(&other.held_by(Vec::new()).unwrap()), anything);
}

#[test]
fn what_a_loader_holds_does_not_depend_on_the_format_of_the_weights() {
    let World { cost, quality, workload } = world(false, "voice-command");
    let space = mixed();
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload);
    let (mut held, mut refused) = (0, 0);
    for block in (0..space.blocks()).filter_map(|block| space.block(block).ok()) {
        let mut prepared = evaluator.prepare(&space, &block).unwrap();
        for inner in 0..space.inner_size() {
            let result = evaluator.evaluate(&mut prepared, space.inner(inner), &mut Metric::UNKNOWN.clone());
            let point = space.point(block.index * space.inner_size() + inner).unwrap();
            let rows = match gguf_family_in(&point.architecture, point.weights) {
                Ok(_) => true,
                Err(error) => error.axis() != "weights",
            };
            // Rows that are no whole blocks are refused when they are priced.
            match result {
                Ok(()) => assert!(rows, "{point:?}"),
                Err(invalid) if invalid.reason().starts_with("rows are") => {
                    assert!(!rows || gguf_family(&point.architecture).is_err(), "{point:?}");
                    refused += 1;
                }
                Err(_) => {}
            }
            held += u64::from(rows);
        }
    }
    assert!(held > 100 && refused > 100, "{held} {refused}");
}
