//! One model for several devices: the front is that of looking at every point on every device, on random spaces, devices,
//! objectives and limits, for the worst over the devices and for each device's own values.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;
mod uneven;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::{Assumption, QualityModel, Recipe};
use slimfit_search::{
    Evaluator, LayerOptions, Metric, ModelEvaluator, Outcome, SearchOptions, Space, Values, Workload,
    enumerate, for_each_point, search, search_layers,
};
use slimfit_study::Natural;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use uneven::uneven;

const TOKENS: u64 = 100_000_000_000;

/// A made-up device.
#[derive(Debug, Clone)]
struct Device {
    /// Factors on the read bandwidth from the smallest working set to the largest.
    bandwidth: Vec<f64>,
    barrier_seconds: f64,
    /// How much longer its kernels take.
    slowness: f64,
    /// Whether it has but one thread, and so another scratch.
    single: bool,
}

impl Device {
    fn profile(&self) -> HardwareProfile {
        let mut profile = uneven(&self.bandwidth, self.barrier_seconds);
        for kernel in &mut profile.kernels {
            let seconds = kernel.seconds.value.unwrap() * self.slowness;
            kernel.seconds = slimfit_quantity::Measured::new(vec![seconds; 3]).unwrap().figure();
        }
        if self.single {
            profile.bandwidth.retain(|entry| entry.threads == 1);
            profile.kernels.retain(|entry| entry.threads == 1);
            profile.streaming.retain(|entry| entry.threads == 1);
            profile.overhead.barrier.retain(|entry| entry.threads == 1);
            profile.overhead.hand_over.retain(|entry| entry.threads == 1);
            profile.noise.tails.retain(|entry| entry.threads == 1);
            profile.power.loaded.retain(|entry| entry.threads == 1);
        }
        profile
    }
}

#[derive(Debug, Clone)]
struct Case {
    space: String,
    devices: Vec<Device>,
    workload: &'static str,
    /// Places in the list of metrics.
    objectives: Vec<usize>,
    limits: Vec<(usize, f64)>,
    workers: usize,
}

fn list(values: &[impl std::fmt::Display]) -> String {
    let each: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", each.join(", "))
}

fn space() -> impl Strategy<Value = String> {
    let shape = (
        subsequence(vec![6_u64, 8, 12, 16, 24], 1..4),
        subsequence(vec![192_u64, 256, 384, 512, 768], 1..4),
        subsequence(vec!["hidden_size / head_size", "4"], 1..=2),
        subsequence(vec!["heads", "heads / 2", "heads / 4", "1"], 1..4),
        subsequence(vec!["2 * hidden_size", "2.5 * hidden_size round 64", "1024", "1536"], 1..4),
        subsequence(vec!["none", "{count: 4, top_k: 1}"], 1..=2),
    );
    let rest = (
        subsequence(vec!["none", "{size: 512, full_every: 4}", "256"], 1..3),
        subsequence(vec![16_384_u64, 50_304], 1..=2),
        subsequence(vec!["f32", "bf16", "q8_0", "q4_0", "q4_k"], 1..4),
        subsequence(vec!["f32", "f16"], 1..=2),
        select(vec!["", "\nexclude: [layers > 9 and hidden_size < 300]"]),
        select(vec!["", "\n  loops: [none, 3]"]),
    );
    (shape, rest).prop_map(|(shape, rest)| {
        let (layers, widths, heads, kv_heads, ffn, experts) = shape;
        let (windows, vocabularies, weights, kv, exclude, loops) = rest;
        format!(
            "schema: slimfit/space/v1\nname: random\ndescription: A space for tests.\naxes:\n  layers: {}\n  hidden_size: {}\n  head_size: 64\n  heads: {}\n  kv_heads: {}\n  ffn: {}\n  gated: true\n  experts: {}\n  window: {}\n  vocabulary_size: {}\n  tied_embeddings: [true, false]\n  weights: {}\n  kv: {}{loops}{exclude}\nportable: []\n",
            list(&layers), list(&widths), list(&heads), list(&kv_heads), list(&ffn), list(&experts),
            list(&windows), list(&vocabularies), list(&weights), list(&kv),
        )
    })
}

