//! Power meters on imitated systems.

use slimfit_probe::{
    BatteryMeter, HwmonMeter, MeterError, PowerMeter, ProcessorTime, RaplMeter, SystemTree, find_meter,
};
use std::fs;
use std::path::Path;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

fn rapl(root: &Path, folder: &str, name: &str, microjoules: u64) {
    write(root, &format!("/sys/class/powercap/{folder}/name"), name);
    write(root, &format!("/sys/class/powercap/{folder}/energy_uj"), &microjoules.to_string());
    write(root, &format!("/sys/class/powercap/{folder}/max_energy_range_uj"), "1000000000");
}

#[test]
fn rapl_sums_packages_and_memory_and_survives_a_wrap() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 999_000_000);
    rapl(root.path(), "intel-rapl:0:0", "core", 5);
    rapl(root.path(), "intel-rapl:0:1", "dram", 1_000_000);
    rapl(root.path(), "intel-rapl:1", "psys", 7);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (package-0, dram)");
    assert_eq!(meter.joules(0.0), Ok(0.0));
    rapl(root.path(), "intel-rapl:0", "package-0", 4_000_000);
    rapl(root.path(), "intel-rapl:0:1", "dram", 3_000_000);
    assert_eq!(meter.joules(1.0), Ok(7.0), "5 J across the wrap and 2 J of memory");
}

#[test]
fn a_counter_that_runs_backwards_or_vanishes_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 400_000_000);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 399_000_000);
    assert!(matches!(meter.joules(1.0), Err(MeterError::Implausible { .. })));
    fs::remove_file(root.path().join("sys/class/powercap/intel-rapl:0/energy_uj")).unwrap();
    assert!(matches!(meter.joules(2.0), Err(MeterError::Vanished { .. })));
}

#[test]
fn counters_that_read_zero_are_no_meter() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 0);
    let found = RaplMeter::find(&SystemTree::below(root.path()));
    assert!(matches!(found, Err(MeterError::Implausible { .. })));
}

#[test]
fn a_sensor_chip_s_total_counts_and_its_parts_do_not() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/class/hwmon/hwmon3";
    write(root.path(), "/sys/class/hwmon/hwmon0/name", "nvme");
    write(root.path(), "/sys/class/hwmon/hwmon0/power1_input", "9000000");
    write(root.path(), &format!("{chip}/name"), "ina3221");
    for (channel, label, millivolts, milliamperes) in [(1, "VDD_IN", 5000, 2000), (2, "VDD_CPU", 5000, 500)] {
        write(root.path(), &format!("{chip}/in{channel}_label"), label);
        write(root.path(), &format!("{chip}/in{channel}_input"), &millivolts.to_string());
        write(root.path(), &format!("{chip}/curr{channel}_input"), &milliamperes.to_string());
    }
    let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "ina3221 (VDD_IN)");
    assert_eq!(meter.joules(0.0), Ok(0.0));
    assert_eq!(meter.joules(2.0), Ok(20.0), "10 W for 2 s");
    write(root.path(), &format!("{chip}/curr1_input"), "4000");
    assert_eq!(meter.joules(3.0), Ok(35.0), "the mean of 10 W and 20 W for 1 s");
}

#[test]
fn an_energy_counter_of_a_chip_counts_from_its_start() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/class/hwmon/hwmon1";
    write(root.path(), &format!("{chip}/name"), "amd_energy");
    for (channel, label, microjoules) in [(1, "Ecore000", 1), (2, "Esocket0", 5_000_000)] {
        write(root.path(), &format!("{chip}/energy{channel}_label"), label);
        write(root.path(), &format!("{chip}/energy{channel}_input"), &microjoules.to_string());
    }
    let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
    write(root.path(), &format!("{chip}/energy2_input"), "8000000");
    assert_eq!(meter.joules(1.0), Ok(3.0));
}

#[test]
fn a_battery_counts_only_while_it_discharges() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    let battery = "/sys/class/power_supply/BAT0";
    write(root.path(), &format!("{battery}/type"), "Battery");
    write(root.path(), &format!("{battery}/status"), "Charging");
    assert!(matches!(BatteryMeter::find(&tree), Err(MeterError::Absent { .. })));
    write(root.path(), &format!("{battery}/status"), "Discharging");
    write(root.path(), &format!("{battery}/current_now"), "-1000000");
    write(root.path(), &format!("{battery}/voltage_now"), "12000000");
    let mut meter = BatteryMeter::find(&tree).unwrap();
    assert_eq!((meter.joules(0.0), meter.joules(0.5)), (Ok(0.0), Ok(6.0)), "12 W, whatever the sign");
    write(root.path(), &format!("{battery}/status"), "Full");
    assert!(matches!(meter.joules(1.0), Err(MeterError::Implausible { .. })));
}

#[test]
fn without_a_meter_every_reason_is_given() {
    let root = tempfile::tempdir().unwrap();
    let reason = find_meter(&SystemTree::below(root.path())).err().unwrap();
    assert!(["rapl", "hwmon", "battery"].iter().all(|meter| reason.contains(meter)), "{reason}");
}

#[test]
fn stolen_time_is_a_share_of_all_time() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    assert_eq!(ProcessorTime::read(&tree), None);
    write(root.path(), "/proc/stat", "cpu  100 0 100 700 0 0 0 100 50 0\ncpu0 1 2 3\n");
    let before = ProcessorTime::read(&tree).unwrap();
    write(root.path(), "/proc/stat", "cpu  150 0 100 700 0 0 0 150 50 0\ncpu0 1 2 3\n");
    let after = ProcessorTime::read(&tree).unwrap();
    assert_eq!(after.stolen_since(&before), 0.5);
    assert_eq!(before.stolen_since(&before), 0.0);
}
