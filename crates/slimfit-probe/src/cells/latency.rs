//! Load-to-use latency: a walk over a random cycle of cache lines.

use crate::ProbeError;
use crate::schedule::{Beside, Log, Task, repeats};
use slimfit_hardware::Latency;
use slimfit_kernels::limits::{Buffer, HugePages, LINE_BYTES, link_cycle, walk_cycle};
use std::cell::Cell;
use std::time::Instant;

/// Steps of one short walk.
const STEPS: usize = 256;

/// Buffers with a cycle in each.
pub(crate) struct Arena(Vec<Buffer>);

impl Arena {
    /// One buffer for every second working set, and for the last.
    pub fn new(sets: &[u64], largest: u64) -> Result<Self, ProbeError> {
        let last = sets.len().saturating_sub(1);
        sets.iter()
            .enumerate()
            .filter(|(index, bytes)| (index % 2 == 0 || *index == last) && **bytes <= largest)
            .map(|(index, bytes)| {
                let mut buffer = super::buffer(*bytes as usize, HugePages::Advise)?;
                link_cycle(buffer.as_usize_mut(), 1 + index as u64);
                Ok(buffer)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A point that is being measured.
pub(crate) struct Point {
    working_set_bytes: u64,
    log: Log,
}

impl Point {
    pub fn finish(&self) -> Latency {
        Latency { working_set_bytes: self.working_set_bytes, seconds: self.log.figure() }
    }
}

/// Adds the tasks, and the points that they fill. What fits a cache of `last_cache` bytes is fetched before each walk:
/// a walk is shorter than the cycle, and other cells emptied the cache in between.
pub(crate) fn add<'a>(
    arena: &'a Arena,
    last_cache: u64,
    beside: &dyn Fn(u64) -> Beside,
    tasks: &mut Vec<Task<'a>>,
) -> Vec<Point> {
    arena
        .0
        .iter()
        .map(|buffer| {
            let log = Log::default();
            // Every walk goes on where the last one ended: from one start it would find its lines in the cache.
            let (position, rounds) = (Cell::new(0), Cell::new(0));
            let walk = move |steps: usize| {
                if buffer.bytes() as u64 <= last_cache {
                    let words = buffer.as_usize().iter().step_by(LINE_BYTES / size_of::<usize>());
                    std::hint::black_box(words.fold(0, |sum, word| sum ^ word));
                }
                let start = Instant::now();
                position.set(walk_cycle(buffer.as_usize(), position.get(), steps));
                start.elapsed().as_secs_f64()
            };
            let bytes = buffer.bytes() as u64;
            tasks.push(Task {
                name: format!("latency {} KiB", bytes >> 10),
                beside: beside(bytes),
                log: log.clone(),
                settling: 1,
                take: Box::new(move || {
                    if rounds.get() == 0 {
                        walk(STEPS);
                        rounds.set(repeats(walk(STEPS)));
                    }
                    let steps = STEPS * rounds.get();
                    walk(steps) / steps as f64
                }),
            });
            Point { working_set_bytes: bytes, log }
        })
        .collect()
}
