//! One search on its way: which batch comes next, and what its answers change.

use super::choose::Chooser;
use super::measured::MeasuredSet;
use super::oracle::Answer;
use super::pool::{Candidate, Pool};
use super::random::Random;
use super::ranks::standings;
use super::surrogate::Surrogate;
use super::{Evolution, EvolveOptions, EvolveProgress, Patience, STRANGE, Stopped, halted};
use crate::archive::Found;
use crate::{Evaluator, Space};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Points of the sample by which features are standardised.
const SAMPLE: usize = 256;
/// Generations that are bred between two batches, and children of each.
const GENERATIONS: usize = 3;
const CHILDREN: usize = 120;
/// Points from anywhere among the candidates of a batch.
const STRANGERS: usize = 60;
/// Parents of later generations: the best of measured points and children together.
const PARENTS: usize = 80;

pub(super) struct Run<'a, E> {
    options: &'a EvolveOptions<'a>,
    pool: Pool<'a, E>,
    set: MeasuredSet<'a>,
    surrogate: Surrogate<'a>,
    random: Random,
    /// What is measured before anything is chosen.
    queue: VecDeque<Candidate>,
    /// Points that were handed out.
    asked: usize,
}

impl<'a, E: Evaluator> Run<'a, E> {
    pub(super) fn new(space: &'a Space, evaluator: &'a E, options: &'a EvolveOptions<'a>) -> Self {
        let mut random = Random::new(options.seed);
        let mut pool = Pool::new(space, evaluator, options);
        let standard = pool.standardise(&mut random, SAMPLE);
        let surrogate = Surrogate::new(&options.measures, evaluator.metrics(), standard);
        let mut queue = VecDeque::new();
        for &index in &options.start {
            if let Some(candidate) = pool.look(index)
                && pool.take(&candidate)
            {
                queue.push_back(candidate);
            }
        }
        for _ in 0..options.explore {
            queue.extend(drawn(&mut pool, &mut random));
        }
        let set = MeasuredSet::new(&options.objectives, &options.limits, &options.measures);
        Self { options, pool, set, surrogate, random, queue, asked: 0 }
    }

    pub(super) fn evaluations(&self) -> usize {
        self.set.evaluations.len()
    }

    pub(super) fn progress(&self) -> EvolveProgress {
        EvolveProgress {
            evaluations: self.evaluations(),
            budget: self.options.evaluations,
            failed: self.set.failed(),
            front: self.set.front().len(),
        }
    }

