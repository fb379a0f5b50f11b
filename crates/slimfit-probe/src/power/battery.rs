//! A discharging battery: the power of the whole device.

use super::{Integral, MeterError, PowerMeter, number, optional};
use crate::SystemTree;

const METER: &str = "battery";
const FOLDER: &str = "/sys/class/power_supply";

/// The batteries that discharge, summed.
#[derive(Debug)]
pub struct BatteryMeter {
    tree: SystemTree,
    name: String,
    batteries: Vec<String>,
    integral: Integral,
}

impl BatteryMeter {
    /// Finds every battery of the device (not of its mouse) that is discharging now.
    ///
    /// # Errors
    /// There is none, or none is discharging.
    pub fn find(tree: &SystemTree) -> Result<Self, MeterError> {
        let all: Vec<String> = tree
            .names(FOLDER)
            .into_iter()
            .map(|name| format!("{FOLDER}/{name}"))
            .filter(|folder| tree.read(&format!("{folder}/type")).as_deref() == Some("Battery"))
            .filter(|folder| tree.read(&format!("{folder}/scope")).as_deref() != Some("Device"))
            .collect();
        if all.is_empty() {
            return Err(MeterError::Absent { meter: METER, reason: "none".to_owned() });
        }
        let batteries: Vec<String> = all
            .into_iter()
            .filter(|folder| tree.read(&format!("{folder}/status")).as_deref() == Some("Discharging"))
            .collect();
        if batteries.is_empty() {
            let reason =
                "not discharging, so it does not tell the device's power; unplug the charger".to_owned();
            return Err(MeterError::Absent { meter: METER, reason });
        }
        let mut sum = 0.0;
        for folder in &batteries {
            sum += watts(tree, folder)?;
        }
        if sum == 0.0 {
            let reason = "it discharges with zero watts: its gauge does not tell".to_owned();
            return Err(MeterError::Implausible { meter: METER, reason });
        }
        Ok(Self { tree: tree.clone(), name: name(&batteries), batteries, integral: Integral::default() })
    }
}

/// The kernel's names of what is summed.
fn name(batteries: &[String]) -> String {
    let names: Vec<&str> =
        batteries.iter().map(|folder| folder.rsplit('/').next().unwrap_or(folder)).collect();
    format!("battery ({})", names.join(", "))
}

/// Watts of one battery. Drivers disagree about the sign while discharging.
fn watts(tree: &SystemTree, folder: &str) -> Result<f64, MeterError> {
    if let Some(microwatts) = optional(tree, METER, &format!("{folder}/power_now"))? {
        return Ok(microwatts.abs() * 1e-6);
    }
    let microamperes = number(tree, METER, &format!("{folder}/current_now"))?;
    let microvolts = number(tree, METER, &format!("{folder}/voltage_now"))?;
    Ok((microamperes * microvolts).abs() * 1e-12)
}

impl PowerMeter for BatteryMeter {
    fn name(&self) -> &str {
        &self.name
    }

    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError> {
        let mut sum = 0.0;
        for folder in &self.batteries {
            let file = format!("{folder}/status");
            match self.tree.read(&file).as_deref() {
                Some("Discharging") => {}
                Some(_) => {
                    let reason = "the charger was plugged in during the measurement".to_owned();
                    return Err(MeterError::Implausible { meter: METER, reason });
                }
                None => return Err(MeterError::Vanished { meter: METER, file }),
            }
            sum += watts(&self.tree, folder)?;
        }
        Ok(self.integral.add(seconds, sum))
    }

    // Fuel gauges average over seconds.
    fn interval_seconds(&self) -> f64 {
        2.0
    }

    fn tells_watts(&self) -> bool {
        true
    }
}
