//! Points that may be measured next: valid, within the limits that the model can tell, not asked for before.

use super::costs::{is_usable, keeps};
use super::features::{self, Features, Standard};
use super::genome::{Genetics, Genome};
use super::random::Random;
use super::ranks::{Standing, tournament};
use super::{EvolveOptions, halted};
use crate::{Evaluator, Metric, Space, Values};
use std::collections::HashSet;

/// Tries at a point that is one, for each that is wanted.
const TRIES: usize = 40;
/// Children of two parents; the others have one.
const CROSSED: f64 = 0.6;
/// Indices that a sweep looks at between two looks at the clock.
const LOOKS: u64 = 4096;

/// A point as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) index: u64,
    /// The model's predictions.
    pub(super) values: Values,
    pub(super) features: Features,
}

/// Finds candidates in a space.
pub(super) struct Pool<'a, E> {
    space: &'a Space,
    evaluator: &'a E,
    genetics: Genetics,
    standard: Standard,
    /// Limits on what is not measured: what breaks one is no candidate.
    limits: Vec<(Metric, f64)>,
    /// What must be predicted: objectives that are not measured, and predictions that are corrected.
    needed: Vec<Metric>,
    /// Numbers that were asked for, or are no candidates.
    closed: HashSet<u64>,
    /// Ids of what was asked for: two numbers may be one architecture.
    ids: HashSet<String>,
    /// Where the sweep over the whole space is.
    cursor: u64,
}

impl<'a, E: Evaluator> Pool<'a, E> {
    pub(super) fn new(space: &'a Space, evaluator: &'a E, options: &EvolveOptions<'_>) -> Self {
        let measured = |metric: &Metric| options.measures.contains(metric);
        let limits = options.limits.iter().filter(|(metric, _)| !measured(metric)).copied().collect();
        let predicted = options.measures.iter().filter(|metric| evaluator.metrics().contains(metric));
        let modelled = options.objectives.iter().filter(|metric| !measured(metric));
        Self {
            space,
            evaluator,
            genetics: Genetics::new(space),
            standard: Standard::PLAIN,
            limits,
            needed: predicted.chain(modelled).copied().collect(),
            closed: HashSet::new(),
            ids: HashSet::new(),
            cursor: 0,
        }
    }

    /// Learns from a sample how features vary.
    pub(super) fn standardise(&mut self, random: &mut Random, size: usize) -> &Standard {
        let mut sample = Vec::new();
        for _ in 0..size {
            let Some(point) = self.drawn(random) else { break };
            sample.push(point.features);
        }
        self.standard = Standard::of(&sample);
        &self.standard
    }

    /// The candidate of that number, if it is one and was not asked for. Its features are standardised.
    pub(super) fn look(&mut self, index: u64) -> Option<Candidate> {
        if index >= self.space.size() || self.closed.contains(&index) {
            return None;
        }
        let found = self.seen(index);
        if found.is_none() {
            self.closed.insert(index);
        }
        found
    }

    fn seen(&self, index: u64) -> Option<Candidate> {
        let inner_size = self.space.inner_size();
        let block = self.space.block(index / inner_size).ok()?;
        let mut prepared = self.evaluator.prepare(self.space, &block).ok()?;
        let inner = self.space.inner(index % inner_size);
        let mut values = Metric::UNKNOWN;
        self.evaluator.evaluate(&mut prepared, inner, &mut values).ok()?;
        let usable = self.needed.iter().all(|metric| is_usable(values[metric.column()]));
        if !usable || !keeps(&self.limits, &values) {
            return None;
        }
        let raw = features::raw(self.space, &block, inner, &values);
        Some(Candidate { index, values, features: self.standard.apply(&raw) })
    }

    /// Takes a candidate out of the pool. `false` where its architecture was taken under another number.
    pub(super) fn take(&mut self, candidate: &Candidate) -> bool {
        self.closed.insert(candidate.index);
        let point = self.space.point(candidate.index).expect("a candidate is a point");
        self.ids.insert(point.architecture.id(point.weights, point.kv))
    }

    /// A candidate from anywhere.
    pub(super) fn drawn(&mut self, random: &mut Random) -> Option<Candidate> {
        (0..TRIES).find_map(|_| self.look(random.below(self.space.size())))
    }

    pub(super) fn genome(&self, index: u64) -> Genome {
        self.genetics.genome(index)
    }

    /// Up to `wanted` new candidates that descend from `parents`.
    pub(super) fn children(
        &mut self,
        parents: &[(Genome, Standing)],
        known: &HashSet<u64>,
        wanted: usize,
        random: &mut Random,
    ) -> Vec<Candidate> {
        let standings: Vec<Standing> = parents.iter().map(|(_, standing)| *standing).collect();
        let mut children: Vec<Candidate> = Vec::new();
        let mut fresh: HashSet<u64> = HashSet::new();
        if parents.is_empty() {
            return children;
        }
        for _ in 0..wanted {
            for _ in 0..TRIES {
                let first = parents[tournament(&standings, random)].0;
                let mut child = if random.chance(CROSSED) {
                    let second = parents[tournament(&standings, random)].0;
                    self.genetics.crossed(&first, &second, random)
                } else {
                    first
                };
                if child == first || random.chance(0.5) {
                    self.genetics.mutate(&mut child, random);
                }
                let index = self.genetics.index(&child);
                if known.contains(&index) || fresh.contains(&index) {
                    continue;
                }
                if let Some(candidate) = self.look(index) {
                    fresh.insert(index);
                    children.push(candidate);
                    break;
                }
            }
        }
        children
    }

    /// The next candidates in the order of numbers, from where the last sweep ended: what chance no longer finds. None where
    /// there are no more, or the search is to stop.
    pub(super) fn swept(&mut self, wanted: usize, options: &EvolveOptions<'_>) -> Vec<Candidate> {
        let (size, inner_size) = (self.space.size(), self.space.inner_size());
        let mut found = Vec::new();
        let mut looks = 0;
        while self.cursor < size && found.len() < wanted {
            looks += 1;
            if u64::is_multiple_of(looks, LOOKS) && halted(options) {
                break;
            }
            if self.cursor.is_multiple_of(inner_size) && self.space.block(self.cursor / inner_size).is_err() {
                self.cursor += inner_size;
                continue;
            }
            found.extend(self.look(self.cursor));
            self.cursor += 1;
        }
        found
    }
}
