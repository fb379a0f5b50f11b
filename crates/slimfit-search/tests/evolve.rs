//! The search that measures: what it never does, what it finds, and how it fares beside chance.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod oracles;

use oracles::{
    LARGE, SMALL, Synthetic, Truth, candidates, found, hash, model_front, odd_loss, odd_seconds, options,
    space,
};
use proptest::prelude::*;
use proptest::sample::subsequence;
use slimfit_search::evolve::{Answer, Evolution, EvolveOptions, Oracle, Patience, Stopped, evolve};
use slimfit_search::{Found, LogScale, Metric, SearchError, Space, dominates, non_dominated};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ALL: [Metric; 3] = [Metric::Loss, Metric::TpotSeconds, Metric::MemoryBytes];
const BOTH: [Metric; 2] = [Metric::Loss, Metric::TpotSeconds];

fn truths(measures: &[Metric]) -> Vec<Truth> {
    measures
        .iter()
        .map(|metric| if *metric == Metric::Loss { odd_loss as Truth } else { odd_seconds })
        .collect()
}

fn indices(evolution: &Evolution) -> Vec<u64> {
    evolution.evaluations.iter().map(|evaluated| evaluated.index).collect()
}

/// Numbers of the points that nothing dominates, by looking at all pairs.
fn true_front(oracle: &Synthetic<'_>, options: &EvolveOptions<'_>) -> Vec<u64> {
    let modelled: Vec<(Metric, f64)> =
        options.limits.iter().filter(|(metric, _)| !options.measures.contains(metric)).copied().collect();
    let points: Vec<_> = candidates(oracle.space, &modelled)
        .into_iter()
        .filter_map(|index| found(oracle, &options.measures, index))
        .filter(|point| {
            options.limits.iter().all(|(metric, limit)| metric.keeps(point.values[metric.column()], *limit))
        })
        .map(|point| {
            let of = |metric: &Metric| metric.minimised(point.values[metric.column()]);
            (point.index, options.objectives.iter().map(of).collect::<Vec<f64>>())
        })
        .collect();
    let mut front: Vec<u64> = points
        .iter()
        .filter(|(_, point)| !points.iter().any(|(_, other)| dominates(other, point)))
        .map(|(index, _)| *index)
        .collect();
    front.sort_unstable();
    front
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn no_budget_is_exceeded_no_point_is_measured_twice_and_all_are_candidates(
        (seed, noise, fails) in (any::<u64>(), 0.0_f64..0.2, 0_u64..6),
        evaluations in 1_usize..60,
        (batch, explore, warm) in (1_usize..9, 0_usize..6, any::<bool>()),
        measures in subsequence(BOTH.to_vec(), 1..=2),
        limits in (0.1_f64..1.0, 0.3_f64..1.0),
    ) {
        let space = space(LARGE);
        let start = if warm { model_front(&space, &ALL, 9) } else { vec![0, 1, u64::MAX, 1] };
        let options = EvolveOptions {
            // The first limit is on what is never measured, the second on what may be.
            limits: vec![(Metric::MemoryBytes, 6e7 * limits.0), (Metric::TpotSeconds, 4e-3 * limits.1)],
            start, explore, batch, seed,
            ..options(&ALL, &measures, evaluations)
        };
        let mut oracle = Synthetic { noise, fails, ..Synthetic::new(&space, truths(&measures)) };
        let evolution = evolve(&space, &oracles::Model, &options, &mut oracle).unwrap();
        prop_assert!(evolution.evaluations.len() <= evaluations);
        prop_assert_eq!(&oracle.asked, &indices(&evolution));
        let different: HashSet<u64> = oracle.asked.iter().copied().collect();
        prop_assert_eq!(different.len(), oracle.asked.len());
        let modelled: Vec<(Metric, f64)> =
            options.limits.iter().filter(|(metric, _)| !measures.contains(metric)).copied().collect();
        let all: HashSet<u64> = candidates(&space, &modelled).into_iter().collect();
        prop_assert!(different.is_subset(&all), "only candidates are measured");
        prop_assert_eq!(evolution.evaluations.len(), evaluations.min(all.len()));
        // The front is that of what was measured and keeps all limits.
        let kept: Vec<_> = oracle
            .asked
            .iter()
            .filter_map(|index| found(&oracle, &measures, *index))
            .filter(|point| options.limits.iter().all(|(metric, limit)| point.values[metric.column()] <= *limit))
            .collect();
        let of = |point: &Found| ALL.map(|metric| point.values[metric.column()]);
        let mut front: Vec<u64> = kept
            .iter()
            .filter(|point| !kept.iter().any(|other| dominates(&of(other), &of(point))))
            .map(|point| point.index)
            .collect();
        front.sort_unstable();
        let mut said: Vec<u64> = evolution.front.iter().map(|point| point.index).collect();
        said.sort_unstable();
        prop_assert_eq!(said, front);
        prop_assert_eq!(evolution.front.len() + evolution.dominated.len(), kept.len());
        prop_assert!(evolution.front.iter().all(|point| kept.contains(point)));
        // The hypervolume only rises, up to that of the last front.
        prop_assert_eq!(evolution.hypervolume.len(), evolution.evaluations.len());
        prop_assert!(evolution.hypervolume.is_sorted());
        // The same answers lead to the same questions.
        let mut again = Synthetic { noise, fails, ..Synthetic::new(&space, truths(&measures)) };
        let second = evolve(&space, &oracles::Model, &options, &mut again).unwrap();
        prop_assert_eq!(second.evaluations, evolution.evaluations);
    }

    #[test]
    fn a_small_space_gives_its_exact_measured_front(
        (seed, noise, fails) in (any::<u64>(), 0.0_f64..0.3, 0_u64..6),
        (batch, limited) in (1_usize..9, any::<bool>()),
    ) {
        let space = space(SMALL);
        let limits = if limited { vec![(Metric::Loss, 5.0), (Metric::MemoryBytes, 1.2e6)] } else { Vec::new() };
        let options = EvolveOptions { limits, batch, seed, ..options(&ALL, &BOTH, 10_000) };
        let mut oracle = Synthetic { noise, fails, ..Synthetic::new(&space, truths(&BOTH)) };
        let evolution = evolve(&space, &oracles::Model, &options, &mut oracle).unwrap();
        prop_assert_eq!(evolution.stopped, Stopped::Exhausted);
        let mut said: Vec<u64> = evolution.front.iter().map(|point| point.index).collect();
        said.sort_unstable();
        prop_assert_eq!(said, true_front(&oracle, &options));
    }
}

