//! The front of models whose layers may all differ: sums of layers of several kinds.
//!
//! It knows nothing of models, only numbers: what a layer of each kind has of each quantity, what every model has once,
//! and where which kinds may stand. A *vector* is the sums of a feasible model, less being better in each place (turned
//! round where more is better). Layers at interchangeable positions make the same sums in any order, so a model is a
//! multiset of kinds for each group of positions.
//!
//! # Why it is exact
//!
//! **Lemma 1 (whole numbers).** Each quantity is counted in a unit that is a power of two, such that all sums are whole
//! numbers below 2⁵³ and `f64` adds them without error, in whatever order. Values that are whole already have unit 1 and
//! are exact; others are rounded once, by at most 2⁻⁵⁰ of the largest sum for each layer. What follows holds for the
//! rounded numbers, and neither dominance nor equality depends on an order of additions.
//!
//! **Lemma 2 (forced positions)** turns bounds of counts into positions; see `cases.rs`.
//!
//! **Lemma 3 (parts of the best are best).** Let a model be on the front, and of all models with its vector let its counts
//! be the first in lexicographic order. Take the layers of any of its positions, a *partial model*. No other partial model
//! for these positions dominates it, and none with an equal sum has earlier counts. *Proof:* put the other one in its
//! place. The rest adds the same vector to both, so the new model dominates the old one, or equals it with earlier counts
//! (adding the same counts to two keeps their lexicographic order): a contradiction. It keeps every limit that the old one
//! keeps: a limit is a most of a dimension in which the new one has no more. A limit against a quantity's direction
//! (parameters at most, where more are better) adds a dimension of its own, the quantity turned round. Positions already
//! see to counts. So a kind that another kind dominates is in no such model, either: a partial model of one layer.
//!
//! **Lemma 4 (multisets).** Let `F(n)` be the labels (sums with counts) of `n` layers of one set of kinds that none
//! dominates, of equal ones the first. Extending each label of `F(n-1)` by its own last kind and later ones alone makes all
//! labels of `F(n)` that Lemma 3 needs. *Proof:* take such a label and remove a layer of its last kind. By Lemma 3 what is
//! left is in `F(n-1)`; its last kind is the removed one or an earlier one. So each multiset is made at most once: at most
//! as many labels are looked at as there are multisets.
//!
//! **Lemma 5 (limits).** A partial model whose sum and the least that its missing layers can add break a limit is part of
//! no feasible model. Nothing that Lemma 3 needs is lost.
//!
//! # What ε says
//!
//! Where exact labels would outgrow their bound, sets of labels are *covers*: a set covers all partial models of `n` layers
//! by a factor `f ≥ 1` when each of them has a label that is at most `f` times as much in every quantity where less is
//! better, and at least `1/f` times as much where more is better; each with `n` shares of what every model has once.
//!
//! **Lemma 6 (thinning).** Of labels in one cell of a grid whose cells span a factor `1 + δ` in every quantity but one, the
//! label that is best in that one covers the others by `1 + δ`, and is no worse than any in the quantity left out.
//! Dropping labels that another one dominates keeps a cover.
//!
//! **Lemma 7 (sums of covers).** If `A` covers partial models of `m` layers by `f` and `B` those of `n` layers by `g`, all
//! sums of a label of `A` and one of `B` cover those of `m + n` layers by `max(f, g)`. *Proof:* `a ≤ f u` and `b ≤ g w`
//! give `a + b ≤ max(f, g) (u + w)`, and likewise for at least `1/f`. In a quantity in which both lose nothing, neither
//! does their sum.
//!
//! So a factor grows only where a set is thinned. Labels of `n` layers are sums of two times those of `n / 2`: along a
//! chain there are about `log₂` of the layers thinnings, not as many as layers, each by `δ = (1 + ε)^(1/stages) - 1`, and
//! the whole model, whose shares of what it has once add up to all of it, is covered by `1 + ε`.
//!
//! **Limits and ε.** Labels always keep the limits. The quantity left out of the grid is a limited one where there is one,
//! so that with one limit every feasible model is covered. With more, models are covered that keep the others with a factor
//! `1 + ε` to spare ([`Solution::covered`]): their covering labels can be infeasible otherwise.

