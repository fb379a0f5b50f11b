//! The search against brute force, with objectives drawn at random.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use proptest::prelude::*;
use slimfit_document::Document;
use slimfit_search::{
    Block, Evaluator, Found, Inner, Invalid, Metric, SearchOptions, Space, Values, dominates, enumerate,
};
use std::sync::atomic::{AtomicBool, Ordering};

const SPACE: &str = "
schema: slimfit/space/v1
name: small
description: A space for tests.
axes:
  layers: [2, 4, 6]
  hidden_size: [64, 96, 128]
  head_size: [16, 32, 48]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: [2 * hidden_size, 256]
  gated: [true, false]
  window: none
  vocabulary_size: 1000
  tied_embeddings: [true, false]
  weights: [f32, q8_0]
  kv: [f16]
portable: []
";

/// Objectives from a hash of the point's number; every `refuse`-th point is invalid.
struct Random {
    seed: u64,
    levels: f64,
    refuse: u64,
}

impl Random {
    fn value(&self, index: u64, column: u64) -> f64 {
        let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.seed
            ^ column.wrapping_mul(0xd134_2543_de82_ef95);
        for _ in 0..3 {
            state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        }
        // Few levels make equal values likely.
        1.0 + ((state >> 11) as f64 / (1_u64 << 53) as f64 * self.levels).floor()
    }
}

const METRICS: [Metric; 4] = [Metric::Loss, Metric::TtftSeconds, Metric::TpotSeconds, Metric::MemoryBytes];

impl Evaluator for Random {
    type Prepared<'s> = u64;

    fn metrics(&self) -> &[Metric] {
        &METRICS
    }

    fn prepare(&self, space: &Space, block: &Block) -> Result<u64, Invalid> {
        Ok(block.index * space.inner_size())
    }

    fn evaluate(&self, first: &mut u64, inner: Inner, values: &mut Values) -> Result<(), Invalid> {
        let index = *first + inner.index;
        if index.is_multiple_of(self.refuse) {
            return Err(Invalid::of("refused"));
        }
        for (column, metric) in METRICS.into_iter().enumerate() {
            values[metric.column()] = self.value(index, column as u64);
        }
        Ok(())
    }
}

fn space() -> Space {
    Space::from_document(&Document::from_str(SPACE, "small.yaml").unwrap(), &[]).unwrap()
}

fn options(objectives: &[Metric], limits: &[(Metric, f64)], workers: usize) -> SearchOptions<'static> {
    SearchOptions {
        objectives: objectives.to_vec(),
        limits: limits.to_vec(),
        workers,
        seed: 7,
        sample: 50,
        passes: vec![0.0],
        deadline: None,
        cancel: None,
        progress: None,
    }
}

fn brute_force(space: &Space, random: &Random, objectives: &[Metric], limits: &[(Metric, f64)]) -> Vec<u64> {
    let mut points: Vec<(u64, Vec<f64>)> = Vec::new();
    for index in 0..space.size() {
        if space.block(index / space.inner_size()).is_err() || index.is_multiple_of(random.refuse) {
            continue;
        }
        let value = |metric: Metric| {
            let column = METRICS.iter().position(|known| *known == metric).unwrap();
            random.value(index, column as u64)
        };
        if limits.iter().all(|(metric, limit)| value(*metric) <= *limit) {
            points.push((index, objectives.iter().map(|metric| value(*metric)).collect()));
        }
    }
    let front = points.iter().filter(|(_, point)| !points.iter().any(|(_, other)| dominates(other, point)));
    let mut front: Vec<u64> = front.map(|(index, _)| *index).collect();
    front.sort_unstable();
    front
}

