//! Intervals by drawing groups with replacement.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use slimfit_quantity::quantile;

/// 5 and 95 % bounds of each value that `values` computes from a sample. A sample is as many places of `0..groups` as
/// there are groups, drawn with replacement; the same seed draws the same samples. Samples without a value are left out.
///
/// Nothing where fewer than half of the samples have values.
pub fn bootstrap(
    groups: usize,
    samples: usize,
    seed: u64,
    mut values: impl FnMut(&[usize]) -> Option<Vec<f64>>,
) -> Option<Vec<[f64; 2]>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found: Vec<Vec<f64>> = Vec::new();
    for _ in 0..samples {
        let places: Vec<usize> = (0..groups).map(|_| random.random_range(0..groups)).collect();
        found.extend(values(&places));
    }
    if found.is_empty() || found.len() * 2 < samples {
        return None;
    }
    Some(
        (0..found[0].len())
            .map(|index| {
                let column: Vec<f64> = found.iter().map(|row| row[index]).collect();
                [quantile(&column, 0.05), quantile(&column, 0.95)]
            })
            .collect(),
    )
}
