//! Sustained bandwidth: reads over the whole staircase of caches, copy and triad at a few sizes, and reads in strides
//! as a KV cache is read.

use crate::ProbeError;
use crate::sampler::{Sampler, time};
use slimfit_hardware::{Bandwidth, BandwidthKind, Topology};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, COPIES, HugePages, READS, TRIADS};
use slimfit_kernels::pool::Pool;
use slimfit_quantity::Measured;

/// The largest working set of all threads together: several times the last cache of most devices.
const LARGEST_BYTES: u64 = 256 << 20;
/// Consecutive bytes read before a stride skips on: the keys of a few positions of one head.
const STRIDE_RUN_BYTES: usize = 1024;
/// Of so many runs, a strided read takes one: the others belong to other heads.
const STRIDE_EVERY: usize = 4;

/// Working sets from half of the first cache to four times the last, in steps of two, within a quarter of memory.
pub(crate) fn working_sets(topology: &Topology) -> Vec<u64> {
    let first = topology.cache_bytes(1).unwrap_or(32 << 10) / 2;
    let last = topology.last_cache_bytes().unwrap_or(16 << 20);
    let largest = (4 * last).clamp(64 << 20, LARGEST_BYTES).min(topology.memory_limit_bytes / 4);
    let mut sets = Vec::new();
    let mut bytes = first.max(4 << 10);
    while bytes < largest {
        sets.push(bytes);
        bytes *= 2;
    }
    sets.push(largest);
    sets
}

/// Every point for one pool.
///
/// # Errors
/// The system refuses memory, or the clock stands still.
pub(crate) fn measure(
    pool: &Pool,
    topology: &Topology,
    isa: Isa,
    sampler: &Sampler,
    mut progress: impl FnMut(f64) -> Result<(), ProbeError>,
) -> Result<Vec<Bandwidth>, ProbeError> {
    let sets = working_sets(topology);
    let mut points = Vec::new();
    // One tier's loops suffice: the richest. Narrower ones only read slower.
    let tier = READS.iter().filter(|read| read.isa <= isa && read.isa.is_available()).map(|read| read.isa).max();
    let tier = tier.ok_or(ProbeError::NoLoop { what: "read", isa: isa.name() })?;
    for (place, &working_set) in sets.iter().enumerate() {
        progress(place as f64 / sets.len() as f64)?;
        let buffers = buffers(pool, working_set)?;
        for read in READS.iter().filter(|read| read.isa == tier) {
            let bytes: u64 = buffers.iter().map(|buffer| read.bytes(buffer.as_f64())).sum();
            let seconds = sampler.seconds(read.name, |passes| {
                time(|| {
                    pool.run(|worker| {
                        std::hint::black_box(read.run(buffers[worker.index].as_f64(), passes as usize));
                    });
                })
            })?;
            points.push(point(BandwidthKind::Read, "sequential", read.streams, &buffers, pool, bytes, &seconds));
        }
        if is_checkpoint(&sets, place) {
            points.extend(writes(pool, &buffers, isa, sampler)?);
            points.push(strided(pool, &buffers, tier, sampler)?);
        }
    }
    progress(1.0)?;
    Ok(points)
}

/// A third, two thirds and the end of the staircase: copy, triad and strides are measured there only.
fn is_checkpoint(sets: &[u64], place: usize) -> bool {
    let last = sets.len() - 1;
    place == last || place == last / 3 || place == 2 * last / 3
}

fn buffers(pool: &Pool, working_set: u64) -> Result<Vec<Buffer>, ProbeError> {
    let share = (working_set as usize / pool.threads()).next_multiple_of(512);
    (0..pool.threads())
        .map(|_| Buffer::new(share, HugePages::Advise).map_err(|source| ProbeError::Memory { bytes: share, source }))
        .collect()
}

