//! The measurement as a whole: set-up, schedule, profile.

use crate::cells::bandwidth::Breadth;
use crate::cells::{
    self, Detail, Pools, bandwidth, hand_over, kernels, latency, overhead, peak, streaming, tails,
};
use crate::clock::CycleCheck;
use crate::noise::{ProcessorTime, steal_figure};
use crate::placed;
use crate::placements::barrier_seconds;
use crate::power::{self, PowerMeasurement};
use crate::schedule::{self, Beside, Progress, Sentinels};
use crate::{PowerSource, ProbeError, SystemDescription, SystemTree, allowed_processors, clock, time};
use slimfit_hardware::{
    HardwareProfile, Noise, OtherPlacement, PROFILE_SCHEMA, ProfileKind, ProfileProvenance, TopologySource,
};
use slimfit_kernels::limits::HugePages;
use slimfit_kernels::{Isa, Tuning};
use slimfit_quantity::Warning;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

/// Seconds that a profile takes unless told otherwise.
pub const DEFAULT_BUDGET_SECONDS: f64 = 20.0;
/// Below this many seconds for each thread count, fewer shapes are sampled.
const FULL_SECONDS_PER_THREAD_COUNT: f64 = 7.5;
/// From so many seconds for each thread count, more streams, patterns and kinds of page are read where they matter most.
const CHOSEN_SECONDS_PER_THREAD_COUNT: f64 = 15.0;
/// From so many, at every size.
const EVERY_SECONDS_PER_THREAD_COUNT: f64 = 60.0;
/// The largest buffer of a thread count; larger last caches are measured as far as this reaches.
const LARGEST_BUFFER_BYTES: u64 = 2 << 30;
/// Share of the budget for kernels that stream.
const STREAMING_SHARE: f64 = 0.33;
/// Share of the budget for the scatter of steps.
const TAILS_SHARE: f64 = 0.045;
/// What `progress` is told of them.
const STEPS: &str = "scatter of steps";
/// Bytes that one far sentinel reads: past the caches, since the rest of the buffer was read since its last visit.
const FAR_SENTINEL_BYTES: usize = 2 << 20;

/// What to measure with.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeOptions {
    /// Seconds that the whole may take, 2 to 3600.
    pub budget_seconds: f64,
    /// The richest instruction set to use.
    pub isa: Isa,
    /// The kernels found fastest before; their times are taken.
    pub tuning: Tuning,
    /// Where power comes from.
    pub power: PowerSource,
    /// The thread counts to measure; none: those that suit the machine.
    pub thread_counts: Option<Vec<u32>>,
}

impl ProbeOptions {
    /// The usual budget, default kernels, and the system's own meter.
    pub fn new(isa: Isa) -> Self {
        let (tuning, power) = (Tuning::default(), PowerSource::System);
        Self { budget_seconds: DEFAULT_BUDGET_SECONDS, isa, tuning, power, thread_counts: None }
    }
}

