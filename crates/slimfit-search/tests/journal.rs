//! Searches that die at any step of their journal, and searches of several processes: always the front of one that nothing
//! disturbed, and every point counted once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use proptest::prelude::*;
use proptest::sample::select;
use slimfit_cost::CostModel;
use slimfit_document::Document;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::{
    Journal, Metric, ModelEvaluator, Outcome, SearchError, SearchOptions, Space, TakenUp, Workload, search,
    search_with_journal,
};
use slimfit_study::{
    Claim, LEASE, News, SaveOutcome, SearchId, SearchProgress, SearchRequest, Study, StudyError, Worker,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Twelve units of 432 to 1152 points a pass.
const SPACE: &str = "
schema: slimfit/space/v1
name: mixed
description: A little of every axis.
axes:
  layers: [6, 8, 10, 14, 20, 24]
  hidden_size: [256, 384]
  head_size: [32, 64]
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2, heads / 4]
  ffn: [2 * hidden_size, 2.5 * hidden_size round 64, 3 * hidden_size, 1000]
  gated: true
  window: [none, {size: 512, full_every: 4}]
  vocabulary_size: [32768, 49152]
  tied_embeddings: [true, false]
  weights: [bf16, q8_0, q4_0]
  kv: f16
constraints:
  non_embedding: {min: 5M}
exclude:
  - layers == 14 and hidden_size < 300
";

/// A process that dies after so many calls of its journal, losing what it did not save; or one that is asked to stop after so
/// many claims of two units.
struct Mortal<'m> {
    worker: Worker,
    calls: u32,
    cancel: Option<&'m AtomicBool>,
}

impl Mortal<'_> {
    fn live(&mut self) -> Result<(), StudyError> {
        if self.cancel.is_none() {
            self.calls =
                self.calls.checked_sub(1).ok_or_else(|| StudyError::Missing(PathBuf::from("killed")))?;
        }
        Ok(())
    }
}

impl Journal for Mortal<'_> {
    fn progress(&mut self) -> Result<Vec<SearchProgress>, StudyError> {
        self.live()?;
        self.worker.progress()
    }

    fn claim(&mut self, count: u64) -> Result<Claim, StudyError> {
        self.live()?;
        if let Some(cancel) = self.cancel {
            self.calls -= 1;
            cancel.store(self.calls == 0, Ordering::Relaxed);
        }
        self.worker.claim(count.min(2))
    }

    fn save(&mut self, progress: &SearchProgress) -> Result<SaveOutcome, StudyError> {
        self.live()?;
        self.worker.save(progress)
    }

    fn news(&mut self) -> Result<Option<News>, StudyError> {
        self.live()?;
        self.worker.news()
    }

    fn others(&self) -> Result<Option<Vec<SearchProgress>>, StudyError> {
        self.worker.others()
    }

    fn has_company(&self) -> Result<bool, StudyError> {
        self.worker.has_company()
    }

    fn interval(&self) -> Duration {
        Duration::ZERO
    }
}

/// What is searched, on a made-up device.
struct World {
    space: Space,
    cost: CostModel,
    quality: QualityModel,
    workload: Workload,
}

impl World {
    fn new() -> Self {
        Self {
            space: Space::from_document(&Document::from_str(SPACE, "mixed.yaml").unwrap(), &[]).unwrap(),
            cost: CostModel::new(&profile::synthetic(true)).unwrap(),
            quality: QualityModel::new(Recipe::builtin("gemstones").unwrap()),
            workload: Workload::load("voice-command").unwrap(),
        }
    }

