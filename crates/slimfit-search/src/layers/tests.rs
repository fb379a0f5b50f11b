use super::*;
use crate::dominance::dominates;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Every multiset of kinds for each group: sums of the rounded numbers, and counts.
fn brute_force(problem: &Problem) -> Vec<Label> {
    let scaled = Scaled::new(problem).unwrap();
    let mut models: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    for group in &problem.positions {
        let mut next = Vec::new();
        for model in &models {
            let mut open = vec![(vec![0_u8; problem.kinds.len()], 0, group.count)];
            while let Some((counts, place, left)) = open.pop() {
                if place == group.kinds.len() {
                    if left == 0 {
                        next.push([model.clone(), vec![counts]].concat());
                    }
                    continue;
                }
                for count in 0..=left {
                    let mut counts = counts.clone();
                    counts[group.kinds[place]] = count as u8;
                    open.push((counts, place + 1, left - count));
                }
            }
        }
        models = next;
    }
    let label = |counts: Vec<Vec<u8>>| {
        let mut values = vec![0.0; scaled.dimensions.len()];
        for group in &counts {
            for (kind, &count) in group.iter().enumerate() {
                for (axis, value) in values.iter_mut().enumerate() {
                    *value += scaled.kinds[kind][axis] * f64::from(count);
                }
            }
        }
        let asked = (0..values.len()).filter(|&place| scaled.is_asked(place));
        let values: Vec<f64> = asked.map(|place| values[place]).collect();
        Label { sums: scaled.sums(&values), counts }
    };
    let counted = |counts: &Vec<Vec<u8>>| {
        problem.count_bounds.iter().all(|bound| {
            let layers = counts.iter().flat_map(|group| bound.kinds.iter().map(|kind| group[*kind] as usize));
            (bound.least..=bound.most).contains(&layers.sum())
        })
    };
    models.into_iter().filter(counted).map(label).collect()
}

/// Whether the sums keep limits. A limit is met by the rounded numbers; values of these tests are whole or have room.
fn within(label: &Label, limits: &[Limit]) -> bool {
    limits.iter().all(|limit| {
        let sum = label.sums[limit.quantity];
        limit.least.is_none_or(|least| sum >= least) && limit.most.is_none_or(|most| sum <= most)
    })
}

fn minimised(problem: &Problem, sums: &[f64]) -> Vec<f64> {
    let sign = |direction: &Direction| if *direction == Direction::Least { 1.0 } else { -1.0 };
    problem.directions.iter().zip(sums).map(|(direction, sum)| sign(direction) * sum).collect()
}

fn bits(sums: &[f64]) -> Vec<u64> {
    sums.iter().map(|sum| sum.to_bits()).collect()
}

/// Each vector of the front once.
fn brute_front(problem: &Problem, models: &[Label]) -> BTreeSet<Vec<u64>> {
    let feasible = models.iter().filter(|label| within(label, &problem.limits));
    let vectors: BTreeSet<Vec<u64>> = feasible.map(|label| bits(&label.sums)).collect();
    let vectors: Vec<Vec<f64>> =
        vectors.iter().map(|vector| vector.iter().map(|sum| f64::from_bits(*sum)).collect()).collect();
    let rows: Vec<Vec<f64>> = vectors.iter().map(|vector| minimised(problem, vector)).collect();
    let kept = (0..rows.len()).filter(|&place| !rows.iter().any(|other| dominates(other, &rows[place])));
    kept.map(|place| bits(&vectors[place])).collect()
}

/// Labels are models of the problem, feasible, different, and have the sums that they say.
fn assert_sound(problem: &Problem, models: &[Label], solution: &Solution) {
    let mut seen = BTreeSet::new();
    for label in &solution.labels {
        let model = models.iter().find(|model| model.counts == label.counts);
        let model = model.unwrap_or_else(|| panic!("no such model: {label:?}"));
        assert_eq!(model.sums, label.sums);
        assert!(within(label, &problem.limits), "{label:?}");
        assert!(seen.insert(bits(&label.sums)), "twice: {label:?}");
    }
    let tally = solution.tally;
    let lost = tally.boxed + tally.over_limit + tally.dominated + tally.equal + tally.merged;
    assert_eq!(tally.sums, lost + tally.kept, "{tally:?}");
    assert_eq!(solution.multisets, Some(models.len() as u128));
    assert!(solution.sequences >= solution.multisets);
}

/// Every feasible model within the covered limits has a label within `1 + epsilon`.
fn assert_covered(problem: &Problem, models: &[Label], solution: &Solution) {
    let factor = (1.0 + solution.epsilon) * (1.0 + 1e-12);
    let covers = |label: &Label, model: &Label| {
        let pairs = label.sums.iter().zip(&model.sums);
        pairs.zip(&problem.directions).all(|((label, model), direction)| match direction {
            Direction::Least => *label <= model * factor,
            Direction::Most => label * factor >= *model,
        })
    };
    for model in models.iter().filter(|model| within(model, &solution.covered)) {
        assert!(
            solution.labels.iter().any(|label| covers(label, model)),
            "epsilon {}: not covered: {model:?}",
            solution.epsilon
        );
    }
}

