//! The front of spaces in which each layer chooses for itself.
//!
//! # Why it is exact
//!
//! A *family* is what all models of one frame, pair of formats and vocabulary share, a *trunk* its models of one depth and
//! tying, and a *class* those of a trunk that the quality law corrects alike: for how query heads share key heads, and for
//! whether a window is shorter than the text.
//!
//! **Lemma 1 (sums).** Parameters, bytes of weights and caches, the working set, operations of a training, and for each
//! thread count and regime both times and the energy are what a model has once, and a sum over its layers of what a layer of
//! that kind has. *Proof:* every step of a plan belongs to one layer or to none, and no step depends on another layer.
//!
//! **Lemma 2 (quality).** In a class the loss depends on stored and visited parameters alone and never rises with either
//! ([`Law::falls_with_size`](slimfit_quality::Law::falls_with_size); what does not, is refused). So a model with at least as many
//! of both is at least as good.
//!
//! **Lemma 3 (regimes and threads).** Cut the working sets into intervals in which each thread count has one regime. A model
//! lies in one interval and takes one thread count, that of its least TPOT. Both are conditions on sums: a working set
//! between two ends, and differences of TPOT of at most 0. So with one problem ([`Problem`](crate::layers::Problem)) for each
//! interval and count, in which times are charged as in that regime and with that count, a model is feasible in exactly that
//! problem that charges what it takes. A model that dominates it there dominates it in truth.
//!
//! An end of an interval is no condition where no model from beyond it takes more than the problem charges it, with count
//! `t` say. Beyond the end a model takes some count `u`, one that is the fastest for some model of its own interval. So it is
//! asked of each interval beyond, and of each `u` there, that prompt, energy and memory with `u` are at most what is charged,
//! and TPOT with `t`, since with `u` it is no longer than that. Then an answer from beyond, too, dominates in truth what it
//! dominates in the problem, and the models of the interval are all still there. (That times rise from interval to interval
//! does not do for the lower end: where barriers make one thread the fastest for small models, those wait longer for their
//! prompts than two threads charge.)
//!
//! **Lemma 4 (what a model has once)** — buffers, scratch — is the most of its layers, no sum. For each most that some set of
//! layers has (a *ceiling*), a problem has the layers below it and charges it to all. A model is charged what it has in the
//! problem of its own ceiling, and no less in the others, so what dominates it there dominates it in truth.
//!
//! A class is posed with the layers of lower classes, too. Where corrections rise from class to class, as those of all recipes
//! do, an answer of a lower class is better than it is charged, and the same holds; else at least one layer of the class itself
//! is asked for.
//!
//! So a model of the front has the sums of an answer of one of these problems, which have all front vectors each once, and
//! the non-dominated answers of all problems of all classes, priced as what they are, are the front.
//!
//! # What ε says
//!
//! Where an exact answer would outgrow its bounds, one problem is solved for the whole class instead, in which times, energy
//! and what a model has once are charged at the least that any model of the class may take. Its answer has for each model `p`
//! a model `q` whose charges are at most `1 + ε'` times those of `p`, which are at most what `p` takes. Let `r` be what `q`
//! takes over its charge, at most, over all answers: no model is better than the factor `r (1 + ε')`. The loss of `p` is at
//! least that of `q` with its parameters grown by `1 + ε'`, which gives the factor of the loss above the irreducible one. The
//! largest of these factors is printed. Limits that are not objectives hold for all answers; what is covered keeps them, or the
//! bounds of the space on parameters, with the factor to spare where there is more than one (see
//! [`layers`](crate::layers)).

mod census;
mod intervals;
mod layer;
mod model;
mod pool;
mod problems;
mod quantity;
mod record;
mod sample;
mod solved;
mod summary;
#[cfg(test)]
mod tests;
mod trunk;

pub use record::{LayeredOutcome, Model};
pub(crate) use summary::summary;

use crate::enumerate::check;
use crate::space::{MOST_LAYERS, natural};
use crate::{Evaluator, Invalid, Metric, ModelEvaluator, Progress, SearchError, SearchOptions, Space};
use layer::{Families, Family};
use num_bigint::BigUint;
use pool::{FoundModel, Pool};
use slimfit_study::{Natural, ReasonCount};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use trunk::Gathered;

