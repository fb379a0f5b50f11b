//! The front so far: points stream in, the non-dominated ones stay, memory follows the front and not the space.

use crate::dominance::{DominanceTree, compare, non_dominated};
use crate::metric::{Metric, Values};

/// A point by its number and its metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its number in the space.
    pub index: u64,
    /// Its metrics.
    pub values: Values,
}

/// Non-dominated points in some of their metrics.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Where each objective lies, and -1 for those that are maximised: inside, all are minimised.
    columns: Vec<(usize, f64)>,
    front: Vec<Found>,
    tree: DominanceTree,
    waiting: Vec<Found>,
    /// Objectives of points that dominated lately.
    strong: Vec<f64>,
}

/// Points that wait at least before they are merged.
const WAITING: usize = 4096;
const STRONG: usize = 24;

impl Archive {
    pub(crate) fn new(objectives: &[Metric]) -> Self {
        let columns: Vec<(usize, f64)> =
            objectives.iter().map(|metric| (metric.column(), metric.minimised(1.0))).collect();
        let tree = DominanceTree::new(Vec::new(), columns.len().max(1));
        Self { columns, front: Vec::new(), tree, waiting: Vec::new(), strong: Vec::new() }
    }

    /// Offers a point.
    pub(crate) fn offer(&mut self, found: Found) {
        let dimensions = self.columns.len();
        let mut point = [0.0; Metric::COUNT];
        for (place, &(column, sign)) in self.columns.iter().enumerate() {
            point[place] = sign * found.values[column];
        }
        let point = &point[..dimensions];
        let hit =
            self.strong.chunks_exact(dimensions).position(|other| crate::dominance::dominates(other, point));
        if let Some(hit) = hit {
            // One step forward keeps the busiest in front without moving the whole list.
            if hit > 0 {
                for axis in 0..dimensions {
                    self.strong.swap(hit * dimensions + axis, (hit - 1) * dimensions + axis);
                }
            }
            return;
        }
        if let Some(other) = self.tree.dominator(point) {
            let other: Vec<f64> = other.to_vec();
            if self.strong.len() >= STRONG * dimensions {
                self.strong.truncate((STRONG - 1) * dimensions);
            }
            self.strong.extend(other);
            return;
        }
        self.waiting.push(found);
        if self.waiting.len() >= WAITING.max(self.front.len() / 2) {
            self.merge();
        }
    }

    /// Joins another archive.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.waiting.extend(other.front);
        self.waiting.extend(other.waiting);
        self.merge();
    }

    fn merge(&mut self) {
        let mut all = std::mem::take(&mut self.front);
        all.append(&mut self.waiting);
        let values: Vec<f64> = all
            .iter()
            .flat_map(|found| self.columns.iter().map(|&(column, sign)| sign * found.values[column]))
            .collect();
        let kept = non_dominated(&values, self.columns.len());
        self.front = kept.iter().map(|&place| all[place]).collect();
        let dimensions = self.columns.len();
        let values: Vec<f64> = kept
            .iter()
            .flat_map(|&place| values[place * dimensions..][..dimensions].iter().copied())
            .collect();
        self.tree = DominanceTree::new(values, dimensions);
    }

    /// The front, ordered by its objectives and then by number.
    pub(crate) fn finish(mut self) -> Vec<Found> {
        self.merge();
        let columns = self.columns;
        let key = |found: &Found| -> Vec<f64> {
            columns.iter().map(|&(column, sign)| sign * found.values[column]).collect()
        };
        self.front.sort_by(|a, b| compare(&key(a), &key(b)).then(a.index.cmp(&b.index)));
        self.front
    }
}