fn options(most_labels: usize, finest_epsilon: f64, workers: usize) -> Options<'static> {
    Options { most_labels, exact: false, finest_epsilon, workers, deadline: None, cancel: None }
}

/// Random problems: whole values that tie often, or fractions; several groups; bounds and limits.
fn problems() -> impl Strategy<Value = Problem> {
    let shape = (1_usize..5, 1_usize..6, 1_usize..3, any::<bool>());
    shape.prop_flat_map(|(quantities, kinds, groups, coarse)| {
        let value = if coarse { (0_u32..6).prop_map(f64::from).boxed() } else { (0.1_f64..3.0).boxed() };
        let directions = prop::collection::vec(any::<bool>(), quantities);
        let values = prop::collection::vec(prop::collection::vec(value.clone(), quantities), kinds);
        let fixed = prop::collection::vec(value, quantities);
        let all: Vec<usize> = (0..kinds).collect();
        let set = prop::sample::subsequence(all.clone(), 1..=kinds);
        let most = if groups == 1 { 7 } else { 4 };
        let positions = prop::collection::vec((1_usize..=most, set.clone()), groups);
        let bounds = prop::collection::vec((set, 0_usize..4, 0_usize..5), 0..3);
        let limits = prop::collection::vec((0..quantities, any::<bool>(), 0.2_f64..1.0), 0..3);
        (directions, values, fixed, positions, bounds, limits).prop_map(
            |(directions, kinds, fixed, positions, bounds, limits)| {
                let layers: usize = positions.iter().map(|(count, _)| count).sum();
                let reach = |quantity: usize| {
                    let most = kinds.iter().map(|kind| kind[quantity]).fold(0.0, f64::max);
                    // A fraction that no sum equals but by chance, so that rounding decides nothing.
                    fixed[quantity] + most * layers as f64
                };
                let limit = |(quantity, above, share): (usize, bool, f64)| {
                    let bound = Some(reach(quantity) * if above { share } else { 0.6 * share });
                    let (least, most) = if above { (None, bound) } else { (bound, None) };
                    Limit { quantity, least, most }
                };
                let direction = |least: bool| if least { Direction::Least } else { Direction::Most };
                Problem {
                    directions: directions.into_iter().map(direction).collect(),
                    limits: limits.into_iter().map(limit).collect(),
                    kinds: kinds.clone(),
                    fixed: fixed.clone(),
                    positions: positions
                        .into_iter()
                        .map(|(count, kinds)| Positions { count, kinds })
                        .collect(),
                    count_bounds: bounds
                        .into_iter()
                        .map(|(kinds, least, room)| CountBound { kinds, least, most: least + room })
                        .collect(),
                }
            },
        )
    })
}

/// Values whose ratios stay positive, so that a grid of few cells exists.
fn tamed(mut problem: Problem) -> Problem {
    for values in problem.kinds.iter_mut().chain([&mut problem.fixed]) {
        values.iter_mut().for_each(|value| *value += 0.5);
    }
    problem
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_front_is_that_of_all_multisets(problem in problems(), workers in 1_usize..4) {
        let models = brute_force(&problem);
        let solution = solve(&problem, &options(1_000_000, 0.01, workers)).unwrap();
        prop_assert!(solution.exact);
        prop_assert_eq!(solution.epsilon, 0.0);
        assert_sound(&problem, &models, &solution);
        let found: BTreeSet<Vec<u64>> = solution.labels.iter().map(|label| bits(&label.sums)).collect();
        prop_assert_eq!(found, brute_front(&problem, &models));
    }

    #[test]
    fn every_model_is_covered_within_the_epsilon(problem in problems(), most in 1_usize..6) {
        for problem in [problem.clone(), tamed(problem)] {
            let models = brute_force(&problem);
            let solution = solve(&problem, &options(most, 0.01, 2)).unwrap();
            if solution.epsilon.is_finite() {
                assert_sound(&problem, &models, &solution);
                assert_covered(&problem, &models, &solution);
            } else {
                prop_assert!(solution.labels.is_empty());
            }
        }
    }
}

/// Kinds that no formula made: 12 of them, each with its own costs.
fn hard(quantities: usize, layers: usize) -> Problem {
    let value = |kind: usize, quantity: usize| {
        let parameters = 1.0 + kind as f64 * 0.25;
        let odd = ((kind + 1) as f64 * [2.0_f64, 3.0, 5.0, 7.0][quantity].sqrt()).fract();
        if quantity == 0 { parameters } else { parameters * (1.0 + 0.4 * odd) }
    };
    let row = |kind: usize| (0..quantities).map(|quantity| value(kind, quantity)).collect();
    let mut directions = vec![Direction::Least; quantities];
    directions[0] = Direction::Most;
    Problem {
        directions,
        kinds: (0..12).map(row).collect(),
        fixed: vec![3.0; quantities],
        positions: vec![Positions { count: layers, kinds: (0..12).collect() }],
        ..Problem::default()
    }
}

