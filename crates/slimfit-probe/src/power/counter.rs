//! A counter of energy that is read again and again: what passed since, over wraps, and whether it can be believed.

use super::MeterError;

/// A counter that did not move for so long does not count: idle machines draw power too, and every known counter is
/// brought up to date at least ten times a second.
const STUCK_SECONDS: f64 = 3.0;

/// One counter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EnergyCounter {
    meter: &'static str,
    /// The file or event, for messages.
    pub label: String,
    joules_per_count: f64,
    /// The count past which it starts again at zero, where it does.
    range: Option<f64>,
    last: f64,
    /// When it last moved.
    moved: f64,
    counts: f64,
}

impl EnergyCounter {
    /// A counter that stands at `first` at second 0.
    pub fn new(meter: &'static str, label: String, joules_per_count: f64, first: f64) -> Self {
        Self { meter, label, joules_per_count, range: None, last: first, moved: 0.0, counts: 0.0 }
    }

    /// The same counter, starting again at zero past `range`.
    pub fn wrapping(self, range: f64) -> Self {
        Self { range: Some(range), ..self }
    }

    /// Joules since the beginning, now that it stands at `now` at `seconds`.
    ///
    /// # Errors
    /// It ran backwards without a wrap, or stands still.
    pub fn add(&mut self, now: f64, seconds: f64) -> Result<f64, MeterError> {
        let mut passed = now - self.last;
        if passed < 0.0 {
            // A wrapped counter stands early in its range; one that merely fell did not wrap.
            passed = match self.range {
                Some(range) if (0.0..=range / 2.0).contains(&(passed + range)) => passed + range,
                _ => return Err(self.implausible(format!("ran backwards from {} to {now}", self.last))),
            };
        }
        if passed > 0.0 {
            self.moved = seconds;
        } else if seconds - self.moved > STUCK_SECONDS {
            return Err(self.implausible(format!("stands still at {now} for {:.1} s", seconds - self.moved)));
        }
        self.counts += passed;
        self.last = now;
        Ok(self.counts * self.joules_per_count)
    }

    fn implausible(&self, what: String) -> MeterError {
        MeterError::Implausible { meter: self.meter, reason: format!("`{}` {what}", self.label) }
    }
}