/// The least ε that is gone for where an exact answer does not fit and none is asked for.
const USUAL_EPSILON: f64 = 0.01;

/// What a search of layers may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerOptions {
    /// Partial models of one set, over all workers: each takes 8 bytes for each quantity and 1 for each kind of layer.
    pub most_labels: usize,
}

impl Default for LayerOptions {
    fn default() -> Self {
        Self { most_labels: 4_000_000 }
    }
}

/// Searches all of a space whose layers differ. Of models with equal objectives the front has one.
///
/// # Errors
/// When there is no objective, when an objective or limit is no sum over layers or cannot be given, or when the loss may rise
/// with size.
pub fn search_layers(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    layer_options: LayerOptions,
) -> Result<LayeredOutcome, SearchError> {
    check(space, evaluator.metrics(), options)?;
    supported(space, evaluator, options)?;
    let start = Instant::now();
    let (gathered, families) = run(space, evaluator, options, layer_options)?;
    let epsilon = gathered.epsilon();
    let Gathered { pool, all, valid, refused, priced, unvisited, mut refused_answers, .. } = gathered;
    let mut front = pool.finish();
    let wanted = options.passes.last().copied().unwrap_or(0.0);
    let mut proven = epsilon;
    if let Some(epsilon) = epsilon
        && wanted > epsilon
    {
        let room = (1.0 + wanted) / (1.0 + epsilon) - 1.0;
        let bases = bases(evaluator, &options.objectives);
        front = Pool::thinned(front, &options.objectives, &bases, room);
        proven = Some(wanted);
    }
    let nearest_miss = if front.is_empty() && !options.limits.is_empty() {
        nearest_miss(space, evaluator, options, layer_options, &mut refused_answers)?
    } else {
        None
    };
    let invalid: BigUint = refused.values().sum();
    debug_assert_eq!(all, &valid + &invalid);
    let pruned = &valid - BigUint::from(priced) - &unvisited;
    record::outcome(record::Found {
        space,
        evaluator,
        options,
        families,
        front,
        nearest_miss,
        counts: record::Counts {
            all: natural(&all),
            invalid: natural(&invalid),
            refused: refused.iter().map(|(reason, count)| (reason.clone(), natural(count))).collect(),
            evaluated: priced.into(),
            pruned: natural(&pruned),
            unvisited: natural(&unvisited),
        },
        refused_answers: refused_answers
            .iter()
            .map(|(reason, count)| ReasonCount {
                reason: reason.reason().to_owned(),
                count: Natural::from(*count),
            })
            .collect(),
        epsilon: proven,
        start,
    })
}

/// What losses are counted above.
fn bases(evaluator: &ModelEvaluator<'_>, objectives: &[Metric]) -> Vec<f64> {
    let irreducible = evaluator.law().irreducible_nats();
    let base = |metric: &Metric| match metric {
        Metric::Loss => irreducible,
        Metric::LossPerByte => evaluator.law().per_byte(irreducible),
        _ => 0.0,
    };
    objectives.iter().map(base).collect()
}