#[test]
fn a_large_front_is_covered_within_two_percent_and_by_all_counts_of_workers_alike() {
    let problem = hard(4, 16);
    let exact = solve(&problem, &options(1_000_000, 0.01, 2)).unwrap();
    assert!(exact.exact);
    let thinned =
        [1, 2, 3].map(|workers| solve(&problem, &options(exact.labels.len() / 2, 0.02, workers)).unwrap());
    assert!(!thinned[0].exact && thinned[0].epsilon > 0.0, "{}", thinned[0].epsilon);
    assert!(thinned[0].tally.merged > 0);
    for other in &thinned[1..] {
        assert_eq!(other.labels, thinned[0].labels);
        assert_eq!((other.epsilon, other.tally), (thinned[0].epsilon, thinned[0].tally));
    }
    assert_covered(&problem, &exact.labels, &thinned[0]);
}

#[test]
fn a_bound_of_counts_within_one_group_is_solved_as_positions() {
    let mut problem = hard(3, 10);
    problem.count_bounds = vec![
        CountBound { kinds: vec![0, 1, 2], least: 4, most: 10 },
        CountBound { kinds: vec![8, 9], least: 2, most: 10 },
    ];
    let cases = cases(&problem).unwrap();
    assert_eq!(cases.cases.len(), 1);
    let counts: Vec<usize> = cases.cases[0].iter().map(|block| block.count).collect();
    assert_eq!(counts, [4, 2, 4]);
    let solution = solve(&problem, &options(1_000_000, 0.01, 2)).unwrap();
    assert!(!solution.labels.is_empty());
    for label in &solution.labels {
        let layers = |kinds: &[usize]| kinds.iter().map(|kind| label.counts[0][*kind]).sum::<u8>();
        assert!(layers(&[0, 1, 2]) >= 4 && layers(&[8, 9]) >= 2, "{label:?}");
    }
}

#[test]
fn models_are_counted_in_every_order_and_in_none() {
    let problem = hard(2, 24);
    let cases = cases(&Problem { count_bounds: Vec::new(), ..problem }).unwrap();
    // 35 over 11, and 12 to the 24th.
    assert_eq!(cases.multisets, Some(417_225_900));
    assert_eq!(cases.sequences, Some(12_u128.pow(24)));
    let mut six = hard(2, 24);
    six.kinds.truncate(6);
    six.positions[0].kinds.truncate(6);
    assert_eq!(super::cases::cases(&six).unwrap().multisets, Some(118_755));
    six.positions = vec![Positions { count: 255, kinds: (0..6).collect() }];
    assert_eq!(super::cases::cases(&six).unwrap().sequences, None);
}

#[test]
fn what_nothing_meets_has_an_empty_exact_front() {
    let mut problem = hard(3, 6);
    problem.count_bounds = vec![CountBound { kinds: vec![0], least: 7, most: 9 }];
    let solution = solve(&problem, &options(1000, 0.01, 1)).unwrap();
    assert!(solution.exact && solution.labels.is_empty());
    assert_eq!(solution.multisets, Some(0));
    problem.count_bounds.clear();
    problem.limits = vec![Limit { quantity: 1, least: None, most: Some(1.0) }];
    let solution = solve(&problem, &options(1000, 0.01, 1)).unwrap();
    assert!(solution.exact && solution.labels.is_empty());
}

#[test]
fn a_cancelled_search_says_that_nothing_is_known() {
    let cancel = AtomicBool::new(true);
    let asked = Options { cancel: Some(&cancel), ..options(1_000_000, 0.01, 2) };
    let solution = solve(&hard(4, 16), &asked).unwrap();
    assert!(solution.stopped && !solution.exact && solution.labels.is_empty());
    assert!(solution.epsilon.is_infinite());
    let late = Options { deadline: Some(Instant::now()), ..options(1_000_000, 0.01, 2) };
    assert!(solve(&hard(4, 16), &late).unwrap().stopped);
}

#[test]
fn contradictions_are_refused_with_what_is_allowed() {
    let refused = |change: fn(&mut Problem), expected: &str| {
        let mut problem = hard(2, 4);
        change(&mut problem);
        let error = solve(&problem, &options(1000, 0.01, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(|problem| problem.directions.clear(), "1 to 12");
    refused(|problem| problem.kinds[3].push(1.0), "2 quantities each");
    refused(|problem| problem.kinds[3][0] = -1.0, "found -1; allowed: finite numbers, at least 0");
    refused(|problem| problem.fixed[1] = f64::NAN, "`fixed`: found NaN");
    refused(|problem| problem.positions[0].kinds.push(12), "kinds below 12");
    refused(|problem| problem.positions[0].kinds.push(3), "kind 3 twice");
    refused(|problem| problem.positions[0].count = 256, "1 to 255 in all");
    refused(
        |problem| problem.limits.push(Limit { quantity: 2, least: None, most: None }),
        "quantities below 2",
    );
}