mod boxes;
mod cases;
mod grid;
mod labels;
mod multisets;
mod problem;
mod sums;
#[cfg(test)]
mod tests;

pub use labels::Tally;
pub(crate) use problem::DIMENSIONS;
pub use problem::{CountBound, Direction, Limit, Positions, Problem};

use crate::SearchError;
use cases::{Block, Case, Cases, cases};
use grid::{Layout, Ranges};
use labels::{Labels, Stop};
use multisets::{Bounds, Multisets, over};
use problem::Scaled;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use sums::{Part, Unfinished, sums};

/// How hard to search.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Labels of one set. A label takes 8 bytes for each quantity and 1 for each kind; each worker's grid has at most eight
    /// cells of 16 bytes for each of them.
    pub most_labels: usize,
    /// Whether only an exact front is wanted: where it does not fit, there is none at all.
    pub exact: bool,
    /// Where the front cannot be exact, an ε that is small enough; 0 goes on while labels and time last.
    pub finest_epsilon: f64,
    /// Threads; the result does not depend on them.
    pub workers: usize,
    /// When to stop with the best ε so far. What is done by then depends on the machine.
    pub deadline: Option<Instant>,
    /// Set to stop likewise.
    pub cancel: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            most_labels: 4_000_000,
            exact: false,
            finest_epsilon: 0.01,
            workers: 1,
            deadline: None,
            cancel: None,
        }
    }
}

/// A model: its sums, and how many layers of each kind each group of positions has.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// One for each quantity.
    pub sums: Vec<f64>,
    /// (groups, kinds)
    pub counts: Vec<Vec<u8>>,
}

/// Models that no other of them dominates.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// Ordered by their sums, better ones first.
    pub labels: Vec<Label>,
    /// Whether they are the whole front: each of its vectors once.
    pub exact: bool,
    /// Every feasible model has a label within a factor `1 + epsilon` in each quantity. 0 where exact; infinite where it was
    /// stopped before anything was known, or where labels outgrow their bound and more than one quantity (or one besides a
    /// limited one) can be 0 for a layer and its share of what is there once, which no factor covers.
    pub epsilon: f64,
    /// The limits within which that holds for every model: narrower than those asked for only where ε is not 0 and more
    /// than one limit binds (see [the module](self)).
    pub covered: Vec<Limit>,
    /// Whether time or cancellation ended it before the ε asked for.
    pub stopped: bool,
    /// Models within the count bounds, interchangeable ones once; nothing where that is past `u128`.
    pub multisets: Option<u128>,
    /// The same, every order counting.
    pub sequences: Option<u128>,
    /// What became of all sums of the exact labels, and of the pass that gave the ε.
    pub tally: Tally,
    /// How long it took.
    pub duration: Duration,
}

/// The first ε that is tried, and what each next one is of the one before.
const FIRST_EPSILON: f64 = 0.16;
const FINER: f64 = 0.707;
/// How many pairs of labels are summed without thinning for each label that may be kept.
const EXACT_PAIRS: usize = 16;
/// Cells of a grid for each label that may be kept: most cells lie behind the front.
const CELLS: usize = 8;
/// Below so many pairs thinning gains nothing.
const FEW_PAIRS: usize = 20_000;

/// All that a search holds on to.
struct Search<'a> {
    scaled: Scaled,
    ranges: Ranges,
    cases: Cases,
    /// By set of kinds.
    grown: BTreeMap<Vec<usize>, Multisets>,
    bounds: Bounds<'a>,
    groups: usize,
    /// The quantity left out of grids, where a limit decides it.
    last: Option<usize>,
}

/// A cover of partial models, and along how many thinnings it was made.
type Cover = (Labels, u32);

