//! Power meters on imitated systems: each source with its unit, and each way in which it can fail.

use slimfit_probe::{
    BatteryMeter, HwmonMeter, Ina3221Meter, MeterError, PowerMeter, ProcessorTime, RaplMeter, SystemTree,
    find_meter,
};
use std::fs;
use std::path::Path;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

fn remove(root: &Path, path: &str) {
    fs::remove_file(root.join(path.trim_start_matches('/'))).expect("it was there");
}

#[track_caller]
fn implausible<T: std::fmt::Debug>(found: Result<T, MeterError>, named: &str) {
    match found {
        Err(error @ MeterError::Implausible { .. }) if error.to_string().contains(named) => {}
        other => panic!("{other:?} should be implausible: {named}"),
    }
}

#[track_caller]
fn forbidden<T: std::fmt::Debug>(found: Result<T, MeterError>, named: &str) {
    match found {
        Err(error @ MeterError::Forbidden { .. }) => {
            assert!(error.to_string().contains(named) && error.to_string().contains("root"), "{error}");
        }
        other => panic!("{other:?} should be forbidden: {named}"),
    }
}

/// The range of many client processors: 2³² counts of 61 microjoules.
const RANGE: u64 = 262_143_328_850;

fn rapl(root: &Path, folder: &str, name: &str, microjoules: u64) {
    write(root, &format!("/sys/class/powercap/{folder}/name"), &format!("{name}\n"));
    write(root, &format!("/sys/class/powercap/{folder}/energy_uj"), &format!("{microjoules}\n"));
    write(root, &format!("/sys/class/powercap/{folder}/max_energy_range_uj"), &format!("{RANGE}\n"));
}

#[test]
fn rapl_microjoules_of_package_and_dram_are_summed_without_core_uncore_and_psys() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 400_000_000);
    rapl(root.path(), "intel-rapl:0:0", "core", 5);
    rapl(root.path(), "intel-rapl:0:1", "uncore", 5);
    rapl(root.path(), "intel-rapl:0:2", "dram", 1_000_000);
    rapl(root.path(), "intel-rapl:1", "psys", 7);
    rapl(root.path(), "intel-rapl-mmio:0", "package-0", 400_000_000);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (package-0, dram)");
    assert!(!meter.tells_watts());
    assert_eq!(meter.joules(0.0), Ok(0.0));
    rapl(root.path(), "intel-rapl:0", "package-0", 405_000_000);
    rapl(root.path(), "intel-rapl:0:0", "core", 4_000_005);
    rapl(root.path(), "intel-rapl:0:2", "dram", 3_000_000);
    rapl(root.path(), "intel-rapl:1", "psys", 9_000_007);
    assert_eq!(meter.joules(1.0), Ok(7.0), "5 J of the package and 2 J of memory");
}

#[test]
fn rapl_on_amd_has_the_same_name_and_no_memory() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 100);
    rapl(root.path(), "intel-rapl:0:0", "core", 50);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (package-0)");
    rapl(root.path(), "intel-rapl:0", "package-0", 2_000_100);
    assert_eq!(meter.joules(1.0), Ok(2.0));
}

#[test]
fn rapl_sums_several_packages_each_with_its_memory() {
    let root = tempfile::tempdir().unwrap();
    for package in 0..2 {
        rapl(root.path(), &format!("intel-rapl:{package}"), &format!("package-{package}"), 10);
        rapl(root.path(), &format!("intel-rapl:{package}:0"), "dram", 10);
    }
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (package-0, dram-0, package-1, dram-1)");
    for (folder, name, joules) in
        [("0", "package-0", 1), ("0:0", "dram", 2), ("1", "package-1", 4), ("1:0", "dram", 8)]
    {
        rapl(root.path(), &format!("intel-rapl:{folder}"), name, 10 + joules * 1_000_000);
    }
    assert_eq!(meter.joules(1.0), Ok(15.0));
}

#[test]
fn rapl_psys_counts_where_it_is_all_there_is() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "psys", 10);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (psys)");
    rapl(root.path(), "intel-rapl:0", "psys", 3_000_010);
    assert_eq!(meter.joules(1.0), Ok(3.0));
}

