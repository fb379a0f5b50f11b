//! A whole measurement with a power command. Alone in its file: two at once would disturb each other.
#![cfg(unix)]

use slimfit_kernels::Isa;
use slimfit_probe::{PowerSource, ProbeOptions, probe};
use slimfit_quantity::Source;

#[test]
fn a_power_command_fills_watts_of_idle_and_of_each_load() {
    let power = PowerSource::Command("while :; do echo '5 W'; sleep 0.01; done".to_owned());
    let options = ProbeOptions { budget_seconds: 2.0, power, ..ProbeOptions::new(Isa::Portable) };
    let profile = probe(&options, &mut |_, _| true).unwrap();
    assert_eq!(profile.faults(), []);
    let power = &profile.power;
    assert!(power.meter.as_deref().is_some_and(|meter| meter.starts_with("command `while")), "{power:?}");
    let loads: Vec<_> = power.loaded.iter().map(|load| (load.class.as_str(), load.threads)).collect();
    let counts = profile.thread_counts();
    let expected: Vec<_> = counts.iter().flat_map(|&count| [("read", count), ("compute", count)]).collect();
    assert_eq!(loads, expected);
    for figure in power.loaded.iter().map(|load| &load.watts).chain([&power.idle_watts]) {
        assert_eq!(figure.source, Source::Measured);
        // Two clocks are read one after the other around each stretch.
        assert!(figure.value.is_some_and(|watts| (watts / 5.0 - 1.0).abs() < 0.1), "{figure:?}");
    }
}
