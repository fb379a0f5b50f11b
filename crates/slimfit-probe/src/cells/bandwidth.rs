//! Read, copy and triad bandwidth by working set, threads and address streams.

use super::{Detail, Pools, admitted, threads_in_words};
use crate::schedule::{Log, Task, repeats};
use crate::{ProbeError, settling_passes};
use slimfit_hardware::{Bandwidth, BandwidthKind, Cache};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, COPIES, READS, ReadLoop, TRIADS};
use slimfit_kernels::pool::Pool;
use std::cell::{Cell, RefCell};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Words that each thread's share is a multiple of, so that every stream keeps to whole cache lines.
const SHARE_WORDS: usize = 256;

/// Memory that the cells of this file share.
pub(crate) struct Arena {
    /// Read only, in huge pages where the system gives them.
    pub read: Buffer,
    /// Read only, in pages of the base size.
    pub small_pages: Option<Buffer>,
    /// Written by copy and triad.
    pub written: RefCell<Buffer>,
}

/// A point that is being measured.
pub(crate) struct Point {
    kind: BandwidthKind,
    streams: u32,
    working_set_bytes: u64,
    threads: u32,
    huge_pages: bool,
    log: Log,
}

impl Point {
    pub fn finish(&self) -> Bandwidth {
        Bandwidth {
            kind: self.kind,
            pattern: "sequential".to_owned(),
            streams: self.streams,
            working_set_bytes: self.working_set_bytes,
            threads: self.threads,
            huge_pages: self.huge_pages,
            bytes_per_s: self.log.figure(),
        }
    }
}

/// Working sets from half of the first cache to four times the last, each twice the one before, at most `largest`.
pub(crate) fn working_sets(caches: &[Cache], largest: u64) -> Vec<u64> {
    let first = caches.first().map_or(16 << 10, |cache| cache.bytes / 2).max(4096);
    let last = caches.iter().map(|cache| cache.bytes).max().unwrap_or(64 << 20).saturating_mul(4);
    let end = last.min(largest).max(first);
    let mut sets: Vec<u64> = std::iter::successors(Some(first), |bytes| bytes.checked_mul(2))
        .take_while(|bytes| *bytes < end)
        .collect();
    sets.push(end);
    sets
}

/// Where reads are measured: the working sets, at most `largest`, with one between each two around the last cache, where
/// rates fall fastest, and one that leaves nothing of itself in it.
pub(crate) fn read_sets(caches: &[Cache], largest: u64) -> Vec<u64> {
    let sets = working_sets(caches, largest);
    let last = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let edge = last / 2..=last.saturating_mul(4);
    let between = sets
        .windows(2)
        .filter(|pair| edge.contains(&pair[0]) && edge.contains(&pair[1]))
        .map(|pair| (pair[0] as f64 * pair[1] as f64).sqrt() as u64 & !0xfff);
    let beyond = Some(last.saturating_mul(8)).filter(|bytes| *bytes > 0 && *bytes <= largest);
    let mut all: Vec<u64> = sets.iter().copied().chain(between).chain(beyond).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The read loop of `streams` address streams in the richest admitted tier.
pub(crate) fn read_loop(streams: usize, isa: Isa) -> Result<&'static ReadLoop, ProbeError> {
    READS
        .iter()
        .filter(|read| read.streams == streams && admitted(read.isa, isa))
        .max_by_key(|read| read.isa)
        .ok_or(ProbeError::NoLoop { what: "read", isa: isa.name() })
}

/// The loops of a profile's read curve, of which the faster counts: one address stream and four.
pub(crate) fn read_loops(isa: Isa) -> Result<[&'static ReadLoop; 2], ProbeError> {
    Ok([read_loop(1, isa)?, read_loop(4, isa)?])
}

/// Words of each thread's share of a working set.
pub(crate) fn share_words(working_set_bytes: u64, threads: usize) -> usize {
    (working_set_bytes as usize / 8 / threads / SHARE_WORDS).max(1) * SHARE_WORDS
}

