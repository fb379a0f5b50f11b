//! Spaces whose layers differ: the front of every sequence of layers, written out and predicted the long way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod conditioned;
mod profile;
mod uneven;

use conditioned::{Conditions, cases, conditions};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use slimfit_arch::{Architecture, LayerRun};
use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_plan::WeightFormats;
use slimfit_quality::{QualityModel, Recipe, TrainingPlan, TrainingRate};
use slimfit_quantity::NumberFormat;
use slimfit_search::{
    Block, Evaluator, LayerOptions, LayeredOutcome, Metric, ModelEvaluator, ModelFormats, SearchError,
    SearchOptions, Space, Workload, search_layers,
};
use slimfit_study::Natural;
use std::collections::BTreeMap;
use uneven::uneven;

const TOKENS: u64 = 100_000_000_000;
/// Sequences of a case at most.
const MOST: usize = 3000;

#[derive(Debug, Clone)]
struct Case {
    axes: Axes,
    conditions: Conditions,
    per_layer: Vec<&'static str>,
    /// Least and most parameters without embeddings.
    bounds: Option<(u64, u64)>,
    bandwidth: Vec<f64>,
    barrier_seconds: f64,
    workload: &'static str,
    objectives: Vec<usize>,
    limits: Vec<(usize, f64)>,
    workers: usize,
}

fn list(values: &[impl std::fmt::Display]) -> String {
    let each: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", each.join(", "))
}

