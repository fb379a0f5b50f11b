//! Points to filter and to measure, the same on every run.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Uniform in the unit cube.
pub fn uniform(count: usize, dimensions: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    (0..count * dimensions).map(|_| random.random()).collect()
}

/// On the positive part of a sphere, of which none dominates another: bulging towards the ideal, or away from it.
pub fn sphere(count: usize, dimensions: usize, bulging: bool) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut values = Vec::with_capacity(count * dimensions);
    for _ in 0..count {
        // Products of normal numbers' densities depend on the radius alone.
        let point: Vec<f64> = (0..dimensions)
            .map(|_| {
                let (u, v): (f64, f64) = (random.random(), random.random());
                (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos().abs()
            })
            .collect();
        let norm = point.iter().map(|value| value * value).sum::<f64>().sqrt();
        values.extend(point.iter().map(|value| if bulging { 1.0 - value / norm } else { value / norm }));
    }
    values
}
