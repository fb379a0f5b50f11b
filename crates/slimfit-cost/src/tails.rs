//! Percentiles of times, from how the times of steps scattered while the device was profiled.
//!
//! The profile tells by how much the slower steps exceed the median one, for steps of several lengths: an interruption
//! shows in full in a short step and is averaged with others in a long one. A prediction's percentile is its central
//! value times that excess at its own length. Between lengths the excess is linear in the logarithm of the length. Beyond
//! the longest that was seen it goes on as it fell between the last two, never faster than chance events average (the
//! root of the length) and never rising.

use crate::{BusyTime, CostError};
use slimfit_hardware::{HardwareProfile, ProfileKind};
use slimfit_quantity::{Figure, Predicted};

/// The 90 % interval of an excess: so many times less or more. Chosen, not fitted: a neighbour can come and go.
pub const EXCESS_FACTOR: f64 = 2.0;
/// Chance events average with the root of the length at best.
const FASTEST_FALL: f64 = 0.5;

/// A percentile of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// 95 of 100 are quicker.
    P95,
    /// 99 of 100 are quicker.
    P99,
}

/// Percentiles of a time: modelled, or unavailable with the reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Percentiles {
    /// 95 of 100 are quicker.
    pub p95: Figure,
    /// 99 of 100 are quicker.
    pub p99: Figure,
}

impl Percentiles {
    /// Neither is to be had.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        let figure = Figure::unavailable(reason);
        Self { p95: figure.clone(), p99: figure }
    }
}

/// How step times scatter on one device.
#[derive(Debug, Clone, PartialEq)]
pub struct TailModel {
    curves: Vec<Curve>,
}

/// Excess by length, of one working set with one thread count.
#[derive(Debug, Clone, PartialEq)]
struct Curve {
    threads: u32,
    /// Logarithm of the bytes.
    working_set: f64,
    /// For each percentile: logarithm of the seconds, ascending, and excess over the median.
    excess: [Vec<(f64, f64)>; 2],
}

impl TailModel {
    /// Reads the scatter of steps from `profile`.
    ///
    /// # Errors
    /// When the profile holds none.
    pub fn new(profile: &HardwareProfile) -> Result<Self, CostError> {
        let mut curves: Vec<Curve> = Vec::new();
        for tail in &profile.noise.tails {
            let working_set = (tail.working_set_bytes as f64).ln();
            let Some(seconds) = tail.seconds.value.filter(|seconds| *seconds > 0.0) else { continue };
            let place =
                curves.iter().position(|at| at.threads == tail.threads && at.working_set == working_set);
            let place = place.unwrap_or_else(|| {
                curves.push(Curve { threads: tail.threads, working_set, excess: [Vec::new(), Vec::new()] });
                curves.len() - 1
            });
            for (points, percentile) in
                curves[place].excess.iter_mut().zip([tail.p95_seconds, tail.p99_seconds])
            {
                points.extend(
                    percentile.map(|percentile| (seconds.ln(), (percentile / seconds - 1.0).max(0.0))),
                );
            }
        }
        for curve in &mut curves {
            curve.excess.iter_mut().for_each(|points| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
        }
        curves.retain(|curve| curve.excess.iter().all(|points| !points.is_empty()));
        curves.sort_by(|a, b| a.working_set.total_cmp(&b.working_set));
        if curves.is_empty() {
            return Err(CostError::NoTails {
                reason: match profile.provenance.kind {
                    ProfileKind::Published => {
                        "no publication tells how the times of steps scatter".to_owned()
                    }
                    ProfileKind::Measured => {
                        "it was measured by a version that did not watch single steps, or in too little time"
                            .to_owned()
                    }
                },
            });
        }
        Ok(Self { curves })
    }

    /// By what fraction the percentile of times exceeds the median, for steps that take `time` and touch
    /// `working_set_bytes`; nothing for a thread count whose scatter is not known. What computes scatters as steps near
    /// the core do, what reads as steps of this working set do.
    pub fn excess(
        &self,
        percentile: Percentile,
        time: BusyTime,
        threads: u32,
        working_set_bytes: f64,
    ) -> Option<f64> {
        let length = time.seconds.max(f64::MIN_POSITIVE).ln();
        let set = working_set_bytes.max(1.0).ln();
        let mut of_threads = self.curves.iter().filter(|curve| curve.threads == threads);
        let nearest = of_threads.next()?;
        let near = nearest.at(percentile, length);
        let (mut below, mut reading) = ((nearest.working_set, near), near);
        for curve in of_threads {
            if below.0 >= set {
                break;
            }
            let above = (curve.working_set, curve.at(percentile, length));
            reading = between(below, above, set.min(above.0));
            below = above;
        }
        let computing = if time.seconds > 0.0 { time.compute_seconds / time.seconds } else { 0.0 };
        Some(near * computing + reading * (1.0 - computing))
    }

    /// The percentiles of a time whose 90 % interval is `seconds` and whose parts stand to each other as in `time`.
    pub fn percentiles(
        &self,
        time: BusyTime,
        seconds: Predicted,
        threads: u32,
        working_set_bytes: f64,
    ) -> Percentiles {
        let figure = |percentile| match self.excess(percentile, time, threads, working_set_bytes) {
            Some(excess) => exceeding(seconds, excess).figure(),
            None => {
                Figure::unavailable(format!("the profile holds no scatter of steps with {threads} threads"))
            }
        };
        Percentiles { p95: figure(Percentile::P95), p99: figure(Percentile::P99) }
    }
}

impl Curve {
    fn at(&self, percentile: Percentile, length: f64) -> f64 {
        let rare = at(&self.excess[1], length);
        match percentile {
            Percentile::P95 => at(&self.excess[0], length),
            // Fewer lengths have a 99th percentile; what goes on from them is no less than the 95th.
            Percentile::P99 => rare.max(at(&self.excess[0], length)),
        }
    }
}

/// The excess at the logarithm of a length.
fn at(points: &[(f64, f64)], length: f64) -> f64 {
    let after = points.partition_point(|point| point.0 < length);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after)) {
        (Some(before), Some(&after)) => between(before, after, length),
        (None, Some(first)) => first.1,
        (Some(last), None) => {
            let fall = points.len().checked_sub(2).map_or(0.0, |place| {
                let before = points[place];
                if last.1 > 0.0 && before.1 > 0.0 {
                    (before.1 / last.1).ln() / (last.0 - before.0)
                } else {
                    0.0
                }
            });
            last.1 * (-fall.clamp(0.0, FASTEST_FALL) * (length - last.0)).exp()
        }
        (None, None) => 0.0,
    }
}