/// The front of `problem`, exact where that fits, else within the smallest ε that fits.
///
/// # Errors
/// When the problem contradicts itself: what, and what is allowed.
pub fn solve(problem: &Problem, options: &Options<'_>) -> Result<Solution, SearchError> {
    let start = Instant::now();
    let scaled = Scaled::new(problem)?;
    let cases = cases(problem)?;
    let stop = Stop { cancel: options.cancel, deadline: options.deadline };
    let bounds = Bounds { most_labels: options.most_labels.max(1), workers: options.workers.max(1), stop };
    let mut search = Search {
        ranges: Ranges::new(&scaled),
        last: scaled.dimensions.iter().position(|axis| axis.limit.is_some()),
        groups: problem.positions.len(),
        scaled,
        cases,
        grown: BTreeMap::new(),
        bounds,
    };
    let mut tally = Tally::default();
    search.grow(&mut tally);
    let mut solution = Solution {
        labels: Vec::new(),
        exact: false,
        epsilon: f64::INFINITY,
        covered: problem.limits.clone(),
        stopped: false,
        multisets: search.cases.multisets,
        sequences: search.cases.sequences,
        tally,
        duration: Duration::ZERO,
    };
    let mut exact_tally = tally;
    match search.exact(&mut exact_tally) {
        Ok(labels) => {
            solution.labels = search.finish(&labels, &mut exact_tally);
            (solution.exact, solution.epsilon, solution.tally) = (true, 0.0, exact_tally);
        }
        Err(Unfinished::Stopped) => solution.stopped = true,
        Err(Unfinished::Outgrown) if options.exact => {}
        Err(Unfinished::Outgrown) => search.refine(options, &mut solution),
    }
    if solution.epsilon > 0.0 && solution.epsilon.is_finite() {
        solution.covered = search.covered(problem, solution.epsilon);
    }
    solution.duration = start.elapsed();
    Ok(solution)
}

