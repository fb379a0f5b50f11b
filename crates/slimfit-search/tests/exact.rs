//! The search that leaves points out finds what looking at every point finds: on random spaces, devices, objectives and
//! limits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod conditioned;
mod profile;
mod uneven;

use conditioned::{cases, conditions};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_quality::{Assumption, QualityModel, Recipe, TrainingPlan, TrainingRate};
use slimfit_search::{
    Evaluator, Metric, ModelEvaluator, Outcome, SearchError, SearchOptions, Space, SpaceSummary, Workload,
    enumerate, search,
};
use slimfit_study::Natural;
use uneven::uneven;

const TOKENS: u64 = 100_000_000_000;
/// Metrics of the evaluator that are compared: all but those per token.
const METRICS: usize = 19;

/// What a random case is made of.
#[derive(Debug, Clone)]
struct Case {
    space: String,
    assume: Vec<Assumption>,
    /// Factors on the read bandwidth from the smallest working set to the largest: regimes need not fall.
    bandwidth: Vec<f64>,
    /// Seconds of a barrier of two threads: small models run faster with one.
    barrier_seconds: f64,
    workload: &'static str,
    /// Places in the list of metrics.
    objectives: Vec<usize>,
    limits: Vec<(usize, f64)>,
    workers: usize,
}