/// Seconds of reading each thread's share `passes` times.
pub(crate) fn read_seconds(pool: &Pool, read: &ReadLoop, words: &[f64], share: usize, passes: usize) -> f64 {
    let start = Instant::now();
    pool.run(|worker| {
        std::hint::black_box(read.run(&words[worker.index * share..][..share], passes));
    });
    start.elapsed().as_secs_f64()
}

/// Adds the tasks, and the points that they fill. `sentinel` names the one for a thread count (its place) and a
/// working set.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    caches: &[Cache],
    isa: Isa,
    detail: Detail,
    sentinel: &dyn Fn(usize, u64) -> usize,
    tasks: &mut Vec<Task<'a>>,
) -> Result<Vec<Point>, ProbeError> {
    let mut points = Vec::new();
    let largest = arena.read.bytes() as u64;
    let sets = read_sets(caches, largest);
    let last_cache = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let second_level = caches.iter().find(|cache| cache.level == 2).map_or(1 << 20, |cache| cache.bytes);
    for streams in [1_usize, 4] {
        let read = read_loop(streams, isa)?;
        for (place, pool) in pools.iter().enumerate() {
            for &bytes in &sets {
                // Which number of streams is best changes where data leaves the core's own caches.
                let own = bytes <= second_level * pool.threads() as u64;
                if detail == Detail::Short && bytes != largest && own != (streams == 1) {
                    continue;
                }
                let plain = arena.small_pages.as_ref().filter(|_| bytes == largest && streams == 4);
                for (buffer, huge_pages) in [(Some(&arena.read), arena.read.advised()), (plain, false)] {
                    let Some(buffer) = buffer else { continue };
                    let log = Log::default();
                    let name =
                        format!("read {} KiB, {}, streams: {streams}", bytes >> 10, threads_in_words(pool));
                    let share = share_words(bytes, pool.threads());
                    let touched = (share * 8 * pool.threads()) as f64;
                    let (kind, threads) = (BandwidthKind::Read, pool.threads() as u32);
                    // Small sets of many threads can round to one size; a curve has each size once.
                    if points.last().is_some_and(|point: &Point| {
                        point.threads == threads
                            && point.working_set_bytes == touched as u64
                            && point.huge_pages == huge_pages
                    }) {
                        continue;
                    }
                    let passes = Cell::new(0);
                    tasks.push(Task {
                        name,
                        sentinel: sentinel(place, bytes),
                        log: log.clone(),
                        settling: settling_passes(bytes, last_cache),
                        take: Box::new(move || {
                            if passes.get() == 0 {
                                read_seconds(pool, read, buffer.as_f64(), share, 1);
                                passes.set(repeats(read_seconds(pool, read, buffer.as_f64(), share, 1)));
                            }
                            let seconds = read_seconds(pool, read, buffer.as_f64(), share, passes.get());
                            touched * passes.get() as f64 / seconds
                        }),
                    });
                    let working_set_bytes = touched as u64;
                    points.push(Point {
                        kind,
                        streams: streams as u32,
                        working_set_bytes,
                        threads,
                        huge_pages,
                        log,
                    });
                }
            }
        }
    }
    add_writes(arena, pools, caches, isa, sentinel, tasks, &mut points);
    Ok(points)
}

