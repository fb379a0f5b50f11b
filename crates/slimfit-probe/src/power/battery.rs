//! A discharging battery: the power of the whole device.

use super::{Integral, MeterError, PowerMeter, number};
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
        for folder in &batteries {
            watts(tree, folder)?;
        }
        Ok(Self { tree: tree.clone(), name: "battery".to_owned(), batteries, integral: Integral::default() })
    }
}

/// Watts of one battery. Drivers disagree about the sign while discharging.
fn watts(tree: &SystemTree, folder: &str) -> Result<f64, MeterError> {
    if let Ok(microwatts) = number(tree, METER, &format!("{folder}/power_now")) {
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
            if self.tree.read(&format!("{folder}/status")).as_deref() != Some("Discharging") {
                let reason = "the charger was plugged in during the measurement".to_owned();
                return Err(MeterError::Implausible { meter: METER, reason });
            }
            sum += watts(&self.tree, folder)?;
        }
        Ok(self.integral.add(seconds, sum))
    }
}