/// Thread counts that are measured: each up to four, else one, all cores and all hardware threads.
fn thread_counts(cores: u32, usable: u32) -> Vec<u32> {
    if usable <= 4 {
        return (1..=usable.max(1)).collect();
    }
    let mut counts = vec![1, cores.min(usable), usable];
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// Measures this device within the budget. `progress` is told the step and the share done, and answers whether to go
/// on.
///
/// # Errors
/// A budget out of range, an instruction set that this machine lacks, refused memory or threads, or a `progress` that
/// answers no. What merely cannot be measured is unavailable in the profile, with the reason.
pub fn probe(options: &ProbeOptions, progress: &mut Progress<'_>) -> Result<HardwareProfile, ProbeError> {
    let budget = options.budget_seconds;
    if !(2.0..=3600.0).contains(&budget) {
        return Err(ProbeError::Budget { found: budget });
    }
    let start = Instant::now();
    let deadline = start + Duration::from_secs_f64(budget * 0.97);
    step(progress, "topology", 0.0)?;
    let tree = SystemTree::live();
    let steal_before = ProcessorTime::read(&tree);
    let mut system = SystemDescription::read(&tree, &allowed_processors())?;
    let usual = || thread_counts(system.topology.cores, system.usable_threads);
    let counts = options.thread_counts.clone().unwrap_or_else(usual);
    let detail = if budget / counts.len() as f64 >= FULL_SECONDS_PER_THREAD_COUNT {
        Detail::Full
    } else {
        Detail::Short
    };
    let kernels = kernels::tuned(options.isa, &options.tuning, detail, &counts)?;
    let largest = largest_buffer(&tree, &mut system);

    step(progress, "touching memory", 0.01)?;
    let sets = bandwidth::working_sets(&system.topology.caches, largest);
    let written_bytes = sets.last().copied().unwrap_or(largest) as usize;
    let reads = bandwidth::read_sets(&system.topology.caches, largest);
    let bytes = reads.last().copied().unwrap_or(largest) as usize;
    let arena = bandwidth::Arena {
        read: cells::buffer(bytes, HugePages::Advise)?,
        small_pages: match detail {
            Detail::Full => Some(cells::buffer(bytes, HugePages::Never)?),
            Detail::Short => None,
        },
        written: RefCell::new(cells::buffer(written_bytes, HugePages::Advise)?),
    };
    step(progress, "linking a random walk", 0.02)?;
    let walks = latency::Arena::new(&sets, written_bytes as u64)?;

    let pools = Pools::new(&counts)?;
    let sentinels = sentinels(&arena, &pools, options.isa)?;
    let last_cache = system.topology.last_cache_bytes().unwrap_or(0);
    let beside = |pool: usize, working_set: u64| Beside { pool, far: working_set > last_cache / 2 };
    let caches = &system.topology.caches;
    let workspace = RefCell::new(kernels::Workspace::new()?);
    let sequences = hand_over::Arena::new(
        &kernels,
        &system.topology.caches,
        counts.last().map_or(1, |count| *count as usize),
    )?;
    let mut tasks = Vec::new();
    let breadth = match (detail, budget / counts.len() as f64) {
        (Detail::Short, _) => Breadth::Least,
        (Detail::Full, seconds) if seconds >= EVERY_SECONDS_PER_THREAD_COUNT => Breadth::Every,
        (Detail::Full, seconds) if seconds >= CHOSEN_SECONDS_PER_THREAD_COUNT => Breadth::Chosen,
        (Detail::Full, _) => Breadth::Usual,
    };
    let bandwidth = bandwidth::add(&arena, &pools, caches, (options.isa, breadth), &beside, &mut tasks)?;
    let latency = latency::add(&walks, last_cache, &|bytes| beside(0, bytes), &mut tasks);
    let cycles = clock::check();
    let peak = peak::add(&pools, options.isa, cycles.is_trusted(), &mut tasks);
    let dispatch = overhead::add(&pools, &kernels, &workspace, &mut tasks)?;
    step(progress, "preparing kernels", 0.03)?;
    let longest = budget / 250.0;
    let mut go_on = || progress("preparing kernels", 0.04);
    let kernel_times = kernels::add(&pools, &kernels, &workspace, detail, longest, &mut tasks, &mut go_on)?;

    let hand_over = hand_over::add(&sequences, &pools, &kernels, &mut tasks);
    let streams =
        streaming::Plan::new(detail, caches, bytes as u64, &counts, (options.isa, &options.tuning))?;

    let mut steps = tails::Arena::new(&kernels, caches, bytes as u64, &counts)?;
    let bout = Duration::from_secs_f64(budget * TAILS_SHARE / f64::from(tails::BOUTS));
    step(progress, STEPS, 0.05)?;
    steps.bout(&pools, &kernels, bout);

    let meter = options.power.open(&tree);
    let found = Instant::now();
    let streaming_end = match &meter {
        Ok(meter) => 1.0 - power::share_of_budget(meter.as_ref(), counts.len(), budget),
        Err(_) => 1.0,
    };
    let measuring_end = streaming_end - STREAMING_SHARE;
    let setup = start.elapsed();
    // A bout of steps before and one after what streams are taken from what comes before each.
    let until = |share| {
        let end = start + setup + deadline.saturating_duration_since(start + setup).mul_f64(share);
        end.checked_sub(bout).unwrap_or(end)
    };
    let tasks_deadline = until(measuring_end);
    let mut quality =
        schedule::measure(&mut tasks, &sentinels, tasks_deadline, (0.06, measuring_end), progress)?;
    drop(tasks);
    step(progress, STEPS, measuring_end)?;
    steps.bout(&pools, &kernels, bout);
    let streaming_deadline = until(streaming_end);
    let span = (measuring_end, streaming_end);
    let streaming =
        streams.measure(&pools, &arena.read, (streaming_deadline, &mut quality.looks), span, progress)?;
    step(progress, STEPS, streaming_end)?;
    steps.bout(&pools, &kernels, bout);
    let power = match meter {
        Ok(mut meter) => {
            let loads = power::Loads::new(&arena.read, &pools, options.isa)?;
            power::measure(meter.as_mut(), found, &loads, deadline, (streaming_end, 1.0), progress)?
        }
        Err(reason) => PowerMeasurement::unavailable(&reason),
    };
    drop(sentinels);

    note_cycles(&mut system, &cycles);
    let pinned = pools.iter().all(slimfit_kernels::pool::Pool::pinned);
    let steal_fraction = steal_figure(steal_before, ProcessorTime::read(&tree));
    let noise = Noise {
        virtual_machine: system.topology.hypervisor.is_some(),
        steal_fraction,
        drift: quality.drift,
        flagged: quality.flagged,
        repeated: quality.repeated,
        tails: steps.finish(),
    };
    let mut warnings = std::mem::take(&mut system.warnings);
    let unseen = streams.cells(&counts) - streaming.len();
    if unseen > 0 {
        warnings.push(Warning::new(
            "streaming-unseen",
            format!(
                "the budget left no time for {unseen} of {} kernels that stream: where one lacks a working set, its predictions add \
                 what a plain read takes longer there, and where it has none they take the rate of a plain read; a longer \
                 `--budget` measures them",
                streams.cells(&counts)
            ),
        ));
    }
    warnings.extend(warn(&noise, pinned, arena.read.advised()));
    step(progress, "done", 1.0)?;
    let mut profile = HardwareProfile {
        schema: PROFILE_SCHEMA.to_owned(),
        name: system.identity.name.clone(),
        device_class: system.identity.device_class.clone(),
        fingerprint: system.fingerprint(options.isa),
        topology: system.topology,
        bandwidth: Vec::new(),
        latency: latency.iter().map(latency::Point::finish).collect(),
        peak: Vec::new(),
        kernels: Vec::new(),
        streaming: Vec::new(),
        overhead: dispatch.finish(&quality.looks),
        power: power.finish(),
        noise,
        other_placements: Vec::new(),
        calibration: None,
        provenance: ProfileProvenance {
            tool: format!("slimfit {}", env!("CARGO_PKG_VERSION")),
            created: time::utc(SystemTime::now()),
            seconds: start.elapsed().as_secs_f64(),
            budget_seconds: budget,
            kind: ProfileKind::Measured,
        },
        warnings,
    };
    let points = placed::Points { bandwidth, peak, kernels: kernel_times, streaming, hand_over };
    points.finish(&quality.looks, &mut profile);
    if let PowerSource::Given(watts) = options.power {
        profile.give_watts(watts);
    }
    Ok(profile)
}

/// Measures the placement that `threads` threads are in now, for `profile`, which does not know it. Nothing where the
/// threads were moved back meanwhile.
///
/// # Errors
/// As [`probe`].
pub fn probe_placement(
    options: &ProbeOptions,
    threads: u32,
    profile: &HardwareProfile,
    progress: &mut Progress<'_>,
) -> Result<Option<OtherPlacement>, ProbeError> {
    let options = ProbeOptions { thread_counts: Some(vec![threads]), ..options.clone() };
    Ok(OtherPlacement::new_to(profile, threads, probe(&options, progress)?))
}

/// Thread counts that a profile of this machine measures.
///
/// # Errors
/// The machine's description cannot be read.
pub fn measured_threads() -> Result<Vec<u32>, ProbeError> {
    let system = SystemDescription::read(&SystemTree::live(), &allowed_processors())?;
    Ok(thread_counts(system.topology.cores, system.usable_threads))
}

fn step(progress: &mut Progress<'_>, name: &str, share: f64) -> Result<(), ProbeError> {
    if progress(name, share) { Ok(()) } else { Err(ProbeError::Stopped) }
}

/// The largest buffer that leaves the machine room to breathe: four of them are alive at once.
fn largest_buffer(tree: &SystemTree, system: &mut SystemDescription) -> u64 {
    let limit = system.topology.memory_limit_bytes;
    let free = crate::topology::available_bytes(tree).unwrap_or(limit).min(limit);
    let largest = (free / 10).clamp(1 << 20, LARGEST_BUFFER_BYTES) & !0xfff;
    let wanted = system.topology.last_cache_bytes().unwrap_or(0).saturating_mul(4);
    if wanted > largest {
        system.warnings.push(Warning::new(
            "memory-short",
            format!(
                "working sets end at {} MiB, short of four times the last cache, since more memory was not free: \
                 the rate of main memory is a mixture with the cache's; free memory and measure again",
                largest >> 20
            ),
        ));
    }
    largest
}

/// For each pool a near sentinel (the peak of f32: the clock and the core's share), a far one (a stretch of memory that is
/// in no cache), and a barrier.
fn sentinels<'a>(
    arena: &'a bandwidth::Arena,
    pools: &'a Pools,
    isa: Isa,
) -> Result<Sentinels<'a>, ProbeError> {
    let peak = peak::richest("f32", isa).ok_or(ProbeError::NoLoop { what: "f32", isa: isa.name() })?;
    let read = bandwidth::read_loop(4, isa)?;
    let (near, far, barriers, threads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut sentinels = Sentinels { near, far, barriers, threads };
    for pool in pools.iter() {
        let blocks = (peak::calibrate(pool, peak) / 2).max(1);
        sentinels.near.push(Box::new(move || middle_of_three(|| peak::ops_per_s(pool, peak, blocks))));
        let position = Cell::new(0);
        let stretch = move || {
            let words = arena.read.as_f64();
            let chunk = (FAR_SENTINEL_BYTES / 8).min(words.len());
            let share = chunk / pool.threads();
            let first = if position.get() + chunk > words.len() { 0 } else { position.get() };
            position.set(first + chunk);
            let start = Instant::now();
            pool.run(|worker| {
                std::hint::black_box(read.run(&words[first + worker.index * share..][..share], 1));
            });
            (share * pool.threads() * 8) as f64 / start.elapsed().as_secs_f64()
        };
        sentinels.far.push(Box::new(move || middle_of_three(&stretch)));
        let together = pool.threads() > 1;
        sentinels.barriers.push(if together { Some(Box::new(move || barrier_seconds(pool))) } else { None });
        sentinels.threads.push(pool.threads() as u32);
    }
    Ok(sentinels)
}