#[test]
fn rapl_survives_the_wrap_at_its_range_in_microjoules() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", RANGE - 1_000_000);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    for round in 1..=3 {
        rapl(root.path(), "intel-rapl:0", "package-0", 4_000_000);
        let wrapped = meter.joules(f64::from(2 * round - 1)).unwrap();
        assert!((wrapped - f64::from(round - 1) * (RANGE as f64 * 1e-6) - 5.0).abs() < 1e-3, "{wrapped}");
        // Two readings within the range, so that no step is longer than half of it.
        rapl(root.path(), "intel-rapl:0", "package-0", RANGE / 2);
        meter.joules(f64::from(2 * round) - 0.5).unwrap();
        rapl(root.path(), "intel-rapl:0", "package-0", RANGE - 1_000_000);
        meter.joules(f64::from(2 * round)).unwrap();
    }
}

#[test]
fn rapl_that_runs_backwards_sticks_or_vanishes_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 400_000_000);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 399_000_000);
    implausible(meter.joules(1.0), "ran backwards from 400000000 to 399000000");
    rapl(root.path(), "intel-rapl:0", "package-0", 401_000_000);
    assert_eq!(meter.joules(1.0), Ok(1.0));
    assert_eq!(meter.joules(2.0), Ok(1.0), "a second without a step may happen");
    implausible(meter.joules(60.0), "stands still at 401000000 for 59.0 s");
    remove(root.path(), "/sys/class/powercap/intel-rapl:0/energy_uj");
    assert!(matches!(meter.joules(2.0), Err(MeterError::Vanished { .. })));
}

#[test]
fn rapl_of_one_package_that_sticks_is_seen_beside_one_that_counts() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 10);
    rapl(root.path(), "intel-rapl:1", "package-1", 10);
    let mut meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 90_000_000);
    implausible(meter.joules(9.0), "intel-rapl:1/energy_uj` stands still");
}

#[test]
fn rapl_that_reads_zero_is_no_meter_and_memory_that_reads_zero_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 0);
    implausible(RaplMeter::find(&SystemTree::below(root.path())), "reads zero");
    rapl(root.path(), "intel-rapl:0", "package-0", 1);
    rapl(root.path(), "intel-rapl:0:0", "dram", 0);
    let meter = RaplMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "rapl (package-0)");
}

#[test]
fn rapl_that_only_root_may_read_says_so() {
    let root = tempfile::tempdir().unwrap();
    rapl(root.path(), "intel-rapl:0", "package-0", 5);
    let file = "/sys/class/powercap/intel-rapl:0/energy_uj";
    let tree = SystemTree::below(root.path()).forbidding(file);
    forbidden(RaplMeter::find(&tree), file);
    let reason = find_meter(&tree).err().unwrap();
    assert!(reason.contains(file), "{reason}");
}

/// A chip of Jetson boards through the kernel's own driver.
fn ina3221(root: &Path, hwmon: u32, rails: &[(&str, i64, i64)]) -> String {
    let chip = format!("/sys/class/hwmon/hwmon{hwmon}");
    write(root, &format!("{chip}/name"), "ina3221\n");
    for (place, (label, millivolts, milliamperes)) in rails.iter().enumerate() {
        let channel = place + 1;
        write(root, &format!("{chip}/in{channel}_label"), label);
        write(root, &format!("{chip}/in{channel}_enable"), "1");
        write(root, &format!("{chip}/in{channel}_input"), &millivolts.to_string());
        write(root, &format!("{chip}/curr{channel}_input"), &milliamperes.to_string());
    }
    // The sum of the shunts' voltages, which is no rail.
    write(root, &format!("{chip}/in7_label"), "sum of shunt voltages");
    write(root, &format!("{chip}/in7_input"), "99999");
    chip
}