fn indices(front: &[Found]) -> Vec<u64> {
    let mut indices: Vec<u64> = front.iter().map(|found| found.index).collect();
    indices.sort_unstable();
    indices
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_front_is_brute_force_and_the_counters_add_up(
        seed in any::<u64>(),
        levels in prop_oneof![Just(3.0), Just(12.0), Just(1e6)],
        refuse in 2_u64..40,
        chosen in 1_usize..5,
        limit in prop_oneof![Just(None), (0.05_f64..0.9).prop_map(Some)],
        workers in 1_usize..4,
    ) {
        let (space, random) = (space(), Random { seed, levels, refuse });
        let objectives = &METRICS[..chosen];
        let limits: Vec<(Metric, f64)> = limit.map(|share| (Metric::MemoryBytes, 1.0 + share * levels)).into_iter().collect();
        let outcome = enumerate(&space, &random, &options(objectives, &limits, workers)).unwrap();
        prop_assert_eq!(indices(&outcome.front), brute_force(&space, &random, objectives, &limits));
        prop_assert_eq!(outcome.space_size, outcome.invalid + outcome.evaluated + outcome.unvisited);
        prop_assert_eq!(slimfit_study::Natural::from(outcome.invalid), outcome.invalid_by.iter().map(|reason| &reason.count).sum::<slimfit_study::Natural>());
        prop_assert_eq!(outcome.unvisited, 0);
        prop_assert_eq!(outcome.nearest_miss.is_some(), outcome.front.is_empty());
    }
}

#[test]
fn the_result_does_not_depend_on_the_number_of_workers() {
    let (space, random) = (space(), Random { seed: 3, levels: 1e6, refuse: 17 });
    let run = |workers| enumerate(&space, &random, &options(&METRICS, &[], workers)).unwrap();
    let (one, four) = (run(1), run(4));
    assert_eq!((one.front, one.sample, one.invalid_by), (four.front, four.sample, four.invalid_by));
}

#[test]
fn the_sample_is_of_points_off_the_front_and_as_large_as_asked() {
    let (space, random) = (space(), Random { seed: 3, levels: 1e6, refuse: 17 });
    let outcome = enumerate(&space, &random, &options(&[Metric::Loss], &[], 2)).unwrap();
    assert!((40..=50).contains(&outcome.sample.len()), "{}", outcome.sample.len());
    assert!(outcome.sample.iter().all(|found| !outcome.front.contains(found)));
}

#[test]
fn a_limit_that_nothing_meets_names_the_nearest_miss() {
    let (space, random) = (space(), Random { seed: 5, levels: 1e6, refuse: 1000 });
    let outcome = enumerate(&space, &random, &options(&METRICS, &[(Metric::Loss, 0.5)], 2)).unwrap();
    let miss = outcome.nearest_miss.unwrap();
    let everything = enumerate(&space, &random, &options(&[Metric::Loss], &[], 1)).unwrap();
    assert!(outcome.front.is_empty());
    assert_eq!(miss.values[Metric::Loss.column()], everything.front[0].values[Metric::Loss.column()]);
}

#[test]
fn a_stopped_search_counts_what_it_did_not_visit() {
    let (space, random) = (space(), Random { seed: 5, levels: 1e6, refuse: 1000 });
    let cancel = AtomicBool::new(false);
    let progress = |_| cancel.store(true, Ordering::Relaxed);
    cancel.store(true, Ordering::Relaxed);
    let options =
        SearchOptions { cancel: Some(&cancel), progress: Some(&progress), ..options(&METRICS, &[], 2) };
    let outcome = enumerate(&space, &random, &options).unwrap();
    assert_eq!((outcome.evaluated, outcome.unvisited), (0, space.size()));
}

#[test]
fn reasons_say_why_points_are_none() {
    let (space, random) = (space(), Random { seed: 5, levels: 1e6, refuse: u64::MAX });
    let outcome = enumerate(&space, &random, &options(&METRICS, &[], 1)).unwrap();
    let reasons: Vec<&str> = outcome.invalid_by.iter().map(|reason| reason.reason.as_str()).collect();
    assert!(reasons.contains(&"heads is no whole number"), "{reasons:?}");
    assert!(reasons.contains(&"kv_heads is no whole number"), "{reasons:?}");
    // 2 * 128 is 256 as well.
    assert!(reasons.contains(&"the same as another point"), "{reasons:?}");
}

#[test]
fn an_objective_that_cannot_be_given_is_refused() {
    let (space, random) = (space(), Random { seed: 5, levels: 1e6, refuse: 1000 });
    for bad in [
        options(&[], &[], 1),
        options(&[Metric::JoulesPerToken], &[], 1),
        options(&METRICS, &[(Metric::Loss, f64::NAN)], 1),
    ] {
        assert!(enumerate(&space, &random, &bad).is_err());
    }
}