fn device() -> impl Strategy<Value = Device> {
    (
        prop::collection::vec(0.3_f64..1.7, 11),
        select(vec![1e-7, 3e-6, 4e-5, 4e-4]),
        select(vec![1.0, 0.5, 3.0]),
        prop::bool::weighted(0.25),
    )
        .prop_map(|(bandwidth, barrier_seconds, slowness, single)| Device {
            bandwidth,
            barrier_seconds,
            slowness,
            single,
        })
}

/// Loss and parameters, then those of [`Metric::OF_DEVICE`] but TPOT, which counts tokens.
fn metrics() -> Vec<Metric> {
    let of_device = Metric::OF_DEVICE.into_iter().filter(|metric| *metric != Metric::TpotSeconds);
    [Metric::LossPerByte, Metric::Parameters].into_iter().chain(of_device).collect()
}

fn case() -> impl Strategy<Value = Case> {
    let places = metrics().len();
    (
        space(),
        prop::collection::vec(device(), 2..4),
        select(vec!["assistant", "voice-command"]),
        subsequence((0..places).collect::<Vec<usize>>(), 1..4),
        prop::collection::vec((0..places, 0.0_f64..1.0), 0..3),
        1_usize..3,
    )
        .prop_map(|(space, devices, workload, objectives, limits, workers)| Case {
            space,
            devices,
            workload,
            objectives,
            limits,
            workers,
        })
}

/// A case that is ready to be searched.
struct Ready {
    costs: Vec<CostModel>,
    quality: QualityModel,
    workload: Workload,
    space: Space,
    options: SearchOptions<'static>,
}

impl Ready {
    fn new(case: &Case, each: bool) -> Self {
        let costs: Vec<CostModel> =
            case.devices.iter().map(|device| CostModel::new(&device.profile()).unwrap()).collect();
        let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
        let document = Document::from_str(&case.space, "random.yaml").unwrap();
        let assumed = [Assumption::Vocabulary, Assumption::Loops];
        let mut objectives: Vec<Metric> = case.objectives.iter().map(|place| metrics()[*place]).collect();
        if each {
            objectives = Metric::on_each_device(&objectives, costs.len(), quality.recipe()).unwrap();
        }
        let mut ready = Self {
            costs,
            quality,
            workload: Workload::load(case.workload).unwrap(),
            space: Space::from_document(&document, &assumed).unwrap(),
            options: SearchOptions {
                objectives,
                limits: Vec::new(),
                workers: case.workers,
                seed: 1,
                sample: 20,
                passes: vec![0.0],
                deadline: None,
                cancel: None,
                progress: None,
            },
        };
        // At a place within the range that the space covers; some beyond it, so that nothing keeps them.
        for (place, share) in &case.limits {
            let metric = metrics()[*place];
            let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
            for values in ready.values(&ready.evaluator().asked_for(&metrics(), &[])).values() {
                let value = values[metric.column()];
                (least, most) = (least.min(value), most.max(value));
            }
            if least.is_finite() && least > 0.0 {
                ready.options.limits.push((metric, least * 0.8 + share * (most - least)));
            }
        }
        ready
    }

    fn evaluator(&self) -> ModelEvaluator<'_> {
        let Self { costs, quality, workload, space, .. } = self;
        ModelEvaluator::of_devices(space, costs, quality, TOKENS, workload)
    }

    fn asked(&self) -> ModelEvaluator<'_> {
        self.evaluator().asked_for(&self.options.objectives, &self.options.limits)
    }

    /// All valid points.
    fn values(&self, evaluator: &ModelEvaluator<'_>) -> BTreeMap<u64, Values> {
        let mut all = BTreeMap::new();
        let _ = for_each_point(&self.space, evaluator, &[], |found, _| {
            all.insert(found.index, found.values);
            ControlFlow::Continue(())
        });
        all
    }

    fn both(&self) -> Result<(Outcome, Outcome), TestCaseError> {
        let failed = |error: slimfit_search::SearchError| TestCaseError::fail(error.to_string());
        let evaluator = self.asked();
        let found = search(&self.space, &evaluator, &self.options).map_err(failed)?;
        Ok((found, enumerate(&self.space, &evaluator, &self.options).map_err(failed)?))
    }
}

