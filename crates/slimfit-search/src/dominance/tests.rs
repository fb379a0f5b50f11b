//! The filter against its definition.

use super::*;
use proptest::prelude::*;

fn brute_force(values: &[f64], dimensions: usize) -> Vec<usize> {
    let points: Vec<&[f64]> = values.chunks_exact(dimensions).collect();
    (0..points.len()).filter(|&place| !points.iter().any(|other| dominates(other, points[place]))).collect()
}

fn random(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Where points lie.
#[derive(Debug, Clone, Copy)]
enum Cloud {
    Uniform,
    /// On few levels: ties in single objectives and equal points.
    Levels(u32),
    /// Around a plane that falls in every objective: many stay.
    Plane,
    /// Infinities and zeros of either sign among few levels.
    Extreme,
}

fn points(cloud: Cloud, count: usize, dimensions: usize, seed: u64) -> Vec<f64> {
    let mut random = random(seed);
    let mut values = Vec::with_capacity(count * dimensions);
    for _ in 0..count {
        let mut point: Vec<f64> = (0..dimensions).map(|_| random()).collect();
        match cloud {
            Cloud::Uniform => {}
            Cloud::Levels(levels) => {
                point.iter_mut().for_each(|value| *value = (*value * f64::from(levels)).floor());
            }
            Cloud::Plane => {
                let rest: f64 = point[1..].iter().sum();
                point[0] = dimensions as f64 - rest + 0.05 * point[0];
            }
            Cloud::Extreme => {
                let kinds = [f64::NEG_INFINITY, -1e300, -0.0, 0.0, 1.0, 1.5, 1e300, f64::INFINITY];
                point.iter_mut().for_each(|value| *value = kinds[(*value * 8.0) as usize]);
            }
        }
        values.extend(point);
    }
    values
}

fn cloud() -> impl Strategy<Value = Cloud> {
    prop_oneof![
        Just(Cloud::Uniform),
        (1_u32..20).prop_map(Cloud::Levels),
        Just(Cloud::Plane),
        Just(Cloud::Extreme)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_filter_is_brute_force(
        cloud in cloud(),
        dimensions in 1_usize..7,
        count in 0_usize..400,
        seed in any::<u64>(),
    ) {
        let values = points(cloud, count, dimensions, seed);
        prop_assert_eq!(non_dominated(&values, dimensions), brute_force(&values, dimensions));
    }
}

/// Large enough for scans by strong points and for splits of both kinds.
#[test]
fn the_filter_of_thousands_of_points_is_brute_force() {
    for cloud in [Cloud::Uniform, Cloud::Levels(9), Cloud::Levels(200), Cloud::Plane, Cloud::Extreme] {
        for dimensions in 1..7 {
            let values = points(cloud, 5000, dimensions, 11);
            let kept = non_dominated(&values, dimensions);
            assert_eq!(kept, brute_force(&values, dimensions), "{cloud:?}, {dimensions} objectives, seed 11");
        }
    }
}

#[test]
fn many_objectives_are_compared_too() {
    for dimensions in [7, 8, 9, 16, 17, 32] {
        let values = points(Cloud::Levels(4), 1500, dimensions, 3);
        let kept = non_dominated(&values, dimensions);
        assert_eq!(kept, brute_force(&values, dimensions), "{dimensions} objectives");
        // Without neighbours that dominate, everything would stay.
        let mut behind = values.clone();
        behind.extend(values.iter().map(|value| value + 1.0));
        assert_eq!(non_dominated(&behind, dimensions), kept, "{dimensions} objectives");
    }
}

#[test]
#[should_panic(expected = "at most 32 objectives")]
fn more_than_32_objectives_are_refused() {
    non_dominated(&[0.0; 66], 33);
}

#[test]
fn equal_points_stay_or_go_together() {
    let values = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 4.0, 0.0, 9.0, 9.0, 1.0, 2.0, 4.0, 1.0, 2.0, 3.0];
    assert_eq!(non_dominated(&values, 3), [0, 1, 3, 5]);
}

#[test]
fn zeros_of_either_sign_are_equal() {
    // The second and the third dominate the first, whatever sign their zero has.
    assert_eq!(non_dominated(&[-0.0, 2.0, 0.0, 1.0, -0.0, 1.0], 2), [1, 2]);
    assert_eq!(non_dominated(&[-0.0, 2.0, 5.0, 5.0, 0.0, 2.0, 5.0, 4.0], 4), [1]);
}

#[test]
fn a_front_of_thousands_is_kept_whole_and_the_points_behind_it_are_not() {
    // On the plane x + y + z = 1 nothing dominates; each point shifted outwards is dominated.
    let mut values = Vec::new();
    for i in 0..60 {
        for j in 0..60 - i {
            let (x, y) = (f64::from(i), f64::from(j));
            values.extend([x, y, 60.0 - x - y]);
            values.extend([x + 0.5, y + 0.5, 60.0 - x - y]);
        }
    }
    let kept = non_dominated(&values, 3);
    assert_eq!(kept.len(), values.len() / 6);
    assert!(kept.iter().all(|place| place % 2 == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_tree_finds_a_dominator_exactly_where_there_is_one(
        cloud in cloud(),
        dimensions in 1_usize..6,
        count in 0_usize..300,
        seed in any::<u64>(),
    ) {
        let values = points(cloud, count, dimensions, seed);
        let tree = DominanceTree::new(values.clone(), dimensions);
        for point in points(cloud, 50, dimensions, seed ^ 1).chunks_exact(dimensions) {
            let found = tree.dominator_within(point, &mut usize::MAX.clone());
            prop_assert!(found.is_none_or(|other| dominates(other, point)));
            let exists = values.chunks_exact(dimensions).any(|other| dominates(other, point));
            prop_assert_eq!(found.is_some(), exists);
        }
    }
}
