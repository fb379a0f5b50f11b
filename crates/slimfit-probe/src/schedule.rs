//! Spreads a budget of seconds over cells: interleaved, each bracketed by a sentinel, each measured twice, the disturbed
//! ones again.

use crate::ProbeError;
use slimfit_quantity::{
    Bracketed, Cell, CellResult, Figure, Measured, Source, interleave, median, quantile, sample_until,
};
use std::cell::{Cell as Shared, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long one sample should last: long beside the clock's resolution, short beside a scheduler's tick.
pub(crate) const SAMPLE_SECONDS: f64 = 3e-4;
/// Samples per visit while there is time: of three, one disturbed sample moves no median.
const FEWEST_SAMPLES: usize = 3;
/// Samples per visit of a cell that are enough for its median and quartiles.
const MOST_SAMPLES: usize = 15;
/// A sentinel that moved by more than this between the two sides of a run flags the run.
const SENTINEL_MOVE: f64 = 0.10;
/// Test and retest that differ by more than this flag the cell.
const RETEST_MOVE: f64 = 0.10;

/// Share of a sentinel's rates left aside at each end when its drift is stated.
const DRIFT_TAIL: f64 = 0.1;

/// Raw samples of one cell, shared by the closure that takes them and by whoever reads them at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<f64>>>);

impl Log {
    pub fn push(&self, sample: f64) {
        self.0.borrow_mut().push(sample);
    }

    /// The figure of all samples: median and quartiles.
    pub fn figure(&self) -> Figure {
        let samples = self.0.borrow().clone();
        match Measured::new(samples) {
            Some(measured) => measured.figure(),
            None => Figure::unavailable("the budget ended before this was measured"),
        }
    }
}

/// One thing to measure.
pub(crate) struct Task<'a> {
    pub name: String,
    /// Takes one sample.
    pub take: Box<dyn FnMut() -> f64 + 'a>,
    /// Which of the sentinels brackets it.
    pub sentinel: usize,
    /// Its samples.
    pub log: Log,
    /// Takes before the first sample of a visit, as far as its time allows: see [`settling_passes`](crate::settling_passes).
    pub settling: usize,
}

/// A rate per second of the machine at this moment.
pub(crate) type SentinelRun<'a> = Box<dyn Fn() -> f64 + 'a>;

/// What the measurement says about its own quality.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quality {
    pub drift: Figure,
    pub flagged: u64,
    pub repeated: u64,
}

/// Told the share done and the name of the step; answers whether to go on.
pub(crate) type Progress<'a> = dyn FnMut(&str, f64) -> bool + 'a;

/// Measures all tasks until `deadline`: two passes, then the flagged cells again with what is left of the time.
pub(crate) fn measure(
    tasks: &mut [Task<'_>],
    sentinels: &[SentinelRun<'_>],
    deadline: Instant,
    span: (f64, f64),
    progress: &mut Progress<'_>,
) -> Result<Quality, ProbeError> {
    let start = Instant::now();
    let available = deadline.saturating_duration_since(start);
    let (first, last) = span;
    let border = first + (last - first) * 0.88;
    let results = pass(tasks, sentinels, start + available.mul_f64(0.85), (first, border), progress)?;
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); sentinels.len()];
    for (task, result) in tasks.iter().zip(&results) {
        rates[task.sentinel].extend(runs(result).flat_map(|run| [run.before_per_s, run.after_per_s]));
    }
    let mut flagged: Vec<(usize, f64)> = results
        .iter()
        .enumerate()
        .filter_map(|(index, result)| Some((index, disturbance(result)?)))
        .collect();
    let samples: usize = flagged.iter().map(|(index, _)| tasks[*index].log.0.borrow().len()).sum();
    flagged.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Repeat as many as get the time that a cell had before, the most disturbed first.
    let each = available.mul_f64(0.85).as_secs_f64() / tasks.len().max(1) as f64;
    let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
    flagged.truncate((left / each.max(1e-6)) as usize);
    let chosen: Vec<usize> = flagged.into_iter().map(|(index, _)| index).collect();
    let mut again: Vec<&mut Task<'_>> = tasks
        .iter_mut()
        .enumerate()
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, task)| task)
        .collect();
    let repeated = again.len() as u64;
    if !again.is_empty() {
        pass(&mut again, sentinels, deadline, (border, last), progress)?;
    }
    Ok(Quality { drift: drift(&rates), flagged: samples as u64, repeated })
}