/// Copy and triad in the middle of each level and in memory.
fn add_writes<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    caches: &[Cache],
    isa: Isa,
    sentinel: &dyn Fn(usize, u64) -> usize,
    tasks: &mut Vec<Task<'a>>,
    points: &mut Vec<Point>,
) {
    let largest = arena.written.borrow().bytes() as u64;
    let last_cache = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let mut sets: Vec<u64> = caches
        .iter()
        .map(|cache| cache.bytes / 2)
        .filter(|bytes| *bytes < largest)
        .chain([largest])
        .collect();
    sets.dedup();
    let copy = COPIES.iter().filter(|copy| admitted(copy.isa, isa)).max_by_key(|copy| copy.isa);
    let triad = TRIADS.iter().filter(|triad| admitted(triad.isa, isa)).max_by_key(|triad| triad.isa);
    for kind in [BandwidthKind::Copy, BandwidthKind::Triad] {
        if kind == BandwidthKind::Copy && copy.is_none() || kind == BandwidthKind::Triad && triad.is_none() {
            continue;
        }
        for (place, pool) in pools.iter().enumerate() {
            for &bytes in &sets {
                let (arrays, name) = if kind == BandwidthKind::Copy { (2, "copy") } else { (3, "triad") };
                let threads = pool.threads();
                let share = share_words(bytes / arrays as u64, threads);
                if share * 8 * threads * arrays > largest as usize {
                    continue;
                }
                let run = move |passes: usize| {
                    let mut buffer = arena.written.borrow_mut();
                    let parts: Vec<Mutex<&mut [f64]>> = buffer
                        .as_f64_mut()
                        .chunks_exact_mut(share * arrays)
                        .take(threads)
                        .map(Mutex::new)
                        .collect();
                    let start = Instant::now();
                    pool.run(|worker| {
                        let mut part = parts[worker.index].lock().unwrap_or_else(PoisonError::into_inner);
                        let (to, from) = part.split_at_mut(share);
                        match (kind, copy, triad) {
                            (BandwidthKind::Copy, Some(copy), _) => copy.run(to, from, passes),
                            (_, _, Some(triad)) => {
                                let (b, c) = from.split_at(share);
                                triad.run(to, b, c, 3.0, passes);
                            }
                            _ => {}
                        }
                    });
                    start.elapsed().as_secs_f64()
                };
                let log = Log::default();
                let passes = Cell::new(0);
                let moved = (share * 8 * threads * arrays) as f64;
                tasks.push(Task {
                    name: format!("{name} {} KiB, {}", bytes >> 10, threads_in_words(pool)),
                    sentinel: sentinel(place, bytes),
                    log: log.clone(),
                    settling: settling_passes(bytes, last_cache),
                    take: Box::new(move || {
                        if passes.get() == 0 {
                            run(1);
                            passes.set(repeats(run(1)));
                        }
                        moved * passes.get() as f64 / run(passes.get())
                    }),
                });
                points.push(Point {
                    kind,
                    streams: 1,
                    working_set_bytes: moved as u64,
                    threads: threads as u32,
                    huge_pages: arena.written.borrow().advised(),
                    log,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_measured_more_densely_around_the_last_cache_and_beyond_it() {
        let cache = |level, bytes| Cache { level, bytes, shared_by: 1 };
        let caches = [cache(1, 32 << 10), cache(2, 1 << 20), cache(3, 32 << 20)];
        let sets = read_sets(&caches, u64::MAX);
        assert_eq!(sets[sets.len() - 2..], [128 << 20, 256 << 20]);
        assert!(sets.is_sorted() && sets.windows(2).all(|pair| pair[0] < pair[1]));
        let edge: Vec<u64> =
            sets.iter().copied().filter(|set| (16 << 20..=128 << 20).contains(set)).collect();
        assert_eq!(edge.len(), 7);
        assert!(edge.windows(2).all(|pair| pair[1] as f64 <= 1.42 * pair[0] as f64));
        assert_eq!(read_sets(&caches, 100 << 20).last(), Some(&(100 << 20)));
        assert_eq!(read_sets(&[], 1 << 30), working_sets(&[], 1 << 30));
    }

    #[test]
    fn working_sets_rise_by_at_most_two_to_four_times_the_last_cache() {
        let cache = |level, bytes| Cache { level, bytes, shared_by: 1 };
        let sets = working_sets(&[cache(1, 32 << 10), cache(2, 1 << 20), cache(3, 36 << 20)], u64::MAX);
        assert_eq!(sets[0], 16 << 10);
        assert_eq!(sets[sets.len() - 1], 144 << 20);
        assert!(sets.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= 2 * pair[0]));
        let capped = working_sets(&[cache(1, 32 << 10), cache(3, 1 << 30)], 100 << 20);
        assert_eq!(capped[capped.len() - 1], 100 << 20);
        assert_eq!(working_sets(&[], 1 << 30)[0], 16 << 10);
    }
}