/// One interrupt, or one wait for a thread that slept, is no drift.
fn middle_of_three(rate: impl Fn() -> f64) -> f64 {
    let mut rates = [(); 3].map(|()| rate());
    rates.sort_by(f64::total_cmp);
    rates[1]
}

/// Says where the effective clock comes from.
fn note_cycles(system: &mut SystemDescription, cycles: &CycleCheck) {
    let chain = "a chain of dependent additions right after the load, of one cycle each";
    let from = match cycles {
        CycleCheck::CyclesPerAddition(ratio) if cycles.is_trusted() => {
            format!(
                "cycles that the processor counted during the load; one of {chain}, took {ratio:.3} of them"
            )
        }
        CycleCheck::CyclesPerAddition(ratio) => {
            system.warnings.push(Warning::new(
                "clock-unsure",
                format!(
                    "the cycle counter saw {ratio:.2} cycles for each dependent addition, where 1 is expected: \
                     read `clock_hz` as additions per second"
                ),
            ));
            format!("{chain}; the cycle counter saw {ratio:.3} cycles for each")
        }
        CycleCheck::Unavailable(reason) => format!("{chain}; not cross-checked: {reason}"),
    };
    system.topology.sources.push(TopologySource { field: "peak.clock_hz".to_owned(), from });
}

