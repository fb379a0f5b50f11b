//! Robust least squares: Levenberg–Marquardt on residuals whose outliers count linearly.
//!
//! The problems here have at most nine unknowns. A general solver would bring a matrix library of some thirty packages.

use super::normal::NormalEquations;

/// Weight of the distance from the start against one observation, as a share of its scale.
const TETHER: f64 = 0.1;
/// Damping at the start, as a share of each unknown's curvature.
const DAMPING: f64 = 1e-3;
/// Damping at which no step is left that a number could hold.
const LARGEST_DAMPING: f64 = 1e12;
/// Steps that lower the cost by less than this share end the search.
const LEAST_GAIN: f64 = 1e-10;
/// Steps after which the search is given up.
const MOST_STEPS: usize = 2000;

/// What is observed, as a function of the unknowns.
pub(super) trait Observations {
    /// What all observations have in common at a point.
    type Point;
    /// How many there are.
    fn count(&self) -> usize;
    /// Prepares a point.
    fn point(&self, unknowns: &[f64]) -> Self::Point;
    /// The residual of one at a point, and its derivatives by the unknowns.
    fn residual(&self, index: usize, point: &Self::Point, gradient: &mut [f64]) -> f64;
}

/// The unknowns that minimise the soft-L1 loss `2 s² (√(1 + (r/s)²) − 1)`, s = `scale`, summed over all observations, plus
/// `(s/10 · (x − start))²` for each unknown. The second part settles what the observations leave open; it weighs no more than
/// one observation that is off by a tenth of `scale`.
///
/// Nothing where no minimum is found.
pub(super) fn minimise(observations: &impl Observations, start: &[f64], scale: f64) -> Option<Vec<f64>> {
    let mut at = start.to_vec();
    let (mut cost, mut equations) = linearised(observations, &at, start, scale);
    let mut damping = DAMPING;
    for _ in 0..MOST_STEPS {
        if !cost.is_finite() {
            return None;
        }
        let candidate: Option<Vec<f64>> = equations
            .solve(damping)
            .map(|step| at.iter().zip(step).map(|(value, step)| value - step).collect());
        let tried = candidate.map(|point| {
            let (cost, equations) = linearised(observations, &point, start, scale);
            (point, cost, equations)
        });
        match tried {
            Some((point, lower, next)) if lower < cost => {
                let gain = (cost - lower) / cost;
                (at, cost, equations) = (point, lower, next);
                damping = (damping / 4.0).max(1e-12);
                if gain < LEAST_GAIN {
                    return Some(at);
                }
            }
            _ => damping *= 5.0,
        }
        if damping > LARGEST_DAMPING || cost == 0.0 {
            return Some(at);
        }
    }
    None
}

/// Cost at a point, and the normal equations of its linearisation.
fn linearised<O: Observations>(
    observations: &O,
    at: &[f64],
    start: &[f64],
    scale: f64,
) -> (f64, NormalEquations) {
    let mut equations = NormalEquations::new(at.len());
    let mut gradient = vec![0.0; at.len()];
    let point = observations.point(at);
    let mut cost = 0.0;
    for index in 0..observations.count() {
        gradient.fill(0.0);
        let residual = observations.residual(index, &point, &mut gradient);
        let (bent, slope) = soft_l1(residual, scale);
        gradient.iter_mut().for_each(|value| *value *= slope);
        equations.add(&gradient, bent);
        cost += bent * bent;
    }
    for unknown in 0..at.len() {
        gradient.fill(0.0);
        gradient[unknown] = TETHER * scale;
        let away = TETHER * scale * (at[unknown] - start[unknown]);
        equations.add(&gradient, away);
        cost += away * away;
    }
    (cost, equations)
}

/// The residual whose square is the soft-L1 loss of `residual`, and its derivative.
fn soft_l1(residual: f64, scale: f64) -> (f64, f64) {
    let ratio = residual / scale;
    let root = (1.0 + ratio * ratio).sqrt();
    // √(2 (root − 1)) without cancellation for small ratios.
    let bent = residual * (2.0 / (root + 1.0)).sqrt();
    let slope = if residual == 0.0 { 1.0 } else { residual / (bent * root) };
    (bent, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Line<'a>(&'a [(f64, f64)]);

    impl Observations for Line<'_> {
        type Point = [f64; 2];

        fn count(&self) -> usize {
            self.0.len()
        }

        fn point(&self, unknowns: &[f64]) -> [f64; 2] {
            [unknowns[0], unknowns[1]]
        }

        fn residual(&self, index: usize, point: &[f64; 2], gradient: &mut [f64]) -> f64 {
            let (x, y) = self.0[index];
            gradient.copy_from_slice(&[1.0, x]);
            point[0] + point[1] * x - y
        }
    }

    #[test]
    fn a_line_is_found_in_spite_of_an_outlier() {
        let mut points: Vec<(f64, f64)> = (0..20).map(|x| (f64::from(x), 3.0 - 0.5 * f64::from(x))).collect();
        points[7].1 += 10.0;
        let found = minimise(&Line(&points), &[0.0, 0.0], 0.01).expect("a line can be fitted");
        assert!((found[0] - 3.0).abs() < 0.02 && (found[1] + 0.5).abs() < 0.002, "{found:?}");
    }

    #[test]
    fn what_the_observations_leave_open_stays_where_it_began() {
        let found = minimise(&Line(&[(0.0, 2.0)]), &[0.0, 7.0], 0.01).expect("one point can be fitted");
        assert!((found[1] - 7.0).abs() < 1e-9 && (found[0] - 2.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn the_slope_of_the_bent_residual_is_its_derivative() {
        for residual in [-0.3, -0.005, -1e-9, 1e-12, 0.002, 0.01, 4.0] {
            let step = 1e-6 * f64::abs(residual);
            let slope =
                (soft_l1(residual + step, 0.005).0 - soft_l1(residual - step, 0.005).0) / (2.0 * step);
            assert!((soft_l1(residual, 0.005).1 - slope).abs() < 1e-5, "{residual}");
        }
    }
}