/// Answers from a list where it can, and stops at a number of measurements.
struct Resumed<'a> {
    oracle: Synthetic<'a>,
    known: BTreeMap<u64, Answer>,
    measured: usize,
    most: usize,
}

impl Oracle for Resumed<'_> {
    type Error = SearchError;

    fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, SearchError> {
        let mut answer = |index: &u64| {
            if let Some(known) = self.known.get(index) {
                return known.clone();
            }
            if self.measured == self.most {
                return Answer::Unanswered;
            }
            self.measured += 1;
            let answer = self.oracle.answer(*index);
            self.known.insert(*index, answer.clone());
            answer
        };
        Ok(points.iter().map(&mut answer).collect())
    }
}

#[test]
fn an_interrupted_search_goes_on_where_it_stopped_and_ends_where_an_undisturbed_one_does() {
    let space = space(LARGE);
    let options = EvolveOptions { seed: 11, ..options(&ALL, &BOTH, 40) };
    let oracle = || Synthetic { fails: 5, noise: 0.02, ..Synthetic::new(&space, truths(&BOTH)) };
    let whole = evolve(&space, &oracles::Model, &options, &mut oracle()).unwrap();
    let mut resumed = Resumed { oracle: oracle(), known: BTreeMap::new(), measured: 0, most: 0 };
    for most in [3, 14, 15, 30] {
        resumed.most = most;
        let part = evolve(&space, &oracles::Model, &options, &mut resumed).unwrap();
        assert_eq!((part.stopped, part.evaluations.len()), (Stopped::Oracle, most));
        assert_eq!(part.evaluations, whole.evaluations[..most]);
    }
    // A larger budget goes on with what a smaller one asked for.
    resumed.most = usize::MAX;
    let less = EvolveOptions { evaluations: 38, ..options.clone() };
    assert_eq!(
        evolve(&space, &oracles::Model, &less, &mut resumed).unwrap().evaluations,
        whole.evaluations[..38]
    );
    let end = evolve(&space, &oracles::Model, &options, &mut resumed).unwrap();
    assert_eq!(
        (end.evaluations, end.front, end.stopped),
        (whole.evaluations, whole.front, Stopped::Evaluations)
    );
    assert_eq!(resumed.measured, 40, "nothing was measured twice");
}

