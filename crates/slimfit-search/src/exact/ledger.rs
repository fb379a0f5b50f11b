//! Which units are to do, which are done, and what became of their points: shared by the workers of a process, and through
//! a journal with other processes and later ones.

use super::keeper::{Keeper, Kept};
use crate::archive::{Archive, Exchange, Found};
use crate::tally::Counts;
use crate::{Metric, SearchError};
use slimfit_study::{Claim, Units};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Claimed units last about this long, so that processes end together.
const CLAIMED: Duration = Duration::from_millis(250);
const MOST_CLAIMED: f64 = 256.0;
/// How long a worker waits for units of others: first, and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// A unit that is done.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) unit: u64,
    pub(super) pass: usize,
    pub(super) counts: Counts,
    pub(super) miss: Option<(f64, Found)>,
}

/// The state of a search.
pub(super) struct Ledger<'a> {
    /// Points of each unit of a pass.
    sizes: &'a [u64],
    passes: usize,
    objectives: &'a [Metric],
    exchange: &'a Exchange,
    next: AtomicU64,
    queue: Mutex<VecDeque<u64>>,
    finished: Mutex<Vec<Finished>>,
    /// Points of units that are done, by pass: of this process with those that it took over, and of others.
    visited: Vec<[AtomicU64; 2]>,
    keeper: Option<Mutex<Keeper<'a>>>,
    /// Units that this process did.
    own: AtomicU64,
    began: Instant,
    /// When to save next, in microseconds after it began.
    due: AtomicU64,
    failure: Mutex<Option<SearchError>>,
    /// Whether another process finished the search.
    over: AtomicBool,
}

impl<'a> Ledger<'a> {
    /// A search over units of so many points; `keeper` where there is a journal.
    pub(super) fn new(
        sizes: &'a [u64],
        passes: usize,
        objectives: &'a [Metric],
        exchange: &'a Exchange,
        keeper: Option<Keeper<'a>>,
    ) -> Self {
        Self {
            sizes,
            passes,
            objectives,
            exchange,
            next: AtomicU64::new(0),
            queue: Mutex::default(),
            finished: Mutex::default(),
            visited: (0..passes).map(|_| Default::default()).collect(),
            keeper: keeper.map(Mutex::new),
            own: AtomicU64::new(0),
            began: Instant::now(),
            due: AtomicU64::new(0),
            failure: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Counts and tells what was kept before, by others too.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn begin(&self) -> Result<(), SearchError> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        let mut keeper = lock(keeper);
        self.count(keeper.done(), 0);
        self.tell(keeper.restored().to_vec());
        self.hear(&mut keeper)
    }

    fn hear(&self, keeper: &mut Keeper<'_>) -> Result<(), SearchError> {
        if let Some((done, points)) = keeper.news()? {
            self.count(&done, 1);
            self.tell(points);
        }
        Ok(())
    }

    fn tell(&self, points: Vec<Found>) {
        Archive::new(self.objectives).tell(points, self.exchange);
    }

    /// Units of all passes.
    pub(super) fn units(&self) -> u64 {
        self.sizes.len() as u64 * self.passes as u64
    }

    /// Pass and place of a unit.
    pub(super) fn place(&self, unit: u64) -> (usize, usize) {
        let each = self.sizes.len() as u64;
        ((unit / each) as usize, (unit % each) as usize)
    }

    /// Points of a unit.
    pub(super) fn points(&self, unit: u64) -> u64 {
        self.sizes[self.place(unit).1]
    }

    /// Whether there is a journal: then everything that was found is to be told when a unit is done.
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.is_some()
    }

    /// A unit to do, until none is left or `go_on` says no.
    pub(super) fn take(&self, workers: usize, go_on: &dyn Fn() -> bool) -> Option<u64> {
        let Some(keeper) = &self.keeper else {
            let unit = self.next.fetch_add(1, Ordering::Relaxed);
            return (unit < self.units() && go_on()).then_some(unit);
        };
        let mut wait = WAITS.0;
        while go_on() {
            let next = lock(&self.queue).pop_front();
            if next.is_some() {
                return next;
            }
            let mut keeper = lock(keeper);
            if !lock(&self.queue).is_empty() {
                continue;
            }
            match self.claim(&mut keeper, workers) {
                Ok(Some(Claim::Units(units))) => {
                    lock(&self.queue).extend(units.iter());
                    continue;
                }
                Ok(Some(Claim::Wait)) => {}
                // What was just saved may have been the last of it.
                Ok(None) => continue,
                Ok(Some(Claim::Done)) => return None,
                Ok(Some(Claim::Finished)) => {
                    self.over.store(true, Ordering::Relaxed);
                    return None;
                }
                Err(error) => {
                    self.fail(error);
                    return None;
                }
            }
            drop(keeper);
            std::thread::sleep(wait);
            wait = (2 * wait).min(WAITS.1);
        }
        None
    }

