//! The front of what only a measurement can tell: a search that asks for few points, one batch at a time.
//!
//! Where an objective comes from a model, [`search`](crate::search) finds the exact front of a space; where it comes from a
//! supernet, a training or a run on the device, each point costs seconds to days, and only some can be asked about. This
//! search asks an [`Oracle`] for those by which the measured front is expected to grow most:
//!
//! 1. It starts from points of the model's exact front that the caller hands in ([`EvolveOptions::start`]), and a few from
//!    anywhere.
//! 2. A [surrogate](SurrogateError) learns how measured values differ from predicted ones.
//! 3. Children of measured points (parents by non-dominated rank and crowding as in NSGA-II, digits of axes crossed and
//!    mutated) are bred for some generations on the surrogate's values alone, which costs nothing; children that are no
//!    points of the space, or break a limit that the model can tell, are bred again.
//! 4. Of some hundred of them those are measured that promise the largest expected growth of hypervolume; every
//!    eighth point comes from anywhere, in case the surrogate is wrong.
//!
//! The result is a front of measured points: what the surrogate expects decides what is measured and nothing else. An
//! objective is measured for all points or modelled for all.
//!
//! The same space, options and answers give the same questions: with the answers of an interrupted run at hand, a second one
//! asks for nothing twice and ends where an undisturbed one would. How many evaluations are allowed and how long they may
//! take decides only when it ends.
//!
//! No crate serves. `nsga_rs` and `moors`, the two that are kept and know several objectives, own the loop: every child is
//! evaluated by a function of theirs to call, so that nothing can be expected of many before few are measured, a child that
//! is no point must be given values, and a genome that comes again is measured again; `nsga_rs` ends with the first
//! evaluation that fails, `moors` knows lists of `f64` alone. They bring more than 70 crates each. `genevo` and `oxigen` know
//! one objective. Over the filter and the hypervolume that are here anyway, what NSGA-II adds is `ranks.rs`.

mod choose;
mod costs;
mod features;
mod front;
mod genome;
mod measured;
mod oracle;
mod pool;
mod process;
mod random;
mod ranks;
mod run;
mod surrogate;

pub use oracle::{Answer, Evaluated, Oracle};
pub use surrogate::SurrogateError;

use crate::archive::Found;
use crate::{Evaluator, Metric, SearchError, SearchOptions, Space};
use run::Run;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Of so many points one comes from anywhere in the space.
const STRANGE: usize = 8;

/// How to search.
#[derive(Clone)]
pub struct EvolveOptions<'a> {
    /// What is minimised, or maximised where more is better.
    pub objectives: Vec<Metric>,
    /// Largest allowed values, or smallest where more is better. Where the metric is measured, its measured value must
    /// keep the limit; otherwise no point is measured whose prediction does not.
    pub limits: Vec<(Metric, f64)>,
    /// Metrics that the oracle measures: each an objective or a limit.
    pub measures: Vec<Metric>,
    /// Points to begin with, by their numbers in the space, the most telling first: of the model's exact front, say. Those
    /// that are no candidates are left out.
    pub start: Vec<u64>,
    /// Points from anywhere that are measured next: they tell the surrogate about the rest of the space.
    pub explore: usize,
    /// Points of a batch.
    pub batch: usize,
    /// Evaluations at most, failed ones included.
    pub evaluations: usize,
    /// When the front grows no more: to stop then.
    pub patience: Option<Patience>,
    /// When to stop with what was found. No batch begins after it.
    pub deadline: Option<Instant>,
    /// Seed of all chance.
    pub seed: u64,
    /// Set from outside to stop with what was found.
    pub cancel: Option<&'a AtomicBool>,
    /// Called after each batch.
    pub progress: Option<&'a (dyn Fn(EvolveProgress) + Sync)>,
}

impl EvolveOptions<'_> {
    /// What is asked, as options of a search: of one worker, without a sample, that nothing stops.
    pub fn question(&self) -> SearchOptions<'static> {
        SearchOptions {
            objectives: self.objectives.clone(),
            limits: self.limits.clone(),
            workers: 1,
            seed: self.seed,
            sample: 0,
            passes: vec![0.0],
            deadline: None,
            cancel: None,
            progress: None,
        }
    }
}

/// When the front has stopped growing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// Over so many evaluations …
    pub evaluations: usize,
    /// … the hypervolume rose by less than this share.
    pub least_gain: f64,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvolveProgress {
    /// Evaluations so far, failed ones included.
    pub evaluations: usize,
    /// Evaluations at most.
    pub budget: usize,
    /// Those that failed.
    pub failed: usize,
    /// Points of the measured front.
    pub front: usize,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All evaluations were made.
    Evaluations,
    /// Time was up.
    Deadline,
    /// The front grew no more.
    Stalled,
    /// Every candidate of the space was asked for.
    Exhausted,
    /// The caller asked to stop.
    Cancelled,
    /// The oracle left points unanswered.
    Oracle,
}

