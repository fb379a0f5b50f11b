//! The front by enumeration: every point is looked at, on all cores, and only the front is kept. For any evaluator, and
//! what the search that leaves points out is held to.

use crate::archive::Found;
use crate::sample::sample;
use crate::tally::Tally;
use crate::{Evaluator, Metric, SearchError, Space};
use slimfit_study::{BoundCount, ReasonCount};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How to search.
#[derive(Clone)]
pub struct SearchOptions<'a> {
    /// What is minimised, or maximised where more is better.
    pub objectives: Vec<Metric>,
    /// Largest allowed values, or smallest where more is better.
    pub limits: Vec<(Metric, f64)>,
    /// Worker threads.
    pub workers: usize,
    /// Seed of the sample.
    pub seed: u64,
    /// Points of the sample.
    pub sample: usize,
    /// The distance to the exact front that each pass over the space allows, falling; 0, exact, is usually the only one. A
    /// distance of `ε` leaves out what is at most the factor `1 + ε` better in every objective than some point that was
    /// seen, the loss counted above what no size and no data remove. Coarse passes are quick, and what is stopped during
    /// one has the distance of the one before. Looking at every point knows one pass, the exact one.
    pub passes: Vec<f64>,
    /// When to stop with what was found.
    pub deadline: Option<Instant>,
    /// Set from outside to stop with what was found.
    pub cancel: Option<&'a AtomicBool>,
    /// Called now and then, from any worker.
    pub progress: Option<&'a (dyn Fn(Progress) + Sync)>,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Points looked at.
    pub visited: u64,
    /// Points in the space.
    pub size: u64,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The front, ordered by its objectives.
    pub front: Vec<Found>,
    /// A sample of the other points that keep all limits.
    pub sample: Vec<Found>,
    /// Points in the space: `invalid + evaluated + Σ pruned + unvisited`.
    pub space_size: u64,
    /// Points that are none.
    pub invalid: u64,
    /// Why.
    pub invalid_by: Vec<ReasonCount>,
    /// Points whose metrics were computed.
    pub evaluated: u64,
    /// Points that a proven bound ruled out, by bound.
    pub pruned: Vec<BoundCount>,
    /// Points left when it was stopped before its first pass was whole.
    pub unvisited: u64,
    /// Proven distance to the exact front, 0 where it is exact; none where nothing is proven. The counters are of the pass
    /// that proved it.
    pub epsilon: Option<f64>,
    /// Where no point keeps all limits: the one that comes nearest.
    pub nearest_miss: Option<Found>,
    /// Wall-clock time; with a journal, with that of earlier processes and others.
    pub duration: Duration,
}

