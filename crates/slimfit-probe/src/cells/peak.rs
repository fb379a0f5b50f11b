//! Peak multiply-add rates of every instruction sequence, with the effective clock under that load.

use super::{Pools, admitted, threads_in_words};
use crate::clock::count_cycles;
use crate::placements::{Lay, View};
use crate::schedule::{Beside, Log, Task, repeats};
use slimfit_hardware::{Peak, PeakType};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{PEAKS, PeakLoop, dependent_adds};
use slimfit_kernels::pool::Pool;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Iterations per block of a peak loop: short enough to calibrate with.
const BLOCK: u64 = 2_000;
/// Additions of the clock's chain: some 30 µs.
const ADDITIONS: u64 = 100_000;

/// A peak that is being measured.
pub(crate) struct Point {
    number: PeakType,
    peak: &'static PeakLoop,
    threads: u32,
    ops: Log,
    clock: Log,
}

impl Point {
    pub fn finish(&self, view: View<'_>) -> Peak {
        Peak {
            number: self.number,
            isa: self.peak.isa.name().to_owned(),
            sequence: self.peak.sequence.to_owned(),
            threads: self.threads,
            ops_per_s: self.ops.figure_in(view, self.threads),
            clock_hz: self.clock.figure(),
        }
    }
}

fn number(name: &str) -> Option<PeakType> {
    Some(match name {
        "f32" => PeakType::F32,
        "f64" => PeakType::F64,
        "f16" => PeakType::F16,
        "bf16" => PeakType::Bf16,
        "int8" => PeakType::Int8,
        _ => return None,
    })
}

/// Operations per second of all threads.
pub(crate) fn ops_per_s(pool: &Pool, peak: &PeakLoop, blocks: usize) -> f64 {
    let iterations = BLOCK * blocks as u64;
    let start = Instant::now();
    pool.run(|_| {
        std::hint::black_box(peak.run(iterations));
    });
    let seconds = start.elapsed().as_secs_f64();
    (iterations * peak.operations) as f64 * pool.threads() as f64 / seconds
}

/// Operations per second of all threads, and the mean clock that the processor counted meanwhile; no clock where a thread
/// cannot count.
fn counted_ops_per_s(pool: &Pool, peak: &PeakLoop, blocks: usize) -> (f64, Option<f64>) {
    let iterations = BLOCK * blocks as u64;
    let (cycles, counting) = (AtomicU64::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    pool.run(|_| {
        let work = || {
            std::hint::black_box(peak.run(iterations));
        };
        if let Some(counted) = count_cycles(work) {
            cycles.fetch_add(counted, Ordering::Relaxed);
            counting.fetch_add(1, Ordering::Relaxed);
        }
    });
    let seconds = start.elapsed().as_secs_f64();
    let threads = pool.threads();
    let clock =
        (counting.into_inner() == threads).then(|| cycles.into_inner() as f64 / threads as f64 / seconds);
    ((iterations * peak.operations) as f64 * threads as f64 / seconds, clock)
}

/// Blocks that last one sample.
pub(crate) fn calibrate(pool: &Pool, peak: &PeakLoop) -> usize {
    ops_per_s(pool, peak, 1);
    let rate = ops_per_s(pool, peak, 4);
    repeats((BLOCK * peak.operations) as f64 * pool.threads() as f64 / rate)
}

/// The mean clock of all threads.
fn clock_hz(pool: &Pool) -> f64 {
    let start = Instant::now();
    pool.run(|_| {
        std::hint::black_box(dependent_adds(ADDITIONS));
    });
    ADDITIONS as f64 / start.elapsed().as_secs_f64()
}

/// The richest loop of a type, for sentinels.
pub(crate) fn richest(name: &str, isa: Isa) -> Option<&'static PeakLoop> {
    PEAKS
        .iter()
        .filter(|peak| peak.type_name == name && !peak.four_bit_only && admitted(peak.isa, isa))
        .max_by_key(|peak| peak.isa)
}

/// Adds the tasks, and the points that they fill. Sequences that hold only for 4-bit factors are left out: they are
/// no peak of a type. The clock is what the processor counts during the load where `counted`, else that of a chain of
/// additions right after it.
pub(crate) fn add<'a>(pools: &'a Pools, isa: Isa, counted: bool, tasks: &mut Vec<Task<'a>>) -> Vec<Point> {
    let mut points = Vec::new();
    for peak in PEAKS.iter().filter(|peak| !peak.four_bit_only && admitted(peak.isa, isa)) {
        let Some(number) = number(peak.type_name) else { continue };
        for (place, pool) in pools.iter().enumerate() {
            let (ops, clock) = (Log::default(), Log::default());
            let (blocks, clocks) = (Cell::new(0), clock.clone());
            tasks.push(Task {
                name: format!("{}, {}", peak.name(), threads_in_words(pool)),
                beside: Beside::near(place),
                log: ops.clone(),
                settling: 1,
                take: Box::new(move || {
                    if blocks.get() == 0 {
                        blocks.set(calibrate(pool, peak));
                    }
                    if !counted {
                        let rate = ops_per_s(pool, peak, blocks.get());
                        clocks.push(clock_hz(pool), Lay::Alone);
                        return rate;
                    }
                    let (rate, clock) = counted_ops_per_s(pool, peak, blocks.get());
                    if let Some(clock) = clock {
                        clocks.push(clock, Lay::Alone);
                    }
                    rate
                }),
            });
            points.push(Point { number, peak, threads: pool.threads() as u32, ops, clock });
        }
    }
    points
}
