//! Which points of a front tell most about the cost model's errors.

use crate::WorkflowError;
use slimfit_cost::{CALIBRATION_CLASSES, CostModel, RunShape};
use slimfit_plan::Phase;
use slimfit_study::FrontPoint;

/// Points that are looked at: more would only be near others.
const CANDIDATES: usize = 200;
/// How sure the cost model is without any run, against one run: small, so that the first runs count for much.
const PRIOR: f64 = 0.02;

type Vector = [f64; CALIBRATION_CLASSES];

/// The inverse of a matrix that grows by one run at a time.
struct Information([Vector; CALIBRATION_CLASSES]);

impl Information {
    fn new() -> Self {
        let mut inverse = [[0.0; CALIBRATION_CLASSES]; CALIBRATION_CLASSES];
        for (place, row) in inverse.iter_mut().enumerate() {
            row[place] = 1.0 / PRIOR;
        }
        Self(inverse)
    }

    fn times(&self, run: &Vector) -> Vector {
        std::array::from_fn(|row| self.0[row].iter().zip(run).map(|(a, b)| a * b).sum())
    }

    /// ln of the factor by which a run shrinks the volume of what the factors may be.
    fn gain(&self, run: &Vector) -> f64 {
        let product = self.times(run);
        run.iter().zip(&product).map(|(a, b)| a * b).sum::<f64>().ln_1p()
    }

    /// Counts a run in (Sherman and Morrison's formula).
    fn add(&mut self, run: &Vector) {
        let product = self.times(run);
        let scale = 1.0 + run.iter().zip(&product).map(|(a, b)| a * b).sum::<f64>();
        for (row, a) in self.0.iter_mut().zip(product) {
            for (cell, b) in row.iter_mut().zip(product) {
                *cell -= a * b / scale;
            }
        }
    }
}

/// Places of `wanted` points, the most telling first.
///
/// A correction is a factor on each class of predicted seconds. A run tells about each class as much as its share of the
/// time; the points are chosen one by one such that each shrinks the volume of what all factors may be the most
/// (D-optimality). `runs`: what is timed of each model.
pub(super) fn informative(
    points: &[FrontPoint],
    cost: &CostModel,
    runs: &[(Phase, RunShape)],
    wanted: usize,
) -> Result<Vec<usize>, WorkflowError> {
    let shown: Vec<usize> = (0..points.len()).filter(|place| points[*place].representative).collect();
    let step = shown.len().div_ceil(CANDIDATES).max(1);
    let mut candidates: Vec<(usize, Vec<(Phase, Vector)>)> = Vec::new();
    for place in shown.into_iter().step_by(step) {
        let point = &points[place];
        let mut shares = Vec::new();
        for (phase, run) in runs {
            let plan = cost.plan(&point.architecture, point.weights, point.kv, point.threads, *run)?;
            let seconds = cost.seconds_by_class(*phase, &plan, *run, point.threads)?;
            let total: f64 = seconds.iter().sum();
            if total > 0.0 {
                shares.push((*phase, seconds.map(|class| class / total)));
            }
        }
        candidates.push((place, shares));
    }
    // Factors of the phases are apart.
    let mut known = [Information::new(), Information::new()];
    let of = |phase: Phase| usize::from(phase == Phase::Prefill);
    let mut chosen = Vec::new();
    while chosen.len() < wanted && !candidates.is_empty() {
        let gain = |(_, shares): &(usize, Vec<(Phase, Vector)>)| -> f64 {
            shares.iter().map(|(phase, share)| known[of(*phase)].gain(share)).sum()
        };
        let best = (0..candidates.len())
            .max_by(|&a, &b| gain(&candidates[a]).total_cmp(&gain(&candidates[b])).then(b.cmp(&a)))
            .unwrap_or(0);
        let (place, shares) = candidates.remove(best);
        for (phase, share) in &shares {
            known[of(*phase)].add(share);
        }
        chosen.push(place);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_tells_less_the_second_time_and_most_where_nothing_is_known() {
        let mut known = Information::new();
        let (mut one, mut other) = ([0.0; CALIBRATION_CLASSES], [0.0; CALIBRATION_CLASSES]);
        one[0] = 1.0;
        other[1] = 1.0;
        let first = known.gain(&one);
        assert_eq!(first, known.gain(&other));
        known.add(&one);
        assert!(known.gain(&one) < 0.2 * first && known.gain(&other) == first);
        let mixed: Vector = std::array::from_fn(|class| f64::from(u8::from(class < 2)) * 0.5);
        assert!(known.gain(&mixed) > known.gain(&one) && known.gain(&mixed) < known.gain(&other));
    }
}
