//! Phases that are cut into more pieces than there are workers. Each worker has pieces of its own, which together are its
//! equal share, and when they are done it takes what others have left.
//!
//! A phase is over when its pieces are done, not when every worker has come: a worker that its core lost to somebody
//! else between two pieces holds nobody up, and finds the others again by walking through the phases that are over.
//! Where all are equally fast, a worker writes its own line for each piece, and like at a barrier one line of all.

use super::Line;
use super::barrier::{Poisoned, relax};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bits of the number of pieces taken; one more than the phase's number lies above.
const TAKEN_BITS: u32 = 32;
/// Bits of the number of workers in a [`Gate`], the topmost of which says that it is closed.
const WORKER_BITS: u32 = 16;
const CLOSED: u64 = 1 << (WORKER_BITS - 1);

/// Pauses before a worker looks for pieces of others: about a microsecond.
const MOMENT: u32 = 32;

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Phase {
    /// Phases before it.
    pub(super) number: u64,
    /// Their pieces.
    pub(super) before: u64,
    /// Its pieces.
    pub(super) pieces: usize,
}

/// The pieces of the phase that is under way. Piece p belongs to worker `p mod workers`.
pub(super) struct Claims {
    /// How many of each worker's pieces are taken, and in which phase: of a line that is behind, none. A line only grows,
    /// and is never behind a phase that is over, so nobody who comes late takes a piece of that.
    taken: Box<[Line<AtomicU64>]>,
    /// Pieces of all phases of the run that are done and reported.
    done: Line<AtomicU64>,
    spins: u32,
}

impl Claims {
    pub(super) fn new(workers: usize, spins: u32) -> Self {
        let taken = (0..workers).map(|_| Line(AtomicU64::new(0))).collect();
        Self { taken, done: Line(AtomicU64::new(0)), spins }
    }

    /// Ready for a run's first phase, number 0. Only while no worker claims.
    pub(super) fn restart(&self) {
        let lines = self.taken.iter().chain([&self.done]);
        lines.for_each(|line| line.0.store(0, Ordering::Relaxed));
    }

    /// Does pieces of phase `phase` as worker `index` until it is over; earlier phases had `before` pieces together. `work`
    /// is told the piece, and whether this worker did one of this phase before. Returns the number of pieces done here.
    /// What was done in earlier phases is visible to every piece, and all of this one after it.
    pub(super) fn take_part(
        &self,
        index: usize,
        phase: Phase,
        poisoned: &AtomicBool,
        mut work: impl FnMut(usize, bool),
    ) -> u64 {
        let (workers, all) = (self.taken.len(), phase.before + phase.pieces as u64);
        let over = || self.done.0.load(Ordering::Acquire) >= all;
        // Releases what this worker wrote, and acquires what those wrote who reported before.
        let report = |pieces| self.done.0.fetch_add(pieces, Ordering::AcqRel) + pieces >= all;
        if over() {
            return 0;
        }
        let mut mine = 0;
        let mut take_all = |owner: usize| {
            let count = phase.pieces.saturating_sub(owner).div_ceil(workers);
            let before = mine;
            while let Some(taken) = self.take(owner, phase.number, count) {
                work(taken * workers + owner, mine > 0);
                mine += 1;
            }
            mine - before
        };
        let own = take_all(index);
        if own > 0 && report(own) {
            return own;
        }
        // Who looks at others' lines takes them from their caches, so not before those had a moment to end.
        for _ in 0..self.spins.min(MOMENT) {
            if over() {
                return own;
            }
            std::hint::spin_loop();
        }
        let taken = (index + 1..workers).chain(0..index).map(&mut take_all).sum();
        if taken > 0 && report(taken) {
            return own + taken;
        }
        let mut spins = 0;
        while !over() {
            if relax(&mut spins, self.spins) && poisoned.load(Ordering::Acquire) {
                resume_unwind(Box::new(Poisoned));
            }
        }
        own + taken
    }

    /// Takes the next of an owner's `count` pieces; which one.
    fn take(&self, owner: usize, phase: u64, count: usize) -> Option<usize> {
        let line = &self.taken[owner].0;
        let mut state = line.load(Ordering::Relaxed);
        loop {
            let taken = match (state >> TAKEN_BITS).cmp(&(phase + 1)) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => (state & ((1 << TAKEN_BITS) - 1)) as usize,
                std::cmp::Ordering::Greater => return None,
            };
            if taken >= count {
                return None;
            }
            let next = ((phase + 1) << TAKEN_BITS) | (taken as u64 + 1);
            match line.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(taken),
                Err(found) => state = found,
            }
        }
    }
}

