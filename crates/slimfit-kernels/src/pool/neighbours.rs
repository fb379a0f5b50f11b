//! Whether somebody else wants a worker's core, and giving way to them where it costs least.
//!
//! The system takes a core away after some milliseconds wherever the worker stands, most often in the middle of a piece,
//! and then the others wait for that piece. A worker that gives the core up by itself, between two pieces and a little
//! earlier, has the same share of the core's time and holds nobody up.

use std::cell::Cell;
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// How long a look lasts, at least.
const LOOK: Duration = Duration::from_millis(60);
/// Part of a look that a worker waited for its core, from which on somebody else wants it. Below lies the system's own
/// work, which is short.
const WAITED: f64 = 0.1;
/// How long such a neighbour is believed to stay.
const BELIEVED: Duration = Duration::from_millis(400);

/// One worker's view of its core. Made by the worker itself.
pub(super) struct Neighbours {
    statistics: Option<std::fs::File>,
    look_began: Cell<Instant>,
    waited_before: Cell<Duration>,
    believed_until: Cell<Option<Instant>>,
    on_core_since: Cell<Instant>,
}

impl Neighbours {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let new = Self {
            // Where the system keeps no such statistics, nobody is ever believed to be there.
            statistics: std::fs::File::open("/proc/thread-self/schedstat").ok(),
            look_began: Cell::new(now),
            waited_before: Cell::new(Duration::ZERO),
            believed_until: Cell::new(None),
            on_core_since: Cell::new(now),
        };
        new.waited_before.set(new.waited());
        new
    }

    /// Looks, and tells until when a neighbour is believed to be there, if any is.
    pub(super) fn look(&self) -> Option<Instant> {
        let now = Instant::now();
        let lasted = now.duration_since(self.look_began.get());
        if lasted >= LOOK {
            self.look_began.set(now);
            let waited = self.waited();
            let more = waited.saturating_sub(self.waited_before.replace(waited));
            // A long look is mostly of a pause, when this worker wanted no core.
            if more.as_secs_f64() >= WAITED * lasted.as_secs_f64() {
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

    /// How long this thread has waited for a core in all, while it could have run.
    fn waited(&self) -> Duration {
        #[cfg(unix)]
        {
            let mut text = [0; 64];
            let length = self.statistics.as_ref().map(|file| file.read_at(&mut text, 0));
            if let Some(Ok(length)) = length {
                return waited_in(&text[..length]);
            }
        }
        Duration::ZERO
    }
}

/// The second of the numbers in a thread's `schedstat`: nanoseconds on a queue.
fn waited_in(text: &[u8]) -> Duration {
    let nanoseconds =
        std::str::from_utf8(text).ok().and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_a_queue_is_the_second_number() {
        assert_eq!(waited_in(b"2483829 1500 12\n"), Duration::from_nanos(1500));
        assert_eq!(waited_in(b""), Duration::ZERO);
        assert_eq!(waited_in(b"1 two 3"), Duration::ZERO);
    }

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