/// Refuses what is no sum over layers.
fn supported(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
) -> Result<(), SearchError> {
    let asked = || options.objectives.iter().chain(options.limits.iter().map(|(metric, _)| metric));
    let refused = |name: String, found: &str, allowed: &str| {
        let found = format!("{found}, in a space whose layers differ");
        Err(SearchError::Option { name, found, allowed: allowed.to_owned() })
    };
    if evaluator.devices.len() > 1 {
        let found = format!("{} devices", evaluator.devices.len());
        return refused("profiles".to_owned(), &found, "one device, or a space of equal layers");
    }
    if let Some(metric) = asked().find(|metric| metric.is_percentile()) {
        return refused(metric.name().to_owned(), "a percentile", "`ttft_seconds`, `tpot_seconds`");
    }
    if let Some(metric) = asked().find(|metric| matches!(metric, Metric::Score(_)))
        && evaluator.score_curves().iter().any(|(_, _, shift)| *shift != 0.0)
    {
        return refused(metric.name().to_owned(), "a score beside anchors", "`loss`, or no anchors");
    }
    if evaluator.measured_table().points() > 0 {
        return refused("quality-table".to_owned(), "a table of measured points", "no table");
    }
    if asked().any(|metric| *metric == Metric::JoulesPerToken)
        && let Some(threads) = evaluator.without_watts()
    {
        let metric = Metric::JoulesPerToken.name().to_owned();
        return refused(
            metric,
            &format!(
                "a hardware profile that tells no watts of a load of {}",
                if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
            ),
            "watts of each thread count of the profile (`--power-watts IDLE,LOADED` gives one figure for all of them), or other objectives and limits",
        );
    }
    if !asked().any(|metric| metric.is_quality()) {
        return Ok(());
    }
    for vocabulary in space.vocabularies() {
        if let Some(weights) =
            space.weights().iter().find(|weights| !evaluator.law().falls_with_size(vocabulary, **weights))
        {
            let found = format!(
                "a vocabulary of {vocabulary} in {weights}, for which the recipe lets the loss rise with size"
            );
            return refused("vocabulary_size".to_owned(), &found, "other vocabularies or formats");
        }
    }
    Ok(())
}

/// Everything that all workers gathered, and the families that were priced.
type Found = (Gathered, Families);

fn run(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    layer_options: LayerOptions,
) -> Result<Found, SearchError> {
    debug_assert!(space.depths().iter().all(|depth| *depth <= MOST_LAYERS));
    let mut families = Vec::new();
    for frame in 0..space.frames() {
        for weights in 0..space.weights().len() {
            for vocabulary in 0..space.vocabularies().len() {
                for kv in 0..space.kv().len() {
                    families.push(Family { frame, weights, kv, vocabulary });
                }
            }
        }
    }
    let workers = options.workers.max(1);
    // Few families are searched one after the other, by all workers each.
    let (outside, inside) = if families.len() >= 4 * workers { (workers, 1) } else { (1, workers) };
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    let last_report = Mutex::new(Instant::now());
    let work = || -> Result<Found, SearchError> {
        let mut gathered = Gathered::new(&options.objectives, layer_options.most_labels / outside);
        let mut priced = Families::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(family) = families.get(place) else { break };
            let left = families.len() - place;
            if let Some(layers) =
                gathered.family(space, evaluator, options, (*family, inside), (left, &stop))?
            {
                priced.insert(*family, layers);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(progress) = options.progress
                && let Ok(mut last) = last_report.try_lock()
                && (last.elapsed().as_millis() >= 100 || done == families.len())
            {
                *last = Instant::now();
                progress(Progress { visited: done as u64, size: families.len() as u64 });
            }
        }
        Ok((gathered, priced))
    };
    let results: Vec<Result<Found, SearchError>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..outside).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut total: Option<Found> = None;
    for result in results {
        let (gathered, priced) = result?;
        match &mut total {
            None => total = Some((gathered, priced)),
            Some((all, known)) => {
                all.absorb(gathered);
                known.extend(priced);
            }
        }
    }
    Ok(total.expect("at least one worker ran"))
}

/// The valid model that comes nearest to keeping all limits: one of the front whose objectives are what is limited.
fn nearest_miss(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    layer_options: LayerOptions,
    refused_answers: &mut BTreeMap<Invalid, u64>,
) -> Result<Option<(FoundModel, Families)>, SearchError> {
    let limited = SearchOptions {
        objectives: options.limits.iter().map(|(metric, _)| *metric).collect(),
        limits: Vec::new(),
        ..options.clone()
    };
    let (gathered, families) = run(space, evaluator, &limited, layer_options)?;
    let excess = |model: &FoundModel| {
        let each = options.limits.iter();
        each.map(|(metric, limit)| metric.excess(model.values[metric.column()], *limit))
            .fold(f64::NEG_INFINITY, f64::max)
    };
    for (reason, count) in gathered.refused_answers {
        *refused_answers.entry(reason).or_default() += count;
    }
    let front = gathered.pool.finish();
    let nearest = front.into_iter().min_by(|a, b| excess(a).total_cmp(&excess(b)));
    Ok(nearest.map(|model| (model, families)))
}