    fn evaluator(&self, options: &SearchOptions<'_>) -> ModelEvaluator<'_> {
        ModelEvaluator::new(&self.space, &self.cost, &self.quality, 100_000_000_000, &self.workload)
            .asked_for(&options.objectives, &options.limits)
    }

    fn undisturbed(&self, options: &SearchOptions<'_>) -> Outcome {
        search(&self.space, &self.evaluator(options), options).unwrap()
    }

    /// One life of a process: it ends with the search, finds it finished, or dies after so many calls.
    fn life(
        &self,
        options: &SearchOptions<'_>,
        folder: &Path,
        calls: u32,
        lease: Duration,
    ) -> (Result<Option<Outcome>, SearchError>, Option<TakenUp>) {
        let study = Study::create(folder).unwrap();
        let id = study.begin_search(&request()).unwrap().id;
        let mut heard = None;
        let cancel = options.cancel;
        let join = |units| Ok(Mortal { worker: study.join_search(id, units, lease)?, calls, cancel });
        let evaluator = self.evaluator(options);
        let done = search_with_journal(&self.space, &evaluator, options, join, |at| heard = Some(*at));
        (done, heard)
    }
}

fn request() -> SearchRequest {
    SearchRequest {
        program_version: String::new(),
        inputs: Vec::new(),
        engine: "slimfit".to_owned(),
        tokens: 1,
        objectives: Vec::new(),
        limits: Vec::new(),
        seed: 1,
        sample: 1,
        settings: String::new(),
    }
}

fn options(passes: &[f64], limits: &[(Metric, f64)], workers: usize) -> SearchOptions<'static> {
    SearchOptions {
        objectives: vec![
            Metric::LossPerByte,
            Metric::SecondsPerByte,
            Metric::MemoryBytes,
            Metric::JoulesPerToken,
        ],
        limits: limits.to_vec(),
        workers,
        seed: 1,
        sample: 20,
        passes: passes.to_vec(),
        deadline: None,
        cancel: None,
        progress: None,
    }
}

fn is_killed(error: &SearchError) -> bool {
    matches!(error, SearchError::Journal(StudyError::Missing(path)) if path == Path::new("killed"))
}

/// Every point is counted once, and what is certain is as in a search that nothing disturbed.
fn check(found: &Outcome, undisturbed: &Outcome) -> Result<(), TestCaseError> {
    let pruned: u64 = found.pruned.iter().map(|bound| bound.count.to_u128().unwrap() as u64).sum();
    prop_assert_eq!(found.space_size, found.invalid + found.evaluated + pruned + found.unvisited);
    prop_assert_eq!(found.unvisited, 0);
    prop_assert_eq!(found.epsilon, undisturbed.epsilon);
    prop_assert_eq!(&found.nearest_miss, &undisturbed.nearest_miss);
    Ok(())
}

/// Draws that are the same in every run of a case.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn a_search_that_dies_again_and_again_ends_as_if_nothing_had_happened(
        seed in any::<u64>(),
        passes in select(vec![vec![0.0], vec![0.2, 0.02, 0.0], vec![0.1]]),
        limits in select(vec![
            vec![],
            vec![(Metric::MemoryBytes, 7e7)],
            vec![(Metric::MemoryBytes, 1e6), (Metric::TpotSeconds, 1e-5)],
        ]),
        workers in 1_usize..3,
    ) {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let options = options(&passes, &limits, workers);
        let undisturbed = world.undisturbed(&options);
        let (mut draws, mut lives, mut seen) = (Draws(seed), 0, (0, 0));
        let found = loop {
            lives += 1;
            prop_assert!(lives < 2000, "it never ends");
            let (done, heard) = world.life(&options, folder.path(), draws.below(14) as u32, LEASE);
            // What was done stays done.
            if let Some(at) = heard {
                prop_assert!((at.pass, at.visited) >= seen, "{at:?} after {seen:?}");
                prop_assert!(at.visited <= at.size && !at.has_company);
                seen = (at.pass, at.visited);
            }
            match done {
                Ok(outcome) => break outcome.unwrap(),
                Err(error) => prop_assert!(is_killed(&error), "{error}"),
            }
            Study::open(folder.path()).unwrap().check().unwrap();
        };
        prop_assert!(lives > 1, "nothing died");
        prop_assert!(seen > (0, 0), "no life left anything");
        check(&found, &undisturbed)?;
        let epsilon = passes[passes.len() - 1];
        if epsilon == 0.0 {
            prop_assert_eq!(&found.front, &undisturbed.front);
            prop_assert_eq!(&found.sample, &undisturbed.sample);
        } else {
            is_near(&found, &world.undisturbed(&self::options(&[0.0], &limits, 1)), epsilon)?;
        }
    }
}