impl Stopped {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evaluations => "evaluations",
            Self::Deadline => "deadline",
            Self::Stalled => "stalled",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Oracle => "oracle",
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evolution {
    /// The measured points that keep all limits and that no other such point dominates, ordered by their objectives:
    /// measured values where they were measured, the model's for the rest.
    pub front: Vec<Found>,
    /// The other measured points that keep all limits, by number.
    pub dominated: Vec<Found>,
    /// Where no measured point keeps all limits: the one that comes nearest.
    pub nearest_miss: Option<Found>,
    /// Every evaluation, in order.
    pub evaluations: Vec<Evaluated>,
    /// Hypervolume of the front after each evaluation, as a share of the box of the final front: logarithms of objectives,
    /// reference 1.1 × the nadir. 0 while no point keeps all limits.
    pub hypervolume: Vec<f64>,
    /// How far model and surrogate lay from what was measured, for each measured metric.
    pub errors: Vec<SurrogateError>,
    /// Why it ended.
    pub stopped: Stopped,
    /// Wall-clock time.
    pub duration: Duration,
}

/// Searches `space` for the front of measured points.
///
/// # Errors
/// When an option cannot be: no objective, one that neither `evaluator` nor the oracle can give, a measured metric that is
/// neither objective nor limit, a batch of nothing. When the oracle cannot go on.
///
/// # Panics
/// When the oracle gives another number of answers than it was asked for.
pub fn evolve<E: Evaluator, O: Oracle>(
    space: &Space,
    evaluator: &E,
    options: &EvolveOptions<'_>,
    oracle: &mut O,
) -> Result<Evolution, O::Error> {
    check(space, evaluator.metrics(), options)?;
    let start = Instant::now();
    let mut run = Run::new(space, evaluator, options);
    let stopped = loop {
        if let Some(stopped) = run.stopped() {
            break stopped;
        }
        let mut batch = run.next_batch();
        batch.truncate(options.evaluations - run.evaluations());
        if batch.is_empty() {
            break if halted(options) { run.halted_by() } else { Stopped::Exhausted };
        }
        let numbers: Vec<u64> = batch.iter().map(|candidate| candidate.index).collect();
        let answers = oracle.measure(&numbers)?;
        assert_eq!(answers.len(), batch.len(), "an oracle answers each point");
        let whole = run.add(batch, answers);
        if let Some(progress) = options.progress {
            progress(run.progress());
        }
        if !whole {
            break if halted(options) { run.halted_by() } else { Stopped::Oracle };
        }
    };
    Ok(run.finish(stopped, start.elapsed()))
}

/// Whether the caller or the clock ends the search.
fn halted(options: &EvolveOptions<'_>) -> bool {
    options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
        || options.deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Refuses options that cannot be. `predicted`: the metrics that the model gives.
///
/// # Errors
/// Those of [`evolve`] that are about its options.
pub fn check(space: &Space, predicted: &[Metric], options: &EvolveOptions<'_>) -> Result<(), SearchError> {
    space.require_equal_layers("the search that measures")?;
    let mut metrics = predicted.to_vec();
    metrics.extend(options.measures.iter().filter(|metric| !predicted.contains(metric)));
    crate::enumerate::check(space, &metrics, &options.question())?;
    let refused = |name: &str, found: String, allowed: String| {
        Err(SearchError::Option { name: name.to_owned(), found, allowed })
    };
    let used: Vec<&str> = options
        .objectives
        .iter()
        .chain(options.limits.iter().map(|(metric, _)| metric))
        .map(|metric| metric.name())
        .collect();
    if options.measures.is_empty() {
        return refused("measures", "none".to_owned(), format!("one or more of {}", used.join(", ")));
    }
    for (place, metric) in options.measures.iter().enumerate() {
        if !used.contains(&metric.name()) {
            let allowed = format!("an objective or a limit: {}", used.join(", "));
            return refused("measures", format!("`{}`", metric.name()), allowed);
        }
        if options.measures[..place].contains(metric) {
            return refused("measures", format!("`{}` twice", metric.name()), "each metric once".to_owned());
        }
    }
    if options.batch == 0 {
        return refused("batch", "0".to_owned(), "1 or more".to_owned());
    }
    if options.evaluations == 0 {
        return refused("evaluations", "0".to_owned(), "1 or more".to_owned());
    }
    if let Some(Patience { evaluations, least_gain }) = options.patience
        && (evaluations == 0 || !(0.0..1.0).contains(&least_gain))
    {
        let found = format!("{evaluations} evaluations, {least_gain}");
        return refused("patience", found, "1 or more evaluations, a share from 0 to below 1".to_owned());
    }
    Ok(())
}
