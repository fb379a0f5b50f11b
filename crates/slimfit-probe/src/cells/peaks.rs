//! Peak multiply-add throughput of every tier, with the clock that the processor held under that load.

use crate::ProbeError;
use crate::sampler::{Sampler, time};
use slimfit_hardware::{Peak, PeakType};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{PEAKS, dependent_adds};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::{Figure, Measured};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Iterations of a loop between two looks at the clock.
const ITERATIONS: u64 = 20_000;
/// Dependent additions, one a cycle, that tell the clock right after a loop.
const ADDITIONS: u64 = 100_000;

/// Every loop up to `isa` on one pool.
///
/// # Errors
/// The clock stands still.
pub(crate) fn measure(pool: &Pool, isa: Isa, sampler: &Sampler) -> Result<Vec<Peak>, ProbeError> {
    let mut peaks = Vec::new();
    for peak in PEAKS.iter().filter(|peak| peak.isa <= isa && peak.isa.is_available()) {
        let clocks = RefCell::new(Vec::new());
        let nanoseconds = AtomicU64::new(0);
        let seconds = sampler.seconds(&peak.name(), |repetitions| {
            let elapsed = time(|| {
                pool.run(|_| {
                    for _ in 0..repetitions {
                        std::hint::black_box(peak.run(ITERATIONS));
                    }
                });
            });
            // The clock does not change within the microseconds this takes.
            pool.run(|worker| {
                let start = Instant::now();
                std::hint::black_box(dependent_adds(ADDITIONS));
                if worker.index == 0 {
                    nanoseconds.store(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
                }
            });
            let taken = nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9;
            if taken > 0.0 {
                clocks.borrow_mut().push(ADDITIONS as f64 / taken);
            }
            elapsed
        })?;
        let operations = (ITERATIONS * peak.operations) as f64 * pool.threads() as f64;
        let clock = Measured::new(clocks.into_inner());
        peaks.push(Peak {
            number: number(peak.type_name),
            isa: peak.isa.name().to_owned(),
            // Sums in 16 bits hold for 4-bit factors only; the name must say so wherever it is read.
            sequence: if peak.four_bit_only { format!("{} (4-bit only)", peak.sequence) } else { peak.sequence.to_owned() },
            threads: pool.threads() as u32,
            ops_per_s: crate::figure(seconds.map(|seconds| operations / seconds)),
            clock_hz: clock.map_or_else(
                || Figure::unavailable("the clock did not advance over the additions"),
                |clock| clock.figure(),
            ),
        });
    }
    Ok(peaks)
}

fn number(name: &str) -> PeakType {
    match name {
        "f32" => PeakType::F32,
        "f64" => PeakType::F64,
        "bf16" => PeakType::Bf16,
        "int8" => PeakType::Int8,
        other => unreachable!("peak loops are of f32, f64, bf16 or int8, not `{other}`"),
    }
}
