//! The front so far: points stream in, the non-dominated ones stay, memory follows the front and not the space.
//!
//! Points lie in levels of doubling sizes, each without a point that another of its level dominates, so that a point is
//! sorted into a tree a logarithmic number of times. Levels may hold points that another level dominates; the last
//! merge, [`Archive::finish`], is what makes the front exact. Questions on the way are allowed to miss a dominator.

use crate::dominance::{DominanceTree, compare, dominates, non_dominated};
use crate::metric::{Metric, Values};
use std::sync::{Arc, Mutex, PoisonError};

/// A point by its number and its metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Its number in the space.
    pub index: u64,
    /// Its metrics.
    pub values: Values,
}

/// Objectives of a point as numbers of which less is better; the first of them count.
pub(crate) type Minimised = [f64; Metric::COUNT];

/// What workers tell each other: objectives of points that nothing dominated when they were found.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    told: Mutex<Vec<(usize, Arc<Vec<f64>>)>>,
    /// The points themselves, where they are to be kept beside.
    fresh: Option<Mutex<Vec<Found>>>,
}

impl Exchange {
    /// One that holds what was told until it is taken.
    pub(crate) fn kept() -> Self {
        Self { told: Mutex::default(), fresh: Some(Mutex::default()) }
    }

    /// Points that were told since this was last asked.
    pub(crate) fn take_fresh(&self) -> Vec<Found> {
        let fresh = self.fresh.as_ref();
        fresh.map_or_else(Vec::new, |fresh| {
            std::mem::take(&mut *fresh.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}

/// Stands for processes beside this one, where a worker tells who it is.
const OTHERS: usize = usize::MAX;

/// Non-dominated points in some of their metrics.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Where each objective lies, and -1 for those that are maximised: inside, all are minimised.
    columns: Vec<(usize, f64)>,
    levels: Vec<(Vec<Found>, DominanceTree)>,
    waiting: Vec<Found>,
    /// How many may wait: few at first, since nothing rules points out before.
    patience: usize,
    /// Objectives that other workers told.
    foreign: Vec<(Vec<f64>, DominanceTree)>,
    heard: usize,
    /// Objectives of points that dominated lately.
    strong: Vec<f64>,
}

/// Points that wait before they become a level.
const WAITING: usize = 1024;
const STRONG: usize = 24;
/// Nodes of all trees that one question visits: what is dominated is mostly found at once, and what is not would be
/// looked for in all of them.
const NODES: usize = 200;

impl Archive {
    pub(crate) fn new(objectives: &[Metric]) -> Self {
        let columns: Vec<(usize, f64)> =
            objectives.iter().map(|metric| (metric.column(), metric.minimised(1.0))).collect();
        Self {
            columns,
            levels: Vec::new(),
            waiting: Vec::new(),
            patience: 8,
            foreign: Vec::new(),
            heard: 0,
            strong: Vec::new(),
        }
    }

    /// The objectives of a point.
    fn minimised(&self, values: &Values) -> Minimised {
        let mut point = [0.0; Metric::COUNT];
        for (place, &(column, sign)) in self.columns.iter().enumerate() {
            point[place] = sign * values[column];
        }
        point
    }

    /// Offers a point.
    pub(crate) fn offer(&mut self, found: Found, exchange: Option<(&Exchange, usize)>) {
        let point = self.minimised(&found.values);
        if self.dominates(&point) {
            return;
        }
        self.waiting.push(found);
        if self.waiting.len() >= self.patience {
            self.patience = (2 * self.patience).min(WAITING);
            self.settle(exchange);
        }
    }

    /// Whether a point seen so far dominates these objectives: `true` is certain, `false` is not. Dominating a lower bound of
    /// points, it dominates each of them.
    pub(crate) fn dominates(&mut self, point: &Minimised) -> bool {
        let dimensions = self.columns.len();
        let point = &point[..dimensions];
        let hit = self.strong.chunks_exact(dimensions).position(|other| dominates(other, point));
        if let Some(hit) = hit {
            // One step forward keeps the busiest in front without moving the whole list.
            if hit > 0 {
                for axis in 0..dimensions {
                    self.strong.swap(hit * dimensions + axis, (hit - 1) * dimensions + axis);
                }
            }
            return true;
        }
        let trees = self.levels.iter().map(|(_, tree)| tree).chain(self.foreign.iter().map(|(_, tree)| tree));
        let (mut found, mut left) = (None, NODES);
        for tree in trees {
            found = tree.dominator_within(point, &mut left);
            if found.is_some() {
                break;
            }
        }
        let Some(other) = found.map(<[f64]>::to_vec) else { return false };
        if self.strong.len() >= STRONG * dimensions {
            self.strong.truncate((STRONG - 1) * dimensions);
        }
        self.strong.extend(other);
        true
    }

    /// Reads what other workers told since.
    pub(crate) fn hear(&mut self, exchange: &Exchange, own: usize) {
        let news: Vec<Arc<Vec<f64>>> = {
            let told = exchange.told.lock().unwrap_or_else(PoisonError::into_inner);
            let news = told[self.heard..].iter().filter(|(worker, _)| *worker != own);
            let news = news.map(|(_, values)| Arc::clone(values)).collect();
            self.heard = told.len();
            news
        };
        let dimensions = self.columns.len();
        for values in news {
            let mut values = values.to_vec();
            while let Some((before, _)) = self.foreign.pop_if(|(before, _)| before.len() <= 2 * values.len())
            {
                values.extend(before);
                let kept = non_dominated(&values, dimensions);
                let point = |place: &usize| values[place * dimensions..][..dimensions].to_vec();
                values = kept.iter().flat_map(point).collect();
            }
            let tree = DominanceTree::new(values.clone(), dimensions);
            self.foreign.push((values, tree));
        }
    }

    /// Makes a level of what waits.
    pub(crate) fn settle(&mut self, exchange: Option<(&Exchange, usize)>) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (mut found, mut values) = self.filtered(waiting);
        if let Some((exchange, own)) = exchange {
            // Before anyone hears of them: what rules out a point is kept at the latest with that.
            if let Some(fresh) = &exchange.fresh {
                fresh.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&found);
            }
            let mut told = exchange.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.push((own, Arc::new(values.clone())));
        }
        while let Some((before, _)) = self.levels.pop_if(|(before, _)| before.len() <= 2 * found.len()) {
            found.extend(before);
            (found, values) = self.filtered(found);
        }
        let tree = DominanceTree::new(values, self.columns.len());
        self.levels.push((found, tree));
    }

    /// Tells all workers of points that other processes keep.
    pub(crate) fn tell(&self, points: Vec<Found>, exchange: &Exchange) {
        if points.is_empty() {
            return;
        }
        let (_, values) = self.filtered(points);
        exchange.told.lock().unwrap_or_else(PoisonError::into_inner).push((OTHERS, Arc::new(values)));
    }

    /// Takes points as they are.
    pub(crate) fn take(&mut self, points: Vec<Found>) {
        self.waiting.extend(points);
    }

    /// The points that none of them dominates, and their objectives.
    fn filtered(&self, found: Vec<Found>) -> (Vec<Found>, Vec<f64>) {
        let dimensions = self.columns.len();
        let values: Vec<f64> = found
            .iter()
            .flat_map(|found| self.columns.iter().map(|&(column, sign)| sign * found.values[column]))
            .collect();
        let kept = non_dominated(&values, dimensions);
        let objectives = kept.iter().flat_map(|&place| &values[place * dimensions..][..dimensions]).copied();
        (kept.iter().map(|&place| found[place]).collect(), objectives.collect())
    }

    /// Joins another archive.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.waiting.extend(other.waiting);
        self.waiting.extend(other.levels.into_iter().flat_map(|(found, _)| found));
    }

    /// The front, ordered by its objectives and then by number.
    pub(crate) fn finish(mut self) -> Vec<Found> {
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(std::mem::take(&mut self.levels).into_iter().flat_map(|(found, _)| found));
        all.sort_unstable_by_key(|found| found.index);
        all.dedup_by_key(|found| found.index);
        let (mut front, _) = self.filtered(all);
        let columns = &self.columns;
        let key = |found: &Found| {
            let mut key = [0.0; Metric::COUNT];
            for (place, &(column, sign)) in columns.iter().enumerate() {
                key[place] = sign * found.values[column];
            }
            key
        };
        front.sort_by(|a, b| compare(&key(a), &key(b)).then(a.index.cmp(&b.index)));
        front
    }
}
