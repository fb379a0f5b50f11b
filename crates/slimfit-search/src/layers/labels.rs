//! Labels: sums of some layers, and how many layers of each kind they are sums of.

use crate::dominance::{compare, non_dominated};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A set of labels of equally many layers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Labels {
    pub(crate) dimensions: usize,
    /// Kinds that are counted.
    pub(crate) kinds: usize,
    /// (labels, dimensions) row-major: signed sums, whole numbers.
    pub(crate) values: Vec<f64>,
    /// (labels, kinds) row-major.
    pub(crate) counts: Vec<u8>,
}

impl Labels {
    pub(crate) fn new(dimensions: usize, kinds: usize) -> Self {
        Self { dimensions, kinds, values: Vec::new(), counts: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.dimensions
    }

    pub(crate) fn value(&self, label: usize) -> &[f64] {
        &self.values[label * self.dimensions..][..self.dimensions]
    }

    pub(crate) fn count(&self, label: usize) -> &[u8] {
        &self.counts[label * self.kinds..][..self.kinds]
    }

    /// Adds the sum of two labels.
    pub(crate) fn push_sum(&mut self, a: (&Self, usize), b: (&Self, usize)) {
        let values = a.0.value(a.1).iter().zip(b.0.value(b.1)).map(|(a, b)| a + b);
        self.values.extend(values);
        let counts = a.0.count(a.1).iter().zip(b.0.count(b.1)).map(|(a, b)| a + b);
        self.counts.extend(counts);
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.values.extend(&other.values);
        self.counts.extend(&other.counts);
    }

    /// The labels that none dominates, ordered by their sums; of equal ones that with the first counts. Returns how many
    /// were dominated, and how many equal to a kept one.
    pub(crate) fn filter(&mut self, workers: usize) -> (u64, u64) {
        let before = self.len();
        let mut kept = front(&self.values, self.dimensions, workers);
        let dominated = before - kept.len();
        kept.sort_unstable_by(|&a, &b| {
            compare(self.value(a), self.value(b)).then_with(|| self.count(a).cmp(self.count(b)))
        });
        let all = kept.len();
        kept.dedup_by(|b, a| self.value(*a) == self.value(*b));
        let values = kept.iter().flat_map(|&label| self.value(label)).copied().collect();
        let counts = kept.iter().flat_map(|&label| self.count(label)).copied().collect();
        (self.values, self.counts) = (values, counts);
        (dominated as u64, (all - kept.len()) as u64)
    }
}

/// Points below which one thread is as fast.
const SMALL: usize = 20_000;

/// [`non_dominated`] by several threads: of each part alone, then of what is left.
pub(crate) fn front(values: &[f64], dimensions: usize, workers: usize) -> Vec<usize> {
    let points = values.len() / dimensions;
    if workers < 2 || points < SMALL {
        return non_dominated(values, dimensions);
    }
    let part = points.div_ceil(workers);
    let parts: Vec<Vec<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = values
            .chunks(part * dimensions)
            .map(|chunk| scope.spawn(move || non_dominated(chunk, dimensions)))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<usize>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let places = parts
        .iter()
        .enumerate()
        .flat_map(|(number, kept)| kept.iter().map(move |place| number * part + place));
    let left: Vec<usize> = places.collect();
    let rows: Vec<f64> =
        left.iter().flat_map(|&place| &values[place * dimensions..][..dimensions]).copied().collect();
    non_dominated(&rows, dimensions).into_iter().map(|place| left[place]).collect()
}

/// What is to end the search early.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stop<'a> {
    pub(crate) cancel: Option<&'a AtomicBool>,
    pub(crate) deadline: Option<Instant>,
}

impl Stop<'_> {
    pub(crate) fn now(&self) -> bool {
        self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// What became of the sums that could have been made: all of `sums` are in one of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sums of a label and a layer, or of two labels.
    pub sums: u64,
    /// Not made, since a label dominates the least that a box of them could be.
    pub boxed: u64,
    /// Broke a limit however they would have gone on.
    pub over_limit: u64,
    /// Dominated.
    pub dominated: u64,
    /// Equal to one that was kept.
    pub equal: u64,
    /// Within the ε of their stage of one that was kept.
    pub merged: u64,
    /// Kept as labels.
    pub kept: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.sums += other.sums;
        self.boxed += other.boxed;
        self.over_limit += other.over_limit;
        self.dominated += other.dominated;
        self.equal += other.equal;
        self.merged += other.merged;
        self.kept += other.kept;
    }
}
