//! What one process has kept of a search in a journal, and how it keeps more.

use super::ledger::Finished;
use crate::archive::{Archive, Found};
use crate::journal::Journal;
use crate::{Metric, SearchError};
use slimfit_study::{Claim, Miss, Natural, News, PassCounts, PointSet, SaveOutcome, SearchProgress, Units};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Points that were ruled out since may lie in what is saved, up to so many, or thrice as many as there are others: to tell them
/// takes longer than to save them.
const SLACK: usize = 400_000;
/// Saves may take this share of the time of one worker, unless they would lie too far apart.
const SHARE: u32 = 40;
const LONGEST: Duration = Duration::from_secs(3);
/// A process with nothing to save says after this time that it lives.
const SILENCE: Duration = Duration::from_secs(5);

/// What a process has kept, and what it is to keep next.
pub(super) struct Keeper<'j> {
    journal: &'j mut dyn Journal,
    metrics: Vec<Metric>,
    objectives: Vec<Metric>,
    state: SearchProgress,
    /// Points that other processes found before this one began, or lost claims.
    restored: Vec<Found>,
    /// Points of the archive after those that others rule out were last dropped.
    compacted: usize,
    claimed: Units,
    /// Points of other processes that were heard of.
    heard: HashSet<u64>,
    /// When the seconds of `state` were counted, and how many of those that are kept are this process's.
    counted: Instant,
    own_seconds: f64,
    saved: Instant,
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept, or there was nothing to keep.
    Yes,
    /// Other processes got claimed units: what was done of them since the last save is dropped, and nothing is claimed.
    Lost,
    /// Another process finished the search.
    Finished,
}

