//! Read, copy and triad bandwidth by working set, threads and address streams.

use super::{Pools, admitted, threads_in_words};
use crate::placements::View;
use crate::schedule::{Beside, Log, Task, repeats};
use crate::{ProbeError, settling_passes};
use slimfit_hardware::{Bandwidth, BandwidthKind, Cache};
use slimfit_kernels::Isa;
use slimfit_kernels::limits::{Buffer, COPIES, READS, ReadLoop, STRIDED, StridedLoop, TRIADS};
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

/// How many of its cells are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breadth {
    /// One number of streams at most sizes, pages as they come.
    Least,
    /// One stream and four at every size; small pages in memory.
    Usual,
    /// And more streams, strides and small pages in the last cache and in memory.
    Chosen,
    /// Everything at every size.
    Every,
}

/// How a buffer is walked.
#[derive(Clone, Copy)]
enum Walk {
    Sequential(&'static ReadLoop),
    Strided(&'static StridedLoop),
}

impl Walk {
    fn pattern(self) -> &'static str {
        match self {
            Self::Sequential(_) => "sequential",
            Self::Strided(_) => "strided",
        }
    }

    fn streams(self) -> u32 {
        match self {
            Self::Sequential(read) => read.streams as u32,
            Self::Strided(_) => 1,
        }
    }

    fn run(self, words: &[f64], passes: usize) -> u64 {
        match self {
            Self::Sequential(read) => read.run(words, passes),
            Self::Strided(read) => read.run(words, passes),
        }
    }
}

/// A point that is being measured.
pub(crate) struct Point {
    kind: BandwidthKind,
    pattern: &'static str,
    streams: u32,
    working_set_bytes: u64,
    threads: u32,
    huge_pages: bool,
    log: Log,
}

impl Point {
    pub fn finish(&self, view: View<'_>) -> Bandwidth {
        Bandwidth {
            kind: self.kind,
            pattern: self.pattern.to_owned(),
            streams: self.streams,
            working_set_bytes: self.working_set_bytes,
            threads: self.threads,
            huge_pages: self.huge_pages,
            bytes_per_s: self.log.figure_in(view, self.threads),
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

/// The read loop of `streams` address streams that is fastest in a first cache, of the admitted tiers: wider vectors are not
/// faster everywhere, and the sentinels of other measurements choose by speed too.
pub(crate) fn read_loop(streams: usize, isa: Isa) -> Result<&'static ReadLoop, ProbeError> {
    const WORDS: usize = 1 << 10;
    let words = vec![0.0; WORDS];
    let seconds = |read: &ReadLoop| {
        let timed = || {
            let start = Instant::now();
            std::hint::black_box(read.run(&words, 256));
            start.elapsed().as_secs_f64()
        };
        (0..7).map(|_| timed()).fold(f64::INFINITY, f64::min)
    };
    READS
        .iter()
        .filter(|read| read.streams == streams && admitted(read.isa, isa))
        .min_by(|a, b| seconds(a).total_cmp(&seconds(b)))
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
    seconds(pool, words, share, |words| read.run(words, passes))
}

fn seconds(pool: &Pool, words: &[f64], share: usize, run: impl Fn(&[f64]) -> u64 + Sync) -> f64 {
    let start = Instant::now();
    pool.run(|worker| {
        std::hint::black_box(run(&words[worker.index * share..][..share]));
    });
    start.elapsed().as_secs_f64()
}

/// Adds the tasks, and the points that they fill. `beside` names the sentinel for a thread count (its place) and a working
/// set.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    caches: &[Cache],
    (isa, breadth): (Isa, Breadth),
    beside: &dyn Fn(usize, u64) -> Beside,
    tasks: &mut Vec<Task<'a>>,
) -> Result<Vec<Point>, ProbeError> {
    let mut points = Vec::new();
    let largest = arena.read.bytes() as u64;
    let sets = read_sets(caches, largest);
    let last_cache = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let second_level = caches.iter().find(|cache| cache.level == 2).map_or(1 << 20, |cache| cache.bytes);
    // The middle of the last cache, as near as the working sets come, and memory.
    let middle = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0) / 2;
    let chosen = |bytes: u64| bytes == largest || bytes <= middle && 2 * bytes > middle;
    for streams in [1_usize, 4] {
        let walk = Walk::Sequential(read_loop(streams, isa)?);
        for (place, pool) in pools.iter().enumerate() {
            for &bytes in &sets {
                // Which number of streams is best changes where data leaves the core's own caches.
                let own = bytes <= second_level * pool.threads() as u64;
                if breadth == Breadth::Least && bytes != largest && own != (streams == 1) {
                    continue;
                }
                let cell = (bytes, beside(place, bytes), settling_passes(bytes, last_cache));
                add_read(&arena.read, arena.read.advised(), walk, pool, cell, tasks, &mut points);
            }
        }
    }
    if breadth > Breadth::Least {
        let wanted = |bytes: u64| match breadth {
            Breadth::Least | Breadth::Usual => bytes == largest,
            Breadth::Chosen => chosen(bytes),
            Breadth::Every => true,
        };
        let mut walks = Vec::new();
        if breadth > Breadth::Usual {
            for streams in [2, 8] {
                walks.push((&arena.read, Walk::Sequential(read_loop(streams, isa)?)));
            }
            walks.extend(strided_loop(isa).map(|read| (&arena.read, Walk::Strided(read))));
        }
        // Where nothing takes the advice, all pages are small already.
        if let Some(small) = arena.small_pages.as_ref().filter(|_| arena.read.advised()) {
            let counts: &[usize] = if breadth > Breadth::Usual { &[1, 4] } else { &[4] };
            for &streams in counts {
                walks.push((small, Walk::Sequential(read_loop(streams, isa)?)));
            }
        }
        for (buffer, walk) in walks {
            let huge_pages = std::ptr::eq(buffer, &arena.read) && buffer.advised();
            for (place, pool) in pools.iter().enumerate() {
                for &bytes in sets.iter().filter(|bytes| wanted(**bytes)) {
                    add_read(
                        buffer,
                        huge_pages,
                        walk,
                        pool,
                        (bytes, beside(place, bytes), settling_passes(bytes, last_cache)),
                        tasks,
                        &mut points,
                    );
                }
            }
        }
    }
    add_writes(arena, pools, caches, isa, beside, tasks, &mut points);
    Ok(points)
}

/// The strided read of the richest admitted tier.
fn strided_loop(isa: Isa) -> Option<&'static StridedLoop> {
    STRIDED.iter().filter(|read| admitted(read.isa, isa)).max_by_key(|read| read.isa)
}

