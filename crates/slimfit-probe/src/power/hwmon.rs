//! Sensor chips through Linux' hwmon tree: energy counters, power inputs, or voltage times current.

use super::counter::EnergyCounter;
use super::{Integral, MeterError, PowerMeter, number, optional};
use crate::SystemTree;

const METER: &str = "hwmon";
const FOLDER: &str = "/sys/class/hwmon";
const JOULES_PER_MICROJOULE: f64 = 1e-6;

/// Chips whose inputs tell the power of the processor or of the whole board, the most telling first; others (graphics
/// cards, drives, network cards) tell something else.
const CHIPS: [&str; 23] = [
    "amd_energy",
    "zenergy",
    "scmi_sensors",
    "macsmc_hwmon",
    "power_meter",
    "ibmpowernv",
    "occ",
    "ina2xx",
    "ina209",
    "ina219",
    "ina220",
    "ina226",
    "ina228",
    "ina230",
    "ina231",
    "ina237",
    "ina238",
    "ina260",
    "ltc2945",
    "ltc2947",
    "cros_ec",
    "zenpower",
    "corsairpsu",
];

/// One channel of a chip.
#[derive(Debug, Clone, PartialEq)]
enum Channel {
    /// Microjoules, counting up.
    Energy(EnergyCounter),
    /// Microwatts.
    Power { file: String },
    /// Millivolts and milliamperes.
    Product { volts: String, amperes: String },
}

/// The channels of all chips of one kind, summed.
#[derive(Debug)]
pub struct HwmonMeter {
    tree: SystemTree,
    name: String,
    channels: Vec<Channel>,
    integral: Integral,
    interval_seconds: f64,
}

impl HwmonMeter {
    /// Finds the most telling kind of chip that has channels. Where a chip labels a channel as a total (`Esocket0`,
    /// `Total System Power`), only those count: the others are its parts.
    ///
    /// # Errors
    /// No known chip is there, its files may not be read, or they read zero.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        let chips: Vec<(String, String)> = tree
            .numbered(FOLDER, "hwmon")
            .into_iter()
            .map(|(_, folder)| format!("{FOLDER}/{folder}"))
            .filter_map(|folder| Some((tree.read(&format!("{folder}/name"))?, folder)))
            .collect();
        for chip in CHIPS {
            let (mut labelled, mut interval_seconds) = (Vec::new(), 0.01_f64);
            for (_, folder) in chips.iter().filter(|(name, _)| name == chip) {
                labelled.extend(channels(tree, folder)?);
                if let Some(milliseconds) = tree.number(&format!("{folder}/update_interval")) {
                    interval_seconds = interval_seconds.max(milliseconds as f64 * 1e-3);
                }
            }
            if labelled.is_empty() {
                continue;
            }
            let has_totals = labelled.iter().any(|(label, _)| is_total(label));
            let (labels, channels): (Vec<String>, Vec<Channel>) =
                labelled.into_iter().filter(|(label, _)| !has_totals || is_total(label)).unzip();
            let name = if labels.iter().all(|label| !label.is_empty()) {
                format!("{chip} ({})", labels.join(", "))
            } else if channels.len() > 1 {
                format!("{chip} ({} channels)", channels.len())
            } else {
                chip.to_owned()
            };
            let integral = Integral::default();
            let mut meter = Self { tree: tree.clone(), name, channels, integral, interval_seconds };
            if meter.tells_watts() && meter.watts()? == 0.0 {
                let reason = format!("`{chip}` reads zero watts");
                return Err(MeterError::Implausible { meter: METER, reason });
            }
            return Ok(meter);
        }
        Err(MeterError::Absent { meter: METER, reason: format!("no known power sensor below `{FOLDER}`") })
    }

    /// What its channels of power draw together.
    fn watts(&mut self) -> Result<f64, MeterError> {
        let mut watts = 0.0;
        for channel in &self.channels {
            watts += match channel {
                Channel::Energy(_) => 0.0,
                Channel::Power { file } => number(&self.tree, METER, file)? * 1e-6,
                Channel::Product { volts, amperes } => {
                    number(&self.tree, METER, volts)? * number(&self.tree, METER, amperes)? * 1e-6
                }
            };
        }
        if watts < 0.0 {
            let reason = format!("`{}` reads {watts} W", self.name);
            return Err(MeterError::Implausible { meter: METER, reason });
        }
        Ok(watts)
    }
}

fn is_total(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    ["socket", "total", "system"].iter().any(|total| label.contains(total))
}

/// Channels with their labels: energy counters where the chip has them, else powers, else voltage times current. A channel
/// that is off, which has files but no numbers in them, is left out.
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
        if let Some(first) = optional(tree, METER, &file)? {
            let counter = EnergyCounter::new(METER, file, JOULES_PER_MICROJOULE, first);
            found.push((label(&channel), Channel::Energy(counter)));
        }
    }
    for suffix in ["_input", "_average"] {
        if !found.is_empty() {
            return Ok(found);
        }
        for channel in of_kind("power", suffix) {
            let file = format!("{folder}/{channel}{suffix}");
            if optional(tree, METER, &file)?.is_some() {
                found.push((label(&channel), Channel::Power { file }));
            }
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    for channel in of_kind("curr", "_input") {
        let index = channel.trim_start_matches("curr");
        let (volts, amperes) = (format!("{folder}/in{index}_input"), format!("{folder}/{channel}_input"));
        if optional(tree, METER, &volts)?.is_some() && optional(tree, METER, &amperes)?.is_some() {
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
        let watts = self.watts()?;
        let mut joules = self.integral.add(seconds, watts);
        for channel in &mut self.channels {
            if let Channel::Energy(counter) = channel {
                let now = number(&self.tree, METER, &counter.label)?;
                joules += counter.add(now, seconds)?;
            }
        }
        Ok(joules)
    }

    fn interval_seconds(&self) -> f64 {
        self.interval_seconds
    }

    fn tells_watts(&self) -> bool {
        self.channels.iter().any(|channel| !matches!(channel, Channel::Energy(_)))
    }
}
