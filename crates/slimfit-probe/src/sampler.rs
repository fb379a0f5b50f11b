//! Takes samples of something short: repeats it until a sample is long enough for the clock, takes several samples, and
//! takes them again when a neighbour disturbed them.

use crate::ProbeError;
use slimfit_quantity::Measured;
use std::cell::Cell;
use std::time::Instant;

/// Half the interquartile range over the median above which a cell is measured again.
const DISTURBED_SPREAD: f64 = 0.10;

/// How long samples are and how many are taken; counts what was disturbed.
#[derive(Debug)]
pub(crate) struct Sampler {
    sample_seconds: f64,
    samples: usize,
    /// Samples whose modified z-score marks them as outliers. They are kept.
    pub(crate) flagged: Cell<u64>,
    /// Cells that were measured again.
    pub(crate) repeated: Cell<u64>,
}

impl Sampler {
    /// Samples for a budget: longer and more of them when there is time.
    pub(crate) fn for_budget(seconds: f64) -> Self {
        let scale = seconds / 20.0;
        Self {
            sample_seconds: (1.5e-3 * scale).clamp(0.4e-3, 6e-3),
            samples: if scale < 0.6 { 3 } else { 5 },
            flagged: Cell::new(0),
            repeated: Cell::new(0),
        }
    }

    /// Seconds of one repetition. `run` is told how many to do and returns the seconds they took.
    ///
    /// # Errors
    /// The clock stands still.
    pub(crate) fn seconds(&self, cell: &str, mut run: impl FnMut(u64) -> f64) -> Result<Measured, ProbeError> {
        let mut repetitions = 1;
        // The first run also warms caches and branch predictors.
        let mut once = run(1);
        while once < self.sample_seconds && repetitions < 1 << 40 {
            let wanted = if once > 0.0 { self.sample_seconds / once * 1.1 } else { 16.0 };
            repetitions = (repetitions as f64 * wanted.clamp(1.5, 64.0)).ceil() as u64;
            once = run(repetitions);
        }
        // A sample longer than wanted is not repeated as often: one run of a slow tier may take a second.
        let samples = if once > 20.0 * self.sample_seconds { 2 } else { self.samples };
        let mut take = || Measured::new((0..samples).map(|_| run(repetitions) / repetitions as f64).collect());
        let stuck = || ProbeError::ClockStuck { cell: cell.to_owned() };
        let mut best = take().filter(|measured| measured.value() > 0.0).ok_or_else(stuck)?;
        if best.summary.relative_spread() > DISTURBED_SPREAD {
            self.repeated.set(self.repeated.get() + 1);
            let again = take().filter(|measured| measured.value() > 0.0).ok_or_else(stuck)?;
            if again.summary.relative_spread() < best.summary.relative_spread() {
                best = again;
            }
        }
        self.flagged.set(self.flagged.get() + best.summary.outliers.len() as u64);
        Ok(best)
    }
}

/// Seconds that `work` takes.
pub(crate) fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_grow_until_a_sample_is_long_enough() {
        let sampler = Sampler::for_budget(20.0);
        let longest = Cell::new(0);
        let measured = sampler
            .seconds("steady", |repetitions| {
                longest.set(longest.get().max(repetitions));
                repetitions as f64 * 1e-6
            })
            .expect("time passes");
        assert!((measured.value() - 1e-6).abs() < 1e-18);
        assert!(longest.get() as f64 * 1e-6 >= sampler.sample_seconds);
        assert_eq!((sampler.flagged.get(), sampler.repeated.get()), (0, 0));
    }

    #[test]
    fn a_disturbed_cell_is_measured_again_and_counted() {
        let sampler = Sampler::for_budget(20.0);
        let calls = Cell::new(0_u32);
        let measured = sampler
            .seconds("restless", |_| {
                calls.set(calls.get() + 1);
                // One calibration, five samples that scatter, five that do not.
                if calls.get() <= 6 { 0.01 * f64::from(calls.get()) } else { 0.02 }
            })
            .expect("time passes");
        assert_eq!(sampler.repeated.get(), 1);
        assert_eq!(measured.value(), 0.02);
    }

    #[test]
    fn a_clock_that_stands_still_is_an_error() {
        let sampler = Sampler { samples: 3, ..Sampler::for_budget(20.0) };
        assert!(matches!(sampler.seconds("stuck", |_| 0.0), Err(ProbeError::ClockStuck { .. })));
    }
}
