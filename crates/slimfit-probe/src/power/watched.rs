//! Watts of the moment become energy only when they are read all the time: a thread that does.

use super::{MeterError, PowerMeter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bounds of the pause between two readings: often enough for a run of a second, seldom enough to disturb none.
const PAUSE_SECONDS: (f64, f64) = (0.02, 0.5);

/// A meter that is read in the background while something else runs.
pub struct WatchedMeter {
    name: String,
    interval_seconds: f64,
    found: Instant,
    meter: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    meter: Box<dyn PowerMeter>,
    failed: Option<MeterError>,
}

impl State {
    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let read = self.meter.joules(seconds);
        self.failed = read.as_ref().err().cloned();
        read
    }
}

/// A meter that panicked has failed for the reader too, which its next reading tells.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for WatchedMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchedMeter").field("name", &self.name).finish_non_exhaustive()
    }
}

impl WatchedMeter {
    /// Reads `meter` in the background where it tells watts, and leaves a meter that counts as it is.
    pub fn watch(meter: Box<dyn PowerMeter>) -> Box<dyn PowerMeter> {
        if meter.tells_watts() { Box::new(Self::new(meter)) } else { meter }
    }

    fn new(meter: Box<dyn PowerMeter>) -> Self {
        let (name, interval_seconds) = (meter.name().to_owned(), meter.interval_seconds());
        let pause = Duration::from_secs_f64((interval_seconds / 2.0).clamp(PAUSE_SECONDS.0, PAUSE_SECONDS.1));
        let found = Instant::now();
        let meter = Arc::new(Mutex::new(State { meter, failed: None }));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (meter, stop) = (Arc::clone(&meter), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed)
                    && lock(&meter).joules(found.elapsed().as_secs_f64()).is_ok()
                {
                    std::thread::park_timeout(pause);
                }
            }
        });
        Self { name, interval_seconds, found, meter, stop, thread: Some(thread) }
    }
}

impl Drop for WatchedMeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A reader that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl PowerMeter for WatchedMeter {
    fn name(&self) -> &str {
        &self.name
    }

    /// By its own clock, which its thread uses too.
    fn joules(&mut self, _seconds: f64) -> Result<f64, MeterError> {
        let mut state = lock(&self.meter);
        state.joules(self.found.elapsed().as_secs_f64())
    }

    fn interval_seconds(&self) -> f64 {
        self.interval_seconds
    }

    fn tells_watts(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Counts how often it is read, and fails from some reading on.
    struct Meter {
        reads: Arc<AtomicU32>,
        fails_at: u32,
        watts: bool,
    }

    impl PowerMeter for Meter {
        fn name(&self) -> &str {
            "counted"
        }

        fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
            let read = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
            let ended = || MeterError::Ended { meter: "counted", reason: "as planned".to_owned() };
            if read >= self.fails_at { Err(ended()) } else { Ok(seconds) }
        }

        fn interval_seconds(&self) -> f64 {
            0.0
        }

        fn tells_watts(&self) -> bool {
            self.watts
        }
    }

    fn watched(fails_at: u32, watts: bool) -> (Box<dyn PowerMeter>, Arc<AtomicU32>) {
        let reads = Arc::new(AtomicU32::new(0));
        let meter = Meter { reads: Arc::clone(&reads), fails_at, watts };
        (WatchedMeter::watch(Box::new(meter)), reads)
    }

    #[test]
    fn a_meter_of_watts_is_read_while_nobody_asks() {
        let (meter, reads) = watched(u32::MAX, true);
        let deadline = Instant::now() + Duration::from_secs(10);
        while reads.load(Ordering::Relaxed) < 3 {
            assert!(Instant::now() < deadline, "it is not read");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(meter);
        let after = reads.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(reads.load(Ordering::Relaxed), after, "its thread ended with it");
    }

    #[test]
    fn a_meter_that_counts_is_left_alone() {
        let (mut meter, reads) = watched(u32::MAX, false);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(reads.load(Ordering::Relaxed), 0);
        assert_eq!(meter.joules(4.0), Ok(4.0), "with the caller's clock");
    }

    #[test]
    fn a_meter_that_fails_between_two_questions_has_failed() {
        let (mut meter, reads) = watched(2, true);
        let deadline = Instant::now() + Duration::from_secs(10);
        while reads.load(Ordering::Relaxed) < 2 {
            assert!(Instant::now() < deadline, "it is not read");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(matches!(meter.joules(0.0), Err(MeterError::Ended { .. })));
        assert_eq!(reads.load(Ordering::Relaxed), 2, "it is not asked again");
    }
}
