//! A seeded sample of the points that were evaluated, the same however the work is shared out.

use crate::archive::Found;
use crate::{Evaluator, Metric, ModelEvaluator, SearchOptions, Space};
use std::collections::{BinaryHeap, HashSet};

/// Keeps the points with the smallest hashes: every point has the same chance, and two samples merge exactly.
#[derive(Debug)]
pub(crate) struct Sample {
    seed: u64,
    size: usize,
    heap: BinaryHeap<Entry>,
    largest: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u64,
    found: Found,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.hash, self.found.index).cmp(&(other.hash, other.found.index))
    }
}

impl Sample {
    pub(crate) fn new(seed: u64, size: usize) -> Self {
        Self { seed, size, heap: BinaryHeap::new(), largest: u64::MAX }
    }

    pub(crate) fn offer(&mut self, found: &Found) {
        let hash = mix(found.index ^ mix(self.seed));
        if hash <= self.largest {
            self.insert(Entry { hash, found: *found });
        }
    }

    fn insert(&mut self, entry: Entry) {
        if self.size == 0 {
            return;
        }
        if self.heap.len() < self.size {
            self.heap.push(entry);
        } else if self.heap.peek().is_some_and(|top| entry < *top) {
            self.heap.pop();
            self.heap.push(entry);
        }
        if self.heap.len() == self.size {
            self.largest = self.heap.peek().map_or(u64::MAX, |top| top.hash);
        }
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        for entry in other.heap {
            self.insert(entry);
        }
    }

    /// The sample by number.
    pub(crate) fn finish(self) -> Vec<Found> {
        let mut found: Vec<Found> = self.heap.into_iter().map(|entry| entry.found).collect();
        found.sort_by_key(|found| found.index);
        found
    }
}

/// Points of one block in a sample.
const OF_BLOCK: u64 = 16;
/// Blocks that are tried for each point that is wanted.
const TRIES: u64 = 4;

/// Up to `options.sample` valid points that keep all limits, drawn from all of the space: blocks at random, and of each
/// some depths and tyings in one pair of formats, so that a block is priced once.
pub(crate) fn sample(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
) -> Vec<Found> {
    let (blocks, inner_size) = (space.blocks(), space.inner_size());
    let depths = space.tyings().len() as u64 * space.depths().len() as u64;
    let formats = inner_size / depths;
    let mut found: Vec<Found> = Vec::new();
    let mut seen = HashSet::new();
    for attempt in 0..TRIES * options.sample as u64 {
        if found.len() >= options.sample {
            break;
        }
        let hash = mix(attempt ^ mix(options.seed));
        let number = hash % blocks;
        let Ok(mut prepared) = space.block(number).and_then(|block| evaluator.prepare(space, &block)) else {
            continue;
        };
        let format = mix(hash) % formats;
        for draw in 0..OF_BLOCK.min(depths) {
            let inner = format * depths + mix(hash ^ mix(draw)) % depths;
            let index = number * inner_size + inner;
            let mut values = Metric::UNKNOWN;
            if !seen.insert(index)
                || evaluator.evaluate(&mut prepared, space.inner(inner), &mut values).is_err()
                || options.limits.iter().any(|(metric, limit)| !metric.keeps(values[metric.column()], *limit))
            {
                continue;
            }
            found.push(Found { index, values });
        }
    }
    found.truncate(options.sample);
    found.sort_by_key(|found| found.index);
    found
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection whose output bits look random.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
