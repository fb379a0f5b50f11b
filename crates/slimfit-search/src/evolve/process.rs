//! A Gaussian process: what is expected at a point after some were seen, and how sure that is.
//!
//! The covariance is a constant, a linear part and a smooth part, `σ² (c + l·x·x'/p + exp(−|x−x'|²/2pλ²))`, with noise
//! `σ²ν` on what was seen. Its mean is ridge regression on the same features with room for what is not linear. `λ`, `l` and `ν`
//! are those of a small grid under which the observations are likeliest, `σ²` follows in closed form (Rasmussen and
//! Williams 2006, chapters 2 and 5). What it would have said of each observation without it, equation 5.12 there, costs no
//! refit.

use super::features::{COUNT, Features};

const CONSTANT: f64 = 1e3;
const LENGTHS: [f64; 4] = [0.35, 0.7, 1.4, 2.8];
const LINEAR: [f64; 2] = [0.0, 2.0];
const NOISES: [f64; 4] = [1e-5, 1e-3, 3e-2, 0.3];
/// Least variance of what is learnt: 0.01 % of a value.
const LEAST: f64 = 1e-8;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kernel {
    length: f64,
    linear: f64,
    noise: f64,
    /// Features that vary.
    dimensions: f64,
}

#[derive(Debug, Clone)]
pub(super) struct Process {
    seen: Vec<Features>,
    kernel: Kernel,
    /// Lower triangular, by rows.
    factor: Vec<f64>,
    /// Inverse covariance times observations.
    weights: Vec<f64>,
    variance: f64,
}

impl Kernel {
    fn of(&self, a: &Features, b: &Features) -> f64 {
        let (mut product, mut distance) = (0.0, 0.0);
        for place in 0..COUNT {
            product += a[place] * b[place];
            distance += (a[place] - b[place]).powi(2);
        }
        let smooth = (-0.5 * distance / (self.dimensions * self.length * self.length)).exp();
        CONSTANT + self.linear * product / self.dimensions + smooth
    }
}

impl Process {
    /// Learns from observations; `known`: a kernel that was found before.
    ///
    /// # Panics
    /// Without observations.
    pub(super) fn fit(seen: &[Features], values: &[f64], varying: usize, known: Option<Kernel>) -> Self {
        let dimensions = varying.max(1) as f64;
        if let Some(kernel) = known {
            return Self::with(seen, values, kernel).0;
        }
        let mut best: Option<(Self, f64)> = None;
        for length in LENGTHS {
            for linear in LINEAR {
                for noise in NOISES {
                    let found = Self::with(seen, values, Kernel { length, linear, noise, dimensions });
                    if best.as_ref().is_none_or(|(_, likelihood)| found.1 > *likelihood) {
                        best = Some(found);
                    }
                }
            }
        }
        best.expect("the grid is not empty").0
    }

    /// The process of a kernel, and the logarithm of the observations' likelihood, constants aside.
    fn with(seen: &[Features], values: &[f64], kernel: Kernel) -> (Self, f64) {
        let count = seen.len();
        assert!(count > 0 && count == values.len(), "as many observations as points");
        let mut factor = vec![0.0; count * count];
        for row in 0..count {
            for column in 0..=row {
                factor[row * count + column] = kernel.of(&seen[row], &seen[column]);
            }
            factor[row * count + row] += kernel.noise;
        }
        decompose(&mut factor, count);
        let mut half = values.to_vec();
        forwards(&factor, count, &mut half);
        let variance = (half.iter().map(|value| value * value).sum::<f64>() / count as f64).max(LEAST);
        let determinant: f64 = (0..count).map(|row| factor[row * count + row].ln()).sum();
        let likelihood = -0.5 * count as f64 * variance.ln() - determinant;
        backwards(&factor, count, &mut half);
        (Self { seen: seen.to_vec(), kernel, factor, weights: half, variance }, likelihood)
    }

    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// What is expected at a point, and one standard deviation of it.
    pub(super) fn expect(&self, point: &Features) -> (f64, f64) {
        let mut covariance: Vec<f64> = self.seen.iter().map(|seen| self.kernel.of(seen, point)).collect();
        let mean = covariance.iter().zip(&self.weights).map(|(covariance, weight)| covariance * weight).sum();
        forwards(&self.factor, self.seen.len(), &mut covariance);
        let known: f64 = covariance.iter().map(|value| value * value).sum();
        let left = (self.kernel.of(point, point) - known).max(1e-9);
        (mean, (self.variance * left).sqrt())
    }