#[test]
fn it_stops_when_the_front_no_longer_grows_when_time_is_up_and_when_it_is_told_to() {
    let space = space(SMALL);
    let patience = Some(Patience { evaluations: 12, least_gain: 0.02 });
    let stalled = EvolveOptions { patience, ..options(&ALL, &BOTH, 1000) };
    let mut oracle = Synthetic::new(&space, truths(&BOTH));
    let evolution = evolve(&space, &oracles::Model, &stalled, &mut oracle).unwrap();
    assert_eq!(evolution.stopped, Stopped::Stalled);
    let count = evolution.evaluations.len();
    assert!((12..60).contains(&count), "{count}");

    let late = EvolveOptions { deadline: Some(Instant::now()), ..options(&ALL, &BOTH, 10) };
    let evolution = evolve(&space, &oracles::Model, &late, &mut oracle).unwrap();
    assert_eq!((evolution.stopped, evolution.evaluations.len()), (Stopped::Deadline, 0));

    struct Slow<'a>(Synthetic<'a>, &'a AtomicBool);
    impl Oracle for Slow<'_> {
        type Error = SearchError;

        fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, SearchError> {
            std::thread::sleep(Duration::from_millis(5));
            let mut answers = self.0.measure(points)?;
            if self.0.asked.len() >= 12 {
                self.1.store(true, Ordering::Relaxed);
                *answers.last_mut().unwrap() = Answer::Unanswered;
            }
            Ok(answers)
        }
    }
    let cancel = AtomicBool::new(false);
    let asked = EvolveOptions { cancel: Some(&cancel), ..options(&ALL, &BOTH, 100) };
    let mut oracle = Slow(Synthetic::new(&space, truths(&BOTH)), &cancel);
    let evolution = evolve(&space, &oracles::Model, &asked, &mut oracle).unwrap();
    assert_eq!((evolution.stopped, evolution.evaluations.len()), (Stopped::Cancelled, 11));
}

#[test]
fn the_surrogate_is_nearer_to_what_is_measured_than_the_model_and_says_so() {
    let space = space(LARGE);
    let options = EvolveOptions { start: model_front(&space, &ALL, 12), ..options(&ALL, &BOTH, 80) };
    let mut oracle = Synthetic::new(&space, truths(&BOTH));
    let evolution = evolve(&space, &oracles::Model, &options, &mut oracle).unwrap();
    for error in &evolution.errors {
        println!("{error:?}");
        let (model, corrected) = (error.model.unwrap(), error.corrected.unwrap());
        assert!(corrected < 0.5 * model, "{}: {corrected} beside {model}", error.metric.name());
        let foretold = error.foretold.unwrap();
        assert!(foretold < model, "{}: {foretold} beside {model}", error.metric.name());
        assert_eq!(error.measured, 80);
    }
    let bias = evolution.errors[1].model_bias.unwrap();
    assert!(bias > 0.1, "it is slower than predicted: {bias}");
}

#[test]
fn what_no_model_predicts_is_learnt_from_nothing() {
    let space = space(LARGE);
    let objectives = [Metric::JoulesPerToken, Metric::Loss];
    let joules: Truth = |block, layers, predicted| {
        0.3 * predicted[Metric::TpotSeconds.column()] + 1e-6 * layers as f64 * block.heads as f64
    };
    let mut oracle = Synthetic::new(&space, vec![joules]);
    let options = options(&objectives, &objectives[..1], 60);
    let evolution = evolve(&space, &oracles::Model, &options, &mut oracle).unwrap();
    let error = evolution.errors[0];
    assert_eq!((error.model, error.model_bias), (None, None));
    assert!(error.corrected.unwrap() < 0.25, "{error:?}");
    assert!(evolution.front.len() > 3);
}