fn list(values: &[impl std::fmt::Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn space() -> impl Strategy<Value = String> {
    let shape = (
        subsequence(vec![6_u64, 8, 9, 12, 15, 16, 20, 24, 32], 2..6),
        subsequence(vec![192_u64, 256, 320, 384, 448, 512, 640, 768], 2..6),
        subsequence(vec![32_u64, 64], 1..=2),
        subsequence(vec!["hidden_size / head_size", "4", "0.5 * hidden_size / head_size"], 1..3),
        subsequence(vec!["heads", "heads / 2", "heads / 3", "heads / 4", "1"], 1..4),
        // The last one depends on the heads, so that not every pair of attention and feed-forward part is a block.
        subsequence(
            vec![
                "2 * hidden_size",
                "2.5 * hidden_size round 64",
                "1024",
                "1536",
                "96 * heads",
                "{from: 2, to: 3, step: 0.5, times: hidden_size, round: 64}",
            ],
            1..5,
        ),
        subsequence(vec![true, false], 1..=2),
        subsequence(vec!["none", "{count: 8, top_k: 2}", "{count: 4, top_k: 1}"], 1..=2),
    );
    let rest = (
        subsequence(
            vec!["none", "{size: 512, full_every: 4}", "{size: 600, full_every: 1}", "256", "4096"],
            1..4,
        ),
        subsequence(vec![16_384_u64, 32_768, 50_304, 131_072], 1..=2),
        subsequence(vec![true, false], 1..=2),
        subsequence(vec!["f32", "bf16", "q8_0", "q4_0", "q4_k"], 1..4),
        subsequence(vec!["f32", "f16"], 1..=2),
        select(vec![
            "",
            "\nconstraints: {non_embedding: {min: 6M, max: 40M}}",
            "\nconstraints: {parameters: {min: 20M, max: 60M}}",
        ]),
        select(vec![
            "",
            "\nexclude: [layers > 9 and hidden_size < 300]",
            "\nexclude: [kv_heads == 2 and ffn > 900]",
            "\nexclude: [layers * heads > 60]",
            "\nexclude: [layers * loops > 40]",
        ]),
        select(vec!["", "\nportable: []", "\nportable: [hf]", "\nportable: [llama.cpp]"]),
        select(vec!["", "\n  loops: [none, 2]", "\n  loops: 3", "\n  loops: [5, 2, 9]"]),
    );
    (shape, rest, conditions()).prop_map(|(shape, rest, conditions)| {
        let (layers, widths, head_sizes, heads, kv_heads, ffn, gated, experts) = shape;
        let (windows, vocabularies, tied, weights, kv, constraints, exclude, portable, loops) = rest;
        let axes = [
            ("layers", list(&layers)),
            ("hidden_size", list(&widths)),
            ("head_size", list(&head_sizes)),
            ("heads", list(&heads)),
            ("kv_heads", list(&kv_heads)),
            ("ffn", list(&ffn)),
            ("gated", list(&gated)),
            ("experts", list(&experts)),
            ("window", list(&windows)),
            ("vocabulary_size", list(&vocabularies)),
            ("tied_embeddings", list(&tied)),
            ("weights", list(&weights)),
            ("kv", list(&kv)),
        ];
        let axes = conditions.put(&axes, |_, _| true);
        let exclude = if exclude.is_empty() { conditions.exclude() } else { exclude.to_owned() };
        format!(
            "schema: slimfit/space/v1\nname: random\ndescription: A space for tests.\naxes:\n{axes}{}{constraints}{exclude}{portable}\n",
            loops.trim_start_matches('\n'),
        )
    })
}

fn case() -> impl Strategy<Value = Case> {
    (
        (
            space(),
            select(vec![vec![Assumption::Vocabulary], vec![Assumption::Vocabulary, Assumption::Loops]]),
        ),
        prop::collection::vec(0.5_f64..1.5, 11),
        select(vec![1e-7, 3e-6, 4e-5, 4e-4]),
        select(vec!["assistant", "voice-command", "control-loop"]),
        (
            subsequence((0..METRICS).collect::<Vec<usize>>(), 1..5),
            prop::collection::vec((0..METRICS, 0.0_f64..1.0), 0..3),
        ),
        1_usize..3,
    )
        .prop_map(
            |((space, assume), bandwidth, barrier_seconds, workload, (objectives, limits), workers)| Case {
                space,
                assume,
                bandwidth,
                barrier_seconds,
                workload,
                objectives,
                limits,
                workers,
            },
        )
}

/// Found by leaving points out, found by looking at every point, the objectives, and what the space says of itself.
type Compared = (Outcome, Outcome, Vec<Metric>, SpaceSummary);

/// Both ways.
fn compare(case: &Case, passes: &[f64]) -> Result<Compared, TestCaseError> {
    let cost = CostModel::new(&uneven(&case.bandwidth, case.barrier_seconds)).unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let workload = Workload::load(case.workload).unwrap();
    let document = Document::from_str(&case.space, "random.yaml").unwrap();
    let space = match Space::from_document(&document, &case.assume) {
        // A condition that nothing fulfils is no space.
        Err(SearchError::Document(error)) if error.code == "never-offered" => {
            return Err(TestCaseError::reject("never offered"));
        }
        read => read.unwrap(),
    };
    let rate = TrainingRate { flops_per_s: 4e14, gpus: 8, price_per_gpu_hour: Some(2.0) };
    let evaluator = ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload)
        .trained_on(TrainingPlan { rate: Some(rate), ..TrainingPlan::default() });
    let per_token = |metric: &Metric| matches!(metric, Metric::Loss | Metric::TpotSeconds);
    let all: Vec<Metric> = evaluator.metrics().iter().copied().filter(|metric| !per_token(metric)).collect();
    assert_eq!(all.len(), METRICS, "{all:?}");
    assert!(all.contains(&Metric::FileBytes));
    let objectives: Vec<Metric> = case.objectives.iter().map(|place| all[place % all.len()]).collect();
    let mut options = SearchOptions {
        objectives,
        limits: Vec::new(),
        workers: case.workers,
        seed: 1,
        sample: 20,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    options.objectives.dedup();
    let evaluator_of = |limits: &[(Metric, f64)]| {
        ModelEvaluator::new(&space, &cost, &quality, TOKENS, &workload)
            .trained_on(TrainingPlan { rate: Some(rate), ..TrainingPlan::default() })
            .asked_for(&options.objectives, limits)
    };
    // Limits at a place within the range that the space covers; some of them beyond it, so that nothing keeps them.
    let mut limits: Vec<(Metric, f64)> = Vec::new();
    for (place, share) in &case.limits {
        let metric = all[place % all.len()];
        let mut least = f64::INFINITY;
        let mut most = 0.0_f64;
        let _ = slimfit_search::for_each_point(&space, &evaluator, &[], |found, _| {
            let value = found.values[metric.column()];
            (least, most) = (least.min(value), most.max(value));
            std::ops::ControlFlow::Continue(())
        });
        if least.is_finite() && least > 0.0 {
            limits.push((metric, least * 0.8 + share * (most - least)));
        }
    }
    let evaluator = evaluator_of(&limits);
    let options = SearchOptions { limits, passes: passes.to_vec(), ..options };
    Ok((
        search(&space, &evaluator, &options).map_err(|error| TestCaseError::fail(error.to_string()))?,
        enumerate(&space, &evaluator, &options).map_err(|error| TestCaseError::fail(error.to_string()))?,
        options.objectives,
        space.summary(0, 0),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_front_is_that_of_looking_at_every_point(case in case()) {
        let (found, all, _, summary) = compare(&case, &[0.0])?;
        let numbers = |outcome: &Outcome| -> Vec<u64> { outcome.front.iter().map(|point| point.index).collect() };
        prop_assert_eq!(numbers(&found), numbers(&all));
        prop_assert_eq!(&found.front, &all.front);
        prop_assert_eq!(&found.nearest_miss, &all.nearest_miss);
        let mut total: Natural = found.pruned.iter().map(|bound| &bound.count).sum();
        total.add(&Natural::from(found.invalid + found.evaluated));
        prop_assert_eq!(found.unvisited, 0);
        prop_assert_eq!(total, found.space_size);
        prop_assert_eq!(all.space_size, all.invalid + all.evaluated);
        prop_assert!(found.evaluated <= all.evaluated && found.invalid <= all.invalid);
        // What is counted as invalid is so for the same reason.
        for reason in &found.invalid_by {
            let known = all.invalid_by.iter().find(|other| other.reason == reason.reason);
            prop_assert!(known.is_some_and(|known| known.count >= reason.count), "{:?} {:?}", reason, all.invalid_by);
        }
        // What the space counts without pricing is all that is asked before the law.
        let mut counted: Natural = summary.invalid_by.iter().map(|reason| &reason.count).sum();
        for reason in &summary.invalid_by {
            prop_assert!(all.invalid_by.contains(reason), "{:?} {:?}", reason, all.invalid_by);
        }
        counted.add(&summary.possible);
        prop_assert_eq!(counted, summary.size);
    }

    #[test]
    fn a_front_of_allowed_distance_has_a_point_near_each_point_of_the_exact_one(
        case in case(),
        epsilon in select(vec![0.3, 0.05, 0.005]),
    ) {
        let (found, all, objectives, _) = compare(&case, &[epsilon])?;
        prop_assert_eq!(found.epsilon, Some(epsilon));
        prop_assert_eq!(found.front.is_empty(), all.front.is_empty());
        let recipe = Recipe::builtin("gemstones").unwrap();
        let irreducible = recipe.loss.irreducible.value;
        let per_byte = irreducible / recipe.text.bytes_per_token(recipe.vocabulary_size);
        for point in &all.front {
            let near = found.front.iter().any(|other| {
                objectives.iter().all(|metric| {
                    let (ours, exact) = (other.values[metric.column()], point.values[metric.column()]);
                    let slack = 1.0 + epsilon + 1e-9;
                    match metric {
                        Metric::Loss => ours - irreducible <= (exact - irreducible) * slack,
                        Metric::LossPerByte => ours - per_byte <= (exact - per_byte) * slack,
                        metric if metric.is_maximised() => ours * slack >= exact,
                        _ => ours <= exact * slack,
                    }
                })
            });
            prop_assert!(near, "nothing near {:?}", point);
        }
        let mut total: Natural = found.pruned.iter().map(|bound| &bound.count).sum();
        total.add(&Natural::from(found.invalid + found.evaluated));
        prop_assert_eq!(total, found.space_size);
    }

    #[test]
    fn passes_end_with_the_exact_front(case in case()) {
        let (found, all, ..) = compare(&case, &[0.2, 0.02, 0.0])?;
        prop_assert_eq!(found.epsilon, Some(0.0));
        prop_assert_eq!(&found.front, &all.front);
    }
}