#[test]
fn ina3221_takes_the_module_s_input_rail_in_millivolts_and_milliamperes() {
    let root = tempfile::tempdir().unwrap();
    let rails = [("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 5000, 500), ("VDD_SOC", 5000, 300)];
    let chip = ina3221(root.path(), 3, &rails);
    let mut meter = Ina3221Meter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "ina3221 (VDD_IN)");
    assert!(meter.tells_watts());
    assert_eq!(meter.joules(0.0), Ok(0.0));
    assert_eq!(meter.joules(2.0), Ok(20.0), "10 W for 2 s");
    write(root.path(), &format!("{chip}/curr1_input"), "4000");
    assert_eq!(meter.joules(3.0), Ok(35.0), "the mean of 10 W and 20 W for 1 s");
}

#[test]
fn ina3221_without_an_input_rail_sums_both_chips_without_fed_off_and_open_channels() {
    let root = tempfile::tempdir().unwrap();
    ina3221(
        root.path(),
        1,
        &[("VDD_GPU_SOC", 10_000, 300), ("VDD_CPU_CV", 10_000, 100), ("VIN_SYS_5V0", 5000, 600)],
    );
    let second =
        ina3221(root.path(), 2, &[("NC", 5000, 10), ("VDDQ_VDD2_1V8AO", 5000, 200), ("VDD_FAN", 5000, 200)]);
    write(root.path(), &format!("{second}/in3_enable"), "0");
    let mut meter = Ina3221Meter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "ina3221 (VDD_GPU_SOC, VDD_CPU_CV, VIN_SYS_5V0)");
    assert_eq!((meter.joules(0.0), meter.joules(1.0)), (Ok(0.0), Ok(7.0)), "3 W + 1 W + 3 W");
}

#[test]
fn ina3221_of_the_older_driver_tells_milliwatts() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0";
    for (channel, (rail, milliwatts)) in
        [("POM_5V_IN", 3200), ("POM_5V_GPU", 200), ("POM_5V_CPU", 700)].iter().enumerate()
    {
        write(root.path(), &format!("{chip}/rail_name_{channel}"), &format!("{rail}\n"));
        write(root.path(), &format!("{chip}/in_power{channel}_input"), &format!("{milliwatts}\n"));
    }
    let mut meter = Ina3221Meter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "ina3221 (POM_5V_IN)");
    assert_eq!((meter.joules(0.0), meter.joules(10.0)), (Ok(0.0), Ok(32.0)));
    remove(root.path(), &format!("{chip}/in_power0_input"));
    assert!(matches!(meter.joules(11.0), Err(MeterError::Vanished { .. })));
    let mut parts = Ina3221Meter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(parts.name(), "ina3221 (POM_5V_GPU, POM_5V_CPU)");
    assert_eq!((parts.joules(0.0), parts.joules(1.0)), (Ok(0.0), Ok(0.9)));
}

#[test]
fn ina3221_that_vanishes_reads_zero_or_may_not_be_read_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let chip = ina3221(root.path(), 1, &[("VDD_IN", 5000, 1000)]);
    let file = format!("{chip}/curr1_input");
    forbidden(Ina3221Meter::find(&SystemTree::below(root.path()).forbidding(&file)), &file);
    let mut meter = Ina3221Meter::find(&SystemTree::below(root.path())).unwrap();
    write(root.path(), &file, "0");
    implausible(meter.joules(1.0), "0 W");
    implausible(Ina3221Meter::find(&SystemTree::below(root.path())), "0 W");
    write(root.path(), &file, "-20");
    implausible(meter.joules(1.0), "-0.1 W");
    remove(root.path(), &file);
    assert!(matches!(meter.joules(2.0), Err(MeterError::Vanished { .. })));
}

#[test]
fn hwmon_energy_in_microjoules_counts_sockets_and_not_their_cores() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/class/hwmon/hwmon1";
    write(root.path(), &format!("{chip}/name"), "amd_energy\n");
    for (channel, label, microjoules) in [(1, "Ecore000", 1), (2, "Esocket0", 5_000_000)] {
        write(root.path(), &format!("{chip}/energy{channel}_label"), label);
        write(root.path(), &format!("{chip}/energy{channel}_input"), &microjoules.to_string());
    }
    let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "amd_energy (Esocket0)");
    assert!(!meter.tells_watts());
    let file = format!("{chip}/energy2_input");
    write(root.path(), &file, "8000000");
    assert_eq!(meter.joules(1.0), Ok(3.0));
    implausible(meter.joules(9.0), "stands still at 8000000 for 8.0 s");
    write(root.path(), &file, "7999999");
    implausible(meter.joules(2.0), "ran backwards");
    remove(root.path(), &file);
    assert!(matches!(meter.joules(2.0), Err(MeterError::Vanished { .. })));
}

