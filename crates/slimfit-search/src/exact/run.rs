//! All workers of a process at work on one goal.

use super::catalogue::Catalogue;
use super::ledger::{Finished, Ledger};
use super::unit::UnitKey;
use super::worker::{Goal, Worker};
use crate::archive::{Archive, Exchange, Found};
use crate::tally::{Counts, Tally};
use crate::{ModelEvaluator, Progress, SearchError, SearchOptions, Space};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is searched for, and where.
pub(super) struct Work<'w> {
    pub(super) space: &'w Space,
    pub(super) evaluator: &'w ModelEvaluator<'w>,
    pub(super) options: &'w SearchOptions<'w>,
    pub(super) catalogue: &'w Catalogue,
    pub(super) units: &'w [UnitKey],
    pub(super) goal: Goal,
    /// Distances that the passes over the units allow.
    pub(super) passes: &'w [f64],
    pub(super) exchange: &'w Exchange,
}

/// What the workers of a process gathered beside what the ledger has.
pub(super) struct Gathered {
    /// Points that no unit of a journal tells.
    pub(super) archive: Archive,
    pub(super) miss: Option<(f64, Found)>,
    /// Units that were stopped in the middle: what became of some of their points.
    pub(super) begun: Vec<(u64, Counts)>,
}

/// Lets all workers search until no unit is left, or they are to stop.
///
/// # Errors
/// A fault of this program. What goes wrong with the journal is the ledger's to tell.
pub(super) fn run(work: &Work<'_>, ledger: &Ledger<'_>) -> Result<Gathered, SearchError> {
    let Work { options, exchange, goal, .. } = *work;
    let stop = AtomicBool::new(false);
    let last_report = Mutex::new(Instant::now());
    let go_on = || {
        ledger.keep();
        let cancelled = options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        let late = options.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if cancelled || late || ledger.is_over() || ledger.has_failed() {
            stop.store(true, Ordering::Relaxed);
        }
        !stop.load(Ordering::Relaxed)
    };
    let report = || {
        if let Some(progress) = options.progress
            && goal == Goal::Front
            && let Ok(mut last) = last_report.try_lock()
            && last.elapsed() >= Duration::from_millis(100)
        {
            *last = Instant::now();
            progress(seen(work, ledger));
        }
    };
    let worker = |number: usize| -> Result<(Tally, Option<(u64, Counts)>), SearchError> {
        let mut worker =
            Worker::new(work.space, work.evaluator, options, work.catalogue, exchange, number, goal);
        if number == 0 {
            worker.offer_measured();
        }
        let mut begun = None;
        while let Some(unit) = ledger.take(options.workers, &go_on) {
            let (pass, place) = ledger.place(unit);
            worker.allow(work.passes[pass]);
            let whole = match worker.unit(work.units[place], go_on) {
                Ok(whole) => whole,
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            };
            if ledger.is_kept() {
                worker.tally.archive.settle(Some((exchange, number)));
            }
            let counts = worker.tally.take_counts();
            if !whole {
                begun = Some((unit, counts));
                break;
            }
            // Who looks for the nearest miss alone counts nothing that a bound rules out.
            if goal == Goal::Front {
                assert_eq!(counts.total(), ledger.points(unit), "every point of a unit is counted once");
            }
            ledger.finish(Finished { unit, pass, counts, miss: worker.tally.miss });
            report();
        }
        worker.tally.archive.settle(ledger.is_kept().then_some((exchange, number)));
        Ok((worker.tally, begun))
    };
    let results: Vec<Result<_, SearchError>> = std::thread::scope(|scope| {
        let worker = &worker;
        let workers: Vec<_> =
            (0..options.workers.max(1)).map(|number| scope.spawn(move || worker(number))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Tally::new(&options.objectives);
    let mut begun = Vec::new();
    for result in results {
        let (tally, own) = result?;
        all.absorb(tally);
        begun.extend(own);
    }
    if let Some(progress) = options.progress
        && goal == Goal::Front
    {
        progress(seen(work, ledger));
    }
    Ok(Gathered { archive: all.archive, miss: all.miss, begun })
}

/// How far the search is.
fn seen(work: &Work<'_>, ledger: &Ledger<'_>) -> Progress {
    let (visited, _) = ledger.visited();
    Progress { visited: visited + work.catalogue.invalid.values().sum::<u64>(), size: work.space.size() }
}
