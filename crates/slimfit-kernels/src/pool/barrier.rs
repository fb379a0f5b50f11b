//! A spinning dissemination barrier: in round r worker i signals worker i + 2ʳ and waits for worker i − 2ʳ, so n
//! workers meet after ⌈log₂ n⌉ rounds, and two after a single write each. No counter is shared, nothing is reset:
//! signals are tickets that only grow (the sense of a sense-reversing barrier, with more than two values).

use super::Line;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ROUNDS: usize = 8;

/// What a worker unwinds with when it waited for one that panicked.
pub(super) struct Poisoned;

pub(super) struct Barrier {
    /// `signals[i].0[r]`: the last ticket that worker i was sent in round r.
    signals: Box<[Line<[AtomicU64; ROUNDS]>]>,
    pub(super) poisoned: AtomicBool,
    spins: u32,
}

impl Barrier {
    /// The most workers that `ROUNDS` rounds bring together.
    pub(super) const MAXIMUM: usize = 1 << ROUNDS;

    pub(super) fn new(workers: usize, spins: u32) -> Self {
        let signals = (0..workers).map(|_| Line(Default::default())).collect();
        Self { signals, poisoned: AtomicBool::new(false), spins }
    }

    /// Waits for all workers to bring `ticket`, which is larger than any before.
    pub(super) fn wait(&self, index: usize, ticket: u64) {
        let workers = self.signals.len();
        let mut distance = 1;
        for round in 0..ROUNDS {
            if distance >= workers {
                return;
            }
            let mut partner = index + distance;
            if partner >= workers {
                partner -= workers;
            }
            self.signals[partner].0[round].store(ticket, Ordering::Release);
            let signal = &self.signals[index].0[round];
            let mut spins = 0;
            // A partner may already be one barrier ahead, so its ticket may be larger.
            while signal.load(Ordering::Acquire) < ticket {
                if relax(&mut spins, self.spins) && self.is_poisoned() {
                    resume_unwind(Box::new(Poisoned));
                }
            }
            distance *= 2;
        }
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Ready for the next run. Only while no worker waits.
    pub(super) fn heal(&self) {
        self.poisoned.store(false, Ordering::Release);
    }
}

/// One step of waiting: a pause while `spins` is below `limit`, then the core is yielded (and `true` returned).
#[inline]
pub(super) fn relax(spins: &mut u32, limit: u32) -> bool {
    if *spins < limit {
        *spins += 1;
        std::hint::spin_loop();
        false
    } else {
        std::thread::yield_now();
        true
    }
}
