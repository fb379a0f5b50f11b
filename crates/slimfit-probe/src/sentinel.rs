//! Sentinels: what the machine does at this very moment, in a few milliseconds, right before and after a run.

use crate::cells::bandwidth::read_loops;
use crate::{ProbeError, SystemTree, settling_passes, topology};
use slimfit_hardware::PeakType;
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, HugePages, PEAKS, PeakLoop, ReadLoop};
use slimfit_kernels::pool::Pool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Working sets past this many bytes read at memory's rate, so a sentinel reads no more.
const LARGEST_READ_BYTES: u64 = 256 << 20;
/// Bytes read in one sentinel at least: long enough for the clock, short beside any run.
const LEAST_READ_BYTES: u64 = 64 << 20;
/// Iterations of a peak loop in one sentinel: a few milliseconds.
const PEAK_ITERATIONS: u64 = 1_000_000;

/// Read bandwidth at one working set with all threads of a pool.
pub struct ReadSentinel {
    buffers: Vec<Buffer>,
    read: &'static ReadLoop,
    passes: usize,
    settling: usize,
}

impl ReadSentinel {
    /// Buffers of `working_set_bytes` together, one for each thread, touched; and the loop, of those that a profile
    /// measures up to `isa`, that reads them fastest.
    ///
    /// # Errors
    /// The system refuses the memory, or no loop runs here.
    pub fn new(pool: &Pool, working_set_bytes: u64, isa: Isa) -> Result<Self, ProbeError> {
        let threads = pool.threads() as u64;
        let share = (working_set_bytes.clamp(16 << 10, LARGEST_READ_BYTES) / threads).next_multiple_of(4096);
        let buffers = (0..threads)
            .map(|_| Buffer::new(share as usize, HugePages::Advise))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| ProbeError::Memory { bytes: share as usize, source })?;
        let passes = LEAST_READ_BYTES.div_ceil(share * threads).max(1) as usize;
        let last_cache_bytes = topology::last_cache_bytes(&SystemTree::live()).unwrap_or(0);
        let settling = settling_passes(share * threads, last_cache_bytes);
        let [first, other] = read_loops(isa)?;
        let mut sentinel = Self { buffers, read: first, passes, settling };
        let fastest = sentinel.best_of_two(pool);
        sentinel.read = other;
        if sentinel.best_of_two(pool) < fastest {
            sentinel.read = first;
        }
        Ok(sentinel)
    }

    /// How often the working set is read before the reading that counts: as often as something else of its size wants to
    /// be gone through after it.
    pub fn settling_passes(&self) -> usize {
        self.settling
    }

    fn best_of_two(&self, pool: &Pool) -> f64 {
        self.bytes_per_s(pool).max(self.bytes_per_s(pool))
    }

    /// Bytes per second of all threads together, now, once the caches hold of the working set what they will.
    pub fn bytes_per_s(&self, pool: &Pool) -> f64 {
        let read = |passes: usize| {
            pool.run(|worker| {
                std::hint::black_box(self.read.run(self.buffers[worker.index].as_f64(), passes));
            });
        };
        read(self.settling);
        let start = Instant::now();
        read(self.passes);
        let bytes: u64 = self.buffers.iter().map(|buffer| self.read.bytes(buffer.as_f64())).sum();
        (bytes * self.passes as u64) as f64 / start.elapsed().as_secs_f64()
    }
}

/// Peak operations of one type with all threads of a pool.
pub struct PeakSentinel {
    peak: &'static PeakLoop,
}

impl PeakSentinel {
    /// The loop, of those up to `isa`, that does most operations of the type. Loops that only hold for 4-bit factors do
    /// not count as int8.
    ///
    /// # Errors
    /// No loop of the type runs here.
    pub fn new(pool: &Pool, number: PeakType, isa: Isa) -> Result<Self, ProbeError> {
        let name = match number {
            PeakType::F32 => "f32",
            PeakType::F64 => "f64",
            PeakType::F16 => "f16",
            PeakType::Bf16 => "bf16",
            PeakType::Int8 => "int8",
        };
        PEAKS
            .iter()
            .filter(|peak| {
                peak.type_name == name && !peak.four_bit_only && peak.isa <= isa && peak.isa.is_available()
            })
            .map(|peak| Self { peak })
            .map(|sentinel| (sentinel.ops_per_s(pool).max(sentinel.ops_per_s(pool)), sentinel))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, sentinel)| sentinel)
            .ok_or(ProbeError::NoLoop { what: name, isa: isa.name() })
    }

    /// Operations per second of all threads together, now; a multiply-add counts 2.
    pub fn ops_per_s(&self, pool: &Pool) -> f64 {
        let operations = AtomicU64::new(0);
        let start = Instant::now();
        pool.run(|_| {
            operations.fetch_add(self.peak.run(PEAK_ITERATIONS).operations, Ordering::Relaxed);
        });
        operations.into_inner() as f64 / start.elapsed().as_secs_f64()
    }
}