#[test]
fn values_that_cannot_be_compared_are_failures_and_are_said_to_be() {
    struct Broken;
    impl Oracle for Broken {
        type Error = SearchError;

        fn measure(&mut self, points: &[u64]) -> Result<Vec<Answer>, SearchError> {
            let values = |index: &u64| match index % 4 {
                0 => vec![f64::NAN],
                1 => vec![-1.0],
                2 => vec![1.0, 2.0],
                _ => vec![2.0 + hash(*index) as f64 / u64::MAX as f64],
            };
            Ok(points.iter().map(|index| Answer::Values(values(index))).collect())
        }
    }
    let space = space(LARGE);
    let evolution =
        evolve(&space, &oracles::Model, &options(&ALL, &[Metric::Loss], 40), &mut Broken).unwrap();
    for evaluated in &evolution.evaluations {
        match &evaluated.measured {
            Ok(values) => assert!(evaluated.index % 4 == 3 && values[0] >= 2.0),
            Err(reason) => {
                assert!(reason.contains("number above 0") || reason.contains("2 values"), "{reason}")
            }
        }
    }
    assert!(evolution.front.iter().all(|found| found.index % 4 == 3));
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let space = space(SMALL);
    let mut oracle = Synthetic::new(&space, truths(&BOTH));
    let mut refused = |options: EvolveOptions<'_>, expected: &str| {
        let error = evolve(&space, &oracles::Model, &options, &mut oracle).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(options(&ALL, &[], 10), "`measures`: found none");
    refused(options(&ALL[1..], &[Metric::Loss], 10), "found `loss`; allowed: an objective or a limit");
    refused(options(&ALL, &[Metric::Loss, Metric::Loss], 10), "`loss` twice");
    refused(options(&[Metric::Loss, Metric::TtftSeconds], &[Metric::Loss], 10), "`ttft_seconds`");
    refused(options(&ALL, &BOTH, 0), "`evaluations`: found 0");
    refused(EvolveOptions { batch: 0, ..options(&ALL, &BOTH, 10) }, "`batch`: found 0");
    let patience = Some(Patience { evaluations: 5, least_gain: 1.5 });
    refused(EvolveOptions { patience, ..options(&ALL, &BOTH, 10) }, "`patience`");
    assert!(oracle.asked.is_empty());
}

/// Hypervolumes of a search that starts from the model's front, of one that starts from nowhere, and of as many random
/// candidates, as shares of that of the front of all candidates.
fn beside_chance(space: &Space, measures: &[Metric], noise: f64, budget: usize, seed: u64) -> [f64; 3] {
    let oracle = || Synthetic { noise, fails: 20, ..Synthetic::new(space, truths(measures)) };
    let run = |start: Vec<u64>| {
        let options = EvolveOptions { start, seed, ..options(&ALL, measures, budget) };
        oracles::flat(&evolve(space, &oracles::Model, &options, &mut oracle()).unwrap().front, &ALL)
    };
    let all: Vec<Found> =
        candidates(space, &[]).iter().filter_map(|index| found(&oracle(), measures, *index)).collect();
    let values = oracles::flat(&all, &ALL);
    let best: Vec<Found> = non_dominated(&values, ALL.len()).into_iter().map(|place| all[place]).collect();
    let mut random = candidates(space, &[]);
    random.sort_by_key(|index| hash(index ^ hash(seed)));
    let drawn: Vec<Found> =
        random[..budget].iter().filter_map(|index| found(&oracle(), measures, *index)).collect();
    let fronts = [run(model_front(space, &ALL, 12)), run(Vec::new()), oracles::flat(&drawn, &ALL)];
    let best = oracles::flat(&best, &ALL);
    let scale = LogScale::of_union(&[&best], ALL.len()).unwrap();
    fronts.map(|front| scale.hypervolume(&front) / scale.hypervolume(&best))
}

#[test]
fn it_finds_more_than_chance_with_as_many_measurements() {
    const BUDGET: usize = 60;
    let space = space(LARGE);
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!("{BUDGET} of {} candidates", candidates(&space, &[]).len());
    for (name, measures, noise) in [
        ("loss", &BOTH[..1], 0.0),
        ("seconds", &BOTH[1..], 0.0),
        ("both", &BOTH[..], 0.0),
        ("both, 3 % noise", &BOTH[..], 0.03),
    ] {
        let runs: Vec<[f64; 3]> =
            (1..=5).map(|seed| beside_chance(&space, measures, noise, BUDGET, seed)).collect();
        let [warm, cold, chance] = [0, 1, 2].map(|place| median(runs.iter().map(|run| run[place]).collect()));
        println!("{name}: {warm:.3} from the model's front, {cold:.3} from nowhere, {chance:.3} by chance");
        assert!(warm > 1.1 * chance && cold > 1.1 * chance, "{name}: {warm}, {cold} and {chance}");
    }
}