#[test]
fn hwmon_power_in_microwatts_of_every_kind_of_chip() {
    for (chip, file, label) in [
        ("ina226", "power1_input", None),
        ("scmi_sensors", "power1_input", Some("A53_PWR")),
        ("zenpower", "power1_input", Some("SVI2_P_Core")),
        ("power_meter", "power1_average", None),
        ("cros_ec", "power1_input", None),
    ] {
        let root = tempfile::tempdir().unwrap();
        let folder = "/sys/class/hwmon/hwmon2";
        write(root.path(), "/sys/class/hwmon/hwmon0/name", "nvme");
        write(root.path(), "/sys/class/hwmon/hwmon0/power1_input", "9000000");
        write(root.path(), &format!("{folder}/name"), chip);
        write(root.path(), &format!("{folder}/{file}"), "2500000\n");
        if let Some(label) = label {
            write(root.path(), &format!("{folder}/power1_label"), label);
        }
        let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
        assert_eq!(meter.name(), label.map_or_else(|| chip.to_owned(), |label| format!("{chip} ({label})")));
        assert!(meter.tells_watts());
        assert_eq!((meter.joules(0.0), meter.joules(2.0)), (Ok(0.0), Ok(5.0)), "{chip}: 2.5 W for 2 s");
        write(root.path(), &format!("{folder}/{file}"), "garbage");
        assert!(matches!(meter.joules(3.0), Err(MeterError::Vanished { .. })), "{chip}");
    }
}

#[test]
fn hwmon_power_of_several_chips_and_of_channels_that_are_on_is_summed() {
    let root = tempfile::tempdir().unwrap();
    for (number, microwatts) in [(3, "1000000"), (4, "500000"), (5, "")] {
        let chip = format!("/sys/class/hwmon/hwmon{number}");
        write(root.path(), &format!("{chip}/name"), "ina231");
        write(root.path(), &format!("{chip}/power1_input"), microwatts);
        write(root.path(), &format!("{chip}/update_interval"), "250");
    }
    let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!((meter.name(), meter.interval_seconds()), ("ina231 (2 channels)", 0.25));
    assert_eq!((meter.joules(0.0), meter.joules(1.0)), (Ok(0.0), Ok(1.5)));
}

#[test]
fn hwmon_volts_times_amperes_where_a_chip_tells_no_power() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/class/hwmon/hwmon0";
    write(root.path(), &format!("{chip}/name"), "ltc2945");
    write(root.path(), &format!("{chip}/in1_input"), "12000");
    write(root.path(), &format!("{chip}/curr1_input"), "500");
    let mut meter = HwmonMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!((meter.joules(0.0), meter.joules(1.0)), (Ok(0.0), Ok(6.0)), "12 V and 0.5 A");
    write(root.path(), &format!("{chip}/curr1_input"), "-500");
    implausible(meter.joules(2.0), "-6 W");
}

#[test]
fn hwmon_that_reads_zero_or_may_not_be_read_is_no_meter() {
    let root = tempfile::tempdir().unwrap();
    let chip = "/sys/class/hwmon/hwmon0";
    write(root.path(), &format!("{chip}/name"), "zenpower");
    write(root.path(), &format!("{chip}/power1_input"), "0");
    implausible(HwmonMeter::find(&SystemTree::below(root.path())), "reads zero watts");
    let file = format!("{chip}/power1_input");
    forbidden(HwmonMeter::find(&SystemTree::below(root.path()).forbidding(&file)), &file);
    write(root.path(), &format!("{chip}/name"), "amdgpu");
    assert!(matches!(HwmonMeter::find(&SystemTree::below(root.path())), Err(MeterError::Absent { .. })));
}

const BATTERY: &str = "/sys/class/power_supply/BAT0";

fn battery(root: &Path, folder: &str, status: &str) {
    write(root, &format!("{folder}/type"), "Battery\n");
    write(root, &format!("{folder}/status"), &format!("{status}\n"));
}

#[test]
fn battery_power_in_microwatts_is_preferred_to_current_times_voltage() {
    let root = tempfile::tempdir().unwrap();
    battery(root.path(), BATTERY, "Discharging");
    write(root.path(), &format!("{BATTERY}/power_now"), "8000000\n");
    write(root.path(), &format!("{BATTERY}/current_now"), "1\n");
    write(root.path(), &format!("{BATTERY}/voltage_now"), "1\n");
    let mut meter = BatteryMeter::find(&SystemTree::below(root.path())).unwrap();
    assert_eq!(meter.name(), "battery (BAT0)");
    assert_eq!((meter.joules(0.0), meter.joules(0.5)), (Ok(0.0), Ok(4.0)));
}