fn values(values: &[impl std::fmt::Display]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

type Axes = Vec<(&'static str, Vec<String>)>;

fn axes() -> impl Strategy<Value = (Axes, Vec<&'static str>)> {
    let shape = (
        subsequence(vec![2_u64, 3, 4, 5], 1..=2),
        subsequence(vec![512_u64, 640, 768, 1024], 1..=2),
        subsequence(vec!["hidden_size / head_size", "4"], 1..=2),
        subsequence(vec!["heads", "heads / 2", "heads / 4", "1"], 1..=2),
        subsequence(vec!["2 * hidden_size", "3072", "4096", "3.3 * hidden_size"], 1..=3),
        subsequence(vec![true, false], 1..=2),
        subsequence(vec!["none", "{count: 4, top_k: 1}"], 1..=2),
        prop_oneof![
            subsequence(vec!["none", "512", "256", "4096"], 1..=2),
            subsequence(vec!["{size: 512, full_every: 2}", "{size: 600, full_every: 3}"], 1..=1),
        ],
    );
    let rest = (
        subsequence(vec![32_768_u64, 49_152], 1..=2),
        subsequence(vec![true, false], 1..=2),
        subsequence(vec!["bf16", "q8_0", "q4_0"], 1..=2),
        subsequence(vec!["f32", "f16"], 1..=1),
        subsequence(vec!["heads", "kv_heads", "ffn", "gated", "experts", "window"], 1..=4),
    );
    (shape, rest).prop_map(|(shape, rest)| {
        let (layers, widths, heads, kv_heads, ffn, gated, experts, windows) = shape;
        let (vocabularies, tied, weights, kv, mut per_layer) = rest;
        if windows[0].starts_with('{') {
            per_layer.retain(|axis| *axis != "window");
        }
        // What all layers share may not depend on what each chooses.
        if per_layer.contains(&"heads") && !per_layer.contains(&"kv_heads") {
            per_layer.push("kv_heads");
        }
        if per_layer.is_empty() {
            per_layer.push("ffn");
        }
        let axes = vec![
            ("layers", values(&layers)),
            ("hidden_size", values(&widths)),
            ("head_size", vec!["64".to_owned()]),
            ("heads", values(&heads)),
            ("kv_heads", values(&kv_heads)),
            ("ffn", values(&ffn)),
            ("gated", values(&gated)),
            ("experts", values(&experts)),
            ("window", values(&windows)),
            ("vocabulary_size", values(&vocabularies)),
            ("tied_embeddings", values(&tied)),
            ("weights", values(&weights)),
            ("kv", values(&kv)),
        ];
        (axes, per_layer)
    })
}

fn case() -> impl Strategy<Value = Case> {
    (
        (axes(), conditions()),
        prop::option::of((5_000_000_u64..20_000_000, 10_000_000_u64..60_000_000)),
        prop::collection::vec(0.5_f64..1.5, 11),
        select(vec![1e-7, 3e-6, 4e-5, 4e-4]),
        select(vec!["assistant", "voice-command", "control-loop"]),
        (
            subsequence((0..14).collect::<Vec<usize>>(), 1..5),
            prop::collection::vec((0_usize..14, 0.0_f64..1.0), 0..3),
        ),
        1_usize..3,
    )
        .prop_map(
            |(
                ((axes, per_layer), conditions),
                bounds,
                bandwidth,
                barrier_seconds,
                workload,
                (objectives, limits),
                workers,
            )| Case {
                axes,
                conditions,
                per_layer,
                bounds: bounds.filter(|(least, most)| least < most),
                bandwidth,
                barrier_seconds,
                workload,
                objectives,
                limits,
                workers,
            },
        )
}

fn text(case: &Case, per_layer: bool) -> String {
    let layers = if per_layer { format!("per_layer: {}\n", list(&case.per_layer)) } else { String::new() };
    let bounds = case.bounds.map_or_else(String::new, |(least, most)| {
        format!("constraints: {{non_embedding: {{min: {least}, max: {most}}}}}\n")
    });
    // What all layers share may not depend on what each chooses, in its conditions neither.
    let suits = |axis: &str, condition: &str| {
        let names = |own: &&str| condition.split(' ').any(|word| word == *own);
        case.per_layer.contains(&axis) || !case.per_layer.iter().any(names)
    };
    let axes = case.conditions.put(&case.axes, suits);
    format!(
        "schema: slimfit/space/v1\nname: random\ndescription: A space for tests.\naxes:\n{axes}{layers}{bounds}portable: []{}\n",
        case.conditions.exclude()
    )
}

/// Nothing where a condition holds nowhere, which is no space.
fn space(case: &Case, per_layer: bool) -> Option<Space> {
    let document = Document::from_str(&text(case, per_layer), "random.yaml").unwrap();
    match Space::from_document(&document, &[]) {
        Err(SearchError::Document(error)) if error.code == "never-offered" => None,
        read => Some(read.unwrap()),
    }
}

/// Every model of the space, layer by layer.
fn each_model(
    case: &Case,
    mut visit: impl FnMut(Option<(Architecture, NumberFormat, NumberFormat)>),
) -> usize {
    let uniform = space(case, false).unwrap();
    let own = |axis: &str| case.per_layer.contains(&axis);
    let shared = |block: &Block| {
        let Block { hidden_size, heads, kv_heads, ffn, gated, window, experts, .. } = *block;
        (
            hidden_size,
            (!own("heads")).then_some(heads),
            (!own("kv_heads")).then_some(kv_heads),
            (!own("ffn")).then_some(ffn),
            (!own("gated")).then_some(gated),
            format!("{:?}", (!own("window")).then_some(window)),
            format!("{:?}", (!own("experts")).then_some(experts)),
        )
    };
    let mut frames: BTreeMap<_, Vec<Block>> = BTreeMap::new();
    for number in 0..uniform.blocks() {
        if let Ok(block) = uniform.block(number) {
            frames.entry(shared(&block)).or_default().push(block);
        }
    }
    let mut count = 0;
    for blocks in frames.into_values() {
        for layers in uniform.depths() {
            let mut digits = vec![0; layers as usize];
            loop {
                for vocabulary in uniform.vocabularies() {
                    for tied in uniform.tyings() {
                        let runs: Vec<LayerRun> = digits
                            .iter()
                            .enumerate()
                            .map(|(position, digit)| {
                                let whole = uniform.architecture(&blocks[*digit], layers, vocabulary, *tied);
                                LayerRun { repeat: 1, ..whole.each_layer().nth(position).unwrap().clone() }
                            })
                            .collect();
                        let base = uniform.architecture(&blocks[0], 1, vocabulary, *tied);
                        let architecture = Architecture { layers: runs, ..base };
                        for weights in uniform.weights() {
                            for kv in uniform.kv() {
                                count += 1;
                                visit(
                                    architecture
                                        .validate()
                                        .is_ok()
                                        .then(|| (architecture.clone(), *weights, *kv)),
                                );
                            }
                        }
                    }
                }
                let Some(place) = digits.iter().position(|digit| digit + 1 < blocks.len()) else { break };
                digits[place] += 1;
                digits[..place].fill(0);
            }
        }
    }
    count
}

/// A value as the search rounds it.
fn rounded(value: f64) -> f64 {
    f64::from_bits((value.to_bits() + (1 << 11)) & !((1 << 12) - 1))
}

struct Compared {
    found: LayeredOutcome,
    /// Objectives, turned so that less is better, of all valid models that keep the limits.
    all: Vec<Vec<f64>>,
    valid: u64,
    objectives: Vec<Metric>,
}

fn minimised(objectives: &[Metric], value: impl Fn(Metric) -> f64) -> Vec<f64> {
    objectives.iter().map(|metric| metric.minimised(value(*metric))).collect()
}

/// Nothing where the case is too large to be looked at one by one.
fn compare(case: &Case, passes: &[f64], most_labels: usize) -> Result<Option<Compared>, TestCaseError> {
    let Some(layered) = space(case, true) else { return Ok(None) };
    if layered.point_count().to_f64() > MOST as f64 {
        return Ok(None);
    }
    let cost = CostModel::new(&uneven(&case.bandwidth, case.barrier_seconds)).unwrap();
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let workload = Workload::load(case.workload).unwrap();
    let plan = TrainingPlan {
        rate: Some(TrainingRate { flops_per_s: 4e14, gpus: 8, price_per_gpu_hour: Some(2.0) }),
        ..TrainingPlan::default()
    };
    let evaluator = || ModelEvaluator::new(&layered, &cost, &quality, TOKENS, &workload).trained_on(plan);
    let usable =
        |metric: &Metric| !metric.is_percentile() && !matches!(metric, Metric::Loss | Metric::TpotSeconds);
    let metrics: Vec<Metric> = evaluator().metrics().iter().copied().filter(usable).collect();
    let mut objectives: Vec<Metric> = Vec::new();
    for place in &case.objectives {
        let metric = metrics[place % metrics.len()];
        if !objectives.contains(&metric) {
            objectives.push(metric);
        }
    }
    let asking = evaluator();
    let appraiser = asking.appraiser();
    let mut values: Vec<Vec<f64>> = Vec::new();
    each_model(case, |model| {
        let Some((architecture, weights, kv)) = model else { return };
        let counts = architecture.parameters();
        let inside = case.bounds.is_none_or(|(least, most)| (least..=most).contains(&counts.non_embedding));
        let formats =
            ModelFormats { weights, others: &WeightFormats::default(), judged: None, kv, file_bytes: None };
        let Ok(appraisal) = appraiser.appraise(&architecture, formats, Some(TOKENS)) else { return };
        // Every layer is asked as if all were like it.
        let ruled = layered.outside(&architecture, weights, kv);
        if ruled.iter().any(|outside| outside.axis == "exclude" || outside.allowed.contains(" only when ")) {
            return;
        }
        let assumed = appraisal.flags().iter().any(|flag| flag == "assumed-mqa" || flag == "assumed-vocab");
        if inside && !assumed && appraisal.refusal().is_none() {
            values.push(
                metrics.iter().map(|metric| rounded(appraisal.metric(*metric).unwrap().value)).collect(),
            );
        }
    });
    let valid = values.len() as u64;
    let column = |metric: Metric| metrics.iter().position(|known| *known == metric).unwrap();
    let mut limits: Vec<(Metric, f64)> = Vec::new();
    for (place, share) in &case.limits {
        let metric = metrics[place % metrics.len()];
        let of = |fold: fn(f64, f64) -> f64, start: f64| {
            values.iter().map(|values| values[column(metric)]).fold(start, fold)
        };
        let (least, most) = (of(f64::min, f64::INFINITY), of(f64::max, 0.0));
        if least.is_finite() && least > 0.0 {
            limits.push((metric, least * 0.8 + share * (most - least) + least * 1e-3));
        }
    }
    values
        .retain(|values| limits.iter().all(|(metric, limit)| metric.keeps(values[column(*metric)], *limit)));
    let all = values.iter().map(|values| minimised(&objectives, |metric| values[column(metric)])).collect();
    let options = SearchOptions {
        objectives: objectives.clone(),
        limits: limits.clone(),
        workers: case.workers,
        seed: 1,
        sample: 20,
        passes: passes.to_vec(),
        deadline: None,
        cancel: None,
        progress: None,
    };
    let evaluator = evaluator().asked_for(&objectives, &limits);
    let found = search_layers(&layered, &evaluator, &options, LayerOptions { most_labels })
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    // What is written down is what was valued.
    for model in found.front.iter().chain(&found.nearest_miss) {
        let formats = ModelFormats {
            weights: model.weights,
            others: &WeightFormats::default(),
            judged: None,
            kv: model.kv,
            file_bytes: None,
        };
        let appraisal = appraiser.appraise(&model.architecture, formats, Some(TOKENS)).unwrap();
        for metric in &objectives {
            let (ours, theirs) = (model.values[metric.column()], appraisal.metric(*metric).unwrap().value);
            prop_assert!((ours - theirs).abs() <= 1e-9 * theirs.abs(), "{metric:?}: {ours} {theirs}");
        }
    }
    Ok(Some(Compared { found, all, valid, objectives }))
}

/// Whether `a` is at most `b` in everything, but for the last digits of sums in another order.
fn at_most(a: &[f64], b: &[f64], slack: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| a - b <= slack * b.abs())
}

fn add_up(found: &LayeredOutcome) -> Natural {
    let mut total: Natural = found.pruned.iter().map(|bound| &bound.count).sum();
    for count in [&found.invalid, &found.evaluated, &found.unvisited] {
        total.add(count);
    }
    total
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_front_is_that_of_every_sequence_of_layers(case in case()) {
        let Some(Compared { found, all, valid, objectives }) = compare(&case, &[0.0], 4_000_000)? else { return Ok(()) };
         prop_assert_eq!(found.epsilon, Some(0.0));
        let front: Vec<Vec<f64>> =
            found.front.iter().map(|model| minimised(&objectives, |metric| model.values[metric.column()])).collect();
        for point in &front {
            let beaten = all.iter().find(|other| {
                at_most(other, point, 0.0) && other.iter().zip(point).any(|(a, b)| a < &(b - 1e-9 * b.abs()))
            });
            prop_assert!(beaten.is_none(), "{point:?} is beaten by {beaten:?}");
        }
        for point in &all {
            prop_assert!(front.iter().any(|other| at_most(other, point, 1e-9)), "nothing reaches {point:?}");
        }
        prop_assert_eq!(front.is_empty(), all.is_empty());
        prop_assert_eq!(found.nearest_miss.is_some(), front.is_empty() && valid > 0);
        prop_assert_eq!(&found.space_size, &space(&case, true).unwrap().point_count());
        prop_assert_eq!(add_up(&found), found.space_size.clone());
        let mut total = found.invalid.clone();
        total.add(&Natural::from(valid));
        prop_assert_eq!(total, found.space_size.clone(), "{:?} {}", found.invalid_by, valid);
        let reasons: Natural = found.invalid_by.iter().map(|reason| &reason.count).sum();
        prop_assert_eq!(reasons, found.invalid);
        let summary = space(&case, true).unwrap().summary(0, 0);
        let mut counted: Natural = summary.invalid_by.iter().map(|reason| &reason.count).sum();
        counted.add(&summary.possible);
        prop_assert_eq!(counted, found.space_size);
        prop_assert!(summary.possible.to_f64() >= valid as f64);
    }

    #[test]
    fn a_front_that_does_not_fit_has_a_model_near_every_model(case in case(), most_labels in 2_usize..40) {
        let limits: Vec<(usize, f64)> = case.limits.iter().copied().take(1).collect();
        let case = Case { limits, bounds: None, ..case };
        let Some(Compared { found, all, objectives, .. }) = compare(&case, &[0.0], most_labels)? else { return Ok(()) };
         let Some(epsilon) = found.epsilon else { return Ok(()) };
        let recipe = Recipe::builtin("gemstones").unwrap();
        let base = recipe.loss.irreducible.value / recipe.text.bytes_per_token(recipe.vocabulary_size);
        let near = |ours: &[f64], exact: &[f64]| {
            objectives.iter().zip(ours.iter().zip(exact)).all(|(metric, (ours, exact))| {
                let slack = (1.0 + epsilon) * (1.0 + 1e-9);
                match metric {
                    Metric::LossPerByte => ours - base <= (exact - base) * slack,
                    metric if metric.is_maximised() => ours * slack <= *exact,
                    _ => ours <= &(exact * slack),
                }
            })
        };
        let front: Vec<Vec<f64>> =
            found.front.iter().map(|model| minimised(&objectives, |metric| model.values[metric.column()])).collect();
        for point in &all {
            prop_assert!(front.iter().any(|other| near(other, point)), "nothing near {point:?}, epsilon {epsilon}");
        }
        prop_assert_eq!(add_up(&found), found.space_size.clone());
    }
}