/// One way to read, on one number of threads, at a working set of `bytes` beside the sentinel of that place.
fn add_read<'a>(
    buffer: &'a Buffer,
    huge_pages: bool,
    walk: Walk,
    pool: &'a Pool,
    (bytes, beside, settling): (u64, Beside, usize),
    tasks: &mut Vec<Task<'a>>,
    points: &mut Vec<Point>,
) {
    let share = share_words(bytes, pool.threads());
    let working_set_bytes = (share * 8 * pool.threads()) as u64;
    let point = Point {
        kind: BandwidthKind::Read,
        pattern: walk.pattern(),
        streams: walk.streams(),
        working_set_bytes,
        threads: pool.threads() as u32,
        huge_pages,
        log: Log::default(),
    };
    // Small sets of many threads can round to one size; a curve has each size once.
    let same = |known: &Point| {
        (known.pattern, known.streams, known.threads, known.working_set_bytes, known.huge_pages)
            == (point.pattern, point.streams, point.threads, working_set_bytes, huge_pages)
    };
    if points.last().is_some_and(same) {
        return;
    }
    let kind = if walk.pattern() == "strided" { "strided read" } else { "read" };
    let pages = if huge_pages { "" } else { ", small pages" };
    let passes = Cell::new(0);
    tasks.push(Task {
        name: format!(
            "{kind} {} KiB, {}, streams: {}{pages}",
            bytes >> 10,
            threads_in_words(pool),
            walk.streams()
        ),
        beside,
        log: point.log.clone(),
        settling,
        take: Box::new(move || {
            let read = |passes: usize| seconds(pool, buffer.as_f64(), share, |words| walk.run(words, passes));
            if passes.get() == 0 {
                read(1);
                passes.set(repeats(read(1)));
            }
            (working_set_bytes * passes.get() as u64) as f64 / read(passes.get())
        }),
    });
    points.push(point);
}

/// Copy and triad in the middle of each level and in memory.
fn add_writes<'a>(
    arena: &'a Arena,
    pools: &'a Pools,
    caches: &[Cache],
    isa: Isa,
    beside: &dyn Fn(usize, u64) -> Beside,
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
                    beside: beside(place, bytes),
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
                    pattern: "sequential",
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
    use slimfit_kernels::limits::HugePages;

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

    #[test]
    fn more_seconds_read_in_more_ways() {
        let cache = |level, bytes| Cache { level, bytes, shared_by: 1 };
        let caches = [cache(1, 16 << 10), cache(2, 64 << 10)];
        let bytes = 256 << 10;
        let buffer = |pages| super::super::buffer(bytes, pages).unwrap();
        let arena = Arena {
            read: buffer(HugePages::Advise),
            small_pages: Some(buffer(HugePages::Never)),
            written: RefCell::new(buffer(HugePages::Advise)),
        };
        let pools = Pools::new(&[1]).unwrap();
        let sets = read_sets(&caches, bytes as u64).len();
        let ways = |breadth| {
            let mut tasks = Vec::new();
            let points = add(
                &arena,
                &pools,
                &caches,
                (Isa::best(), breadth),
                &|pool, _| Beside::near(pool),
                &mut tasks,
            )
            .unwrap();
            assert_eq!(points.len(), tasks.len());
            for task in &mut tasks {
                assert!((task.take)() > 0.0, "{}", task.name);
            }
            let points = points.into_iter().filter(|point| point.kind == BandwidthKind::Read);
            let mut ways: Vec<(&str, u32, bool, usize)> = Vec::new();
            for point in points {
                let way = (point.pattern, point.streams, point.huge_pages);
                match ways.iter_mut().find(|known| (known.0, known.1, known.2) == way) {
                    Some(known) => known.3 += 1,
                    None => ways.push((way.0, way.1, way.2, 1)),
                }
            }
            ways
        };
        let huge = arena.read.advised();
        let small = |streams, count| {
            (if huge { Some(("sequential", streams, false, count)) } else { None }).into_iter()
        };
        let usual = [("sequential", 1, huge, sets), ("sequential", 4, huge, sets)];
        assert_eq!(ways(Breadth::Usual), usual.iter().copied().chain(small(4, 1)).collect::<Vec<_>>());
        for (breadth, count) in [(Breadth::Chosen, 2), (Breadth::Every, sets)] {
            let more =
                [("sequential", 2, huge, count), ("sequential", 8, huge, count), ("strided", 1, huge, count)];
            let all = usual.iter().copied().chain(more).chain(small(1, count)).chain(small(4, count));
            assert_eq!(ways(breadth), all.collect::<Vec<_>>(), "{breadth:?}");
        }
        assert!(ways(Breadth::Least).iter().map(|way| way.3).sum::<usize>() < 2 * sets);
    }
}
