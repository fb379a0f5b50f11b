//! The exact front of a space of equal layers without looking at every point.
//!
//! # Why it is exact
//!
//! **Lemma 1 (sums).** Points of one hidden size, weight format, vocabulary, KV format, window, tying and depth — a
//! *sheet* — differ in the heads and in the feed-forward part of their layers alone. Each additive quantity (parameters,
//! bytes, the working set, and for each thread count and regime both times) is a number of the heads plus a number of the
//! feed-forward part. *Proof:* every step of a plan belongs to one of them or to neither, and no step depends on both.
//!
//! **Lemma 2 (boxes).** In a box (a range of heads × a range of feed-forward parts) no point has less of such a quantity
//! than the sum of the least over both ranges. *Proof:* a sum is at least the sum of the least of its terms; adding
//! rounded numbers keeps order. The regime of a point is one of those between the least and the largest working set of
//! the box, and its thread count is one of the profile's; the least over all of these is at most what it has.
//!
//! **Lemma 3 (quality).** No point of the box has less loss than a shape with the most parameters of the box
//! ([`Law::least_base_nats`](slimfit_quality::Law::least_base_nats), with what window, heads and formats add at least).
//!
//! **Lemma 4 (pruning).** If a point `q` that was seen is at most a lower bound of the box in every objective, and less in
//! one, then it dominates every point of the box: none is on the front, and none is needed to rule out another one, since
//! `q` or what dominates `q` does that, too. If the bound breaks a limit, so does every point.
//!
//! **Lemma 5 (distance).** Let a pass allow the distance `ε`: it leaves a box out also where `q` is at most `1 + ε` times the
//! lower bound in every objective (the loss counted above the irreducible one). Then every point that was left out is in
//! every objective at most the factor `1 + ε` better than `q`, and than the point of the final front that is `q` or dominates
//! it. Factors do not pile up: `q` was seen itself, and dominance, which removes points later, allows no distance.
//!
//! So the points that are kept by an exact pass are those that nothing dominates, whatever order boxes are met in. What
//! that order decides is only how many points a bound rules out and how many are looked at; both are counted, and with
//! the invalid ones they are all points of the space.

mod bounds;
pub(crate) mod catalogue;
mod held;
mod quality;
mod scope;
mod sheet;
mod times;
mod unit;
mod worker;

pub(crate) use times::{PointTimes, times};

use crate::archive::{Archive, Exchange, Found};
use crate::enumerate::check;
use crate::sample::sample;
use crate::tally::Tally;
use crate::{Evaluator, ModelEvaluator, Outcome, Progress, SearchError, SearchOptions, Space};
use catalogue::Catalogue;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use unit::UnitKey;
use worker::{Goal, Worker};

/// Searches all of `space`.
///
/// # Errors
/// When there is no objective, or an objective or limit is a metric that `evaluator` cannot give.
pub fn search(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
) -> Result<Outcome, SearchError> {
    space.require_equal_layers("the search for models of equal layers")?;
    check(space, evaluator.metrics(), options)?;
    let start = Instant::now();
    let catalogue = Catalogue::new(space);
    let units = units(space, &catalogue);
    let known_invalid: u64 = catalogue.invalid.values().sum();
    let mut front: Vec<Found> = Vec::new();
    // The last whole pass; before one is, the one that was stopped.
    let mut told: Option<Tally> = None;
    let (mut epsilon, mut unvisited) = (None, 0);
    for &pass in &options.passes {
        let goal = (Goal::Front, pass);
        let (mut tally, visited) = run(space, evaluator, options, &catalogue, &units, goal, &front)?;
        front = std::mem::replace(&mut tally.archive, Archive::new(&options.objectives)).finish();
        let whole = visited + known_invalid == space.size();
        if whole || told.is_none() {
            told = Some(tally);
        }
        if !whole {
            if epsilon.is_none() {
                unvisited = space.size() - known_invalid - visited;
            }
            break;
        }
        epsilon = Some(pass);
    }
    let mut all = told.expect("there is at least one pass");
    for (reason, count) in &catalogue.invalid {
        all.refuse(reason.clone(), *count);
    }
    let nearest_miss = if front.is_empty() && !options.limits.is_empty() {
        let (found, _) = run(space, evaluator, options, &catalogue, &units, (Goal::NearestMiss, 0.0), &[])?;
        [all.miss, found.miss]
            .into_iter()
            .flatten()
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.index.cmp(&b.1.index)))
            .map(|(_, found)| found)
    } else {
        None
    };
    Ok(Outcome {
        nearest_miss,
        sample: sample(space, evaluator, options, &front),
        front,
        space_size: space.size(),
        invalid: all.invalid(),
        invalid_by: all.invalid_by(),
        evaluated: all.evaluated,
        pruned: all.pruned(),
        unvisited,
        epsilon,
        duration: start.elapsed(),
    })
}

