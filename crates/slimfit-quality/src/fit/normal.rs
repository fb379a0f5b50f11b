//! Normal equations of a small least squares, solved by Cholesky's decomposition.

/// `JᵀJ x = Jᵀr`, gathered row by row.
#[derive(Debug, Clone)]
pub(super) struct NormalEquations {
    unknowns: usize,
    /// (unknowns, unknowns) row-major; the lower triangle is used.
    square: Vec<f64>,
    right: Vec<f64>,
}

impl NormalEquations {
    /// No rows yet.
    pub fn new(unknowns: usize) -> Self {
        Self { unknowns, square: vec![0.0; unknowns * unknowns], right: vec![0.0; unknowns] }
    }

    /// Adds a row of J and its r.
    pub fn add(&mut self, row: &[f64], value: f64) {
        for (i, left) in row.iter().enumerate() {
            self.right[i] += left * value;
            for (j, right) in row[..=i].iter().enumerate() {
                self.square[i * self.unknowns + j] += left * right;
            }
        }
    }

    /// Adds to the diagonal element of one unknown.
    pub fn add_ridge(&mut self, unknown: usize, value: f64) {
        self.square[unknown * self.unknowns + unknown] += value;
    }

    /// The solution with the diagonal grown by the share `damping`; nothing where the matrix is not positive definite.
    pub fn solve(&self, damping: f64) -> Option<Vec<f64>> {
        let n = self.unknowns;
        let mut lower = self.square.clone();
        for i in 0..n {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let grown = if i == j { self.square[i * n + i] * (1.0 + damping) } else { lower[i * n + j] };
                let rest = grown - known;
                if i != j {
                    lower[i * n + j] = rest / lower[j * n + j];
                } else if rest > 0.0 && rest.is_finite() {
                    lower[i * n + i] = rest.sqrt();
                } else {
                    return None;
                }
            }
        }
        let mut solution = self.right.clone();
        for i in 0..n {
            let known: f64 = (0..i).map(|k| lower[i * n + k] * solution[k]).sum();
            solution[i] = (solution[i] - known) / lower[i * n + i];
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| lower[k * n + i] * solution[k]).sum();
            solution[i] = (solution[i] - known) / lower[i * n + i];
        }
        Some(solution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_system_is_solved_and_a_singular_one_is_not() {
        let mut equations = NormalEquations::new(3);
        let truth = [2.0, -1.0, 0.5];
        for row in [[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [3.0, 0.0, 1.0], [1.0, 1.0, 1.0]] {
            equations.add(&row, row.iter().zip(truth).map(|(a, b)| a * b).sum());
        }
        let found = equations.solve(0.0).expect("the rows are independent");
        assert!(found.iter().zip(truth).all(|(found, truth)| (found - truth).abs() < 1e-12), "{found:?}");
        let mut singular = NormalEquations::new(2);
        singular.add(&[1.0, 1.0], 1.0);
        assert_eq!(singular.solve(0.0), None);
        singular.add_ridge(0, 1.0);
        assert!(singular.solve(0.0).is_some());
    }
}