    /// Observation less what would have been expected without it, for each.
    pub(super) fn left_out(&self) -> Vec<f64> {
        let count = self.seen.len();
        (0..count)
            .map(|place| {
                // The diagonal of the inverse, a column of the inverse factor at a time.
                let mut column = vec![0.0; count];
                column[place] = 1.0;
                forwards(&self.factor, count, &mut column);
                let diagonal: f64 = column.iter().map(|value| value * value).sum();
                self.weights[place] / diagonal
            })
            .collect()
    }
}

/// The lower Cholesky factor of a positive definite matrix, in its place.
fn decompose(matrix: &mut [f64], count: usize) {
    for row in 0..count {
        for column in 0..=row {
            let (a, b) = (row * count, column * count);
            let sum: f64 = (0..column).map(|place| matrix[a + place] * matrix[b + place]).sum();
            let left = matrix[a + column] - sum;
            // Rounding may leave nothing of a point that was seen twice.
            matrix[a + column] =
                if row == column { left.max(1e-12).sqrt() } else { left / matrix[b + column] };
        }
    }
}

fn forwards(factor: &[f64], count: usize, values: &mut [f64]) {
    for row in 0..count {
        let known: f64 = (0..row).map(|place| factor[row * count + place] * values[place]).sum();
        values[row] = (values[row] - known) / factor[row * count + row];
    }
}

fn backwards(factor: &[f64], count: usize, values: &mut [f64]) {
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|place| factor[place * count + row] * values[place]).sum();
        values[row] = (values[row] - known) / factor[row * count + row];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolve::random::Random;

    fn sample(count: usize, noise: f64) -> (Vec<Features>, Vec<f64>) {
        let mut random = Random::new(3);
        let mut seen = Vec::new();
        let mut values = Vec::new();
        for _ in 0..count {
            let mut features = [0.0; COUNT];
            features[0] = 3.4 * random.share() - 1.7;
            features[3] = 3.4 * random.share() - 1.7;
            values.push(
                0.4 + 0.2 * features[0] + 0.3 * (2.0 * features[3]).sin() + noise * (random.share() - 0.5),
            );
            seen.push(features);
        }
        (seen, values)
    }

    #[test]
    fn left_out_errors_are_those_of_a_process_that_never_saw_the_point() {
        let (seen, values) = sample(25, 0.05);
        let process = Process::fit(&seen, &values, 2, None);
        for (place, error) in process.left_out().into_iter().enumerate() {
            let (mut others, mut rest) = (seen.clone(), values.clone());
            let (point, value) = (others.remove(place), rest.remove(place));
            let without = Process::fit(&others, &rest, 2, Some(process.kernel()));
            let expected = value - without.expect(&point).0;
            assert!((error - expected).abs() < 1e-6, "{place}: {error} and {expected}");
        }
    }

    #[test]
    fn it_learns_what_is_not_linear_and_knows_how_sure_it_is() {
        let (seen, values) = sample(80, 0.0);
        let (known, fresh) = seen.split_at(60);
        let process = Process::fit(known, &values[..60], 2, None);
        let errors: Vec<f64> = fresh
            .iter()
            .zip(&values[60..])
            .map(|(point, value)| {
                let (mean, sigma) = process.expect(point);
                assert!((value - mean).abs() < 6.0 * sigma + 1e-3, "{value} is not {mean} ± {sigma}");
                (value - mean).powi(2)
            })
            .collect();
        let rms = (errors.iter().sum::<f64>() / errors.len() as f64).sqrt();
        assert!(rms < 0.02, "{rms}");
        let far = process.expect(&[4.0; COUNT]).1;
        assert!(far > 5.0 * process.expect(&seen[0]).1, "it is less sure where it saw nothing: {far}");
    }

    #[test]
    fn one_observation_and_equal_ones_are_enough() {
        let (seen, _) = sample(3, 0.0);
        let one = Process::fit(&seen[..1], &[0.5], 2, None);
        assert!((one.expect(&seen[0]).0 - 0.5).abs() < 1e-3);
        let equal = Process::fit(&seen, &[0.0; 3], 2, None);
        assert_eq!(equal.expect(&seen[1]).0, 0.0);
    }
}