    /// Claims units; `None` where there are none, and what this process has done was saved.
    fn claim(&self, keeper: &mut Keeper<'_>, workers: usize) -> Result<Option<Claim>, SearchError> {
        let each = self.began.elapsed().as_secs_f64() / self.own.load(Ordering::Relaxed).max(1) as f64;
        let count = (CLAIMED.as_secs_f64() / each).clamp(1.0, MOST_CLAIMED) as u64;
        let claim = keeper.claim(count.max(workers as u64))?;
        if claim == Claim::Wait && !lock(&self.finished).is_empty() {
            self.save(keeper)?;
            return Ok(None);
        }
        Ok(Some(claim))
    }

    /// A unit is done. Its points were told before.
    pub(super) fn finish(&self, finished: Finished) {
        let points = self.points(finished.unit);
        self.visited[finished.pass][0].fetch_add(points, Ordering::Relaxed);
        self.own.fetch_add(1, Ordering::Relaxed);
        lock(&self.finished).push(finished);
    }

    /// Saves where it is time.
    pub(super) fn keep(&self) {
        let Some(keeper) = &self.keeper else { return };
        if (self.began.elapsed().as_micros() as u64) < self.due.load(Ordering::Relaxed) {
            return;
        }
        // Another worker may be at it.
        let Ok(mut keeper) = keeper.try_lock() else { return };
        if let Err(error) = self.save(&mut keeper) {
            self.fail(error);
        }
    }

    fn save(&self, keeper: &mut Keeper<'_>) -> Result<(), SearchError> {
        let start = Instant::now();
        // In this order: what ruled out points of a unit was told before it was done.
        let finished = std::mem::take(&mut *lock(&self.finished));
        let fresh = self.exchange.take_fresh();
        match keeper.save(finished, &fresh)? {
            Kept::Yes => {}
            Kept::Lost => {
                lock(&self.queue).clear();
                self.count(keeper.done(), 0);
            }
            Kept::Finished => self.over.store(true, Ordering::Relaxed),
        }
        self.hear(keeper)?;
        let due = self.began.elapsed() + keeper.interval(start.elapsed());
        self.due.store(due.as_micros() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Saves what is left, after the last worker ended; gives back what it kept with.
    ///
    /// # Errors
    /// What went wrong, now or in any worker.
    pub(super) fn close(self) -> Result<Closed<'a>, SearchError> {
        if let Some(error) = lock(&self.failure).take() {
            return Err(error);
        }
        if let Some(keeper) = &self.keeper
            && !self.is_over()
        {
            self.save(&mut lock(keeper))?;
        }
        let is_over = self.is_over();
        let finished = self.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
        let keeper = self.keeper.map(|keeper| keeper.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(Closed { finished, keeper, is_over })
    }

    /// Points that were seen to in the first pass that is not whole, and that pass.
    pub(super) fn visited(&self) -> (u64, usize) {
        let all: u64 = self.sizes.iter().sum();
        let of = |pass: usize| self.visited[pass].iter().map(|points| points.load(Ordering::Relaxed)).sum();
        let pass = (0..self.passes).find(|pass| of(*pass) < all).unwrap_or(self.passes - 1);
        (of(pass), pass)
    }

    /// Whether another process finished the search.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether something went wrong.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.failure).is_some()
    }

    pub(super) fn fail(&self, error: SearchError) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Counts the points of units: of this process, or of others.
    fn count(&self, done: &Units, whose: usize) {
        let mut visited = vec![0; self.passes];
        for unit in done.iter().filter(|unit| *unit < self.units()) {
            let (pass, place) = self.place(unit);
            visited[pass] += self.sizes[place];
        }
        for (counter, points) in self.visited.iter().zip(visited) {
            counter[whose].store(points, Ordering::Relaxed);
        }
    }
}

/// What is left of a ledger.
pub(super) struct Closed<'a> {
    /// Units that no journal keeps.
    pub(super) finished: Vec<Finished>,
    pub(super) keeper: Option<Keeper<'a>>,
    /// Whether another process finished the search.
    pub(super) is_over: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
