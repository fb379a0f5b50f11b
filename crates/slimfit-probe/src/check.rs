//! Whether a stored profile still holds: its main rates measured again, in seconds.

use crate::schedule::Progress;
use crate::{PeakSentinel, ProbeError, ReadSentinel};
use slimfit_hardware::{HardwareProfile, PeakType};
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Figure, Measured};
use std::time::{Duration, Instant};

/// Barriers of one sample.
const BARRIERS: usize = 1000;
/// Operations for each product of a layer, and a barrier after each.
const BARRIERS_A_PRODUCT: f64 = 2.0;
/// Samples of a rate at least, and at most.
const SAMPLES: std::ops::RangeInclusive<usize> = 3..=15;

/// One rate, in the profile and now.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// `read`, `f32`, `int8`, `barrier`.
    pub what: &'static str,
    /// Threads.
    pub threads: u32,
    /// Bytes read over and over; absent for what reads nothing.
    pub working_set_bytes: Option<u64>,
    /// The profile's value: bytes, operations or barriers per second.
    pub profile_per_s: f64,
    /// The value now.
    pub now_per_s: Figure,
    /// Of what every operation costs besides its work: the seconds of the fastest product of one token that the profile
    /// holds for these threads. Against them it is seen whether a change matters.
    pub product_seconds: Option<f64>,
}

impl Checked {
    /// Now over then; nothing where it could not be measured.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.now_per_s.value? / self.profile_per_s)
    }

    /// Of a fixed cost: by what share even the fastest product, with its part of the operations around it, takes more or
    /// less time for the change.
    pub fn effect(&self) -> Option<f64> {
        let change = 1.0 / self.now_per_s.value? - 1.0 / self.profile_per_s;
        Some(BARRIERS_A_PRODUCT * change / self.product_seconds?)
    }
}

/// The fastest product of one token with so many threads.
fn product_seconds(profile: &HardwareProfile, threads: u32) -> Option<f64> {
    let products = profile
        .kernels
        .iter()
        .filter(|time| time.operation == "matmul" && time.batch == 1 && time.threads == threads);
    products.filter_map(|time| time.seconds.value).filter(|seconds| *seconds > 0.0).reduce(f64::min)
}

/// A rate that can be taken at any time.
type Take<'a> = Box<dyn Fn() -> f64 + 'a>;

/// Measures again, within about `seconds`: read bandwidth in the second cache, the last and memory, the peaks of f32 and
/// int8, and the barrier, with each thread count of the profile.
///
/// # Errors
/// The system refuses memory or threads, or `progress` answers no.
pub fn check(
    profile: &HardwareProfile,
    isa: Isa,
    seconds: f64,
    progress: &mut Progress<'_>,
) -> Result<Vec<Checked>, ProbeError> {
    let counts = profile.thread_counts();
    let mut checked = Vec::new();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    for (place, &threads) in counts.iter().enumerate() {
        let pool = Pool::new(threads as usize)?;
        let reads = working_sets(profile, threads)
            .into_iter()
            .filter_map(|bytes| Some((bytes, profile.read_bandwidth(threads, bytes)?)))
            .map(|(bytes, rate)| Ok((bytes, rate, ReadSentinel::new(&pool, bytes, isa)?)))
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let peaks = [(PeakType::F32, "f32"), (PeakType::Int8, "int8")]
            .into_iter()
            .filter_map(|(number, name)| Some((name, number, profile.peak_ops(number, threads)?)))
            .map(|(name, number, rate)| Ok((name, rate, PeakSentinel::new(&pool, number, isa)?)))
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let pool = &pool;
        let row = |what, working_set_bytes, profile_per_s| {
            let now_per_s = Figure::unavailable("not measured yet");
            Checked { what, threads, working_set_bytes, profile_per_s, now_per_s, product_seconds: None }
        };
        let mut cells: Vec<(Checked, Take<'_>, Vec<f64>)> = Vec::new();
        for (bytes, rate, sentinel) in &reads {
            let take: Take<'_> = Box::new(move || sentinel.bytes_per_s(pool));
            cells.push((row("read", Some(*bytes), *rate), take, Vec::new()));
        }
        for (name, rate, sentinel) in &peaks {
            cells.push((row(name, None, *rate), Box::new(move || sentinel.ops_per_s(pool)), Vec::new()));
        }
        if let Some(seconds) = profile.barrier_seconds(threads).filter(|seconds| *seconds > 0.0) {
            let take: Take<'_> = Box::new(move || barriers_per_s(pool));
            let product_seconds = product_seconds(profile, threads);
            let checked = Checked { product_seconds, ..row("barrier", None, 1.0 / seconds) };
            cells.push((checked, take, Vec::new()));
        }
        // The time that is left, in equal shares for the thread counts that are left.
        let left = end.saturating_duration_since(Instant::now());
        let until = Instant::now() + left.div_f64((counts.len() - place) as f64);
        for sample in 1..=*SAMPLES.end() {
            for (cell, take, samples) in &mut cells {
                let done = 1.0 - end.saturating_duration_since(Instant::now()).as_secs_f64() / seconds;
                if !progress(cell.what, done.clamp(0.0, 1.0)) {
                    return Err(ProbeError::Stopped);
                }
                samples.push(take());
            }
            if sample >= *SAMPLES.start() && Instant::now() >= until {
                break;
            }
        }
        for (cell, _, samples) in cells {
            let now_per_s = match Measured::new(samples) {
                Some(measured) => measured.figure(),
                None => cell.now_per_s,
            };
            checked.push(Checked { now_per_s, ..cell });
        }
    }
    Ok(checked)
}

/// Half of the second cache of each thread, a quarter of the last, and the largest that the profile measured.
fn working_sets(profile: &HardwareProfile, threads: u32) -> Vec<u64> {
    let largest = profile
        .read_curve(threads)
        .and_then(|curve| curve.points().last().map(|point| point.0 as u64))
        .unwrap_or(0);
    let second = profile.topology.cache_bytes(2).map(|bytes| bytes / 2 * u64::from(threads));
    let last = profile.topology.last_cache_bytes().map(|bytes| bytes / 4);
    let mut sets: Vec<u64> = second
        .into_iter()
        .chain(last)
        .chain([largest])
        .filter(|bytes| *bytes > 0 && *bytes <= largest)
        .collect();
    sets.sort_unstable();
    sets.dedup();
    sets
}

fn barriers_per_s(pool: &Pool) -> f64 {
    let start = Instant::now();
    pool.run(|worker| (0..BARRIERS).for_each(|_| worker.barrier()));
    BARRIERS as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_matters_by_what_it_adds_to_a_product() {
        let barrier = |profile: f64, now: f64, product_seconds| Checked {
            what: "barrier",
            threads: 2,
            working_set_bytes: None,
            profile_per_s: 1.0 / profile,
            now_per_s: Figure::read(1.0 / now),
            product_seconds,
        };
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() - wanted).abs() < 1e-9;
        assert!(near(barrier(34e-9, 50e-9, Some(8e-6)).effect(), 0.004));
        assert!(near(barrier(2e-6, 1e-6, Some(8e-6)).effect(), -0.25));
        assert_eq!(barrier(34e-9, 50e-9, None).effect(), None);
    }
}