/// Each point of the exact front has one of `found` within the distance.
fn is_near(found: &Outcome, exact: &Outcome, epsilon: f64) -> Result<(), TestCaseError> {
    let recipe = Recipe::builtin("gemstones").unwrap();
    let irreducible = recipe.loss.irreducible.value / recipe.text.bytes_per_token(recipe.vocabulary_size);
    for point in &exact.front {
        let near = found.front.iter().any(|other| {
            [Metric::LossPerByte, Metric::SecondsPerByte, Metric::MemoryBytes, Metric::JoulesPerToken]
                .iter()
                .all(|metric| {
                    let base = if *metric == Metric::LossPerByte { irreducible } else { 0.0 };
                    let above = |values: &slimfit_search::Values| values[metric.column()] - base;
                    above(&other.values) <= above(&point.values) * (1.0 + epsilon + 1e-9)
                })
        });
        prop_assert!(near, "nothing near {:?}", point);
    }
    Ok(())
}

#[test]
fn two_processes_share_a_search_whether_one_dies_or_claims_are_lost() {
    let world = World::new();
    let options = options(&[0.05, 0.0], &[], 1);
    let undisturbed = world.undisturbed(&options);
    // Both to the end; one killed on the way; and leases so short that claims of living ones are taken.
    let cases = [(u32::MAX, LEASE), (9, LEASE), (20, LEASE), (u32::MAX, Duration::from_millis(2))];
    for (calls, lease) in cases {
        let folder = tempfile::tempdir().unwrap();
        let ends = std::thread::scope(|scope| {
            let lives = [u32::MAX, calls].map(|calls| {
                scope.spawn({
                    let (world, options, folder) = (&world, &options, folder.path());
                    move || world.life(options, folder, calls, lease).0
                })
            });
            lives.map(|life| life.join().unwrap())
        });
        let mut whole = 0;
        for end in ends {
            match end {
                Ok(found) => {
                    let found = found.expect("nobody writes a front here");
                    check(&found, &undisturbed).unwrap();
                    assert_eq!(found.front, undisturbed.front);
                    whole += 1;
                }
                Err(error) => assert!(calls < u32::MAX && is_killed(&error), "{error}"),
            }
        }
        assert!(whole >= 1);
        let parts = Study::open(folder.path()).unwrap().progress(SearchId(1)).unwrap().unwrap();
        let done: u64 = parts.iter().map(|part| part.done.count()).sum();
        assert_eq!(done, 24, "each unit is done once");
    }
}

#[test]
fn what_was_stopped_is_taken_up_and_its_time_counts() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let whole = options(&[0.0], &[], 1);
    // No time at all: what was not begun is unvisited.
    let stopped = SearchOptions { deadline: Some(Instant::now()), ..whole.clone() };
    let (none, heard) = world.life(&stopped, folder.path(), u32::MAX, LEASE);
    let none = none.unwrap().unwrap();
    assert_eq!((heard, none.epsilon), (None, None));
    assert!(none.front.is_empty() && none.unvisited > 0);
    assert_eq!(none.space_size, none.invalid + none.evaluated + none.unvisited);

    // Asked to stop in the middle of it.
    let cancel = AtomicBool::new(false);
    let cancelled = SearchOptions { cancel: Some(&cancel), ..whole.clone() };
    let (half, _) = world.life(&cancelled, folder.path(), 4, LEASE);
    let half = half.unwrap().unwrap();
    let pruned: u64 = half.pruned.iter().map(|bound| bound.count.to_u128().unwrap() as u64).sum();
    assert_eq!(half.space_size, half.invalid + half.evaluated + pruned + half.unvisited);
    assert!(half.unvisited > 0 && half.evaluated > 0 && !half.front.is_empty());

    let parts = Study::open(folder.path()).unwrap().progress(SearchId(1)).unwrap().unwrap();
    let kept: f64 = parts.iter().map(|part| part.seconds).sum();

    let (rest, heard) = world.life(&whole, folder.path(), u32::MAX, LEASE);
    let (rest, heard) = (rest.unwrap().unwrap(), heard.unwrap());
    assert!(heard.visited > 0 && heard.visited < heard.size, "{heard:?}");
    assert_eq!((heard.pass, heard.passes, heard.has_company), (1, 1, false));
    let undisturbed = world.undisturbed(&whole);
    check(&rest, &undisturbed).unwrap();
    assert_eq!(rest.front, undisturbed.front);
    assert!(kept > 0.0 && rest.duration.as_secs_f64() > kept, "{:?} after {kept} s", rest.duration);
}