fn runs(result: &CellResult) -> impl Iterator<Item = &Bracketed> {
    result.test.iter().chain(&result.retest)
}

/// How disturbed a cell was, where it was at all: the larger of the sentinel's move and the retest error.
fn disturbance(result: &CellResult) -> Option<f64> {
    let moved = runs(result).map(|run| (run.after_per_s / run.before_per_s - 1.0).abs()).fold(0.0, f64::max);
    let retest = result.retest_error().unwrap_or(0.0);
    (moved > SENTINEL_MOVE || retest > RETEST_MOVE).then_some(moved.max(retest))
}

/// The drift of the sentinel that drifted most. The value leaves a tenth of the rates aside on each side, since single
/// hiccups are no drift; `low` is the spread of the middle half, `high` that of all.
fn drift(rates: &[Vec<f64>]) -> Figure {
    let spread = |rates: &[f64], tail: f64| quantile(rates, 1.0 - tail) / quantile(rates, tail) - 1.0;
    let worst = rates
        .iter()
        .filter(|rates| rates.len() > 1)
        .max_by(|a, b| spread(a, DRIFT_TAIL).total_cmp(&spread(b, DRIFT_TAIL)));
    let Some(rates) = worst else { return Figure::unavailable("no sentinel ran twice") };
    Figure {
        value: Some(spread(rates, DRIFT_TAIL)),
        low: Some(spread(rates, 0.25)),
        high: Some(spread(rates, 0.0)),
        n: rates.len() as u64,
        source: Source::Measured,
        reason: None,
        citation: None,
    }
}

/// A task, or a borrowed one.
trait AsTask<'a> {
    fn task(&mut self) -> &mut Task<'a>;
}

impl<'a> AsTask<'a> for Task<'a> {
    fn task(&mut self) -> &mut Self {
        self
    }
}

impl<'a> AsTask<'a> for &mut Task<'a> {
    fn task(&mut self) -> &mut Task<'a> {
        self
    }
}