fn compared(case: &Case, each: bool) -> Result<(), TestCaseError> {
    let (found, all) = Ready::new(case, each).both()?;
    prop_assert_eq!(&found.front, &all.front);
    prop_assert_eq!(&found.nearest_miss, &all.nearest_miss);
    let mut total: Natural = found.pruned.iter().map(|bound| &bound.count).sum();
    total.add(&Natural::from(found.invalid + found.evaluated));
    prop_assert_eq!((total, found.unvisited), (Natural::from(found.space_size), 0));
    for reason in &found.invalid_by {
        let known = all.invalid_by.iter().find(|other| other.reason == reason.reason);
        prop_assert!(
            known.is_some_and(|known| known.count >= reason.count),
            "{:?} {:?}",
            reason,
            all.invalid_by
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_front_of_the_worst_is_that_of_looking_at_every_point(case in case()) {
        compared(&case, false)?;
    }

    #[test]
    fn the_front_of_each_is_that_of_looking_at_every_point(case in case()) {
        compared(&case, true)?;
    }

    #[test]
    fn a_point_takes_the_worst_of_what_it_takes_on_each_device_alone(case in case()) {
        let case = Case { objectives: (0..4).collect(), ..case };
        let ready = Ready::new(&case, true);
        let each = ready.options.objectives.clone();
        let together = ready.values(&ready.asked());
        let alone: Vec<BTreeMap<u64, Values>> = ready
            .costs
            .iter()
            .map(|cost| {
                let Ready { space, quality, workload, .. } = &ready;
                let evaluator = ModelEvaluator::new(space, cost, quality, TOKENS, workload);
                ready.values(&evaluator.asked_for(&each, &ready.options.limits))
            })
            .collect();
        let valid = alone[0].keys().filter(|index| alone.iter().all(|device| device.contains_key(index)));
        prop_assert_eq!(together.keys().collect::<Vec<_>>(), valid.collect::<Vec<_>>());
        for (index, values) in &together {
            for metric in Metric::OF_DEVICE {
                let on = |device: &BTreeMap<u64, Values>| device[index][metric.column()];
                let worst = alone.iter().map(on).fold(f64::NEG_INFINITY, f64::max);
                prop_assert_eq!(values[metric.column()], worst, "{} of {}", metric.name(), index);
            }
            for metric in each.iter().filter(|metric| metric.device().is_some()) {
                let on = alone[metric.device().unwrap()][index][metric.quantity().column()];
                prop_assert_eq!(values[metric.column()], on, "{} of {}", metric.name(), index);
            }
            prop_assert_eq!(values[Metric::LossPerByte.column()], alone[0][index][Metric::LossPerByte.column()]);
        }
    }
}

#[test]
fn layers_of_their_own_choice_are_refused_on_several_devices() {
    let costs = [uneven(&[1.0], 1e-6), uneven(&[0.5], 1e-6)].map(|profile| CostModel::new(&profile).unwrap());
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let (space, workload) = (Space::load("slm-layers", &[]).unwrap(), Workload::load("assistant").unwrap());
    let evaluator = ModelEvaluator::of_devices(&space, &costs, &quality, TOKENS, &workload);
    let options = SearchOptions {
        objectives: evaluator.default_objectives(&space),
        limits: Vec::new(),
        workers: 1,
        seed: 1,
        sample: 0,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    };
    let error = search_layers(&space, &evaluator, &options, LayerOptions::default()).unwrap_err().to_string();
    assert!(error.contains("2 devices, in a space whose layers differ"), "{error}");
}

#[test]
fn a_metric_that_one_device_cannot_give_is_none_of_all() {
    let costs = [profile::synthetic(true), profile::synthetic(false)]
        .map(|profile| CostModel::new(&profile).unwrap());
    let quality = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let (space, workload) = (Space::load("slm-demo", &[]).unwrap(), Workload::load("assistant").unwrap());
    let gives = |costs: &[CostModel]| {
        let evaluator = ModelEvaluator::of_devices(&space, costs, &quality, TOKENS, &workload);
        evaluator.metrics().contains(&Metric::JoulesPerToken)
    };
    assert!(gives(&costs[..1]) && !gives(&costs[1..]) && !gives(&costs));
}
