//! Power, from whatever the system offers.

mod battery;
mod command;
mod counter;
mod hwmon;
mod ina3221;
mod loads;
mod perf;
mod rapl;
mod source;
mod watched;

pub use battery::BatteryMeter;
pub use command::CommandMeter;
pub use hwmon::HwmonMeter;
pub use ina3221::Ina3221Meter;
pub(crate) use loads::{Loads, PowerMeasurement, measure, share_of_budget};
pub use perf::PerfMeter;
pub use rapl::RaplMeter;
pub use source::PowerSource;
pub use watched::WatchedMeter;

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
    #[error("{meter}: `{file}` may not be read by this user; {hint}")]
    Forbidden {
        /// The kind of meter.
        meter: &'static str,
        /// The file.
        file: String,
        /// What gives the right.
        hint: &'static str,
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
    /// The meter stopped.
    #[error("{meter}: {reason}")]
    Ended {
        /// The kind of meter.
        meter: &'static str,
        /// How.
        reason: String,
    },
}

/// Something that tells energy.
pub trait PowerMeter: Send {
    /// What it is and which of its parts are summed, for the profile.
    fn name(&self) -> &str;

    /// Joules since the meter was found. `seconds` is the time since then: meters that tell watts integrate over it.
    /// Must be called more often than the counter wraps: once a second is enough for every known one.
    ///
    /// # Errors
    /// The sensor vanished, stands still, ran backwards, or says what cannot be.
    fn joules(&mut self, seconds: f64) -> Result<f64, MeterError>;

    /// Seconds between two readings that can differ. A load is only seen by a meter that is read several times meanwhile.
    fn interval_seconds(&self) -> f64;

    /// Whether it tells watts of this moment, so that it must be read all the time and not only at both ends.
    fn tells_watts(&self) -> bool;
}

/// The best meter of the system: the processor's own energy counters, then sensor chips, then a discharging battery.
///
/// # Errors
/// Why each of them cannot be used, in one line.
pub fn find_meter(tree: &SystemTree) -> Result<Box<dyn PowerMeter>, String> {
    type Find = fn(&SystemTree) -> Result<Box<dyn PowerMeter>, MeterError>;
    let kinds: [Find; 5] = [
        |tree| Ok(Box::new(RaplMeter::find(tree)?)),
        |tree| Ok(Box::new(PerfMeter::find(tree)?)),
        |tree| Ok(Box::new(Ina3221Meter::find(tree)?)),
        |tree| Ok(Box::new(HwmonMeter::find(tree)?)),
        |tree| Ok(Box::new(BatteryMeter::find(tree)?)),
    ];
    let mut reasons = Vec::new();
    for find in kinds {
        match find(tree) {
            Ok(meter) => return Ok(meter),
            Err(error) => reasons.push(error.to_string()),
        }
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

/// Who may read files that only root may read.
const ROOT_MAY: &str = "root may, and `sudo chmod a+r` on it lets others until the next start";

/// A file that holds one number, read again and again.
fn number(tree: &SystemTree, meter: &'static str, file: &str) -> Result<f64, MeterError> {
    let gone = || MeterError::Vanished { meter, file: file.to_owned() };
    match tree.text(file) {
        Ok(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(gone),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(MeterError::Forbidden { meter, file: file.to_owned(), hint: ROOT_MAY })
        }
        Err(_) => Err(gone()),
    }
}

/// A number that may be missing: nothing then, and an error only where this user may not read it.
fn optional(tree: &SystemTree, meter: &'static str, file: &str) -> Result<Option<f64>, MeterError> {
    match number(tree, meter, file) {
        Ok(value) => Ok(Some(value)),
        Err(error @ MeterError::Forbidden { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}