impl Search<'_> {
    fn grow(&mut self, tally: &mut Tally) {
        let mut counts: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for block in self.cases.cases.iter().flatten() {
            counts.entry(block.kinds.clone()).or_default().push(block.count);
        }
        for (kinds, counts) in counts {
            let grown = Multisets::grow(&self.scaled, &kinds, &counts, self.bounds, tally);
            self.grown.insert(kinds, grown);
        }
    }

    fn exact(&self, tally: &mut Tally) -> Result<Labels, Unfinished> {
        self.all(
            tally,
            &|block: &Block, _: &mut Tally| {
                let labels = self.grown[&block.kinds].exact.get(&block.count).cloned();
                let reason = if self.bounds.stop.now() { Unfinished::Stopped } else { Unfinished::Outgrown };
                labels.map(|labels| (labels, 0)).ok_or(reason)
            },
            None,
        )
        .map(|(labels, _)| labels)
    }

    /// The union of all cases, each the sum of its blocks.
    fn all(
        &self,
        tally: &mut Tally,
        cover: &dyn Fn(&Block, &mut Tally) -> Result<Cover, Unfinished>,
        delta: Option<f64>,
    ) -> Result<Cover, Unfinished> {
        let width = self.groups * self.scaled.kinds.len();
        let mut union = Labels::new(self.scaled.dimensions.len(), width);
        let mut stages = 0;
        for case in &self.cases.cases {
            let (labels, thinned) = self.case(case, tally, cover, delta)?;
            stages = stages.max(thinned);
            union.extend(&labels);
            if self.cases.cases.len() > 1 {
                let (dominated, equal) = union.filter(self.bounds.workers);
                tally.dominated += dominated;
                tally.equal += equal;
                tally.kept -= dominated + equal;
            }
        }
        if union.len() > self.bounds.most_labels {
            return Err(Unfinished::Outgrown);
        }
        Ok((union, stages))
    }

    fn case(
        &self,
        case: &Case,
        tally: &mut Tally,
        cover: &dyn Fn(&Block, &mut Tally) -> Result<Cover, Unfinished>,
        delta: Option<f64>,
    ) -> Result<Cover, Unfinished> {
        let mut sum: Option<(Labels, usize, u32)> = None;
        for block in case {
            let (labels, stages) = cover(block, tally)?;
            let labels = self.placed(labels, block.group);
            sum = Some(match sum {
                None => (labels, block.count, stages),
                Some((before, layers, before_stages)) => {
                    let parts = [(&before, layers), (&labels, block.count)];
                    let (labels, thinned) = self.sum(parts, delta, tally)?;
                    (labels, layers + block.count, before_stages.max(stages) + thinned)
                }
            });
        }
        let (labels, _, stages) = sum.expect("models have layers");
        Ok((labels, stages))
    }

    /// Sums of two covers, and whether they were thinned.
    fn sum(
        &self,
        parts: [(&Labels, usize); 2],
        delta: Option<f64>,
        tally: &mut Tally,
    ) -> Result<(Labels, u32), Unfinished> {
        let pairs = parts[0].0.len() * parts[1].0.len();
        let parts = parts.map(|(labels, layers)| Part { labels, layers });
        let layout = match delta {
            Some(delta) if pairs > FEW_PAIRS.min(self.bounds.most_labels) => {
                let layers = parts[0].layers + parts[1].layers;
                let most_cells = CELLS * self.bounds.most_labels;
                let layout = Layout::new(&self.ranges, layers, delta, self.last, most_cells);
                Some(layout.ok_or(Unfinished::Outgrown)?)
            }
            None if pairs > EXACT_PAIRS * self.bounds.most_labels.max(FEW_PAIRS) => {
                return Err(Unfinished::Outgrown);
            }
            _ => None,
        };
        let labels = sums(&self.scaled, &self.ranges, parts, layout.as_ref(), self.bounds, tally)?;
        Ok((labels, u32::from(layout.is_some())))
    }

    /// Labels that count the layers of one group among those of all groups.
    fn placed(&self, labels: Labels, group: usize) -> Labels {
        let kinds = self.scaled.kinds.len();
        let width = self.groups * kinds;
        if width == kinds {
            return labels;
        }
        let mut counts = vec![0; labels.len() * width];
        for label in 0..labels.len() {
            counts[label * width + group * kinds..][..kinds].copy_from_slice(labels.count(label));
        }
        Labels { kinds: width, counts, ..labels }
    }

    /// Ever finer covers while labels, time and the ε asked for allow.
    fn refine(&self, options: &Options<'_>, solution: &mut Solution) {
        let exact = solution.tally;
        let stages = self.stages();
        let mut epsilon = FIRST_EPSILON.max(options.finest_epsilon);
        let mut took: Vec<Duration> = Vec::new();
        loop {
            if let Some(deadline) = options.deadline
                && let Some(&last) = took.last()
            {
                let growth = match took[..] {
                    [.., before, last] => last.as_secs_f64() / before.as_secs_f64().max(1e-3),
                    _ => 4.0,
                };
                if Instant::now() + last.mul_f64(growth.clamp(1.0, 64.0)) > deadline {
                    solution.stopped = true;
                    return;
                }
            }
            let start = Instant::now();
            let delta = (1.0 + epsilon).powf(1.0 / f64::from(stages)) - 1.0;
            let mut tally = exact;
            let covers = std::cell::RefCell::new(BTreeMap::new());
            let cover = |block: &Block, tally: &mut Tally| {
                self.cover(&block.kinds, block.count, delta, &mut covers.borrow_mut(), tally)
            };
            match self.all(&mut tally, &cover, Some(delta)) {
                Ok((labels, thinned)) => {
                    solution.labels = self.finish(&labels, &mut tally);
                    solution.epsilon = (1.0 + delta).powi(thinned as i32) - 1.0;
                    solution.exact = thinned == 0;
                    solution.tally = tally;
                }
                Err(Unfinished::Stopped) => {
                    solution.stopped = true;
                    return;
                }
                Err(Unfinished::Outgrown) if took.is_empty() => {
                    // Even the first is too fine: coarser ones have fewer cells.
                    epsilon /= FINER;
                    if epsilon > 1e6 {
                        return;
                    }
                    continue;
                }
                Err(Unfinished::Outgrown) => return,
            }
            took.push(start.elapsed());
            if epsilon <= options.finest_epsilon || solution.exact {
                return;
            }
            epsilon = (epsilon * FINER).max(options.finest_epsilon);
        }
    }

    /// The most thinnings that lie along one chain.
    fn stages(&self) -> u32 {
        let case = |case: &Case| {
            let chains = case.iter().map(|block| self.chain(&block.kinds, block.count));
            chains.max().unwrap_or(0) + case.len() as u32 - 1
        };
        self.cases.cases.iter().map(case).max().unwrap_or(0).max(1)
    }

    fn chain(&self, kinds: &[usize], layers: usize) -> u32 {
        if self.grown[kinds].exact.contains_key(&layers) {
            0
        } else if layers.is_multiple_of(2) {
            self.chain(kinds, layers / 2) + 1
        } else {
            self.chain(kinds, layers - 1) + 1
        }
    }

    /// A cover of `layers` layers: of halves, or of one layer less and one layer.
    fn cover(
        &self,
        kinds: &[usize],
        layers: usize,
        delta: f64,
        covers: &mut BTreeMap<(Vec<usize>, usize), Cover>,
        tally: &mut Tally,
    ) -> Result<Cover, Unfinished> {
        if let Some(labels) = self.grown[kinds].exact.get(&layers) {
            return Ok((labels.clone(), 0));
        }
        let key = (kinds.to_vec(), layers);
        if let Some(cover) = covers.get(&key) {
            return Ok(cover.clone());
        }
        let half = if layers.is_multiple_of(2) { layers / 2 } else { layers - 1 };
        let (labels, stages) = self.cover(kinds, half, delta, covers, tally)?;
        let single = &self.grown[kinds].exact[&1];
        let other = if layers.is_multiple_of(2) { &labels } else { single };
        let (sum, thinned) = self.sum([(&labels, half), (other, layers - half)], Some(delta), tally)?;
        let cover = (sum, stages + thinned);
        covers.insert(key, cover.clone());
        Ok(cover)
    }

    /// Whole models that keep the limits and that none dominates in the quantities asked for, best first.
    fn finish(&self, labels: &Labels, tally: &mut Tally) -> Vec<Label> {
        let ceilings = self.scaled.ceilings(0);
        let asked: Vec<usize> = (0..ceilings.len()).filter(|&place| self.scaled.is_asked(place)).collect();
        let mut whole = Labels::new(asked.len(), labels.kinds);
        for label in (0..labels.len()).filter(|&label| !over(labels.value(label), &ceilings)) {
            whole.values.extend(asked.iter().map(|&place| labels.value(label)[place]));
            whole.counts.extend(labels.count(label));
        }
        tally.over_limit += (labels.len() - whole.len()) as u64;
        if asked.len() < ceilings.len() {
            let (dominated, equal) = whole.filter(self.bounds.workers);
            tally.dominated += dominated;
            tally.equal += equal;
        }
        tally.kept -= (labels.len() - whole.len()) as u64;
        let kinds = self.scaled.kinds.len();
        let label = |label: usize| Label {
            sums: self.scaled.sums(whole.value(label)),
            counts: whole.count(label).chunks_exact(kinds).map(<[u8]>::to_vec).collect(),
        };
        (0..whole.len()).map(label).collect()
    }

    /// Limits with a factor to spare, but for the quantity left out of the grid.
    fn covered(&self, problem: &Problem, epsilon: f64) -> Vec<Limit> {
        let whole = self.last.map(|last| &self.scaled.dimensions[last]);
        let kept = |quantity: usize, sign: f64| {
            whole.is_some_and(|axis| axis.quantity == quantity && axis.sign == sign)
        };
        let narrowed = |limit: &Limit| Limit {
            quantity: limit.quantity,
            least: limit
                .least
                .map(|least| if kept(limit.quantity, -1.0) { least } else { least * (1.0 + epsilon) }),
            most: limit
                .most
                .map(|most| if kept(limit.quantity, 1.0) { most } else { most / (1.0 + epsilon) }),
        };
        problem.limits.iter().map(narrowed).collect()
    }
}
