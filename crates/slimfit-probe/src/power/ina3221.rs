//! The INA3221 rail monitors of Jetson boards, through hwmon or through the older tree of NVIDIA's own driver.

use super::{Integral, MeterError, PowerMeter, number, optional};
use crate::SystemTree;

const METER: &str = "ina3221";
const HWMON: &str = "/sys/class/hwmon";
const DRIVERS: &str = "/sys/bus/i2c/drivers";
/// Rails that feed the whole module: every other rail is a part of theirs.
const TOTALS: [&str; 2] = ["VDD_IN", "POM_5V_IN"];
/// A rail that another one feeds, and that one.
const FED_BY: [(&str, &str); 1] = [("VDDQ_VDD2_1V8AO", "VIN_SYS_5V0")];
/// The label of a channel with nothing behind it.
const NOT_CONNECTED: &str = "NC";

/// One rail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rail {
    name: String,
    reading: Reading,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reading {
    /// Millivolts and milliamperes.
    Product { volts: String, amperes: String },
    /// Milliwatts.
    Power { file: String },
}

/// The module's input rail where there is one, else the sum of all rails that no other rail feeds.
#[derive(Debug)]
pub struct Ina3221Meter {
    tree: SystemTree,
    name: String,
    rails: Vec<Rail>,
    integral: Integral,
    interval_seconds: f64,
}

impl Ina3221Meter {
    /// Finds the rails of all such chips together: a board has up to two.
    ///
    /// # Errors
    /// There are none, or they may not be read.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        let (mut rails, mut interval_seconds) = through_hwmon(tree)?;
        if rails.is_empty() {
            (rails, interval_seconds) = (through_driver(tree)?, 0.01);
        }
        if rails.is_empty() {
            let reason = format!("no such chip below `{HWMON}` or `{DRIVERS}`");
            return Err(MeterError::Absent { meter: METER, reason });
        }
        let has = |rails: &[Rail], name: &str| rails.iter().any(|rail| rail.name == name);
        if let Some(total) = TOTALS.into_iter().find(|total| has(&rails, total)) {
            rails.retain(|rail| rail.name == total);
        }
        for (fed, feeder) in FED_BY {
            if has(&rails, feeder) {
                rails.retain(|rail| rail.name != fed);
            }
        }
        let names: Vec<&str> = rails.iter().map(|rail| rail.name.as_str()).collect();
        let name = format!("ina3221 ({})", names.join(", "));
        let mut meter =
            Self { tree: tree.clone(), name, rails, integral: Integral::default(), interval_seconds };
        meter.watts()?;
        Ok(meter)
    }

    fn watts(&mut self) -> Result<f64, MeterError> {
        let mut milliwatts = 0.0;
        for rail in &self.rails {
            milliwatts += match &rail.reading {
                Reading::Product { volts, amperes } => {
                    number(&self.tree, METER, volts)? * number(&self.tree, METER, amperes)? / 1e3
                }
                Reading::Power { file } => number(&self.tree, METER, file)?,
            };
        }
        let watts = milliwatts / 1e3;
        if watts <= 0.0 {
            let reason = format!("its rails draw {watts} W together");
            return Err(MeterError::Implausible { meter: METER, reason });
        }
        Ok(watts)
    }
}

/// The kernel's own driver: `in1_label`, `in1_input` (mV), `curr1_input` (mA), three channels a chip.
fn through_hwmon(tree: &SystemTree) -> Result<(Vec<Rail>, f64), MeterError> {
    let mut rails = Vec::new();
    let mut interval_seconds: f64 = 0.01;
    for (_, folder) in tree.numbered(HWMON, "hwmon") {
        let folder = format!("{HWMON}/{folder}");
        if tree.read(&format!("{folder}/name")).as_deref() != Some("ina3221") {
            continue;
        }
        for channel in 1..=3 {
            let label = tree.read(&format!("{folder}/in{channel}_label"));
            let name = label.unwrap_or_else(|| format!("channel {channel} of {folder}"));
            let off = tree.read(&format!("{folder}/in{channel}_enable")).as_deref() == Some("0");
            let volts = format!("{folder}/in{channel}_input");
            let amperes = format!("{folder}/curr{channel}_input");
            // A channel that is off answers with an error.
            let answers =
                optional(tree, METER, &volts)?.is_some() && optional(tree, METER, &amperes)?.is_some();
            if !off && answers && name != NOT_CONNECTED {
                rails.push(Rail { name, reading: Reading::Product { volts, amperes } });
            }
        }
        if let Some(milliseconds) = tree.number(&format!("{folder}/update_interval")) {
            interval_seconds = interval_seconds.max(milliseconds as f64 * 1e-3);
        }
    }
    Ok((rails, interval_seconds))
}

/// NVIDIA's driver up to JetPack 4: `ina3221x/1-0040/iio:device0/rail_name_0` and `in_power0_input` (mW).
fn through_driver(tree: &SystemTree) -> Result<Vec<Rail>, MeterError> {
    let mut rails = Vec::new();
    for driver in tree.names(DRIVERS).into_iter().filter(|driver| driver.starts_with("ina3221")) {
        let driver = format!("{DRIVERS}/{driver}");
        for device in tree.names(&driver) {
            let device = format!("{driver}/{device}");
            for chip in tree.names(&device).into_iter().filter(|name| name.starts_with("iio")) {
                let chip = format!("{device}/{chip}");
                for (channel, file) in tree.numbered(&chip, "rail_name_") {
                    let Some(name) = tree.read(&format!("{chip}/{file}")) else { continue };
                    let file = format!("{chip}/in_power{channel}_input");
                    if name != NOT_CONNECTED && optional(tree, METER, &file)?.is_some() {
                        rails.push(Rail { name, reading: Reading::Power { file } });
                    }
                }
            }
        }
    }
    Ok(rails)
}

impl PowerMeter for Ina3221Meter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        let watts = self.watts()?;
        Ok(self.integral.add(seconds, watts))
    }

    fn interval_seconds(&self) -> f64 {
        self.interval_seconds
    }

    fn tells_watts(&self) -> bool {
        true
    }
}
