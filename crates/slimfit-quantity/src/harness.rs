//! The measuring harness: sentinels, interleaving, retest.
//!
//! Shared machines drift by tens of percent within minutes, so a time alone says little. Every cell is *bracketed*: a
//! short sentinel (the read bandwidth at the cell's working set, or the peak of its type) runs right before and right
//! after it, cells are interleaved round by round, and every cell is measured twice (test and retest). A ratio to the
//! bracketing sentinel survives the drift; the difference of test and retest is the floor no model can pass.

use crate::{Measured, Warning};
use std::time::{Duration, Instant};

/// One run between its two sentinels. Rates are per second: bytes read or operations done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bracketed {
    /// Sentinel rate right before the run.
    pub before_per_s: f64,
    /// Seconds (or whatever the cell measures) of the run.
    pub value: f64,
    /// Sentinel rate right after the run.
    pub after_per_s: f64,
}

impl Bracketed {
    /// Mean sentinel rate around the run.
    pub fn sentinel_per_s(&self) -> f64 {
        (self.before_per_s + self.after_per_s) / 2.0
    }
}

/// A thing to measure, with the sentinel that brackets it. `E` is the caller's error: a failing run stops the harness.
pub struct Cell<'a, E> {
    /// Shown in progress and in errors.
    pub name: String,
    /// One run; returns its value, seconds as a rule.
    pub run: Box<dyn FnMut() -> Result<f64, E> + 'a>,
    /// One short sentinel; returns a rate per second.
    pub sentinel: Box<dyn FnMut() -> Result<f64, E> + 'a>,
}

/// What the harness found for one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellResult {
    /// The cell's name.
    pub name: String,
    /// Runs of the first pass, in order.
    pub test: Vec<Bracketed>,
    /// Runs of the second pass, in order.
    pub retest: Vec<Bracketed>,
}

impl CellResult {
    /// Values of the first pass.
    pub fn test_value(&self) -> Option<Measured> {
        Measured::new(self.test.iter().map(|run| run.value).collect())
    }

    /// Values of the second pass.
    pub fn retest_value(&self) -> Option<Measured> {
        Measured::new(self.retest.iter().map(|run| run.value).collect())
    }

    /// Values of both passes together.
    pub fn value(&self) -> Option<Measured> {
        Measured::new(self.test.iter().chain(&self.retest).map(|run| run.value).collect())
    }

    /// |test ÷ retest − 1| on the medians: the error that repeating the measurement makes.
    pub fn retest_error(&self) -> Option<f64> {
        Some((self.test_value()?.value() / self.retest_value()?.value() - 1.0).abs())
    }

    /// Median sentinel rate over all runs.
    pub fn sentinel_per_s(&self) -> f64 {
        let rates: Vec<f64> = self.test.iter().chain(&self.retest).map(Bracketed::sentinel_per_s).collect();
        crate::median(&rates)
    }
}

/// Measures all cells, `rounds` times in each of two passes, interleaved: round 1 of every cell, then round 2 …; the
/// second pass in reverse order, so that a steady drift hits both ends alike. `progress` is told the runs done, the
/// runs in all, and the name of the next cell.
///
/// # Errors
/// The first error of a run or a sentinel.
pub fn interleave<E>(
    cells: &mut [Cell<'_, E>],
    rounds: usize,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Vec<CellResult>, E> {
    let mut results: Vec<CellResult> = cells
        .iter()
        .map(|cell| CellResult { name: cell.name.clone(), test: Vec::new(), retest: Vec::new() })
        .collect();
    let total = 2 * rounds * cells.len();
    let mut done = 0;
    for pass in 0..2 {
        for _ in 0..rounds {
            let mut order: Vec<usize> = (0..cells.len()).collect();
            if pass == 1 {
                order.reverse();
            }
            for index in order {
                let cell = &mut cells[index];
                progress(done, total, &cell.name);
                let before_per_s = (cell.sentinel)()?;
                let value = (cell.run)()?;
                let after_per_s = (cell.sentinel)()?;
                let run = Bracketed { before_per_s, value, after_per_s };
                if pass == 0 {
                    results[index].test.push(run)
                } else {
                    results[index].retest.push(run)
                }
                done += 1;
            }
        }
    }
    progress(done, total, "");
    Ok(results)
}

/// Takes samples until both `minimum_samples` were taken and `budget` is spent, or `maximum_samples` were taken.
/// `run` returns one sample.
///
/// # Errors
/// The first error of a run.
pub fn sample_until<E>(
    budget: Duration,
    minimum_samples: usize,
    maximum_samples: usize,
    mut run: impl FnMut() -> Result<f64, E>,
) -> Result<Vec<f64>, E> {
    let start = Instant::now();
    let mut samples = Vec::with_capacity(minimum_samples);
    while samples.len() < maximum_samples && (samples.len() < minimum_samples || start.elapsed() < budget) {
        samples.push(run()?);
    }
    Ok(samples)
}

/// How far a sentinel wandered during a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Largest rate over smallest rate, less one.
    pub spread: f64,
}

impl Drift {
    /// Over the sentinel rates of one session; nothing for fewer than two.
    pub fn of(rates_per_s: &[f64]) -> Option<Self> {
        let (low, high) = rates_per_s
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), &rate| (low.min(rate), high.max(rate)));
        (rates_per_s.len() > 1 && low > 0.0).then(|| Self { spread: high / low - 1.0 })
    }

    /// A warning when the machine moved by more than 15 % while it was measured.
    pub fn warning(&self) -> Option<Warning> {
        (self.spread > 0.15).then(|| {
            Warning::new(
                "machine-drifted",
                format!(
                    "the machine's own speed moved by {:.0} % while it was measured (a busy neighbour or heat); \
                     close other programs and repeat, or read ratios rather than times",
                    self.spread * 100.0
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn cells_are_interleaved_bracketed_and_measured_twice() {
        let log = &RefCell::new(Vec::new());
        let mut cells: Vec<Cell<'_, ()>> = ["a", "b"]
            .into_iter()
            .map(|name| Cell {
                name: name.to_owned(),
                run: Box::new(move || {
                    log.borrow_mut().push(name.to_owned());
                    Ok(1.0)
                }),
                sentinel: Box::new(move || {
                    log.borrow_mut().push(format!("{name} sentinel"));
                    Ok(10.0)
                }),
            })
            .collect();
        let results = interleave(&mut cells, 2, |_, _, _| {}).unwrap();
        drop(cells);
        let runs: Vec<String> = log.borrow().clone();
        assert_eq!(runs[..6], ["a sentinel", "a", "a sentinel", "b sentinel", "b", "b sentinel"]);
        let order: Vec<&str> = runs.iter().filter(|name| name.len() == 1).map(String::as_str).collect();
        assert_eq!(order, ["a", "b", "a", "b", "b", "a", "b", "a"]);
        assert_eq!((results[0].test.len(), results[0].retest.len()), (2, 2));
        assert_eq!(results[1].retest_error(), Some(0.0));
    }

    #[test]
    fn a_failing_run_stops_the_harness() {
        let mut cells =
            vec![Cell { name: "a".into(), run: Box::new(|| Err("broken")), sentinel: Box::new(|| Ok(1.0)) }];
        assert_eq!(interleave(&mut cells, 1, |_, _, _| {}), Err("broken"));
    }

    #[test]
    fn drift_is_said_past_fifteen_percent() {
        assert!(Drift::of(&[1.0, 1.1]).unwrap().warning().is_none());
        assert!(Drift::of(&[1.0, 1.3]).unwrap().warning().is_some());
        assert_eq!(Drift::of(&[1.0]), None);
    }
}
