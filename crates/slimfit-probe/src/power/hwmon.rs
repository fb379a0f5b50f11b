//! Sensor chips through Linux' hwmon tree: energy counters, power inputs, or voltage times current.

use super::{Integral, MeterError, PowerMeter, number};
use crate::SystemTree;

const METER: &str = "hwmon";
const FOLDER: &str = "/sys/class/hwmon";

/// Chips whose inputs tell the power of the processor or of the whole board; others (graphics cards, drives, network
/// cards) tell something else.
const CHIPS: [&str; 9] = [
    "amd_energy",
    "zenpower",
    "ina2xx",
    "ina219",
    "ina226",
    "ina3221",
    "scmi_sensors",
    "macsmc_hwmon",
    "power_meter",
];

/// One channel of a chip.
#[derive(Debug, Clone, PartialEq)]
enum Channel {
    /// Microjoules, counting up; the value at the start.
    Energy { file: String, first: f64 },
    /// Microwatts.
    Power { file: String },
    /// Millivolts and milliamperes.
    Product { volts: String, amperes: String },
}

/// The channels of one chip, summed.
#[derive(Debug)]
pub struct HwmonMeter {
    tree: SystemTree,
    name: String,
    channels: Vec<Channel>,
    integral: Integral,
}

impl HwmonMeter {
    /// Finds the first known chip with channels. Where a chip labels a channel as a total (`VDD_IN`, `Esocket0`), only
    /// those count: the others are its parts.
    ///
    /// # Errors
    /// No known chip is there, or its files may not be read.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        for (_, folder) in tree.numbered(FOLDER, "hwmon") {
            let folder = format!("{FOLDER}/{folder}");
            let Some(chip) = tree.read(&format!("{folder}/name")) else { continue };
            if !CHIPS.contains(&chip.as_str()) {
                continue;
            }
            let labelled = channels(tree, &folder)?;
            if labelled.is_empty() {
                continue;
            }
            let has_totals = labelled.iter().any(|(label, _)| is_total(label));
            let (labels, channels): (Vec<String>, Vec<Channel>) =
                labelled.into_iter().filter(|(label, _)| !has_totals || is_total(label)).unzip();
            let labels: Vec<String> = labels.into_iter().filter(|label| !label.is_empty()).collect();
            let name = if labels.is_empty() { chip } else { format!("{chip} ({})", labels.join(", ")) };
            return Ok(Self { tree: tree.clone(), name, channels, integral: Integral::default() });
        }
        Err(MeterError::Absent { meter: METER, reason: format!("no known power sensor below `{FOLDER}`") })
    }
}

fn is_total(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    ["vdd_in", "pom_5v_in", "socket", "total", "vin"].iter().any(|total| label.contains(total))
}

/// Channels with their labels: energy counters where the chip has them, else powers, else voltage times current.
fn channels(tree: &SystemTree, folder: &str) -> Result<Vec<(String, Channel)>, MeterError> {
    let names = tree.names(folder);
    let label = |channel: &str| tree.read(&format!("{folder}/{channel}_label")).unwrap_or_default();
    let of_kind = |prefix: &str, suffix: &str| -> Vec<String> {
        names
            .iter()
            .filter_map(|name| name.strip_suffix(suffix))
            .filter(|channel| channel.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok()))
            .map(str::to_owned)
            .collect()
    };
    let mut found = Vec::new();
    for channel in of_kind("energy", "_input") {
        let file = format!("{folder}/{channel}_input");
        let first = number(tree, METER, &file)?;
        found.push((label(&channel), Channel::Energy { file, first }));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    for suffix in ["_input", "_average"] {
        for channel in of_kind("power", suffix) {
            let file = format!("{folder}/{channel}{suffix}");
            number(tree, METER, &file)?;
            found.push((label(&channel), Channel::Power { file }));
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    for channel in of_kind("curr", "_input") {
        let index = channel.trim_start_matches("curr");
        let (volts, amperes) = (format!("{folder}/in{index}_input"), format!("{folder}/{channel}_input"));
        if number(tree, METER, &volts).is_ok() && number(tree, METER, &amperes).is_ok() {
            found.push((label(&format!("in{index}")), Channel::Product { volts, amperes }));
        }
    }
    Ok(found)
}

impl PowerMeter for HwmonMeter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        let (mut joules, mut watts) = (0.0, 0.0);
        for channel in &self.channels {
            match channel {
                Channel::Energy { file, first } => {
                    let passed = number(&self.tree, METER, file)? - first;
                    if passed < 0.0 {
                        return Err(MeterError::Implausible {
                            meter: METER,
                            reason: format!("`{file}` ran backwards"),
                        });
                    }
                    joules += passed * 1e-6;
                }
                Channel::Power { file } => watts += number(&self.tree, METER, file)? * 1e-6,
                Channel::Product { volts, amperes } => {
                    watts += number(&self.tree, METER, volts)? * number(&self.tree, METER, amperes)? * 1e-6;
                }
            }
        }
        Ok(joules + self.integral.add(seconds, watts))
    }
}