/// Searches all of `space`.
///
/// The result does not depend on the number of workers.
///
/// # Errors
/// When there is no objective, or an objective or limit is a metric that `evaluator` cannot give.
pub fn enumerate<E: Evaluator>(
    space: &Space,
    evaluator: &E,
    options: &SearchOptions<'_>,
) -> Result<Outcome, SearchError> {
    space.require_equal_layers("enumeration")?;
    check(space, evaluator.metrics(), options)?;
    let start = Instant::now();
    let (blocks, inner_size) = (space.blocks(), space.inner_size());
    let (next, visited) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let last_report = Mutex::new(start);
    let work = || {
        let mut tally = Tally::new(&options.objectives);
        loop {
            let cancelled = options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
            let late = options.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if cancelled || late {
                stop.store(true, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= blocks {
                break;
            }
            visit_block(space, evaluator, options, block, &mut tally);
            let visited = visited.fetch_add(inner_size, Ordering::Relaxed) + inner_size;
            if let Some(progress) = options.progress
                && let Ok(mut last) = last_report.try_lock()
                && last.elapsed() >= Duration::from_millis(100)
            {
                *last = Instant::now();
                progress(Progress { visited, size: blocks * inner_size });
            }
        }
        tally
    };
    let mut tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.workers.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = tallies.pop().expect("at least one worker ran");
    for tally in tallies {
        all.absorb(tally);
    }
    let visited = visited.into_inner();
    if let Some(progress) = options.progress {
        progress(Progress { visited, size: blocks * inner_size });
    }
    let (invalid, invalid_by) = (all.invalid(), all.invalid_by());
    let front = all.archive.finish();
    Ok(Outcome {
        nearest_miss: if front.is_empty() { all.miss.map(|(_, found)| found) } else { None },
        sample: sample(space, evaluator, options, &front),
        front,
        space_size: blocks * inner_size,
        invalid,
        invalid_by,
        evaluated: all.evaluated,
        pruned: Vec::new(),
        unvisited: blocks * inner_size - visited,
        epsilon: (blocks * inner_size == visited).then_some(0.0),
        duration: start.elapsed(),
    })
}

pub(crate) fn check(
    space: &Space,
    metrics: &[Metric],
    options: &SearchOptions<'_>,
) -> Result<(), SearchError> {
    let allowed = || metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ");
    if options.objectives.is_empty() {
        let (name, found) = ("objectives".to_owned(), "none".to_owned());
        return Err(SearchError::Option { name, found, allowed: format!("one or more of {}", allowed()) });
    }
    for metric in options.objectives.iter().chain(options.limits.iter().map(|(metric, _)| metric)) {
        if !metrics.contains(metric) {
            let (kind, found) = ("objective", metric.name().to_owned());
            let hint = match metric.quantity() {
                Metric::JoulesPerToken => {
                    Some("the hardware profile holds no power; give it with `--power-watts IDLE,LOADED`")
                }
                metric if metric.is_percentile() => Some(
                    "the hardware profile does not tell how times scatter; `slimfit profile` measures it on this machine",
                ),
                Metric::TrainingSeconds => {
                    Some("it needs the rate of a training: `--training-flops-per-s RATE`")
                }
                Metric::TrainingCost => Some(
                    "it needs the rate and the price of a training: `--training-flops-per-s RATE --price-per-gpu-hour PRICE`",
                ),
                _ => None,
            };
            let hint = hint.map(str::to_owned);
            return Err(SearchError::Unknown { kind, found, allowed: allowed(), hint });
        }
        // Tokens of different vocabularies are different lengths of text.
        let per_byte = match metric.quantity() {
            Metric::Loss => "loss_per_byte",
            Metric::TpotSeconds if options.objectives.contains(metric) => "seconds_per_byte",
            _ => continue,
        };
        if space.vocabulary_is_axis() {
            let sizes: Vec<String> = space.vocabularies().iter().map(u64::to_string).collect();
            return Err(SearchError::Tokenizers {
                found: metric.name().to_owned(),
                vocabularies: sizes.join(", "),
                allowed: per_byte.to_owned(),
            });
        }
    }
    let falling = options.passes.windows(2).all(|pair| pair[0] > pair[1]);
    if options.passes.is_empty()
        || !falling
        || !options.passes.iter().all(|epsilon| (0.0..1.0).contains(epsilon))
    {
        let (name, found) = ("epsilon".to_owned(), format!("{:?}", options.passes));
        let allowed = "distances from 0 to below 1, each less than the one before".to_owned();
        return Err(SearchError::Option { name, found, allowed });
    }
    for (metric, limit) in &options.limits {
        if !(limit.is_finite() && *limit > 0.0) {
            let (name, found) = (format!("limit on {}", metric.name()), limit.to_string());
            return Err(SearchError::Option { name, found, allowed: "a number above 0".to_owned() });
        }
    }
    Ok(())
}

fn visit_block<E: Evaluator>(
    space: &Space,
    evaluator: &E,
    options: &SearchOptions<'_>,
    block: u64,
    tally: &mut Tally,
) {
    let inner_size = space.inner_size();
    let prepared = space.block(block).and_then(|block| evaluator.prepare(space, &block));
    let mut prepared = match prepared {
        Ok(prepared) => prepared,
        Err(invalid) => {
            tally.refuse(invalid, inner_size);
            return;
        }
    };
    for inner in 0..inner_size {
        let mut values = Metric::UNKNOWN;
        match evaluator.evaluate(&mut prepared, space.inner(inner), &mut values) {
            Ok(()) => tally.add(Found { index: block * inner_size + inner, values }, &options.limits, None),
            Err(invalid) => tally.refuse(invalid, 1),
        }
    }
}

/// Visits every valid point of a space in order, on one core: for dumps of small spaces.
pub fn for_each_point<E: Evaluator, F>(
    space: &Space,
    evaluator: &E,
    limits: &[(Metric, f64)],
    mut visit: F,
) -> std::ops::ControlFlow<()>
where
    F: FnMut(Found, bool) -> std::ops::ControlFlow<()>,
{
    let inner_size = space.inner_size();
    for block in 0..space.blocks() {
        let Ok(mut prepared) = space.block(block).and_then(|block| evaluator.prepare(space, &block)) else {
            continue;
        };
        for inner in 0..inner_size {
            let mut values = Metric::UNKNOWN;
            if evaluator.evaluate(&mut prepared, space.inner(inner), &mut values).is_ok() {
                let feasible =
                    limits.iter().all(|(metric, limit)| metric.keeps(values[metric.column()], *limit));
                visit(Found { index: block * inner_size + inner, values }, feasible)?;
            }
        }
    }
    std::ops::ControlFlow::Continue(())
}