/// The straight line through two points.
fn between(a: (f64, f64), b: (f64, f64), place: f64) -> f64 {
    if b.0 <= a.0 { b.1 } else { a.1 + (b.1 - a.1) * (place - a.0) / (b.0 - a.0) }
}

/// A time that exceeds `seconds` by a fraction that is known within [`EXCESS_FACTOR`]; both err independently.
fn exceeding(seconds: Predicted, excess: f64) -> Predicted {
    let value = seconds.value * (1.0 + excess);
    let less = ((1.0 + excess) / (1.0 + excess / EXCESS_FACTOR)).ln();
    let more = ((1.0 + excess * EXCESS_FACTOR) / (1.0 + excess)).ln();
    Predicted {
        value,
        low: value / (seconds.value / seconds.low).ln().hypot(less).exp(),
        high: value * (seconds.high / seconds.value).ln().hypot(more).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same excess for both percentiles.
    fn curve(threads: u32, bytes: f64, points: &[(f64, f64)]) -> Curve {
        let points: Vec<(f64, f64)> =
            points.iter().map(|(seconds, excess)| (seconds.ln(), *excess)).collect();
        Curve { threads, working_set: bytes.ln(), excess: [points.clone(), points] }
    }

    fn reading(seconds: f64) -> BusyTime {
        BusyTime { seconds, compute_seconds: 0.0 }
    }

    fn near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?} for {expected}");
    }

    #[test]
    fn the_excess_falls_with_the_length_and_goes_on_as_it_fell() {
        let model = TailModel { curves: vec![curve(2, 1e6, &[(1e-3, 0.4), (4e-3, 0.2)])] };
        let excess = |seconds| model.excess(Percentile::P95, reading(seconds), 2, 1e6);
        near(excess(1e-4), 0.4);
        near(excess(1e-3), 0.4);
        near(excess(2e-3), 0.3);
        // A fourth of the rate for four times the length: as chance events average.
        near(excess(16e-3), 0.1);
        near(excess(64e-3), 0.05);
        assert_eq!(model.excess(Percentile::P95, reading(1e-3), 3, 1e6), None);
    }

    #[test]
    fn drift_does_not_average() {
        let model = TailModel { curves: vec![curve(1, 1e6, &[(1e-3, 0.1), (4e-3, 0.1)])] };
        near(model.excess(Percentile::P95, reading(1.0), 1, 1e6), 0.1);
    }

    #[test]
    fn reading_scatters_by_working_set_and_computing_as_near_the_core() {
        let curves = vec![curve(2, 1e6, &[(1e-3, 0.1)]), curve(2, 1e8, &[(1e-3, 0.3)])];
        let model = TailModel { curves };
        let excess = |time, bytes| model.excess(Percentile::P99, time, 2, bytes);
        near(excess(reading(1e-3), 1e5), 0.1);
        near(excess(reading(1e-3), 1e7), 0.2);
        near(excess(reading(1e-3), 1e9), 0.3);
        near(excess(BusyTime { seconds: 1e-3, compute_seconds: 1e-3 }, 1e9), 0.1);
        near(excess(BusyTime { seconds: 1e-3, compute_seconds: 5e-4 }, 1e9), 0.2);
    }

    #[test]
    fn the_interval_holds_both_errors() {
        let seconds = Predicted::within_factor(1.0, 1.1);
        let none = exceeding(seconds, 0.0);
        assert!((none.value - 1.0).abs() < 1e-12 && (none.high - 1.1).abs() < 1e-12);
        let half = exceeding(seconds, 0.5);
        assert!((half.value - 1.5).abs() < 1e-12);
        assert!(half.low < 1.25 && half.high > 2.0, "{half:?}");
    }
}
