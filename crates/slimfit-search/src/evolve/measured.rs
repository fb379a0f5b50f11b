//! What was measured so far: every evaluation in order, the front of those that keep all limits, and its hypervolume.
//!
//! Each objective is measured for all points or modelled for all of them, so that no comparison mixes the two.

use super::costs::{cost, is_usable, keeps};
use super::oracle::Evaluated;
use super::pool::Candidate;
use crate::archive::Found;
use crate::dominance::{compare, non_dominated};
use crate::{LogScale, Metric};

/// A point that was measured.
#[derive(Debug, Clone)]
pub(super) struct MeasuredPoint {
    /// As the model and the surrogate see it.
    pub(super) candidate: Candidate,
    /// Measured values in the place of predictions.
    pub(super) found: Found,
    /// Logarithms of the costs of the objectives.
    pub(super) logs: Vec<f64>,
    pub(super) feasible: bool,
}

/// All evaluations, in order.
#[derive(Debug)]
pub(super) struct MeasuredSet<'a> {
    objectives: &'a [Metric],
    limits: &'a [(Metric, f64)],
    measures: &'a [Metric],
    pub(super) evaluations: Vec<Evaluated>,
    /// Those that have values, oldest first.
    pub(super) points: Vec<MeasuredPoint>,
    /// For each evaluation its place in `points`.
    places: Vec<Option<usize>>,
}

impl<'a> MeasuredSet<'a> {
    pub(super) fn new(objectives: &'a [Metric], limits: &'a [(Metric, f64)], measures: &'a [Metric]) -> Self {
        Self { objectives, limits, measures, evaluations: Vec::new(), points: Vec::new(), places: Vec::new() }
    }

    /// Adds what an oracle said of a point.
    pub(super) fn add(
        &mut self,
        candidate: Candidate,
        measured: Result<Vec<f64>, String>,
        foretold: Option<Vec<f64>>,
    ) {
        let index = candidate.index;
        let measured = measured.and_then(|values| self.checked(values));
        let mut feasible = false;
        let place = measured.as_ref().ok().map(|measured| {
            let mut values = candidate.values;
            for (metric, value) in self.measures.iter().zip(measured) {
                values[metric.column()] = *value;
            }
            feasible = keeps(self.limits, &values);
            let logs =
                self.objectives.iter().map(|metric| cost(*metric, values[metric.column()]).ln()).collect();
            self.points.push(MeasuredPoint { candidate, found: Found { index, values }, logs, feasible });
            self.points.len() - 1
        });
        self.places.push(place);
        self.evaluations.push(Evaluated { index, measured, foretold, feasible });
    }

    /// Values that can be compared, or why they cannot.
    fn checked(&self, values: Vec<f64>) -> Result<Vec<f64>, String> {
        if values.len() != self.measures.len() {
            return Err(format!("{} values for {} metrics", values.len(), self.measures.len()));
        }
        match self.measures.iter().zip(&values).find(|(_, value)| !is_usable(**value)) {
            Some((metric, value)) => {
                Err(format!("`{}` is {value}, which is no number above 0", metric.name()))
            }
            None => Ok(values),
        }
    }

    pub(super) fn failed(&self) -> usize {
        self.evaluations.len() - self.points.len()
    }

    /// Points on the front of the first so many evaluations.
    fn front_of(&self, evaluations: usize) -> Vec<&MeasuredPoint> {
        let kept: Vec<&MeasuredPoint> = self.places[..evaluations]
            .iter()
            .filter_map(|place| Some(&self.points[(*place)?]))
            .filter(|point| point.feasible)
            .collect();
        let minimised = |point: &MeasuredPoint| -> Vec<f64> {
            let value = |metric: &Metric| metric.minimised(point.found.values[metric.column()]);
            self.objectives.iter().map(value).collect()
        };
        let values: Vec<f64> = kept.iter().flat_map(|point| minimised(point)).collect();
        let mut front: Vec<&MeasuredPoint> =
            non_dominated(&values, self.objectives.len()).into_iter().map(|place| kept[place]).collect();
        front.sort_by(|a, b| compare(&minimised(a), &minimised(b)).then(a.found.index.cmp(&b.found.index)));
        front
    }

    /// The front, ordered by its objectives.
    pub(super) fn front(&self) -> Vec<&MeasuredPoint> {
        self.front_of(self.evaluations.len())
    }

    /// Of measured points that break limits the one that comes nearest to keeping them.
    pub(super) fn nearest_miss(&self) -> Option<Found> {
        let worst = |found: &Found| {
            let excess =
                |(metric, limit): &(Metric, f64)| metric.excess(found.values[metric.column()], *limit);
            self.limits.iter().map(excess).fold(f64::NEG_INFINITY, f64::max)
        };
        let misses = self.points.iter().filter(|point| !point.feasible).map(|point| point.found);
        misses.min_by(|a, b| worst(a).total_cmp(&worst(b)).then(a.index.cmp(&b.index)))
    }

    fn costs(&self, front: &[&MeasuredPoint]) -> Vec<f64> {
        let of = |point: &MeasuredPoint| -> Vec<f64> {
            self.objectives.iter().map(|metric| cost(*metric, point.found.values[metric.column()])).collect()
        };
        front.iter().flat_map(|point| of(point)).collect()
    }

    /// How much the front grew over the last so many evaluations: the share by which its hypervolume rose, on the scale of
    /// the front before and the one now. Nothing before so many were made.
    pub(super) fn gain(&self, evaluations: usize) -> Option<f64> {
        let before = self.evaluations.len().checked_sub(evaluations).filter(|before| *before > 0)?;
        let (before, now) = (self.costs(&self.front_of(before)), self.costs(&self.front()));
        let Ok(scale) = LogScale::of_union(&[&before, &now], self.objectives.len()) else {
            return Some(0.0);
        };
        let (before, now) = (scale.hypervolume(&before), scale.hypervolume(&now));
        Some(if before > 0.0 { now / before - 1.0 } else { f64::INFINITY })
    }

    /// The hypervolume after each evaluation, on the scale of the last front; 0 while there is none.
    pub(super) fn trace(&self) -> Vec<f64> {
        let last = self.costs(&self.front());
        let Ok(scale) = LogScale::of_union(&[&last], self.objectives.len()) else {
            return vec![0.0; self.evaluations.len()];
        };
        let mut trace = Vec::with_capacity(self.evaluations.len());
        let mut before = 0.0;
        for count in 1..=self.evaluations.len() {
            let changes = self.places[count - 1].is_some_and(|place| self.points[place].feasible);
            if changes {
                before = scale.hypervolume(&self.costs(&self.front_of(count)));
            }
            trace.push(before);
        }
        trace
    }
}
