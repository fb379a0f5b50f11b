//! Power, from whatever the system offers.

mod battery;
mod hwmon;
mod loads;
mod rapl;

pub use battery::BatteryMeter;
pub use hwmon::HwmonMeter;
pub(crate) use loads::{Loads, PowerMeasurement, measure};
pub use rapl::RaplMeter;

use crate::SystemTree;

/// Why a meter cannot be used, or stopped being usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeterError {
    /// The system has no such sensor.
    #[error("{meter}: {reason}")]
    Absent {
        /// The kind of meter.
        meter: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The sensor is there, but this user may not read it.
    #[error("{meter}: `{file}` may not be read by this user (root may)")]
    Forbidden {
        /// The kind of meter.
        meter: &'static str,
        /// The file.
        file: String,
    },
    /// The sensor answered before, but not now.
    #[error("{meter}: `{file}` gives no number any more")]
    Vanished {
        /// The kind of meter.
        meter: &'static str,
        /// The file.
        file: String,
    },
    /// The sensor answers with something that cannot be.
    #[error("{meter}: {reason}")]
    Implausible {
        /// The kind of meter.
        meter: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Something that tells energy.
pub trait PowerMeter {
    /// What it is, for the profile.
    fn name(&self) -> &str;

    /// Joules since the meter was found. `seconds` is the time since then: meters that tell watts integrate over it.
    /// Must be called more often than the counter wraps: once a second is enough for every known one.
    ///
    /// # Errors
    /// The sensor vanished, or its counter ran backwards.
    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError>;
}

/// The best meter of the system: the processor's own energy counters, then sensor chips, then a discharging battery.
///
/// # Errors
/// Why each of them cannot be used, in one line.
pub fn find_meter(tree: &SystemTree) -> Result<Box<dyn PowerMeter>, String> {
    let mut reasons = Vec::new();
    match RaplMeter::find(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(error) => reasons.push(error.to_string()),
    }
    match HwmonMeter::find(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(error) => reasons.push(error.to_string()),
    }
    match BatteryMeter::find(tree) {
        Ok(meter) => return Ok(Box::new(meter)),
        Err(error) => reasons.push(error.to_string()),
    }
    Err(format!("no power sensor answers: {}", reasons.join("; ")))
}

/// A watt reading integrated over time by the trapezium rule.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Integral {
    last: Option<(f64, f64)>,
    joules: f64,
}

impl Integral {
    /// Joules up to the reading `watts` at `seconds`.
    pub fn add(&mut self, seconds: f64, watts: f64) -> f64 {
        if let Some((before, watts_before)) = self.last {
            self.joules += (seconds - before).max(0.0) * (watts + watts_before) / 2.0;
        }
        self.last = Some((seconds, watts));
        self.joules
    }
}

/// A file that holds one number, read again and again.
fn number(tree: &SystemTree, meter: &'static str, file: &str) -> Result<f64, MeterError> {
    match std::fs::read_to_string(tree.path(file)) {
        Ok(text) => text.trim().parse().map_err(|_| MeterError::Vanished { meter, file: file.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(MeterError::Forbidden { meter, file: file.to_owned() })
        }
        Err(_) => Err(MeterError::Vanished { meter, file: file.to_owned() }),
    }
}
