//! Sums of two sets of labels, exact or thinned.

use super::boxes::Boxes;
use super::grid::{Cell, Layout, Ranges, Row};
use super::labels::{Labels, Tally, front};
use super::multisets::{Bounds, over};
use super::problem::Scaled;
use crate::dominance::DominanceTree;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Labels of so many layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) layers: usize,
}

/// Why sums were not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Cancelled, or late.
    Stopped,
    /// More labels than are allowed.
    Outgrown,
}

/// Pairs of the first look, and labels of a box there.
const NEAR: usize = 128;
/// Directions in which the best pair is looked for first.
const DIRECTIONS: usize = 256;
/// Pairs a worker gathers before it filters them.
const GATHERED: usize = 1 << 20;

/// Nodes of a tree that one question visits: what is dominated is mostly found at once.
const NODES: usize = 400;

/// Whether a label of the tree dominates a sum, or the least of a box: `true` is certain, `false` is not.
fn dominated(tree: &DominanceTree, sum: &[f64]) -> bool {
    tree.dominator_within(sum, &mut { NODES }).is_some()
}

/// All that the sums of two parts need.
struct Pairs<'a> {
    parts: [Part<'a>; 2],
    /// Both parts are one: of two pairs that differ in order only one counts.
    same: bool,
    boxes: [Boxes; 2],
    /// Signed sums in the order of the boxes.
    values: [Vec<f64>; 2],
    /// Numbers for the grid in the order of the boxes.
    rows: [Vec<Row>; 2],
    /// The most that sums may be, where there are limits.
    ceilings: Option<Vec<f64>>,
    layout: Option<&'a Layout>,
    dimensions: usize,
}

/// What one worker has: cells, or values and the pairs they are sums of.
#[derive(Default)]
struct Store {
    cells: Vec<Cell>,
    values: Vec<f64>,
    pairs: Vec<(u32, u32)>,
    /// How many there were when they were filtered last.
    settled: usize,
    boxed: u64,
    over_limit: u64,
}