impl<'j> Keeper<'j> {
    /// Takes up what dead processes left. `metrics`: those that points are saved with.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(super) fn new(
        journal: &'j mut dyn Journal,
        metrics: Vec<Metric>,
        objectives: &[Metric],
    ) -> Result<Self, SearchError> {
        let now = Instant::now();
        let mut keeper = Self {
            journal,
            metrics,
            objectives: objectives.to_vec(),
            state: SearchProgress::default(),
            restored: Vec::new(),
            compacted: 0,
            claimed: Units::new(),
            heard: HashSet::new(),
            counted: now,
            own_seconds: 0.0,
            saved: now,
        };
        keeper.state.archive = PointSet::new(keeper.metrics.len());
        keeper.recover()?;
        Ok(keeper)
    }

    /// Units that this process did, or took over.
    pub(super) fn done(&self) -> &Units {
        &self.state.done
    }

    /// Points that were found before.
    pub(super) fn restored(&self) -> &[Found] {
        &self.restored
    }

    /// Seconds at work that this process kept of its own.
    pub(super) fn own_seconds(&self) -> f64 {
        self.own_seconds
    }

    /// When to save again after a save that took so long.
    pub(super) fn interval(&self, cost: Duration) -> Duration {
        self.journal.interval().max((cost * SHARE).min(LONGEST))
    }

    pub(super) fn has_company(&self) -> Result<bool, SearchError> {
        Ok(self.journal.has_company()?)
    }

    /// Claims up to so many units.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(super) fn claim(&mut self, count: u64) -> Result<Claim, SearchError> {
        let claim = self.journal.claim(count)?;
        if let Claim::Units(units) = &claim {
            self.claimed.union(units);
        }
        Ok(claim)
    }

    /// Keeps units that are done, and points that were found since. `fresh` holds every point that ruled out one of those
    /// units, or what dominates it.
    ///
    /// # Errors
    /// When the journal cannot be written: what was kept before is whole.
    pub(super) fn save(&mut self, finished: Vec<Finished>, fresh: &[Found]) -> Result<Kept, SearchError> {
        if finished.is_empty() && fresh.is_empty() && self.saved.elapsed() < SILENCE {
            return Ok(Kept::Yes);
        }
        for Finished { unit, pass, counts, miss } in finished {
            if let Some(miss) = miss {
                self.offer_miss(self.miss(miss));
            }
            // One that was lost, and claimed again while it was still at work, comes twice.
            if !self.claimed.contains(unit) || self.state.done.contains(unit) {
                continue;
            }
            self.state.done.insert(unit..unit + 1);
            if self.state.passes.len() <= pass {
                self.state.passes.resize_with(pass + 1, PassCounts::default);
            }
            self.state.passes[pass].add(&counts.record());
        }
        self.push(fresh);
        if self.state.archive.len() > (4 * self.compacted).max(SLACK) {
            self.compact()?;
        }
        let now = Instant::now();
        let seconds = (now - self.counted).as_secs_f64();
        self.state.seconds += seconds;
        self.counted = now;
        let outcome = self.journal.save(&self.state)?;
        self.saved = Instant::now();
        match outcome {
            SaveOutcome::Kept => {
                self.own_seconds += seconds;
                self.claimed = self.claimed.without(&self.state.done);
                Ok(Kept::Yes)
            }
            SaveOutcome::Lost(_) => {
                self.claimed = Units::new();
                self.recover()?;
                Ok(Kept::Lost)
            }
            SaveOutcome::Finished => Ok(Kept::Finished),
        }
    }

    /// What others did, and those of their points that were not heard of before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn news(&mut self) -> Result<Option<(Units, Vec<Found>)>, SearchError> {
        let Some(News { done, archives }) = self.journal.news()? else { return Ok(None) };
        let mut points = Vec::new();
        for archive in &archives {
            points.extend(found(archive, &self.metrics)?);
        }
        points.retain(|point| self.heard.insert(point.index));
        Ok(Some((done, points)))
    }

    /// Everything that anyone kept, in one, and the points that others found; `None` where another process finished the search.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn all(&self) -> Result<Option<(SearchProgress, Vec<Found>)>, SearchError> {
        let Some(parts) = self.journal.others()? else { return Ok(None) };
        let (mut whole, mut points) = (SearchProgress::default(), self.restored.clone());
        whole.add_counts(&self.state);
        whole.nearest_miss.clone_from(&self.state.nearest_miss);
        for part in parts {
            whole.add_counts(&part);
            points.extend(found(&part.archive, &self.metrics)?);
            whole.nearest_miss = [whole.nearest_miss, part.nearest_miss].into_iter().flatten().min_by(nearer);
        }
        Ok(Some((whole, points)))
    }

    /// A point that breaks a limit, as the search knows it.
    ///
    /// # Errors
    /// When it is none of this space.
    pub(super) fn found_miss(&self, miss: &Miss) -> Result<(f64, Found), SearchError> {
        Ok((miss.excess, point(&miss.index, &miss.values, &self.metrics)?))
    }

    /// Goes on from what is kept. Points stay known: they are points of the space, whoever gets the units that they are of.
    fn recover(&mut self) -> Result<(), SearchError> {
        let before = std::mem::take(&mut self.state);
        let mut points = found(&before.archive, &self.metrics)?;
        let own = points.len();
        let parts = self.journal.progress()?;
        let several = parts.len() + usize::from(!points.is_empty()) > 1;
        for part in parts {
            self.state.add_counts(&part);
            points.extend(found(&part.archive, &self.metrics)?);
            if let Some(miss) = part.nearest_miss {
                self.offer_miss(miss);
            }
        }
        if let Some(miss) = before.nearest_miss {
            self.offer_miss(miss);
        }
        self.restored.extend_from_slice(&points[own..]);
        self.state.archive = PointSet::new(self.metrics.len());
        self.push(&points);
        if several {
            self.compact()?;
        }
        self.compacted = self.state.archive.len();
        Ok(())
    }

    fn push(&mut self, points: &[Found]) {
        for point in points {
            let values = self.metrics.iter().map(|metric| point.values[metric.column()]);
            let values: Vec<f64> = values.collect();
            self.state.archive.push(Natural::from(point.index), &values);
        }
    }

    /// Drops what other points of the archive rule out, and what stands twice.
    fn compact(&mut self) -> Result<(), SearchError> {
        let mut archive = Archive::new(&self.objectives);
        archive.take(found(&self.state.archive, &self.metrics)?);
        self.state.archive = PointSet::new(self.metrics.len());
        self.push(&archive.finish());
        self.compacted = self.state.archive.len();
        Ok(())
    }

    fn miss(&self, (excess, found): (f64, Found)) -> Miss {
        let values = self.metrics.iter().map(|metric| found.values[metric.column()]);
        Miss { excess, index: Natural::from(found.index), values: values.collect() }
    }

    fn offer_miss(&mut self, miss: Miss) {
        let best = self.state.nearest_miss.take();
        self.state.nearest_miss = [best, Some(miss)].into_iter().flatten().min_by(nearer);
    }
}

fn nearer(a: &Miss, b: &Miss) -> std::cmp::Ordering {
    a.excess.total_cmp(&b.excess).then_with(|| a.index.cmp(&b.index))
}

/// Points as a search knows them.
fn found(points: &PointSet, metrics: &[Metric]) -> Result<Vec<Found>, SearchError> {
    points.iter().map(|(index, values)| point(index, values, metrics)).collect()
}

fn point(index: &Natural, stored: &[f64], metrics: &[Metric]) -> Result<Found, SearchError> {
    let number = index.to_u128().and_then(|index| u64::try_from(index).ok());
    let index = number.ok_or_else(|| SearchError::Kept(format!("point {index} is none of the space")))?;
    if stored.len() != metrics.len() {
        let problem =
            format!("point {index} has {} values where {} are computed", stored.len(), metrics.len());
        return Err(SearchError::Kept(problem));
    }
    let mut values = Metric::UNKNOWN;
    for (metric, value) in metrics.iter().zip(stored) {
        values[metric.column()] = *value;
    }
    Ok(Found { index, values })
}
