//! Hypervolumes against their definition.

use super::*;
use proptest::prelude::*;

/// By inclusion and exclusion over all subsets.
fn by_subsets(points: &[f64], reference: &[f64]) -> f64 {
    let dimensions = reference.len();
    let points: Vec<&[f64]> = points.chunks_exact(dimensions).collect();
    let common = |chosen: usize| -> f64 {
        let side = |axis: usize| {
            let chosen = points.iter().enumerate().filter(|(place, _)| chosen >> place & 1 == 1);
            (reference[axis] - chosen.map(|(_, point)| point[axis]).fold(f64::NEG_INFINITY, f64::max))
                .max(0.0)
        };
        (0..dimensions).map(side).product()
    };
    let signed = |chosen: usize| if chosen.count_ones() % 2 == 1 { common(chosen) } else { -common(chosen) };
    (1..1_usize << points.len()).map(signed).sum()
}

/// Unit cells of a grid, where all coordinates are whole.
fn by_cells(points: &[f64], dimensions: usize, side: usize) -> f64 {
    let points: Vec<&[f64]> = points.chunks_exact(dimensions).collect();
    let dominated = |cell: usize| {
        let at: Vec<f64> = (0..dimensions).map(|axis| (cell / side.pow(axis as u32) % side) as f64).collect();
        points.iter().any(|point| point.iter().zip(&at).all(|(value, at)| value <= at))
    };
    (0..side.pow(dimensions as u32)).filter(|cell| dominated(*cell)).count() as f64
}

fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Points near a sphere around the reference: few dominate another.
fn sphere(count: usize, dimensions: usize, seed: u64) -> Vec<f64> {
    let mut random = random(seed);
    let mut values = Vec::new();
    for _ in 0..count {
        let point: Vec<f64> = (0..dimensions).map(|_| random()).collect();
        let norm = point.iter().map(|value| value * value).sum::<f64>().sqrt();
        values.extend(point.iter().map(|value| 1.0 - value / norm * (0.95 + 0.05 * random())));
    }
    values
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * a.abs().max(b.abs()).max(1e-300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn volumes_of_few_points_are_those_of_all_subsets(
        dimensions in 1_usize..8,
        raw in prop::collection::vec(0.0_f64..1.2, 0..70),
    ) {
        let count = (raw.len() / dimensions).min(10);
        let points = &raw[..count * dimensions];
        let reference: Vec<f64> = (0..dimensions).map(|axis| 0.9 + 0.1 * axis as f64).collect();
        let (found, expected) = (hypervolume(points, &reference), by_subsets(points, &reference));
        prop_assert!((found - expected).abs() < 1e-10, "{found} against {expected}");
    }

    #[test]
    fn volumes_on_a_grid_are_its_cells(
        dimensions in 1_usize..7,
        raw in prop::collection::vec(0_u8..5, 0..120),
    ) {
        let side = if dimensions < 5 { 5 } else { 4 };
        let whole: Vec<f64> = raw.iter().map(|value| f64::from(*value)).collect();
        let points = &whole[..whole.len() / dimensions * dimensions];
        prop_assert_eq!(hypervolume(points, &vec![side as f64; dimensions]), by_cells(points, dimensions, side));
    }
}

#[test]
fn objectives_may_change_places() {
    for (dimensions, count) in [(2, 2000), (3, 2000), (4, 1500), (5, 150), (6, 60)] {
        let points = sphere(count, dimensions, 5);
        let reference: Vec<f64> = (0..dimensions).map(|axis| 1.0 + 0.1 * axis as f64).collect();
        let first = hypervolume(&points, &reference);
        for turn in 1..dimensions {
            let turned = |values: &[f64]| -> Vec<f64> {
                values
                    .chunks_exact(dimensions)
                    .flat_map(|point| (0..dimensions).map(|axis| point[(axis + turn) % dimensions]))
                    .collect()
            };
            let other = hypervolume(&turned(&points), &turned(&reference));
            assert!(
                close(first, other),
                "{dimensions} objectives, turned by {turn}: {first} and {other}, seed 5"
            );
        }
    }
}

#[test]
fn slices_of_four_objectives_agree_with_the_split_by_points() {
    for seed in 0..20 {
        for points in [sphere(120, 4, seed), {
            let mut random = random(seed);
            // Few levels: equal values in every objective, and equal points.
            (0..480).map(|_| (random() * 6.0).floor() / 6.0).collect()
        }] {
            let reference = [1.0, 1.1, 1.2, 1.3];
            let (slices, split) = (hypervolume(&points, &reference), many::volume(&points, &reference));
            assert!(close(slices, split), "{slices} and {split}, seed {seed}");
        }
    }
}

#[test]
fn points_that_are_not_below_the_reference_add_nothing() {
    let reference = [1.0, 1.0, 1.0, 1.0];
    assert_eq!(hypervolume(&[], &reference), 0.0);
    assert_eq!(hypervolume(&[0.5, 0.5, 0.5, 1.0, 0.1, 0.1, f64::INFINITY, 0.1], &reference), 0.0);
    assert_eq!(hypervolume(&[0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 2.0], &reference), 0.0625);
    assert_eq!(hypervolume(&[0.5, f64::NEG_INFINITY, 0.5, 0.5], &reference), f64::INFINITY);
    assert_eq!(hypervolume(&[0.5, 0.5], &[]), 0.0);
}

#[test]
fn ratios_weigh_alike_wherever_they_stand() {
    // Two seconds and bytes of different size, the same ratios.
    let (small, large) = ([1.0, 8.0, 2.0, 4.0, 4.0, 2.0], [1e-3, 8e9, 2e-3, 4e9, 4e-3, 2e9]);
    let share = |front: &[f64]| LogScale::of_union(&[front], 2).unwrap().hypervolume(front);
    assert!(close(share(&small), share(&large)));
    // By hand, in units of ln 1.1: sides ln 4.4, points at (0, ln 4), (ln 2, ln 2), (ln 4, 0).
    let (side, two, four) = (4.4_f64.ln(), 2_f64.ln(), 4_f64.ln());
    let area = side * 1.1_f64.ln() + (side - two) * two + (side - four) * (four - two);
    assert!(close(share(&small), area / (side * side)));
}

#[test]
fn a_front_of_one_point_is_all_and_one_that_is_beaten_is_less() {
    let (best, worse) = ([2.0, 3.0, 5.0], [2.1, 3.0, 5.0]);
    let scale = LogScale::of_union(&[&best, &worse], 3).unwrap();
    assert!(close(scale.hypervolume(&best), 1.0));
    assert!(close(scale.hypervolume(&worse), 1.0 - 1.05_f64.ln() / 1.1_f64.ln()));
    // Beyond the reference.
    assert_eq!(scale.hypervolume(&[2.3, 3.0, 5.0]), 0.0);
}

#[test]
fn fronts_that_have_no_logarithm_are_refused() {
    for fronts in [vec![], vec![1.0, 0.0], vec![1.0, -2.0], vec![f64::INFINITY, 1.0], vec![f64::NAN, 1.0]] {
        let error = LogScale::of_union(&[&fronts], 2).unwrap_err().to_string();
        assert!(error.contains("above 0"), "{error}");
    }
}