fn warn(noise: &Noise, pinned: bool, huge_pages: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if noise.virtual_machine {
        warnings.push(Warning::new(
            "virtual-machine",
            "this is a virtual machine: neighbours share its caches and memory, and its clock and power cannot be seen; \
             trust ratios from one run more than times",
        ));
    }
    if let Some(steal) = noise.steal_fraction.value
        && steal > 0.01
    {
        warnings.push(Warning::new(
            "time-stolen",
            format!(
                "{:.1} % of processor time went to other machines on this host; measure again at a quieter time",
                steal * 100.0
            ),
        ));
    }
    if let Some(spread) = noise.drift.value {
        warnings.extend(slimfit_quantity::Drift { spread }.warning());
    }
    if !pinned {
        warnings.push(Warning::new(
            "threads-not-pinned",
            "the system refused to pin threads to processors: they wander, and rates scatter more",
        ));
    }
    if !huge_pages {
        warnings.push(Warning::new(
            "no-huge-pages",
            "the system gives no huge pages: large working sets pay for address translation; \
             `echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled` allows them",
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_counts_of_small_and_large_machines() {
        assert_eq!(thread_counts(2, 2), [1, 2]);
        assert_eq!(thread_counts(2, 4), [1, 2, 3, 4]);
        assert_eq!(thread_counts(16, 32), [1, 16, 32]);
        assert_eq!(thread_counts(16, 16), [1, 16]);
        assert_eq!(thread_counts(16, 6), [1, 6]);
        assert_eq!(thread_counts(1, 1), [1]);
    }

    #[test]
    fn an_impossible_budget_is_refused() {
        for found in [0.0, -1.0, f64::NAN, 1e9] {
            let options = ProbeOptions { budget_seconds: found, ..ProbeOptions::new(Isa::Portable) };
            assert!(matches!(probe(&options, &mut |_, _| true), Err(ProbeError::Budget { .. })));
        }
    }
}