    /// Why it must not go on, if so.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        if halted(self.options) {
            return Some(self.halted_by());
        }
        if self.evaluations() >= self.options.evaluations {
            return Some(Stopped::Evaluations);
        }
        let Patience { evaluations, least_gain } = self.options.patience?;
        let gain = self.set.gain(evaluations)?;
        (gain < least_gain).then_some(Stopped::Stalled)
    }

    /// Whether it was the caller or the clock.
    pub(super) fn halted_by(&self) -> Stopped {
        let cancelled = self.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        if cancelled { Stopped::Cancelled } else { Stopped::Deadline }
    }

    /// The points to measure next, at most a batch, the most promising first; empty where there are none. What comes next
    /// does not depend on how many evaluations are left.
    pub(super) fn next_batch(&mut self) -> Vec<Candidate> {
        let wanted = self.options.batch;
        let mut batch: Vec<Candidate> = Vec::new();
        while batch.len() < wanted
            && let Some(candidate) = self.queue.pop_front()
        {
            batch.push(candidate);
        }
        if batch.is_empty() {
            self.surrogate.learn(&self.set);
            self.fill(&mut batch, wanted);
        }
        self.asked += batch.len();
        batch
    }

    fn fill(&mut self, batch: &mut Vec<Candidate>, wanted: usize) {
        let strangers =
            (self.asked..self.asked + wanted).filter(|place| place % STRANGE == STRANGE - 1).count();
        for _ in 0..strangers {
            batch.extend(drawn(&mut self.pool, &mut self.random));
        }
        let candidates = self.bred();
        let chooser = self.chooser();
        // More than are wanted, since two numbers may be one architecture.
        let chosen = chooser.choose(&candidates, &self.set, &self.surrogate, 2 * wanted, &mut self.random);
        let mut best: Vec<Candidate> = Vec::new();
        for candidate in chosen {
            if best.len() + batch.len() < wanted && self.pool.take(&candidate) {
                best.push(candidate);
            }
        }
        // The promising ones first: the last batch of a budget may be cut.
        batch.splice(0..0, best);
        while batch.len() < wanted {
            let swept = self.pool.swept(1, self.options);
            let Some(candidate) = swept.into_iter().next() else { break };
            if self.pool.take(&candidate) {
                batch.push(candidate);
            }
        }
    }

    fn chooser(&self) -> Chooser<'a> {
        Chooser {
            objectives: &self.options.objectives,
            limits: &self.options.limits,
            measures: &self.options.measures,
        }
    }

    /// Candidates bred from what was measured, and some from anywhere.
    fn bred(&mut self) -> Vec<Candidate> {
        let chooser = self.chooser();
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut known: HashSet<u64> = HashSet::new();
        // Points that keep all limits go before those that do not, where there are some.
        let any = self.set.points.iter().any(|point| point.feasible);
        let measured = self.set.points.iter().filter(|point| point.feasible || !any);
        let mut members: Vec<(u64, Vec<f64>)> =
            measured.map(|point| (point.found.index, point.logs.clone())).collect();
        for _ in 0..STRANGERS {
            if let Some(candidate) = self.pool.drawn(&mut self.random)
                && known.insert(candidate.index)
            {
                members.push((candidate.index, chooser.means(&candidate, &self.surrogate)));
                candidates.push(candidate);
            }
        }
        for _ in 0..GENERATIONS {
            members = best(members, PARENTS);
            let logs: Vec<Vec<f64>> = members.iter().map(|(_, logs)| logs.clone()).collect();
            let parents: Vec<_> = members
                .iter()
                .zip(standings(&logs))
                .map(|((index, _), standing)| (self.pool.genome(*index), standing))
                .collect();
            let children = self.pool.children(&parents, &known, CHILDREN, &mut self.random);
            for child in children {
                known.insert(child.index);
                members.push((child.index, chooser.means(&child, &self.surrogate)));
                candidates.push(child);
            }
        }
        candidates
    }

    /// Keeps the answers to a batch. `false` where some were left out.
    pub(super) fn add(&mut self, batch: Vec<Candidate>, answers: Vec<Answer>) -> bool {
        let mut whole = true;
        for (candidate, answer) in batch.into_iter().zip(answers) {
            let foretold = self.surrogate.foretell(&candidate);
            match answer {
                Answer::Values(values) => self.set.add(candidate, Ok(values), foretold),
                Answer::Failed(reason) => self.set.add(candidate, Err(reason), foretold),
                Answer::Unanswered => whole = false,
            }
        }
        whole
    }

    pub(super) fn finish(mut self, stopped: Stopped, duration: Duration) -> Evolution {
        let front: Vec<Found> = self.set.front().iter().map(|point| point.found).collect();
        let on_front: HashSet<u64> = front.iter().map(|found| found.index).collect();
        let feasible = self.set.points.iter().filter(|point| point.feasible).map(|point| point.found);
        let mut dominated: Vec<Found> = feasible.filter(|found| !on_front.contains(&found.index)).collect();
        dominated.sort_by_key(|found| found.index);
        Evolution {
            nearest_miss: if front.is_empty() { self.set.nearest_miss() } else { None },
            front,
            dominated,
            hypervolume: self.set.trace(),
            errors: self.surrogate.errors(&self.set),
            evaluations: self.set.evaluations,
            stopped,
            duration,
        }
    }
}

/// A candidate from anywhere that was taken.
fn drawn<E: Evaluator>(pool: &mut Pool<'_, E>, random: &mut Random) -> Option<Candidate> {
    let candidate = pool.drawn(random)?;
    pool.take(&candidate).then_some(candidate)
}

/// The best by rank, and within a rank the least crowded.
fn best(members: Vec<(u64, Vec<f64>)>, most: usize) -> Vec<(u64, Vec<f64>)> {
    if members.len() <= most {
        return members;
    }
    let logs: Vec<Vec<f64>> = members.iter().map(|(_, logs)| logs.clone()).collect();
    let standings = standings(&logs);
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| {
        let crowding = standings[b].crowding.total_cmp(&standings[a].crowding);
        standings[a].rank.cmp(&standings[b].rank).then(crowding).then(a.cmp(&b))
    });
    order.truncate(most);
    order.into_iter().map(|place| members[place].clone()).collect()
}