#[test]
fn battery_current_in_microamperes_times_microvolts_counts_whatever_its_sign() {
    for microamperes in ["1000000", "-1000000"] {
        let root = tempfile::tempdir().unwrap();
        battery(root.path(), BATTERY, "Discharging");
        write(root.path(), &format!("{BATTERY}/current_now"), microamperes);
        write(root.path(), &format!("{BATTERY}/voltage_now"), "12000000");
        let mut meter = BatteryMeter::find(&SystemTree::below(root.path())).unwrap();
        assert_eq!((meter.joules(0.0), meter.joules(0.5)), (Ok(0.0), Ok(6.0)), "{microamperes}");
    }
}

#[test]
fn battery_counts_only_while_it_discharges() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    for status in ["Charging", "Full", "Not charging", "Unknown"] {
        battery(root.path(), BATTERY, status);
        assert!(matches!(BatteryMeter::find(&tree), Err(MeterError::Absent { .. })), "{status}");
    }
    battery(root.path(), BATTERY, "Discharging");
    write(root.path(), &format!("{BATTERY}/power_now"), "3000000");
    let mut meter = BatteryMeter::find(&tree).unwrap();
    write(root.path(), &format!("{BATTERY}/status"), "Charging");
    implausible(meter.joules(1.0), "charger was plugged in");
}

#[test]
fn battery_of_a_mouse_does_not_count_and_two_of_the_device_do() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    let mouse = "/sys/class/power_supply/hidpp_battery_0";
    battery(root.path(), mouse, "Discharging");
    write(root.path(), &format!("{mouse}/scope"), "Device");
    write(root.path(), &format!("{mouse}/power_now"), "1000");
    assert!(matches!(BatteryMeter::find(&tree), Err(MeterError::Absent { .. })));
    for (name, microwatts) in [("BAT0", "3000000"), ("BAT1", "2000000")] {
        let folder = format!("/sys/class/power_supply/{name}");
        battery(root.path(), &folder, "Discharging");
        write(root.path(), &format!("{folder}/power_now"), microwatts);
    }
    let mut meter = BatteryMeter::find(&tree).unwrap();
    assert_eq!(meter.name(), "battery (BAT0, BAT1)");
    assert_eq!((meter.joules(0.0), meter.joules(1.0)), (Ok(0.0), Ok(5.0)));
}

#[test]
fn battery_that_reads_zero_vanishes_or_may_not_be_read_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    battery(root.path(), BATTERY, "Discharging");
    assert!(matches!(BatteryMeter::find(&tree), Err(MeterError::Vanished { .. })), "it tells neither");
    let file = format!("{BATTERY}/power_now");
    write(root.path(), &file, "0");
    implausible(BatteryMeter::find(&tree), "zero watts");
    forbidden(BatteryMeter::find(&tree.clone().forbidding(&file)), &file);
    write(root.path(), &file, "2000000");
    let mut meter = BatteryMeter::find(&tree).unwrap();
    remove(root.path(), &file);
    assert!(matches!(meter.joules(1.0), Err(MeterError::Vanished { .. })), "its gauge went");
    remove(root.path(), &format!("{BATTERY}/status"));
    assert!(matches!(meter.joules(1.0), Err(MeterError::Vanished { .. })), "the battery went");
}

#[test]
fn without_a_meter_every_reason_is_given() {
    let root = tempfile::tempdir().unwrap();
    let reason = find_meter(&SystemTree::below(root.path())).err().unwrap();
    assert!(
        ["rapl", "perf", "ina3221", "hwmon", "battery"].iter().all(|meter| reason.contains(meter)),
        "{reason}"
    );
}

#[test]
fn the_processor_s_own_counters_come_before_chips_and_those_before_a_battery() {
    let root = tempfile::tempdir().unwrap();
    let tree = SystemTree::below(root.path());
    let found = || find_meter(&tree).unwrap().name().to_owned();
    battery(root.path(), BATTERY, "Discharging");
    write(root.path(), &format!("{BATTERY}/power_now"), "3000000");
    assert_eq!(found(), "battery (BAT0)");
    write(root.path(), "/sys/class/hwmon/hwmon0/name", "zenpower");
    write(root.path(), "/sys/class/hwmon/hwmon0/power1_input", "5000000");
    assert_eq!(found(), "zenpower");
    ina3221(root.path(), 1, &[("VDD_IN", 5000, 1000)]);
    assert_eq!(found(), "ina3221 (VDD_IN)");
    rapl(root.path(), "intel-rapl:0", "package-0", 5);
    assert_eq!(found(), "rapl (package-0)");
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
