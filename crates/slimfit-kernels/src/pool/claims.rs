//! Phases that are cut into more pieces than there are workers, claimed one after the other by whoever is free.
//!
//! A phase is over when its pieces are done, not when every worker has come: a worker that its core lost to somebody
//! else between two pieces holds nobody up, and finds the others again by walking through the phases that are over.
//! Two cache lines do it, one with the phase and the next free piece, one with the pieces that are done.

use super::Line;
use super::barrier::{Poisoned, relax};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bits of the next free piece; the phase's number lies above.
const PIECE_BITS: u32 = 32;
/// Bits of the number of workers in a [`Gate`], the topmost of which says that it is closed.
const WORKER_BITS: u32 = 16;
const CLOSED: u64 = 1 << (WORKER_BITS - 1);

/// The pieces of the phase that is under way.
pub(super) struct Claims {
    /// The phase's number and its next free piece.
    next: Line<AtomicU64>,
    /// Pieces of the phase that are done and reported.
    done: Line<AtomicU64>,
    spins: u32,
}

impl Claims {
    pub(super) fn new(spins: u32) -> Self {
        Self { next: Line(AtomicU64::new(0)), done: Line(AtomicU64::new(0)), spins }
    }

    /// Ready for a run's first phase, number 0. Only while no worker claims.
    pub(super) fn restart(&self) {
        self.next.0.store(0, Ordering::Relaxed);
        self.done.0.store(0, Ordering::Relaxed);
    }

    /// Claims and does pieces of phase `phase` until it is over. `work` is told the piece, and whether this worker did
    /// one of this phase before. Returns the number of pieces done here. What was done in earlier phases is visible to
    /// every piece, and all of this one after it.
    pub(super) fn take_part(
        &self,
        phase: u64,
        pieces: u64,
        poisoned: &AtomicBool,
        mut work: impl FnMut(usize, bool),
    ) -> u64 {
        let (mut mine, mut reported, mut spins) = (0, 0, 0);
        loop {
            let state = self.next.0.load(Ordering::Acquire);
            if state >> PIECE_BITS != phase {
                return mine;
            }
            let piece = state & ((1 << PIECE_BITS) - 1);
            if piece < pieces {
                if self
                    .next
                    .0
                    .compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
                {
                    work(piece as usize, mine > 0);
                    mine += 1;
                }
                continue;
            }
            if mine > reported {
                // Releases what this worker wrote, and acquires what those wrote who reported before.
                let before = self.done.0.fetch_add(mine - reported, Ordering::AcqRel);
                if before + (mine - reported) == pieces {
                    self.done.0.store(0, Ordering::Relaxed);
                    self.next.0.store((phase + 1) << PIECE_BITS, Ordering::Release);
                    return mine;
                }
                reported = mine;
            }
            if relax(&mut spins, self.spins) && poisoned.load(Ordering::Acquire) {
                resume_unwind(Box::new(Poisoned));
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

/// Pieces of falling size, so that few claims are made and the last pieces are small: half of the work in as many
/// pieces as there are workers, then half of what is left, and so on; the last round is as large as the one before.
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
    /// `count` equal pieces for each worker.
    pub fn equal(workers: usize, count: usize) -> Self {
        Self { rounds: Rounds::Equal(count), workers }
    }

    /// Pieces that fall `halvings` times to half the size; a worker's share of equal ones is `2^halvings` of the last.
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

    /// A piece as a share: `(index, of)`, the part `index / of` to `(index + 1) / of` of the work.
    pub fn share(&self, piece: usize) -> (usize, usize) {
        debug_assert!(piece < self.count());
        match self.rounds {
            Rounds::Equal(each) => (piece, self.workers * each),
            Rounds::Falling(halvings) => {
                let (round, place) = ((piece / self.workers) as u32, piece % self.workers);
                if round < halvings {
                    (((2 << round) - 2) * self.workers + place, self.workers << (round + 1))
                } else {
                    (((1 << halvings) - 1) * self.workers + place, self.workers << halvings)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_work_once_in_order() {
        for workers in 1..6 {
            let falling = (0..6).map(|halvings| Pieces::falling(workers, halvings));
            for pieces in falling.chain((1..5).map(|each| Pieces::equal(workers, each))) {
                let total = 64 * workers * 60;
                let mut end = 0;
                for piece in 0..pieces.count() {
                    let (index, of) = pieces.share(piece);
                    assert_eq!(total * index / of, end, "{pieces:?} {piece}");
                    end = total * (index + 1) / of;
                }
                assert_eq!(end, total, "{pieces:?}");
            }
        }
        assert_eq!(Pieces::falling(3, 0), Pieces { rounds: Rounds::Falling(0), workers: 3 });
        assert_eq!(Pieces::falling(3, 0).share(2), Pieces::equal(3, 1).share(2));
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
