//! A whole measurement with the smallest budget: what it fills, not how long anything takes.

use slimfit_hardware::{BandwidthKind, HardwareProfile, KernelTime, PeakType};
use slimfit_kernels::Isa;
use slimfit_probe::{ProbeError, ProbeOptions, allowed_processors, fingerprint, probe};
use slimfit_quantity::{NumberFormat, Source};

/// A profile, and every step that was told on the way.
fn measured(options: &ProbeOptions) -> (HardwareProfile, Vec<(String, f64)>) {
    let mut steps = Vec::new();
    let profile = probe(options, &mut |what, share| {
        steps.push((what.to_owned(), share));
        true
    });
    (profile.expect("nobody stops it"), steps)
}

#[test]
fn a_profile_is_sound_complete_and_says_where_everything_comes_from() {
    let isa = Isa::best();
    // A machine that is busy with other things gets through less in the same time.
    let mut budgets = [2.0, 8.0, 32.0].into_iter();
    let (profile, steps) = loop {
        let budget_seconds = budgets.next().expect("half a minute is enough for everything");
        let (found, steps) = measured(&ProbeOptions { budget_seconds, ..ProbeOptions::new(isa) });
        let ended = |time: &KernelTime| {
            time.seconds.reason.as_deref().is_some_and(|reason| reason.starts_with("the budget ended"))
        };
        if !found.kernels.iter().any(ended) {
            break (found, steps);
        }
    };
    assert_eq!(profile.faults(), []);
    assert_eq!(profile.fingerprint, fingerprint(isa).unwrap());
    assert!(
        steps.iter().map(|(_, share)| *share).is_sorted()
            && steps.last().is_some_and(|(_, share)| *share == 1.0)
    );

    let counts = profile.thread_counts();
    assert_eq!(counts[0], 1);
    for &threads in &counts {
        let curve = profile.read_curve(threads).unwrap();
        let last_cache = profile.topology.last_cache_bytes().unwrap_or(0);
        let short = profile.warnings.iter().any(|warning| warning.code == "memory-short");
        let largest = curve.points().last().unwrap().0;
        assert!(
            short || largest >= 3.9 * last_cache as f64,
            "{largest} bytes against a cache of {last_cache}"
        );
        for kind in [BandwidthKind::Copy, BandwidthKind::Triad] {
            assert!(profile.curve(kind, "sequential", threads).is_some(), "{kind:?} with {threads} threads");
        }
        for number in [PeakType::F32, PeakType::F64, PeakType::Int8] {
            let peak = profile.peak(number, threads).unwrap();
            assert!(peak.clock_hz.value.is_some(), "{number:?} with {threads} threads");
        }
        for format in NumberFormat::SEARCHABLE_WEIGHTS {
            for operation in ["matmul", "embed"] {
                let times = profile.kernel_times(operation, format, threads);
                assert!(
                    times.iter().any(|time| time.batch == 1),
                    "{operation} {format} with {threads} threads"
                );
            }
        }
        for format in NumberFormat::SEARCHABLE_KV {
            for operation in ["attend", "rotate_store"] {
                let times = profile.kernel_times(operation, format, threads);
                assert!(times.iter().all(|time| time.head_size.is_some() && time.kv_heads.is_some()));
                assert!(!times.is_empty(), "{operation} {format} with {threads} threads");
            }
        }
        for operation in ["norm", "activate", "add"] {
            assert!(!profile.kernel_times(operation, NumberFormat::F32, threads).is_empty(), "{operation}");
        }
        assert!(profile.barrier_seconds(threads).is_some());
    }
    assert!(profile.dispatch_seconds().is_some());
    // On a machine whose threads are moved, what was met in one placement only is scaled to the other.
    let moved = profile.warnings.iter().any(|warning| warning.code == "threads-moved");
    for time in &profile.kernels {
        let scaled = moved && time.threads > 1 && time.seconds.source == Source::Modelled;
        assert!(scaled || time.seconds.source == Source::Measured, "{time:?}");
    }
    assert!(profile.topology.sources.iter().any(|source| source.field == "peak.clock_hz"));
    assert!(profile.power.idle_watts.value.is_some() || profile.power.idle_watts.reason.is_some());

    let text = profile.to_yaml().unwrap();
    for variable in ["USER", "HOME", "HOSTNAME"] {
        if let Ok(value) = std::env::var(variable)
            && value.len() > 4
        {
            assert!(!text.contains(&value), "the profile holds {variable}");
        }
    }
    assert!(!allowed_processors().is_empty());
}

#[test]
fn a_cap_on_the_instruction_set_is_kept() {
    let profile =
        probe(&ProbeOptions { budget_seconds: 2.0, ..ProbeOptions::new(Isa::Portable) }, &mut |_, _| true)
            .unwrap();
    assert_eq!(profile.fingerprint.isa, ["scalar", "portable"]);
    assert!(profile.peak.iter().all(|peak| peak.isa == "portable"));
    assert!(profile.kernels.iter().all(|time| !time.variant.contains("avx")), "{:?}", profile.kernels);
    assert_eq!(profile.faults(), []);
}

#[test]
fn the_caller_can_stop_at_any_step() {
    for stop in [0, 1, 3, 10, 150] {
        let mut seen = 0;
        let result =
            probe(&ProbeOptions { budget_seconds: 2.0, ..ProbeOptions::new(Isa::Portable) }, &mut |_, _| {
                seen += 1;
                seen <= stop
            });
        assert!(matches!(result, Err(ProbeError::Stopped)), "after {stop} steps");
    }
}
