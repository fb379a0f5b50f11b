//! The profiles that are compiled in: sound, cited, and honest about what they do not hold.

use slimfit_hardware::{BandwidthKind, HardwareProfile, ProfileKind};
use slimfit_quantity::{Figure, Source};
use std::collections::{HashMap, HashSet};
use std::path::Path;

fn all() -> Vec<(&'static str, HardwareProfile)> {
    HardwareProfile::builtin_names()
        .map(|name| (name, HardwareProfile::builtin(name).expect("a listed name").expect("a sound profile")))
        .collect()
}

#[test]
fn there_are_many_each_file_is_compiled_in_and_names_are_sorted() {
    let names: Vec<&str> = HardwareProfile::builtin_names().collect();
    assert!(names.len() >= 15, "{}", names.len());
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hardware-profiles");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    files.sort();
    assert_eq!(files, names);
    assert!(HardwareProfile::builtin("raspberry-pi-6").is_none());
}

#[test]
fn nothing_in_them_was_measured_and_everything_published_is_cited() {
    for (name, profile) in all() {
        assert_eq!(profile.provenance.kind, ProfileKind::Published, "{name}");
        assert!(profile.theoretical_bandwidth().is_some(), "{name}");
        assert!(profile.bandwidth.iter().all(|point| point.kind == BandwidthKind::Theoretical), "{name}");
        assert!(profile.kernels.is_empty() && profile.latency.is_empty(), "{name}");
        let power = &profile.power;
        let mut figures: Vec<&Figure> = vec![
            &power.idle_watts,
            &power.joules_per_byte,
            &power.joules_per_op,
            &profile.overhead.dispatch,
            &profile.noise.drift,
            &profile.noise.steal_fraction,
        ];
        figures.extend(profile.bandwidth.iter().map(|point| &point.bytes_per_s));
        figures.extend(power.loaded.iter().map(|load| &load.watts));
        for figure in figures {
            assert!(matches!(figure.source, Source::Published | Source::Unavailable), "{name}: {figure:?}");
        }
        let cited: HashSet<&str> =
            profile.topology.sources.iter().map(|source| source.field.as_str()).collect();
        assert!(
            ["cores", "clusters", "caches", "memory_limit_bytes"].iter().all(|field| cited.contains(field))
        );
        let processors: usize =
            profile.topology.clusters.iter().map(|cluster| cluster.processors.len()).sum();
        assert_eq!(processors as u32, profile.topology.cores, "{name}");
    }
}

#[test]
fn no_two_are_taken_for_each_other() {
    let mut known = HashMap::new();
    for (name, profile) in all() {
        // Two boards may carry the same processor; with their names, studies tell them apart.
        let other = known.insert((profile.fingerprint.id(), profile.name), name);
        assert_eq!(other, None, "{name}");
    }
}

#[test]
fn a_published_profile_may_not_claim_a_measurement() {
    let (_, mut profile) = all().remove(0);
    profile.bandwidth[0].kind = BandwidthKind::Read;
    profile.bandwidth[0].bytes_per_s =
        Figure { source: Source::Measured, citation: None, ..profile.bandwidth[0].bytes_per_s.clone() };
    let faults = profile.faults();
    assert!(faults.iter().any(|fault| fault.field == "bandwidth[0].bytes_per_s.source"), "{faults:?}");
}
