//! The measurement as a whole: what is measured in which order within a budget.

use crate::cells::{bandwidth, kernels, latency, overhead, peaks};
use crate::noise::Watch;
use crate::power;
use crate::sampler::Sampler;
use crate::{ProbeError, SystemDescription, SystemTree, allowed_processors};
use slimfit_hardware::{HardwareProfile, Overhead, PROFILE_SCHEMA, ProfileKind, ProfileProvenance};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Kernels};
use slimfit_quantity::Warning;
use std::time::{Instant, SystemTime};

/// Seconds that can be kept.
const BUDGETS: std::ops::RangeInclusive<f64> = 2.0..=3600.0;
/// Thread counts are all measured up to this many; past it, one, halves and all.
const EVERY_COUNT_UP_TO: u32 = 4;

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeOptions {
    /// Seconds it may take, about.
    pub budget_seconds: f64,
    /// The cap on the instruction set.
    pub isa: Isa,
}

/// Measures this device. `progress` is told the step and how far the whole is; it returns false to stop.
///
/// # Errors
/// The budget cannot be kept, the system refuses memory or threads, or `progress` wants to stop.
pub fn probe(
    options: &ProbeOptions,
    progress: &mut dyn FnMut(&str, f64) -> bool,
) -> Result<HardwareProfile, ProbeError> {
    if !BUDGETS.contains(&options.budget_seconds) {
        return Err(ProbeError::Budget { found: options.budget_seconds });
    }
    let started = Instant::now();
    let tree = SystemTree::live();
    let system = SystemDescription::read(&tree, &allowed_processors())?;
    let kernels = Kernels::for_isa(options.isa)?;
    let counts = thread_counts(system.usable_threads);
    // The share of each part follows what it takes on two cores; budgets scale the samples.
    let sampler = Sampler::for_budget(options.budget_seconds * 2.0 / counts.len() as f64);

    let all = Pool::new(system.usable_threads as usize)?;
    let mut watch = Watch::new(&all, options.isa, &tree)?;
    watch.look(&all);
    drop(all);
    let (mut reads, mut peak, mut times, mut barrier) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let each = 0.85 / counts.len() as f64;
    for (place, &threads) in counts.iter().enumerate() {
        let base = 0.02 + place as f64 * each;
        let named = |what: &str| format!("{what}, {threads} {}", if threads == 1 { "thread" } else { "threads" });
        let mut at = |what: &str, share: f64| {
            if progress(&named(what), base + each * share) { Ok(()) } else { Err(ProbeError::Stopped) }
        };
        let pool = Pool::new(threads as usize)?;
        reads.extend(bandwidth::measure(&pool, &system.topology, options.isa, &sampler, |done| {
            at("bandwidth", 0.4 * done)
        })?);
        at("peak", 0.4)?;
        peak.extend(peaks::measure(&pool, options.isa, &sampler)?);
        if threads > 1 {
            barrier.push(overhead::barrier(&pool, &sampler)?);
        }
        times.extend(kernels::measure(&pool, &system.topology, &kernels, &sampler, |done| {
            at("kernels", 0.5 + 0.5 * done)
        })?);
        drop(pool);
        let all = Pool::new(system.usable_threads as usize)?;
        for _ in 0..3 {
            watch.look(&all);
        }
    }
    let mut at = |what: &str, share: f64| if progress(what, share) { Ok(()) } else { Err(ProbeError::Stopped) };
    at("latency", 0.9)?;
    let latency = latency::measure(&system.topology, &sampler, 1)?;
    let dispatch = overhead::dispatch(&kernels, &sampler)?;
    at("power", 0.95)?;
    let power = power::measure(&tree, &counts, options)?;
    let (noise, drift) = watch.finish(
        &tree,
        system.identity.hypervisor.is_some(),
        sampler.flagged.get(),
        sampler.repeated.get(),
    );
    let mut warnings = system.warnings.clone();
    warnings.extend(drift.and_then(|drift| drift.warning()));
    warnings.extend(crate::counters::warning());
    if let Some(hypervisor) = &system.identity.hypervisor {
        let message = format!(
            "this is a virtual machine (`{hypervisor}`): caches and memory are shared with neighbours, so figures move; \
             compare ratios from one run rather than times"
        );
        warnings.push(Warning::new("virtual-machine", message));
    }
    at("done", 1.0)?;
    Ok(HardwareProfile {
        schema: PROFILE_SCHEMA.to_owned(),
        name: system.identity.name.clone(),
        device_class: system.identity.device_class.clone(),
        fingerprint: system.fingerprint(options.isa),
        topology: system.topology,
        bandwidth: reads,
        latency,
        peak,
        kernels: times,
        overhead: Overhead { barrier, dispatch },
        power,
        noise,
        provenance: ProfileProvenance {
            tool: format!("slimfit {}", env!("CARGO_PKG_VERSION")),
            created: crate::date::utc(SystemTime::now()),
            seconds: started.elapsed().as_secs_f64(),
            budget_seconds: options.budget_seconds,
            kind: ProfileKind::Measured,
        },
        warnings,
    })
}

/// Bandwidth is not monotone in threads, so few threads are all tried; of many, powers of two and all.
fn thread_counts(threads: u32) -> Vec<u32> {
    let mut counts: Vec<u32> = if threads <= EVERY_COUNT_UP_TO {
        (1..=threads).collect()
    } else {
        std::iter::successors(Some(1), |count| Some(count * 2)).take_while(|count| *count < threads).collect()
    };
    if counts.last() != Some(&threads) {
        counts.push(threads);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_threads_are_all_measured_and_many_by_powers_of_two() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(4), [1, 2, 3, 4]);
        assert_eq!(thread_counts(12), [1, 2, 4, 8, 12]);
    }

    #[test]
    fn a_budget_that_cannot_be_kept_is_refused() {
        let options = ProbeOptions { budget_seconds: 0.1, isa: Isa::Scalar };
        assert!(matches!(probe(&options, &mut |_, _| true), Err(ProbeError::Budget { .. })));
    }

    #[test]
    fn it_stops_when_asked_to() {
        let options = ProbeOptions { budget_seconds: 2.0, isa: Isa::best() };
        assert!(matches!(probe(&options, &mut |_, _| false), Err(ProbeError::Stopped)));
    }
}