/// Units in the order of most promise: small formats first, and widths from everywhere, so that what is found soon rules
/// out much of the rest.
fn units(space: &Space, catalogue: &Catalogue) -> Vec<UnitKey> {
    let mut formats: Vec<usize> = (0..space.weights().len()).collect();
    formats.sort_by(|&a, &b| {
        let bits = |place: usize| space.weights()[place].bits_per_value();
        bits(a).total_cmp(&bits(b))
    });
    let mut widths: Vec<usize> = (0..catalogue.widths.len()).collect();
    // Van der Corput's sequence: each next width lies in the largest gap that earlier ones left.
    widths.sort_by_key(|&place| (place as u64).reverse_bits());
    let mut units = Vec::new();
    for &weights in &formats {
        for &width in &widths {
            for vocabulary in 0..space.vocabularies().len() {
                units.push(UnitKey { width, weights, vocabulary });
            }
        }
    }
    units
}

/// Lets all workers search for one goal; what they gathered, and how many points of the units were seen to.
fn run(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    catalogue: &Catalogue,
    units: &[UnitKey],
    (goal, epsilon): (Goal, f64),
    known: &[Found],
) -> Result<(Tally, u64), SearchError> {
    let exchange = Exchange::default();
    let (next, visited) = (AtomicUsize::new(0), AtomicU64::new(catalogue.invalid.values().sum()));
    let stop = AtomicBool::new(false);
    let last_report = Mutex::new(Instant::now());
    let go_on = || {
        let cancelled = options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        let late = options.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if cancelled || late {
            stop.store(true, Ordering::Relaxed);
        }
        !stop.load(Ordering::Relaxed)
    };
    let work = |number: usize| -> Result<(Tally, u64), SearchError> {
        let mut worker =
            Worker::new(space, evaluator, options, catalogue, &exchange, number, (goal, epsilon));
        let mut seen = 0;
        if number == 0 {
            worker.begin_with(known);
            worker.offer_measured();
        }
        while go_on() {
            let Some(&unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let points = worker.unit(unit, go_on)?;
            seen += points;
            let visited = visited.fetch_add(points, Ordering::Relaxed) + points;
            if let Some(progress) = options.progress
                && goal == Goal::Front
                && let Ok(mut last) = last_report.try_lock()
                && last.elapsed() >= Duration::from_millis(100)
            {
                *last = Instant::now();
                progress(Progress { visited, size: space.size() });
            }
        }
        worker.tally.archive.settle(None);
        Ok((worker.tally, seen))
    };
    let results: Vec<Result<(Tally, u64), SearchError>> = std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> =
            (0..options.workers.max(1)).map(|number| scope.spawn(move || work(number))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut total: Option<(Tally, u64)> = None;
    for result in results {
        let (tally, seen) = result?;
        match &mut total {
            None => total = Some((tally, seen)),
            Some((all, visited)) => {
                all.absorb(tally);
                *visited += seen;
            }
        }
    }
    if let Some(progress) = options.progress
        && goal == Goal::Front
    {
        progress(Progress { visited: visited.into_inner(), size: space.size() });
    }
    Ok(total.expect("at least one worker ran"))
}
