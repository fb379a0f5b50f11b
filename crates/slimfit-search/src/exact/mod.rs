//! The exact front of a space of equal layers without looking at every point.
//!
//! # Why it is exact
//!
//! **Lemma 1 (sums).** Points of one hidden size, weight format, vocabulary, KV format, window, tying, depth and number of
//! passes through the layers — a *sheet* — differ in the heads and in the feed-forward part of their layers alone. Each
//! additive quantity (parameters, bytes, the working set, the bytes that one pass reads, and for each thread count and regime
//! both times) is a number of the heads plus a number of the feed-forward part. *Proof:* every step of a plan belongs to one
//! of them or to neither, and no step depends on both. Passes after the first repeat the steps of the first one, so that all
//! sums are still taken over the stored layers: `n` passes read matrices and vectors that are stored once, and each has its
//! own cache.
//!
//! **Lemma 2 (boxes).** In a box (a range of heads × a range of feed-forward parts) no point has less of such a quantity
//! than the sum of the least over both ranges. *Proof:* a sum is at least the sum of the least of its terms; adding
//! rounded numbers keeps order. The regime of a point is one of those between the least and the largest working set of
//! the box, and its thread count is one of the profile's; the least over all of these is at most what it has. Where layers
//! run several times, weights of later passes are priced in the regime of the bytes that one pass reads
//! (`CostModel::predict`), which within one regime of the working set is one of those between the least and the most that the
//! working set leaves; each part's time is the least over these, which is at most what it has.
//!
//! The same holds in a box of several depths (of layers that run once), KV formats, windows and tyings: the least of a part over all
//! of these, taken as often as the fewest layers have it, is at most what any point has of it, since nothing that a layer adds
//! is negative and neither kind of layer becomes rarer in a deeper model. Times may also be the least over several regimes and
//! thread counts together.
//!
//! **Lemma 3 (quality).** No point of the box has less loss than a shape with the most parameters of the box
//! ([`Law::least_base_nats`](slimfit_quality::Law::least_base_nats), with what window, heads and formats add at least). Of several
//! depths, the one whose width over depth comes nearest to the best counts.
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
//! **Lemma 6 (units).** A search may be cut into units, done by several processes, some of which are killed, if a unit counts as
//! done only together with every point that ruled out a box of it, or a point that dominates that one. *Proof:* what a box
//! of a done unit was left out for is then kept whatever happens to the unit that it was found in; Lemmas 4 and 5 ask for
//! no more. A unit that was killed in the middle is searched again as if nobody had, and its points that are known already
//! stand for themselves.
//!
//! **Lemma of devices.** Where one model is chosen for several devices, each has the lists of Lemma 1 and the bounds of Lemma 2
//! for itself, thread counts and regimes included. No point of a box has less than the largest of these bounds of what is the
//! worst over the devices, and none less than the device's bound of what is an objective of that device alone. *Proof:* what
//! a point takes on a device is at least the device's bound, with whichever thread count is the fastest there; the largest of
//! some numbers does not fall where one of them grows. A point breaks a limit on some device exactly where the worst over the
//! devices breaks it, so Lemma 4 holds for limits as it stands.
//!
//! So the points that are kept by an exact pass are those that nothing dominates, whatever order boxes are met in. What
//! that order decides is only how many points a bound rules out and how many are looked at; both are counted, and with
//! the invalid ones they are all points of the space.

mod bounds;
pub(crate) mod catalogue;
mod depths;
mod fill;
mod held;
mod keeper;
mod ledger;
mod passes;
mod quality;
mod ranges;
mod regimes;
pub(crate) mod ruled;
mod run;
mod scope;
mod sheet;
mod times;
mod training;
mod unit;
mod worker;

pub(crate) use times::{PointTimes, times};