/// Copy and triad; a third of the working set for each array.
fn writes(pool: &Pool, sources: &[Buffer], isa: Isa, sampler: &Sampler) -> Result<Vec<Bandwidth>, ProbeError> {
    let third = (sources[0].bytes() / 3).next_multiple_of(512);
    let one = || Buffer::new(third, HugePages::Advise).map_err(|source| ProbeError::Memory { bytes: third, source });
    let mut arrays = Vec::new();
    for _ in 0..pool.threads() {
        arrays.push(std::sync::Mutex::new([one()?, one()?, one()?]));
    }
    let bytes_each: usize = 3 * third;
    let mut points = Vec::new();
    if let Some(copy) = COPIES.iter().rfind(|copy| copy.isa <= isa && copy.isa.is_available()) {
        let seconds = sampler.seconds(copy.name, |passes| {
            time(|| {
                pool.run(|worker| {
                    let mut own = arrays[worker.index].lock().expect("no worker panics while it copies");
                    let [to, from, _] = &mut *own;
                    copy.run(to.as_f64_mut(), from.as_f64(), passes as usize);
                });
            })
        })?;
        let bytes = (third as u64 / 8 * 16) * pool.threads() as u64;
        points.push(raw_point(BandwidthKind::Copy, 1, 2 * third, pool, bytes, &seconds, sources[0].advised()));
    }
    if let Some(triad) = TRIADS.iter().rfind(|triad| triad.isa <= isa && triad.isa.is_available()) {
        let seconds = sampler.seconds(triad.name, |passes| {
            time(|| {
                pool.run(|worker| {
                    let mut own = arrays[worker.index].lock().expect("no worker panics while it adds");
                    let [to, b, c] = &mut *own;
                    triad.run(to.as_f64_mut(), b.as_f64(), c.as_f64(), 3.0, passes as usize);
                });
            })
        })?;
        let bytes = (third as u64 / 8 * 24) * pool.threads() as u64;
        points.push(raw_point(BandwidthKind::Triad, 1, bytes_each, pool, bytes, &seconds, sources[0].advised()));
    }
    Ok(points)
}

fn raw_point(
    kind: BandwidthKind,
    streams: u32,
    bytes_each: usize,
    pool: &Pool,
    moved: u64,
    seconds: &Measured,
    huge_pages: bool,
) -> Bandwidth {
    Bandwidth {
        kind,
        pattern: "sequential".to_owned(),
        streams,
        working_set_bytes: (bytes_each * pool.threads()) as u64,
        threads: pool.threads() as u32,
        huge_pages,
        bytes_per_s: rate(moved, seconds),
    }
}

/// Runs of a kilobyte, of which one in four is read: as a head's keys lie among those of other heads.
fn strided(pool: &Pool, buffers: &[Buffer], tier: Isa, sampler: &Sampler) -> Result<Bandwidth, ProbeError> {
    let read = READS
        .iter()
        .find(|read| read.isa == tier && read.streams == 1)
        .ok_or(ProbeError::NoLoop { what: "read", isa: tier.name() })?;
    let values = STRIDE_RUN_BYTES / 8;
    let runs = (buffers[0].as_f64().len() / (values * STRIDE_EVERY)).max(1);
    let seconds = sampler.seconds("read-strided", |passes| {
        time(|| {
            pool.run(|worker| {
                let all = buffers[worker.index].as_f64();
                for _ in 0..passes {
                    for run in 0..runs {
                        let start = (run * values * STRIDE_EVERY).min(all.len() - values.min(all.len()));
                        std::hint::black_box(read.run(&all[start..all.len().min(start + values)], 1));
                    }
                }
            });
        })
    })?;
    let bytes = (runs * STRIDE_RUN_BYTES * pool.threads()) as u64;
    Ok(point(BandwidthKind::Read, "strided", 1, buffers, pool, bytes, &seconds))
}

fn point(
    kind: BandwidthKind,
    pattern: &str,
    streams: usize,
    buffers: &[Buffer],
    pool: &Pool,
    moved: u64,
    seconds: &Measured,
) -> Bandwidth {
    Bandwidth {
        kind,
        pattern: pattern.to_owned(),
        streams: streams as u32,
        working_set_bytes: buffers.iter().map(|buffer| buffer.bytes() as u64).sum(),
        threads: pool.threads() as u32,
        huge_pages: buffers[0].advised(),
        bytes_per_s: rate(moved, seconds),
    }
}

fn rate(bytes: u64, seconds: &Measured) -> slimfit_quantity::Figure {
    crate::figure(seconds.map(|seconds| bytes as f64 / seconds))
}
