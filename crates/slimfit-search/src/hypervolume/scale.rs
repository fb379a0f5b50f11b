//! The scale on which fronts are compared.

use super::hypervolume;
use crate::SearchError;
use crate::dominance::non_dominated;

/// How far the reference lies beyond the nadir.
const BEYOND: f64 = 1.1;

/// Logarithms of objectives, between the best and the worst that the fronts to be compared hold together.
///
/// Seconds, bytes and joules differ by orders of magnitude and matter as ratios: 10 % more of any objective weighs the same
/// anywhere on the front. The reference is 1.1 × the nadir, which is the largest value of each objective among points of
/// the union that nothing in the union dominates; as logarithms, ln nadir + ln 1.1. Objectives are divided by the ideal, the
/// least value of each, before the logarithm is taken: that moves points and reference alike and changes no volume,
/// but makes the box between ideal and reference the whole, of which [`LogScale::hypervolume`] gives the share.
#[derive(Debug, Clone, PartialEq)]
pub struct LogScale {
    ideal: Vec<f64>,
    /// Logarithms of reference over ideal.
    reference: Vec<f64>,
}

impl LogScale {
    /// The scale of these fronts, `dimensions` objectives to a point.
    ///
    /// # Errors
    /// Where no front holds a point, or a value is not finite and above 0.
    pub fn of_union(fronts: &[&[f64]], dimensions: usize) -> Result<Self, SearchError> {
        let refused = |found: String| SearchError::Option {
            name: "fronts to compare".to_owned(),
            found,
            allowed: "one or more points, each value finite and above 0".to_owned(),
        };
        let union = fronts.concat();
        if let Some(value) = union.iter().find(|value| !(value.is_finite() && **value > 0.0)) {
            return Err(refused(value.to_string()));
        }
        let best = non_dominated(&union, dimensions);
        if best.is_empty() {
            return Err(refused("no point".to_owned()));
        }
        let of = |axis: usize, choose: fn(f64, f64) -> f64| {
            best.iter()
                .map(|place| union[place * dimensions + axis])
                .reduce(choose)
                .expect("there is a point")
        };
        let ideal: Vec<f64> = (0..dimensions).map(|axis| of(axis, f64::min)).collect();
        let reference =
            (0..dimensions).map(|axis| (of(axis, f64::max) / ideal[axis]).ln() + BEYOND.ln()).collect();
        Ok(Self { ideal, reference })
    }

    /// The share of the box between ideal and reference that a front dominates, from 0 to 1 for fronts of the union. Points
    /// beyond the reference add nothing.
    pub fn hypervolume(&self, front: &[f64]) -> f64 {
        let logs: Vec<f64> =
            front.iter().zip(self.ideal.iter().cycle()).map(|(value, ideal)| (value / ideal).ln()).collect();
        hypervolume(&logs, &self.reference) / self.reference.iter().product::<f64>()
    }
}
