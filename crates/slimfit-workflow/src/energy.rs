//! Energy of the timed runs of a phase, read from the system's meter right before and right after each.

use slimfit_probe::{PowerMeter, PowerSource, SystemTree, WatchedMeter};
use slimfit_quantity::{Figure, Measured};
use std::time::Instant;

/// Reads a meter at the edges of a phase's sentinels: a run lies between the end of one sentinel and the beginning of the
/// next.
pub(crate) struct Energy {
    meter: Result<Box<dyn PowerMeter>, String>,
    found: Instant,
    /// Where in a run's pair of sentinels the phase is.
    place: Place,
    /// Joules of each run.
    runs: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before a run's first sentinel.
    Between,
    First,
    /// With the meter's reading at the run's beginning.
    Running(Option<f64>),
    Second,
}

impl Energy {
    /// With the meter that the user wants, or the reason why there is none.
    pub(crate) fn live(power: &PowerSource) -> Self {
        Self::of(power.open(&SystemTree::live()).map(WatchedMeter::watch))
    }

    fn of(meter: Result<Box<dyn PowerMeter>, String>) -> Self {
        Self { meter, found: Instant::now(), place: Place::Between, runs: Vec::new() }
    }

    /// Joules since the meter was found. A meter that fails once is not asked again.
    fn read(&mut self) -> Option<f64> {
        let seconds = self.found.elapsed().as_secs_f64();
        match self.meter.as_mut().ok()?.joules(seconds) {
            Ok(joules) => Some(joules),
            Err(error) => {
                self.meter = Err(error.to_string());
                None
            }
        }
    }

    /// A sentinel begins: after a run, that is over.
    pub(crate) fn sentinel_begins(&mut self) {
        self.place = match self.place {
            Place::Between => Place::First,
            Place::Running(before) => {
                if let Some(joules) = before.zip(self.read()).map(|(before, after)| after - before) {
                    self.runs.push(joules);
                }
                Place::Second
            }
            inside => inside,
        };
    }

    /// A sentinel ended: after the first of its two, a run begins.
    pub(crate) fn sentinel_ended(&mut self) {
        self.place = match self.place {
            Place::First => Place::Running(self.read()),
            _ => Place::Between,
        };
    }

    /// Joules per token of runs of so many tokens each.
    pub(crate) fn joules_per_token(&self, tokens: u64) -> Figure {
        if let Err(reason) = &self.meter {
            return Figure::unavailable(reason);
        }
        if self.runs.iter().any(|joules| *joules <= 0.0) {
            return Figure::unavailable("the power meter does not move within a run: generate more tokens");
        }
        Measured::new(self.runs.iter().map(|joules| joules / tokens as f64).collect())
            .map_or_else(|| Figure::unavailable("no token was to be generated"), |measured| measured.figure())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slimfit_probe::MeterError;

    /// A meter that goes through given readings.
    struct Readings(Vec<f64>);

    impl PowerMeter for Readings {
        fn name(&self) -> &str {
            "readings"
        }

        fn joules(&mut self, _seconds: f64) -> Result<f64, MeterError> {
            if self.0.is_empty() {
                return Err(MeterError::Vanished { meter: "readings", file: "energy".to_owned() });
            }
            Ok(self.0.remove(0))
        }

        fn interval_seconds(&self) -> f64 {
            0.0
        }

        fn tells_watts(&self) -> bool {
            false
        }
    }

    fn run(readings: &[f64], runs: usize) -> Energy {
        let mut energy = Energy::of(Ok(Box::new(Readings(readings.to_vec()))));
        for _ in 0..2 * runs {
            energy.sentinel_begins();
            energy.sentinel_ended();
        }
        energy
    }

    #[test]
    fn only_what_lies_between_the_two_sentinels_of_a_run_counts() {
        let energy = run(&[10.0, 14.0, 100.0, 106.0], 2);
        assert_eq!(energy.runs, [4.0, 6.0]);
        let figure = energy.joules_per_token(2);
        assert_eq!((figure.value, figure.n), (Some(2.5), 2));
    }

    #[test]
    fn without_a_meter_the_reason_stands_there() {
        let energy = Energy::of(Err("no sensor: none".to_owned()));
        assert_eq!(energy.joules_per_token(1).reason.as_deref(), Some("no sensor: none"));
        let vanished = run(&[10.0, 14.0, 20.0], 2).joules_per_token(1);
        assert!(vanished.value.is_none() && vanished.reason.unwrap().contains("`energy`"));
        let still = run(&[10.0, 10.0], 1).joules_per_token(1);
        assert!(still.value.is_none() && still.reason.unwrap().contains("more tokens"));
    }
}