use crate::archive::{Archive, Exchange, Found};
use crate::enumerate::check;
use crate::journal::{Journal, TakenUp};
use crate::sample::sample;
use crate::tally::{Counts, Tally};
use crate::{Evaluator, ModelEvaluator, Outcome, SearchError, SearchOptions, Space};
use catalogue::Catalogue;
use keeper::Keeper;
use ledger::{Closed, Ledger};
use run::{Gathered, Work, run};
use slimfit_study::{StudyError, Units};
use std::time::{Duration, Instant};
use unit::UnitKey;
use worker::Goal;

/// Searches all of `space`.
///
/// # Errors
/// When there is no objective, or an objective or limit is a metric that `evaluator` cannot give.
pub fn search(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
) -> Result<Outcome, SearchError> {
    let search = Search::new(space, evaluator, options)?;
    let exchange = Exchange::default();
    let ledger = Ledger::new(&search.sizes, options.passes.len(), &options.objectives, &exchange, None);
    let outcome = search.run(&exchange, ledger)?;
    Ok(outcome.expect("no other process works on a search without a journal"))
}

/// The same with a journal: what was done of this search before is not done again, and other processes may take part.
///
/// `join` gives this process's hand in the journal of a search of so many units. `taken_up` hears how far it is, where it
/// was begun before. The counters of the outcome are of everything that was kept, by whomever, and its time is that at
/// work of all processes. `None` where another process finished the search.
///
/// # Errors
/// Those of [`search`]; when the journal cannot be read or written. What it kept before is whole then.
pub fn search_with_journal<J: Journal>(
    space: &Space,
    evaluator: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
    join: impl FnOnce(u64) -> Result<J, StudyError>,
    taken_up: impl FnOnce(&TakenUp),
) -> Result<Option<Outcome>, SearchError> {
    let search = Search::new(space, evaluator, options)?;
    let mut journal = join(search.units.len() as u64 * options.passes.len() as u64)?;
    let keeper = Keeper::new(&mut journal, evaluator.computed(), &options.objectives)?;
    let exchange = Exchange::kept();
    let has_company = keeper.has_company()?;
    let ledger =
        Ledger::new(&search.sizes, options.passes.len(), &options.objectives, &exchange, Some(keeper));
    ledger.begin()?;
    let (visited, pass) = ledger.visited();
    if visited > 0 || pass > 0 || has_company {
        taken_up(&TakenUp {
            visited: visited + search.known_invalid,
            size: space.size(),
            pass: pass + 1,
            passes: options.passes.len(),
            has_company,
        });
    }
    search.run(&exchange, ledger)
}

/// A search that is ready to run.
struct Search<'s> {
    space: &'s Space,
    evaluator: &'s ModelEvaluator<'s>,
    options: &'s SearchOptions<'s>,
    catalogue: Catalogue,
    known_invalid: u64,
    units: Vec<UnitKey>,
    /// Points of each unit.
    sizes: Vec<u64>,
    start: Instant,
}

impl<'s> Search<'s> {
    fn new(
        space: &'s Space,
        evaluator: &'s ModelEvaluator<'s>,
        options: &'s SearchOptions<'s>,
    ) -> Result<Self, SearchError> {
        space.require_equal_layers("the search for models of equal layers")?;
        check(space, evaluator.metrics(), options)?;
        let start = Instant::now();
        let catalogue = Catalogue::new(space);
        let units = units(space, &catalogue);
        let trunks = space.tyings().len() * evaluator.depths.len() * evaluator.passes.len();
        let each = space.kv().len() * space.windows().len() * trunks;
        let of_width = |unit: &UnitKey| {
            let width = &catalogue.widths[unit.width];
            width.pairs(0..width.attentions.len(), 0..width.feed_forwards.len()) * each as u64
        };
        let (sizes, known_invalid) = (units.iter().map(of_width).collect(), catalogue.invalid.values().sum());
        Ok(Self { space, evaluator, options, catalogue, known_invalid, units, sizes, start })
    }

