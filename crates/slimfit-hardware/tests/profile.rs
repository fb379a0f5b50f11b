//! Profiles as files: round trip, rules with their places, the folder of local ones.

use slimfit_document::Document;
use slimfit_hardware::{GivenWatts, HardwareError, HardwareProfile, PeakType, find_local, save_local};
use slimfit_quantity::{NumberFormat, Source};

const EXAMPLE: &str = include_str!("example.yaml");

fn example() -> HardwareProfile {
    HardwareProfile::from_document(&Document::from_str(EXAMPLE, "example.yaml").expect("right syntax"))
        .expect("a sound profile")
}

/// The first error after one replacement in the example.
#[track_caller]
fn broken(from: &str, to: &str) -> slimfit_document::DocumentError {
    assert!(EXAMPLE.contains(from), "the example holds `{from}`");
    let text = EXAMPLE.replacen(from, to, 1);
    let document = Document::from_str(&text, "example.yaml").expect("right syntax");
    match HardwareProfile::from_document(&document) {
        Err(HardwareError::Document(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_profile_survives_writing_and_reading() {
    let profile = example();
    let text = profile.to_yaml().unwrap();
    let again = HardwareProfile::from_document(&Document::from_str(&text, "again.yaml").unwrap()).unwrap();
    assert_eq!(again, profile);
    assert_eq!(again.sha256(), profile.sha256());
    assert_eq!(profile.fingerprint.id().len(), 12);
}

#[test]
fn look_ups() {
    let profile = example();
    assert_eq!(profile.thread_counts(), [1, 2]);
    assert_eq!(profile.read_bandwidth(1, 16 << 10), Some(120e9));
    assert_eq!(
        profile.read_bandwidth(1, 1 << 40),
        Some(24e9),
        "the best of 1 and 4 streams, the last point held"
    );
    assert_eq!(profile.read_bandwidth(3, 1 << 20), None);
    assert!(profile.bandwidth_bins(3).is_empty());
    assert!(profile.bandwidth_bins(1).len() > 10);
    assert_eq!(profile.peak_ops(PeakType::F32, 1), Some(110e9), "the fastest sequence");
    assert_eq!(profile.peak_ops(PeakType::Int8, 1), None, "unavailable stays unavailable");
    let times = profile.kernel_times("matmul", NumberFormat::Q8_0, 1);
    assert_eq!(times.iter().map(|time| time.batch).collect::<Vec<_>>(), [1, 32]);
    assert_eq!(profile.barrier_seconds(1), Some(0.0));
    assert_eq!(profile.barrier_seconds(2), Some(4e-7));
    assert_eq!(profile.topology.last_cache_bytes(), Some(33_554_432));
    assert_eq!(profile.power.idle_watts.value, None);
}

#[test]
fn each_rule_names_the_place() {
    let error = broken("value: 120000000000.0", "value: -1.0");
    assert_eq!(error.field.as_deref(), Some("bandwidth[0].bytes_per_s.value"), "{error}");
    assert_eq!(error.code, "invalid-profile");
    let line = EXAMPLE.lines().position(|line| line.contains("value: 120000000000.0")).unwrap() as u64 + 1;
    assert_eq!(error.line, Some(line));
    for (from, to, field) in [
        ("device_class: server", "device_class: fridge", "device_class"),
        ("threads: 2\n  caches", "threads: 1\n  caches", "topology.threads"),
        ("level: 2", "level: 1", "topology.caches[1].level"),
        ("page_bytes: 4096", "page_bytes: 5000", "topology.page_bytes"),
        ("working_set_bytes: 1048576", "working_set_bytes: 16384", "bandwidth[1].working_set_bytes"),
        ("pattern: sequential", "pattern: random", "bandwidth[0].pattern"),
        ("low: 119000000000.0", "low: 121000000000.0", "bandwidth[0].bytes_per_s.low"),
        ("reason: no vnni", "reason: ''", "peak[2].ops_per_s.reason"),
        ("operation: matmul", "operation: matmull", "kernels[0].operation"),
        ("batch: 32", "batch: 0", "kernels[1].batch"),
        ("created: 2026-01-31T12:00:00Z", "created: yesterday", "provenance.created"),
        ("kind: read", "kind: theoretical", "bandwidth[0].bytes_per_s.source"),
    ] {
        let error = broken(from, to);
        assert_eq!(error.field.as_deref(), Some(field), "{error}");
        assert!(error.line.is_some() && error.found.is_some() && error.allowed.is_some(), "{error}");
    }
    let error = broken("device_class:", "device_clas:");
    assert_eq!(error.hint.as_deref(), Some("did you mean `device_class`?"));
}

#[test]
fn an_unsound_profile_is_not_written() {
    let mut profile = example();
    profile.bandwidth.clear();
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(profile.save(folder.path().join("a.yaml")), Err(HardwareError::Invalid(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_newest_profile_of_this_machine_is_found() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(find_local(folder.path().join("none"), &example().fingerprint).newest, None);
    let mut profile = example();
    save_local(folder.path(), &profile).unwrap();
    profile.provenance.created = "2026-02-01T00:00:00Z".into();
    let newest = save_local(folder.path(), &profile).unwrap();
    profile.provenance.created = "2026-03-01T00:00:00Z".into();
    profile.fingerprint.isa.pop();
    save_local(folder.path(), &profile).unwrap();
    std::fs::write(folder.path().join("broken.yaml"), "schema: [").unwrap();
    let found = find_local(folder.path(), &example().fingerprint);
    let stored = found.newest.unwrap();
    assert_eq!(stored.path, newest);
    assert_eq!(found.others, 1, "another ISA cap is another profile");
    assert_eq!(found.skipped.len(), 1);
    let error = profile.require_machine(&stored.profile.fingerprint).unwrap_err();
    assert!(error.to_string().contains("isa: "), "{error}");
    assert!(stored.profile.require_machine(&example().fingerprint).is_ok());
}

#[test]
fn given_watts_are_modelled_and_say_where_they_come_from() {
    let mut profile = example();
    let watts: GivenWatts = "2.5, 6.5W".parse().unwrap();
    profile.give_watts(watts);
    assert_eq!(profile.faults(), []);
    let power = &profile.power;
    assert_eq!((power.meter.as_ref(), power.idle_watts.value), (None, Some(2.5)));
    let loads: Vec<_> = power.loaded.iter().map(|load| (load.class.as_str(), load.threads)).collect();
    assert_eq!(loads, [("read", 1), ("compute", 1), ("read", 2), ("compute", 2)]);
    for figure in
        power.loaded.iter().map(|load| &load.watts).chain([&power.idle_watts, &power.joules_per_byte])
    {
        assert_eq!(figure.source, Source::Modelled);
        assert!(figure.citation.as_ref().is_some_and(|origin| origin.contains("2.5 W idle, 6.5 W loaded")));
    }
    let rate = profile.read_curve(2).unwrap().points().last().unwrap().1;
    assert_eq!(power.joules_per_byte.value, Some(4.0 / rate));
    let again = Document::from_str(&profile.to_yaml().unwrap(), "again.yaml").unwrap();
    assert_eq!(HardwareProfile::from_document(&again).unwrap(), profile);
    profile.bandwidth.clear();
    profile.give_watts(watts);
    assert_eq!(profile.power.loaded.len(), 2, "of all threads, where no bandwidth is known");
    assert!(profile.power.joules_per_byte.reason.is_some());
}

#[test]
fn watts_that_cannot_be_are_refused() {
    for wrong in ["", "3", "3,", "6,3", "3,3", "0,5", "-1,5", "NaN,5", "3,inf", "3;5"] {
        let error = wrong.parse::<GivenWatts>().unwrap_err();
        assert!(error.to_string().contains("2.7,6.5"), "{wrong}");
    }
}

#[test]
fn a_difference_is_told_from_noise_by_the_quartiles() {
    let before = example();
    let mut after = example();
    assert!(before.differences(&after).iter().all(|row| row.ratio() == 1.0 && !row.beyond_noise));
    let figure = &mut after.overhead.barrier[0].seconds;
    *figure =
        slimfit_quantity::Figure { value: Some(8e-7), low: Some(7e-7), high: Some(9e-7), ..figure.clone() };
    // Within the quartiles of the first, 39 to 41 GB/s.
    let figure = &mut after.bandwidth.last_mut().unwrap().bytes_per_s;
    *figure = slimfit_quantity::Figure { value: Some(40.5e9), ..figure.clone() };
    let differences = before.differences(&after);
    let moved: Vec<_> = differences.iter().filter(|row| row.beyond_noise).collect();
    assert_eq!(moved.len(), 1, "{moved:?}");
    assert_eq!((moved[0].part, moved[0].what.as_str()), ("overhead", "barrier of 2 threads"));
    assert!((moved[0].ratio() - 2.0).abs() < 1e-12);
    assert!(differences.iter().all(|row| row.part != "power"), "what neither holds is no difference");
}
