//! What a power command has printed so far, and the energy that it tells.

use super::METER;
use crate::power::MeterError;

/// A command that is silent for so long, and for longer than five of its own intervals, has stopped telling.
const LONGEST_SILENCE_SECONDS: f64 = 10.0;

/// What a line says, in SI units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// Watts from now on.
    Watts(f64),
    /// Joules counted since some moment in the past.
    Joules(f64),
}

/// Reads one line: nothing for an empty line or one that begins with `#`.
pub(crate) fn parse(line: &str) -> Result<Option<Reading>, MeterError> {
    const UNITS: [(&str, f64, bool); 10] = [
        ("kWh", 3.6e6, true),
        ("mWh", 3.6, true),
        ("Wh", 3600.0, true),
        ("kJ", 1e3, true),
        ("mJ", 1e-3, true),
        ("uJ", 1e-6, true),
        ("J", 1.0, true),
        ("mW", 1e-3, false),
        ("uW", 1e-6, false),
        ("W", 1.0, false),
    ];
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let (number, size, energy) = UNITS
        .iter()
        .find_map(|(unit, size, energy)| Some((text.strip_suffix(unit)?, *size, *energy)))
        .unwrap_or((text, 1.0, false));
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => {
            let value = value * size;
            Ok(Some(if energy { Reading::Joules(value) } else { Reading::Watts(value) }))
        }
        _ => {
            let shown: String = text.chars().take(80).collect();
            Err(MeterError::Implausible {
                meter: METER,
                reason: format!(
                    "it printed `{shown}`, which is no power like `3.2 W` and no energy like `120 J`"
                ),
            })
        }
    }
}

/// The energy that lines tell, each at the second of its arrival.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Readings {
    /// The last line, and when it came.
    last: Option<(f64, Reading)>,
    first_at: f64,
    lines: u32,
    joules: f64,
}

impl Readings {
    /// Takes in what was read at second `at`.
    ///
    /// # Errors
    /// The count fell, or watts and joules alternate.
    pub fn add(&mut self, at: f64, reading: Reading) -> Result<(), MeterError> {
        let implausible = |reason: String| Err(MeterError::Implausible { meter: METER, reason });
        match (self.last, reading) {
            (None, _) => self.first_at = at,
            (Some((before, Reading::Watts(watts))), Reading::Watts(_)) => {
                self.joules += watts * (at - before).max(0.0);
            }
            (Some((_, Reading::Joules(before))), Reading::Joules(now)) => {
                if now < before {
                    return implausible(format!("its count ran backwards from {before} J to {now} J"));
                }
                self.joules += now - before;
            }
            _ => return implausible("it prints watts and joules by turns".to_owned()),
        }
        self.last = Some((at, reading));
        self.lines += 1;
        Ok(())
    }

    /// Joules from the first line to second `now`: watts hold until the next line, a count stands where it stood.
    ///
    /// # Errors
    /// It printed nothing yet, or has fallen silent.
    pub fn joules(&self, now: f64) -> Result<f64, MeterError> {
        let ended = |reason: String| MeterError::Ended { meter: METER, reason };
        let Some((at, reading)) = self.last else {
            return Err(ended("it has printed nothing".to_owned()));
        };
        let silent = now - at;
        if silent > LONGEST_SILENCE_SECONDS.max(5.0 * self.interval_seconds()) {
            return Err(ended(format!("it has printed nothing for {silent:.0} s")));
        }
        Ok(match reading {
            Reading::Watts(watts) => self.joules + watts * silent.max(0.0),
            Reading::Joules(_) => self.joules,
        })
    }

    /// Mean seconds between lines; 0 before the second one.
    pub fn interval_seconds(&self) -> f64 {
        match self.last {
            Some((at, _)) if self.lines > 1 => (at - self.first_at) / f64::from(self.lines - 1),
            _ => 0.0,
        }
    }

    /// Lines that told something.
    pub fn lines(&self) -> u32 {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_s_lines_are_watts_or_joules_in_usual_units() {
        for (line, reading) in [
            ("3.5", Reading::Watts(3.5)),
            (" 3.5 W\n", Reading::Watts(3.5)),
            ("3500mW", Reading::Watts(3.5)),
            ("120 J", Reading::Joules(120.0)),
            ("2 Wh", Reading::Joules(7200.0)),
            ("1.5 kWh", Reading::Joules(5.4e6)),
        ] {
            assert_eq!(parse(line), Ok(Some(reading)), "{line}");
        }
        assert_eq!((parse(""), parse("# a plug in the lab")), (Ok(None), Ok(None)));
        for wrong in ["power", "-3 W", "NaN", "3 A", "3,5 W", "W"] {
            assert!(matches!(parse(wrong), Err(MeterError::Implausible { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_command_s_watts_hold_until_the_next_line() {
        let mut readings = Readings::default();
        assert!(readings.joules(0.0).is_err());
        readings.add(1.0, Reading::Watts(10.0)).unwrap();
        assert_eq!(readings.joules(2.0), Ok(10.0));
        readings.add(2.0, Reading::Watts(20.0)).unwrap();
        assert_eq!(readings.joules(2.5), Ok(20.0));
        assert_eq!(readings.interval_seconds(), 1.0);
    }

    #[test]
    fn a_command_s_joules_count_from_its_first_line_and_may_not_fall() {
        let mut readings = Readings::default();
        readings.add(1.0, Reading::Joules(5000.0)).unwrap();
        readings.add(2.0, Reading::Joules(5030.0)).unwrap();
        assert_eq!(readings.joules(2.9), Ok(30.0));
        let fell = readings.add(3.0, Reading::Joules(10.0)).unwrap_err();
        assert!(fell.to_string().contains("backwards from 5030 J to 10 J"), "{fell}");
        let mixed = readings.add(3.0, Reading::Watts(10.0)).unwrap_err();
        assert!(mixed.to_string().contains("watts and joules"), "{mixed}");
    }

    #[test]
    fn a_command_that_falls_silent_ends() {
        let mut readings = Readings::default();
        readings.add(0.0, Reading::Watts(1.0)).unwrap();
        assert_eq!(readings.joules(9.0), Ok(9.0));
        assert!(matches!(readings.joules(11.0), Err(MeterError::Ended { .. })));
        for at in [30.0, 60.0] {
            readings.add(at, Reading::Watts(1.0)).unwrap();
        }
        assert!(
            readings.joules(150.0).is_ok(),
            "a plug that tells every half minute may be silent for longer"
        );
    }
}