    fn work<'w>(&'w self, goal: Goal, passes: &'w [f64], exchange: &'w Exchange) -> Work<'w> {
        Work {
            space: self.space,
            evaluator: self.evaluator,
            options: self.options,
            catalogue: &self.catalogue,
            units: &self.units,
            goal,
            passes,
            exchange,
        }
    }

    /// Searches what the ledger says is left.
    fn run(&self, exchange: &Exchange, ledger: Ledger<'_>) -> Result<Option<Outcome>, SearchError> {
        let (space, evaluator, options) = (self.space, self.evaluator, self.options);
        let gathered = run(&self.work(Goal::Front, &options.passes, exchange), &ledger)?;
        let Some(all) = self.together(gathered, ledger.close()?)? else { return Ok(None) };
        let front = all.archive.finish();
        let is_whole =
            |pass: usize| all.passes.get(pass).map_or(0, Counts::total) + self.known_invalid == space.size();
        let whole = (0..options.passes.len()).take_while(|pass| is_whole(*pass)).last();
        // Of the last whole pass; before one is, of the first.
        let mut told = Tally::new(&options.objectives);
        told.absorb_counts(all.passes.into_iter().nth(whole.unwrap_or(0)).unwrap_or_default());
        for (reason, count) in &self.catalogue.invalid {
            told.refuse(reason.clone(), *count);
        }
        let unvisited = if whole.is_some() { 0 } else { space.size() - told.counted() };
        let nearest_miss = if front.is_empty() && !options.limits.is_empty() {
            let exchange = Exchange::default();
            let ledger = Ledger::new(&self.sizes, 1, &options.objectives, &exchange, None);
            let found = run(&self.work(Goal::NearestMiss, &[0.0], &exchange), &ledger)?;
            [all.miss, found.miss].into_iter().flatten().min_by(nearer).map(|(_, found)| found)
        } else {
            None
        };
        Ok(Some(Outcome {
            nearest_miss,
            sample: sample(space, evaluator, options, &front),
            front,
            space_size: space.size(),
            invalid: told.invalid(),
            invalid_by: told.invalid_by(),
            evaluated: told.evaluated,
            pruned: told.pruned(),
            unvisited,
            epsilon: whole.map(|pass| options.passes[pass]),
            duration: self.start.elapsed() + all.elsewhere,
        }))
    }

    /// Puts together what this process did and what the journal has; `None` where another process finished the search.
    fn together(&self, gathered: Gathered, closed: Closed<'_>) -> Result<Option<Whole>, SearchError> {
        let Gathered { mut archive, mut miss, begun } = gathered;
        let mut passes = vec![Counts::default(); self.options.passes.len()];
        let pass_of = |unit: u64| (unit / self.units.len() as u64) as usize;
        let (mut done, mut elsewhere) = (Units::new(), Duration::ZERO);
        if closed.is_over {
            return Ok(None);
        }
        if let Some(keeper) = &closed.keeper {
            let Some((kept, points)) = keeper.all()? else { return Ok(None) };
            for (counts, kept) in passes.iter_mut().zip(&kept.passes) {
                counts.add(Counts::read(kept)?);
            }
            archive.take(points);
            if let Some(kept) = &kept.nearest_miss {
                miss = [miss, Some(keeper.found_miss(kept)?)].into_iter().flatten().min_by(nearer);
            }
            elsewhere = Duration::from_secs_f64((kept.seconds - keeper.own_seconds()).max(0.0));
            done = kept.done;
        }
        for unit in closed.finished {
            passes[unit.pass].add(unit.counts);
        }
        // Where this process lost a unit that it had begun, another one may have done it.
        for (unit, counts) in begun.into_iter().filter(|(unit, _)| !done.contains(*unit)) {
            passes[pass_of(unit)].add(counts);
        }
        Ok(Some(Whole { archive, passes, miss, elsewhere }))
    }
}

/// What is known when a search ends or is stopped.
struct Whole {
    archive: Archive,
    passes: Vec<Counts>,
    miss: Option<(f64, Found)>,
    /// What other processes, earlier ones included, were at work.
    elsewhere: Duration,
}

fn nearer(a: &(f64, Found), b: &(f64, Found)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.index.cmp(&b.1.index))
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