/// Test and retest of every task; each visit gets an equal share of the time that is left.
fn pass<'a, T: AsTask<'a>>(
    tasks: &mut [T],
    sentinels: &[SentinelRun<'_>],
    deadline: Instant,
    (first, last): (f64, f64),
    progress: &mut Progress<'_>,
) -> Result<Vec<CellResult>, ProbeError> {
    let visits_left = Shared::new(2 * tasks.len());
    let stopped = Shared::new(false);
    let mut cells: Vec<Cell<'_, ProbeError>> = tasks
        .iter_mut()
        .map(|task| {
            let Task { name, take, sentinel, log, settling } = task.task();
            let (visits_left, stopped, sentinel) = (&visits_left, &stopped, &sentinels[*sentinel]);
            Cell {
                name: name.clone(),
                run: Box::new(move || {
                    if stopped.get() {
                        return Err(ProbeError::Stopped);
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    let share = left.div_f64(visits_left.get().max(1) as f64);
                    visits_left.set(visits_left.get().saturating_sub(1));
                    visit(take, log, *settling, share)
                }),
                sentinel: Box::new(move || Ok(sentinel())),
            }
        })
        .collect();
    let result = interleave(&mut cells, 1, |done, total, name| {
        let share = first + (last - first) * done as f64 / total.max(1) as f64;
        if !stopped.get() && !progress(name, share) {
            stopped.set(true);
        }
    });
    drop(cells);
    if stopped.get() { Err(ProbeError::Stopped) } else { result }
}

/// One visit: runs that settle the caches and are not counted, then samples. Returns their median.
fn visit(
    take: &mut dyn FnMut() -> f64,
    log: &Log,
    settling: usize,
    share: Duration,
) -> Result<f64, ProbeError> {
    let start = Instant::now();
    // Late already: one sample still counts, none would leave a hole in the profile.
    let fewest = if share.is_zero() { 1 } else { FEWEST_SAMPLES };
    if !share.is_zero() || log.0.borrow().is_empty() {
        for settled in 0..settling.max(1) {
            if settled > 0 && start.elapsed() > share / 2 {
                break;
            }
            take();
        }
    }
    let left = share.saturating_sub(start.elapsed());
    let samples = sample_until(left, fewest, MOST_SAMPLES, || Ok::<f64, ProbeError>(take()))?;
    samples.iter().for_each(|sample| log.push(*sample));
    Ok(median(&samples))
}

/// How often to repeat something that takes `seconds` once, so that a sample lasts [`SAMPLE_SECONDS`].
pub(crate) fn repeats(seconds: f64) -> usize {
    if seconds <= 0.0 { 1 << 20 } else { ((SAMPLE_SECONDS / seconds).ceil() as usize).clamp(1, 1 << 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task<'a>(name: &str, log: &Log, take: impl FnMut() -> f64 + 'a) -> Task<'a> {
        Task { name: name.to_owned(), take: Box::new(take), sentinel: 0, log: log.clone(), settling: 1 }
    }

    #[test]
    fn every_task_is_measured_even_without_time_left() {
        let logs: Vec<Log> = (0..3).map(|_| Log::default()).collect();
        let mut tasks: Vec<Task<'_>> = logs.iter().map(|log| task("a", log, || 2.0)).collect();
        let sentinels: Vec<SentinelRun<'_>> = vec![Box::new(|| 1.0)];
        let mut seen = Vec::new();
        let quality = measure(&mut tasks, &sentinels, Instant::now(), (0.2, 0.8), &mut |_, share| {
            seen.push(share);
            true
        })
        .unwrap();
        assert!(logs.iter().all(|log| log.figure().value == Some(2.0) && log.figure().n >= 2));
        assert_eq!((quality.flagged, quality.repeated), (0, 0));
        assert_eq!(quality.drift.value, Some(0.0));
        assert!(seen.iter().all(|share| (0.2..=0.8).contains(share)) && seen.is_sorted());
    }

    #[test]
    fn a_cell_that_does_not_repeat_is_flagged_kept_and_measured_again() {
        let log = Log::default();
        let calls = Shared::new(0);
        let mut tasks = vec![
            task("steady", &Log::default(), || 1.0),
            task("jumpy", &log, || {
                calls.set(calls.get() + 1);
                if calls.get() <= 1 + MOST_SAMPLES { 1.0 } else { 2.0 }
            }),
        ];
        let sentinels: Vec<SentinelRun<'_>> = vec![Box::new(|| 1.0)];
        let deadline = Instant::now() + Duration::from_millis(200);
        let quality = measure(&mut tasks, &sentinels, deadline, (0.0, 1.0), &mut |_, _| true).unwrap();
        assert_eq!(quality.repeated, 1);
        assert_eq!(quality.flagged, 2 * MOST_SAMPLES as u64);
        assert_eq!(log.figure().n, 4 * MOST_SAMPLES as u64, "flagged samples are kept");
    }

    #[test]
    fn one_hiccup_is_no_drift() {
        let mut rates = vec![100.0; 40];
        rates[7] = 1.0;
        let figure = drift(&[rates, vec![100.0, 102.0, 104.0]]);
        assert!(figure.value.is_some_and(|value| (0.02..0.04).contains(&value)), "{figure:?}");
        assert_eq!(drift(&[vec![1.0]]).value, None);
    }

    #[test]
    fn the_caller_can_stop() {
        let mut tasks = vec![task("a", &Log::default(), || 1.0), task("b", &Log::default(), || 1.0)];
        let sentinels: Vec<SentinelRun<'_>> = vec![Box::new(|| 1.0)];
        let deadline = Instant::now() + Duration::from_secs(60);
        let result = measure(&mut tasks, &sentinels, deadline, (0.0, 1.0), &mut |name, _| name != "b");
        assert!(matches!(result, Err(ProbeError::Stopped)));
    }
}
