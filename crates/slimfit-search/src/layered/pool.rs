//! The front so far of models whose layers differ.

use super::layer::Family;
use super::model::{Counts, Trunk};
use crate::dominance::compare;
use crate::metric::Metric;
use crate::{Values, non_dominated};
use std::collections::HashMap;

/// A model that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundModel {
    pub(crate) family: Family,
    pub(crate) trunk: Trunk,
    pub(crate) counts: Counts,
    pub(crate) values: Values,
}

/// Models that none of them dominates, one for each combination of objectives; filtered now and then.
#[derive(Debug)]
pub(crate) struct Pool {
    columns: Vec<(usize, f64)>,
    found: Vec<FoundModel>,
    settled: usize,
}

/// Models that wait before they are filtered.
const WAITING: usize = 50_000;

impl Pool {
    pub(crate) fn new(objectives: &[Metric]) -> Self {
        let columns = objectives.iter().map(|metric| (metric.column(), metric.minimised(1.0)));
        Self { columns: columns.collect(), found: Vec::new(), settled: 0 }
    }

    pub(crate) fn offer(&mut self, model: FoundModel) {
        self.found.push(model);
        if self.found.len() > 2 * self.settled + WAITING {
            self.settle();
        }
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    fn objectives(&self, model: &FoundModel) -> impl Iterator<Item = f64> {
        self.columns.iter().map(|(column, sign)| sign * model.values[*column])
    }

    fn settle(&mut self) {
        let all = std::mem::take(&mut self.found);
        let values: Vec<f64> = all.iter().flat_map(|model| self.objectives(model)).collect();
        let kept = non_dominated(&values, self.columns.len());
        let mut keep = vec![false; all.len()];
        for place in kept {
            keep[place] = true;
        }
        let mut found: Vec<FoundModel> =
            all.into_iter().zip(keep).filter_map(|(model, keep)| keep.then_some(model)).collect();
        // Of models with equal objectives one stands for all: which, must not depend on the order they came in.
        let key = |model: &FoundModel| -> Vec<f64> { self.objectives(model).collect() };
        let place = |model: &FoundModel| (model.family, model.trunk.tied, model.trunk.layers);
        found.sort_by(|a, b| {
            compare(&key(a), &key(b))
                .then_with(|| place(a).cmp(&place(b)))
                .then_with(|| a.counts.cmp(&b.counts))
        });
        found.dedup_by(|a, b| self.objectives(a).eq(self.objectives(b)));
        self.settled = found.len();
        self.found = found;
    }

    /// All of them, best first.
    pub(crate) fn finish(mut self) -> Vec<FoundModel> {
        self.settle();
        self.found
    }

    /// Some of them such that each of the others is at most the factor `1 + epsilon` better than one in every objective,
    /// counted above `bases`.
    pub(crate) fn thinned(
        models: Vec<FoundModel>,
        objectives: &[Metric],
        bases: &[f64],
        epsilon: f64,
    ) -> Vec<FoundModel> {
        let step = epsilon.ln_1p();
        let mut cells: HashMap<Vec<i64>, usize> = HashMap::new();
        let value = |model: &FoundModel, place: usize| {
            let metric = objectives[place];
            let above = model.values[metric.column()] - bases[place];
            if metric.is_maximised() {
                -above.max(f64::MIN_POSITIVE).ln()
            } else {
                above.max(f64::MIN_POSITIVE).ln()
            }
        };
        let last = objectives.len() - 1;
        for (place, model) in models.iter().enumerate() {
            let cell = (0..last).map(|axis| (value(model, axis) / step).floor() as i64).collect();
            let best = cells.entry(cell).or_insert(place);
            if value(model, last) < value(&models[*best], last) {
                *best = place;
            }
        }
        let mut kept: Vec<usize> = cells.into_values().collect();
        kept.sort_unstable();
        let mut models: Vec<Option<FoundModel>> = models.into_iter().map(Some).collect();
        kept.into_iter().filter_map(|place| models[place].take()).collect()
    }
}