/// Lets workers into a run as long as it is open, so that its end waits for those alone that came in.
pub(super) struct Gate {
    /// The run's number, whether it is closed, and how many came in.
    state: Line<AtomicU64>,
    /// How many of them left.
    left: Line<AtomicU64>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { state: Line(AtomicU64::new(CLOSED)), left: Line(AtomicU64::new(0)) }
    }

    /// Opens run `run`, which is not told to workers before. Only while nobody is in.
    pub(super) fn open(&self, run: u64) {
        self.left.0.store(0, Ordering::Relaxed);
        self.state.0.store(run << WORKER_BITS, Ordering::Release);
    }

    /// Comes in, if run `run` is still open.
    pub(super) fn enter(&self, run: u64) -> bool {
        let enter = |state: u64| (state >> WORKER_BITS == run && state & CLOSED == 0).then_some(state + 1);
        self.state.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, enter).is_ok()
    }

    /// Leaves a run that was entered.
    pub(super) fn leave(&self) {
        self.left.0.fetch_add(1, Ordering::Release);
    }

    /// Closes the run and waits until everybody has left.
    pub(super) fn close(&self, limit: u32) {
        let entered = self.state.0.fetch_or(CLOSED, Ordering::AcqRel) & (CLOSED - 1);
        let mut spins = 0;
        while self.left.0.load(Ordering::Acquire) != entered {
            relax(&mut spins, limit);
        }
    }
}

/// The pieces of a phase: of each worker's equal share, equal ones or falling ones, half of it, then half of what is left,
/// and so on. Falling ones are few, and what is taken from a slow worker last is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    rounds: Rounds,
    workers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounds {
    Equal(usize),
    Falling(u32),
}

impl Pieces {
    /// `count` equal pieces of each worker's share.
    pub fn equal(workers: usize, count: usize) -> Self {
        Self { rounds: Rounds::Equal(count), workers }
    }

    /// Pieces that fall `halvings` times to half the size, the last as large as the one before.
    pub fn falling(workers: usize, halvings: u32) -> Self {
        Self { rounds: Rounds::Falling(halvings), workers }
    }

    /// Pieces in all.
    pub fn count(&self) -> usize {
        self.workers
            * match self.rounds {
                Rounds::Equal(each) => each,
                Rounds::Falling(halvings) => halvings as usize + 1,
            }
    }

    /// A piece as a share: `(index, of)`, the part `index / of` to `(index + 1) / of` of the work. Piece p is of the share
    /// of worker `p mod workers`.
    pub fn share(&self, piece: usize) -> (usize, usize) {
        debug_assert!(piece < self.count());
        let (round, worker) = (piece / self.workers, piece % self.workers);
        match self.rounds {
            Rounds::Equal(each) => (worker * each + round, self.workers * each),
            Rounds::Falling(halvings) if (round as u32) < halvings => {
                let parts = 2 << round;
                (worker * parts + parts - 2, self.workers * parts)
            }
            Rounds::Falling(halvings) => {
                let parts = 1 << halvings;
                (worker * parts + parts - 1, self.workers * parts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workers_pieces_are_its_equal_share_in_order() {
        for workers in 1..6 {
            let falling = (0..6).map(|halvings| Pieces::falling(workers, halvings));
            for pieces in falling.chain((1..5).map(|each| Pieces::equal(workers, each))) {
                let total = 64 * workers * 60;
                for worker in 0..workers {
                    let mut end = total * worker / workers;
                    for piece in (worker..pieces.count()).step_by(workers) {
                        let (index, of) = pieces.share(piece);
                        assert_eq!(total * index / of, end, "{pieces:?} {piece}");
                        end = total * (index + 1) / of;
                    }
                    assert_eq!(end, total * (worker + 1) / workers, "{pieces:?}");
                }
            }
        }
        assert_eq!(Pieces::falling(3, 0).share(2), Pieces::equal(3, 1).share(2));
    }

    #[test]
    fn what_is_over_has_no_pieces_left_for_who_comes_late() {
        let (claims, fine) = (Claims::new(2, 1), AtomicBool::new(false));
        let phase = |number| Phase { number, before: 5 * number, pieces: 5 };
        for number in 0..3 {
            let mut done = Vec::new();
            let count = claims.take_part(1, phase(number), &fine, |piece, again| done.push((piece, again)));
            assert_eq!((count, done), (5, vec![(1, false), (3, true), (0, true), (2, true), (4, true)]));
        }
        for number in 0..3 {
            assert_eq!((claims.take(0, number, 3), claims.take(1, number, 2)), (None, None));
            assert_eq!(claims.take_part(0, phase(number), &fine, |_, _| unreachable!()), 0);
        }
        assert_eq!(claims.take(0, 3, 3), Some(0));
    }

    #[test]
    fn a_closed_gate_and_one_of_another_run_let_nobody_in() {
        let gate = Gate::new();
        assert!(!gate.enter(0));
        gate.open(3);
        assert!(!gate.enter(2) && gate.enter(3) && gate.enter(3) && !gate.enter(4));
        gate.leave();
        gate.leave();
        gate.close(1);
        assert!(!gate.enter(3));
    }
}
