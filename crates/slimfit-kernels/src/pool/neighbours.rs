//! Whether somebody else wants a worker's core, and giving way to them where it costs least.
//!
//! The system takes a core away after some milliseconds wherever the worker stands, most often in the middle of a piece,
//! and then the others wait for that piece. A worker that gives the core up by itself, between two pieces and a little
//! earlier, has the same share of the core's time and holds nobody up.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long a look lasts.
const LOOK: Duration = Duration::from_millis(40);
/// Times in one look that the core was taken away, from which on somebody else wants it. Below lie the system's own.
const TAKEN_OFTEN: u64 = 3;
/// How long such a neighbour is believed to stay.
const BELIEVED: Duration = Duration::from_millis(400);

/// One worker's view of its core.
pub(super) struct Neighbours {
    look_began: Cell<Instant>,
    taken_before: Cell<u64>,
    believed_until: Cell<Option<Instant>>,
    on_core_since: Cell<Instant>,
}

impl Neighbours {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            look_began: Cell::new(now),
            taken_before: Cell::new(times_taken()),
            believed_until: Cell::new(None),
            on_core_since: Cell::new(now),
        }
    }

    /// Looks, and tells until when a neighbour is believed to be there, if any is.
    pub(super) fn look(&self) -> Option<Instant> {
        let now = Instant::now();
        if now.duration_since(self.look_began.get()) >= LOOK {
            let taken = times_taken();
            let often = taken - self.taken_before.replace(taken) >= TAKEN_OFTEN;
            // A look over a long pause says nothing of now.
            let recent = now.duration_since(self.look_began.replace(now)) < 8 * LOOK;
            if often && recent {
                self.believed_until.set(Some(now + BELIEVED));
            }
        }
        self.believed_until.get().filter(|&until| now < until)
    }

    /// Gives the core up if a neighbour wants it and this worker has had it for `least`.
    pub(super) fn give_way(&self, least: Duration) {
        if self.look().is_some() && self.on_core_since.get().elapsed() >= least {
            std::thread::yield_now();
            self.on_core_since.set(Instant::now());
        }
    }
}

/// How often the system took the core from the calling thread, which would have gone on; 0 where it does not tell.
fn times_taken() -> u64 {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a `rusage` is made of integers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a `rusage`.
        let answer = unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
        if answer == 0 { u64::try_from(usage.ru_nivcsw).unwrap_or(0) } else { 0 }
    }
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_believed_for_a_while_and_not_longer() {
        let neighbours = Neighbours::new();
        assert_eq!(neighbours.look(), None);
        let now = Instant::now();
        neighbours.believed_until.set(Some(now + Duration::from_secs(600)));
        assert!(neighbours.look().is_some());
        neighbours.give_way(Duration::ZERO);
        assert!(neighbours.on_core_since.get() >= now);
        neighbours.believed_until.set(Some(now));
        assert_eq!(neighbours.look(), None);
    }
}
