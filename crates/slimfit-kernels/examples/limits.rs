//! Prints every limit loop of this machine on 1 and on all CPUs: peaks, bandwidths by working set, latency, clock and
//! hand-over. Best of several short samples; the profile proper is measured by the probe.

use slimfit_kernels::limits::{
    Buffer, COPIES, HugePages, LINE_BYTES, PEAKS, READS, TRIADS, dependent_adds, link_cycle, walk_cycle,
};
use slimfit_kernels::pool::{Pool, Worker, allowed_cpus};
use std::error::Error;
use std::time::Instant;

const SAMPLES: usize = 7;

/// Best rate per second of `work` units done by each of the pool's workers together.
fn best_rate(pool: &Pool, work: f64, body: impl Fn(&Worker<'_>) + Sync) -> f64 {
    (0..SAMPLES).fold(0.0, |best, _| {
        let start = Instant::now();
        pool.run(|worker| body(&worker));
        best.max(work * pool.threads() as f64 / start.elapsed().as_secs_f64())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut counts = vec![1];
    if allowed_cpus().len() > 1 {
        counts.push(allowed_cpus().len());
    }
    for threads in counts {
        let pool = Pool::new(threads)?;
        println!("{threads} thread(s), pinned: {}", pool.pinned());
        let clock = best_rate(&pool, 3e6, |_| {
            dependent_adds(3_000_000);
        }) / threads as f64;
        println!("  clock {:.2} GHz", clock / 1e9);
        let runs = 100_000_u32;
        let start = Instant::now();
        for _ in 0..runs {
            pool.run(|worker| {
                std::hint::black_box(worker.index);
            });
        }
        let empty_run = start.elapsed() / runs;
        let start = Instant::now();
        pool.run(|worker| (0..runs).for_each(|_| worker.barrier()));
        println!("  empty run {empty_run:?}, barrier {:?}", start.elapsed() / runs);
        for peak in PEAKS.iter().filter(|peak| peak.isa.is_available()) {
            let operations = peak.run(100_000).operations as f64;
            let rate = best_rate(&pool, operations, |_| {
                std::hint::black_box(peak.run(100_000));
            });
            println!("  {:52} {:8.1} Gop/s", peak.name(), rate / 1e9);
        }
        for bytes in [16 << 10, 256 << 10, 4 << 20, 256 << 20] {
            print_bandwidth(&pool, bytes)?;
        }
    }
    Ok(())
}

/// Rates of every stream at a working set of `bytes` per thread.
fn print_bandwidth(pool: &Pool, bytes: usize) -> Result<(), Box<dyn Error>> {
    let mut buffers = Vec::new();
    for _ in 0..pool.threads() {
        buffers.push(Buffer::new(bytes, HugePages::Advise)?);
    }
    let passes = ((64 << 20) / bytes).max(1);
    for read in READS.iter().filter(|read| read.isa.is_available()) {
        let rate = best_rate(pool, (passes * bytes) as f64, |worker| {
            std::hint::black_box(read.run(buffers[worker.index].as_f64(), passes));
        });
        println!("  {:20} {:>9} KiB {:8.1} GB/s", read.name, bytes >> 10, rate / 1e9);
    }
    if pool.threads() == 1 {
        let third = bytes / 24 * 8;
        let (mut to, b, c) = (
            Buffer::new(third, HugePages::Advise)?,
            Buffer::new(third, HugePages::Advise)?,
            Buffer::new(third, HugePages::Advise)?,
        );
        let seconds = |work: &mut dyn FnMut()| {
            (0..SAMPLES).fold(f64::INFINITY, |best, _| {
                let start = Instant::now();
                work();
                best.min(start.elapsed().as_secs_f64())
            })
        };
        for copy in COPIES.iter().filter(|copy| copy.isa.is_available()) {
            let time = seconds(&mut || copy.run(to.as_f64_mut(), b.as_f64(), passes));
            let rate = (passes as u64 * copy.bytes(b.as_f64())) as f64 / time;
            println!("  {:20} {:>9} KiB {:8.1} GB/s", copy.name, bytes >> 10, rate / 1e9);
        }
        for triad in TRIADS.iter().filter(|triad| triad.isa.is_available()) {
            let time = seconds(&mut || triad.run(to.as_f64_mut(), b.as_f64(), c.as_f64(), 3.0, passes));
            let rate = (passes as u64 * triad.bytes(b.as_f64())) as f64 / time;
            println!("  {:20} {:>9} KiB {:8.1} GB/s", triad.name, bytes >> 10, rate / 1e9);
        }
        link_cycle(buffers[0].as_usize_mut(), 1);
        let (chain, mut position) = (buffers[0].as_usize(), 0);
        let steps = (bytes / LINE_BYTES).clamp(200_000, 1_000_000);
        let time = seconds(&mut || position = walk_cycle(chain, position, steps));
        println!("  {:20} {:>9} KiB {:8.1} ns", "chase", bytes >> 10, time * 1e9 / steps as f64);
    }
    Ok(())
}
