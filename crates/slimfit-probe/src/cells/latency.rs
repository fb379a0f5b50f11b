//! Load-to-use latency: a walk over a random cycle through a working set, one step a cache line.

use crate::ProbeError;
use crate::sampler::{Sampler, time};
use slimfit_hardware::{Latency, Topology};
use slimfit_kernels::limits::{Buffer, HugePages, link_cycle, walk_cycle};
use std::cell::Cell;

/// One working set well inside each cache, and one well outside the last.
///
/// # Errors
/// The system refuses memory, or the clock stands still.
pub(crate) fn measure(topology: &Topology, sampler: &Sampler, seed: u64) -> Result<Vec<Latency>, ProbeError> {
    let mut sets: Vec<u64> = topology.caches.iter().map(|cache| cache.bytes / 2).collect();
    sets.push(topology.last_cache_bytes().map_or(64 << 20, |last| (4 * last).min(128 << 20)));
    sets.sort_unstable();
    sets.dedup();
    let mut points = Vec::new();
    for working_set in sets {
        let bytes = working_set as usize;
        let mut buffer =
            Buffer::new(bytes, HugePages::Advise).map_err(|source| ProbeError::Memory { bytes, source })?;
        link_cycle(buffer.as_usize_mut(), seed);
        let place = Cell::new(0);
        let seconds = sampler.seconds("pointer chase", |repetitions| {
            let steps = repetitions as usize * 1000;
            time(|| place.set(walk_cycle(buffer.as_usize(), place.get(), steps)))
        })?;
        points.push(Latency {
            working_set_bytes: working_set,
            seconds: crate::figure(seconds.map(|seconds| seconds / 1000.0)),
        });
    }
    Ok(points)
}
