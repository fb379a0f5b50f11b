//! Power that the user gives, for a device on which nothing measures it.

use crate::{BandwidthKind, HardwareError, HardwareProfile, LoadedPower, PeakType, Power};
use slimfit_quantity::{Figure, Source};
use std::fmt;
use std::str::FromStr;

/// Watts of the whole device, idle and under load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GivenWatts {
    /// Idle.
    pub idle_watts: f64,
    /// Under any load, with any number of threads.
    pub loaded_watts: f64,
}

impl GivenWatts {
    /// How figures that rest on it name their origin.
    pub fn origin(self) -> String {
        format!("watts given by the user: {self}")
    }
}

impl fmt::Display for GivenWatts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} W idle, {} W loaded", self.idle_watts, self.loaded_watts)
    }
}

impl FromStr for GivenWatts {
    type Err = HardwareError;

    /// `IDLE,LOADED` in watts, as in `2.7,6.5`; each may end with `W`.
    fn from_str(text: &str) -> Result<Self, HardwareError> {
        let number = |text: &str| text.trim().trim_end_matches(['W', 'w']).trim_end().parse::<f64>().ok();
        text.split_once(',')
            .and_then(|(idle, loaded)| Some((number(idle)?, number(loaded)?)))
            .filter(|(idle, loaded)| *idle > 0.0 && loaded.is_finite() && loaded > idle)
            .map(|(idle_watts, loaded_watts)| Self { idle_watts, loaded_watts })
            .ok_or_else(|| HardwareError::Watts { found: text.to_owned() })
    }
}

impl HardwareProfile {
    /// Puts given watts in the place of what the profile says of power. Every figure is then *modelled* and names the
    /// watts; joules per byte and per operation come from the profile's own bandwidth and peak with all threads, where it
    /// has them.
    pub fn give_watts(&mut self, watts: GivenWatts) {
        let figure = |value: f64| Figure {
            value: Some(value),
            low: Some(value),
            high: Some(value),
            n: 0,
            source: Source::Modelled,
            reason: None,
            citation: Some(watts.origin()),
        };
        let above_idle = watts.loaded_watts - watts.idle_watts;
        let per = |rate: Option<f64>, what: &str| match rate.filter(|rate| *rate > 0.0) {
            Some(rate) => figure(above_idle / rate),
            None => Figure::unavailable(format!("the profile holds no {what} with all threads")),
        };
        let mut counts = self.thread_counts();
        if counts.is_empty() {
            // Described from publications: one figure for the whole device.
            counts.push(self.topology.cores);
        }
        let most = counts.last().copied().unwrap_or(1);
        let farthest = self
            .bandwidth
            .iter()
            .filter(|point| point.kind == BandwidthKind::Read && point.threads == most)
            .map(|point| point.working_set_bytes)
            .max();
        let read_bytes_per_s = farthest.and_then(|bytes| self.read_bandwidth(most, bytes));
        self.power = Power {
            meter: None,
            idle_watts: figure(watts.idle_watts),
            joules_per_byte: per(read_bytes_per_s, "read bandwidth"),
            joules_per_op: per(self.peak_ops(PeakType::F32, most), "f32 peak"),
            loaded: counts
                .into_iter()
                .flat_map(|threads| ["read", "compute"].map(|class| (class, threads)))
                .map(|(class, threads)| LoadedPower {
                    class: class.to_owned(),
                    threads,
                    watts: figure(watts.loaded_watts),
                })
                .collect(),
        };
    }
}