/// The sums of `a` and `b` that nothing dominates; with a layout, thinned by it.
pub(crate) fn sums(
    scaled: &Scaled,
    ranges: &Ranges,
    parts: [Part<'_>; 2],
    layout: Option<&Layout>,
    bounds: Bounds<'_>,
    tally: &mut Tally,
) -> Result<Labels, Unfinished> {
    let [a, b] = parts;
    let mut labels = Labels::new(a.labels.dimensions, a.labels.kinds);
    if a.labels.len() == 0 || b.labels.len() == 0 {
        return Ok(labels);
    }
    let pairs = Pairs::new(scaled, ranges, parts, layout);
    // What is seen here rules out boxes below; what of it is on the front is in none of those.
    let mut seen = pairs.store();
    for (first, second) in pairs.near() {
        if bounds.stop.now() {
            return Err(Unfinished::Stopped);
        }
        pairs.evaluate(first, second, None, &mut seen);
    }
    let tree = DominanceTree::new(pairs.finish(vec![seen], bounds.workers).values, pairs.dimensions);
    let tasks = pairs.tasks();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Store, Unfinished> {
        let mut store = pairs.store();
        while let Some(&(first, second)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if bounds.stop.now() {
                return Err(Unfinished::Stopped);
            }
            pairs.visit(first, second, &tree, &mut store);
            if store.pairs.len() > GATHERED.max(2 * store.settled) {
                store.settle(pairs.dimensions);
            }
        }
        Ok(store)
    };
    let stores: Vec<Result<Store, Unfinished>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..bounds.workers.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Store, Unfinished>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let stores = stores.into_iter().collect::<Result<Vec<Store>, Unfinished>>()?;
    let mut own = Tally {
        sums: pairs.count(),
        boxed: stores.iter().map(|store| store.boxed).sum(),
        over_limit: stores.iter().map(|store| store.over_limit).sum(),
        ..Tally::default()
    };
    let made = own.sums - own.boxed - own.over_limit;
    let kept = pairs.finish(stores, bounds.workers);
    for &(first, second) in &kept.pairs {
        let label = |side: usize, place: u32| pairs.boxes[side].order[place as usize] as usize;
        labels.push_sum((a.labels, label(0, first)), (b.labels, label(1, second)));
    }
    // Of equal sums one is kept.
    (_, own.equal) = labels.filter(bounds.workers);
    own.kept = labels.len() as u64;
    let lost = made - own.kept - own.equal;
    (own.merged, own.dominated) = match layout {
        Some(_) => (made - kept.cells, kept.cells - own.kept - own.equal),
        None => (0, lost),
    };
    if labels.len() > bounds.most_labels {
        return Err(Unfinished::Outgrown);
    }
    tally.add(own);
    Ok(labels)
}

/// What is left when all workers are done.
struct Kept {
    values: Vec<f64>,
    pairs: Vec<(u32, u32)>,
    /// Cells that were not empty.
    cells: u64,
}

impl Store {
    /// Filters what was gathered.
    fn settle(&mut self, dimensions: usize) {
        let kept = front(&self.values, dimensions, 1);
        let values = kept.iter().flat_map(|&place| &self.values[place * dimensions..][..dimensions]);
        self.values = values.copied().collect();
        self.pairs = kept.iter().map(|&place| self.pairs[place]).collect();
        self.settled = self.pairs.len();
    }
}

impl<'a> Pairs<'a> {
    fn new(scaled: &Scaled, ranges: &Ranges, parts: [Part<'a>; 2], layout: Option<&'a Layout>) -> Self {
        let boxes = parts.map(|part| Boxes::new(part.labels));
        let side = |side: usize| parts[side].labels;
        let values = [0, 1].map(|number: usize| {
            let order = boxes[number].order.iter();
            order.flat_map(|&label| side(number).value(label as usize)).copied().collect::<Vec<f64>>()
        });
        let rows = [0, 1].map(|number: usize| -> Vec<Row> {
            let row = |layout: &Layout, label: u32| {
                layout.row(ranges, side(number).value(label as usize), parts[number].layers)
            };
            layout.map_or_else(Vec::new, |layout| {
                boxes[number].order.iter().map(|&label| row(layout, label)).collect()
            })
        });
        let ceilings = scaled.ceilings(scaled.layers - parts[0].layers - parts[1].layers);
        Self {
            same: std::ptr::eq(parts[0].labels, parts[1].labels),
            boxes,
            values,
            rows,
            ceilings: ceilings.iter().any(|ceiling| ceiling.is_finite()).then_some(ceilings),
            layout,
            dimensions: scaled.dimensions.len(),
            parts,
        }
    }

    fn store(&self) -> Store {
        let cells = self.layout.map_or(0, |layout| layout.cells);
        Store { cells: vec![Cell::EMPTY; cells], ..Store::default() }
    }

    /// How many pairs there are.
    fn count(&self) -> u64 {
        let [a, b] = self.parts.map(|part| part.labels.len() as u64);
        if self.same { a * (a + 1) / 2 } else { a * b }
    }

    /// How many pairs two boxes have.
    fn pairs_of(&self, first: usize, second: usize) -> u64 {
        let (a, b) = (self.boxes[0].nodes[first].len() as u64, self.boxes[1].nodes[second].len() as u64);
        if self.same && first == second { a * (a + 1) / 2 } else { a * b }
    }

    /// Boxes whose sums are likely good: labels near each other, and those that are best in one direction.
    fn near(&self) -> Vec<(usize, usize)> {
        let mut near = Vec::new();
        if self.same {
            near.extend(self.boxes[0].level(NEAR).into_iter().map(|node| (node, node)));
        }
        let dimensions = self.dimensions;
        let scale: Vec<f64> = (0..dimensions)
            .map(|axis| {
                self.values[0]
                    .iter()
                    .skip(axis)
                    .step_by(dimensions)
                    .fold(1.0, |most: f64, value| most.max(value.abs()))
            })
            .collect();
        // Weighted by a sequence that fills the simplex evenly: fractions of multiples of powers of one number.
        let root = 1.0 + 1.0 / dimensions as f64;
        for number in 1..=DIRECTIONS {
            let weight: Vec<f64> = (0..dimensions)
                .map(|axis| {
                    let fraction = (number as f64 / root.powi(axis as i32 + 1)).fract();
                    -(1.0 - fraction).ln() / scale[axis]
                })
                .collect();
            let best = |side: usize| {
                let score =
                    |row: &[f64]| row.iter().zip(&weight).map(|(value, weight)| value * weight).sum::<f64>();
                let scores = self.values[side].chunks_exact(dimensions).map(score);
                let best =
                    scores.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place);
                self.boxes[side].leaf(best)
            };
            let (a, b) = (best(0), best(1));
            near.push(if self.same { (a.min(b), a.max(b)) } else { (a, b) });
        }
        near.sort_unstable();
        near.dedup();
        near
    }

    /// Pairs of boxes that together are all pairs, small enough to share them out.
    fn tasks(&self) -> Vec<(usize, usize)> {
        let level = |side: usize| {
            let boxes = &self.boxes[side];
            boxes.level((self.parts[side].labels.len() / 64).max(1))
        };
        let (first, second) = (level(0), level(1));
        let later = |a: usize, b: usize| !self.same || a <= b;
        first
            .iter()
            .flat_map(|&a| second.iter().map(move |&b| (a, b)))
            .filter(|&(a, b)| later(a, b))
            .collect()
    }

    /// Sees to all pairs of two boxes.
    fn visit(&self, first: usize, second: usize, tree: &DominanceTree, store: &mut Store) {
        let (a, b) = (&self.boxes[0].nodes[first], &self.boxes[1].nodes[second]);
        let low: Vec<f64> = a.low.iter().zip(&b.low).map(|(a, b)| a + b).collect();
        if dominated(tree, &low) {
            store.boxed += self.pairs_of(first, second);
            return;
        }
        match (a.children, b.children) {
            (None, None) => self.evaluate(first, second, Some(tree), store),
            (Some((near, far)), Some(_)) if self.same && first == second => {
                self.visit(near, near, tree, store);
                self.visit(near, far, tree, store);
                self.visit(far, far, tree, store);
            }
            (Some((near, far)), other) if other.is_none() || a.len() >= b.len() => {
                self.visit(near, second, tree, store);
                self.visit(far, second, tree, store);
            }
            (_, Some((near, far))) => {
                self.visit(first, near, tree, store);
                self.visit(first, far, tree, store);
            }
            (Some(_), None) => unreachable!("the first is divided where the second cannot be"),
        }
    }

    /// Makes all sums of two boxes.
    fn evaluate(&self, first: usize, second: usize, tree: Option<&DominanceTree>, store: &mut Store) {
        match (self.layout, self.dimensions) {
            (None, _) => self.gather(first, second, tree, store),
            (Some(layout), 2) => self.fill::<1>(layout, first, second, store),
            (Some(layout), 3) => self.fill::<2>(layout, first, second, store),
            (Some(layout), 4) => self.fill::<3>(layout, first, second, store),
            (Some(layout), 5) => self.fill::<4>(layout, first, second, store),
            (Some(layout), 6) => self.fill::<5>(layout, first, second, store),
            (Some(layout), 7) => self.fill::<6>(layout, first, second, store),
            (Some(layout), _) => self.fill::<7>(layout, first, second, store),
        }
    }

    fn value(&self, side: usize, place: usize) -> &[f64] {
        &self.values[side][place * self.dimensions..][..self.dimensions]
    }

    /// Whether a sum breaks a limit.
    fn over(&self, a: usize, b: usize) -> bool {
        self.ceilings.as_ref().is_some_and(|ceilings| {
            let sum = self.value(0, a).iter().zip(self.value(1, b)).map(|(a, b)| a + b);
            sum.zip(ceilings).any(|(sum, ceiling)| sum > *ceiling)
        })
    }

    /// Keeps the sums that the tree does not rule out.
    fn gather(&self, first: usize, second: usize, tree: Option<&DominanceTree>, store: &mut Store) {
        let (rows, columns) = (&self.boxes[0].nodes[first], &self.boxes[1].nodes[second]);
        for a in rows.start..rows.end {
            let from = if self.same { a.max(columns.start) } else { columns.start };
            for b in from..columns.end {
                let start = store.values.len();
                store.values.extend(self.value(0, a).iter().zip(self.value(1, b)).map(|(a, b)| a + b));
                let sum = &store.values[start..];
                let above = self.ceilings.as_ref().is_some_and(|ceilings| over(sum, ceilings));
                if above || tree.is_some_and(|tree| dominated(tree, sum)) {
                    store.over_limit += u64::from(above);
                    store.values.truncate(start);
                    continue;
                }
                store.pairs.push((a as u32, b as u32));
            }
        }
    }

    /// Puts the sums in cells of a grid of `G` quantities.
    fn fill<const G: usize>(&self, layout: &Layout, first: usize, second: usize, store: &mut Store) {
        let (rows, columns) = (&self.boxes[0].nodes[first], &self.boxes[1].nodes[second]);
        for a in rows.start..rows.end {
            let from = if self.same { a.max(columns.start) } else { columns.start };
            let row = &self.rows[0][a];
            for b in from..columns.end {
                if self.ceilings.is_some() && self.over(a, b) {
                    store.over_limit += 1;
                    continue;
                }
                let other = &self.rows[1][b];
                let mut sum = Row::default();
                for axis in 0..=G {
                    sum[axis] = row[axis] + other[axis];
                }
                store.cells[layout.place::<G>(&sum)].keep(Cell { last: sum[G], a: a as u32, b: b as u32 });
            }
        }
    }

    /// Joins what workers have, and filters it.
    fn finish(&self, stores: Vec<Store>, workers: usize) -> Kept {
        let mut stores = stores.into_iter();
        let mut all = stores.next().unwrap_or_default();
        for store in stores {
            all.cells.iter_mut().zip(&store.cells).for_each(|(cell, other)| cell.keep(*other));
            all.values.extend(store.values);
            all.pairs.extend(store.pairs);
        }
        let full = all.cells.iter().filter(|cell| cell.a != u32::MAX);
        let before = all.pairs.len();
        all.pairs.extend(full.map(|cell| (cell.a, cell.b)));
        for &(a, b) in &all.pairs[before..] {
            let sum = self.value(0, a as usize).iter().zip(self.value(1, b as usize)).map(|(a, b)| a + b);
            all.values.extend(sum);
        }
        let cells = (all.pairs.len() - before) as u64;
        let kept = front(&all.values, self.dimensions, workers);
        let values = kept.iter().flat_map(|&place| &all.values[place * self.dimensions..][..self.dimensions]);
        Kept {
            values: values.copied().collect(),
            pairs: kept.iter().map(|&place| all.pairs[place]).collect(),
            cells,
        }
    }
}
