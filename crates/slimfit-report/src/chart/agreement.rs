//! Predicted time across, measured time up, on the same scale.

use super::axis::{Axis, Frame, Mark};
use super::canvas::Drawing;
use super::{COLOURS, MUTED};
use crate::ReportInput;
use crate::unit::Unit;
use plotters::coord::Shift;
use plotters::prelude::*;

/// One run beside its prediction, in seconds.
struct Pair {
    prefill: bool,
    predicted: f64,
    low: f64,
    high: f64,
    measured: f64,
    retest: f64,
}

/// What is drawn.
pub(crate) struct Agreement {
    pairs: Vec<Pair>,
}

impl Agreement {
    /// From the verification, or where there is none from the measured models. Nothing when nothing was run.
    pub(crate) fn of(input: &ReportInput) -> Option<Self> {
        let mut pairs = Vec::new();
        if let Some(verification) = &input.verification {
            for row in verification.rows.iter().filter(|row| row.phase != "memory") {
                pairs.push(Pair {
                    prefill: row.phase == "prefill",
                    predicted: row.predicted.value,
                    low: row.predicted.low,
                    high: row.predicted.high,
                    measured: row.measured,
                    retest: row.retest.unwrap_or(row.measured),
                });
            }
        } else {
            for run in &input.measurements {
                let figures = [
                    (false, &run.predicted.tpot_seconds, &run.measured.tpot_seconds),
                    (true, &run.predicted.ttft_seconds, &run.measured.ttft_seconds),
                ];
                for (prefill, predicted, measured) in figures {
                    let (Some(value), Some(seconds)) = (predicted.value, measured.value) else { continue };
                    pairs.push(Pair {
                        prefill,
                        predicted: value,
                        low: predicted.low.unwrap_or(value),
                        high: predicted.high.unwrap_or(value),
                        measured: seconds,
                        retest: seconds,
                    });
                }
            }
        }
        let drawable = |value: f64| value.is_finite() && value > 0.0;
        pairs.retain(|pair| {
            [pair.predicted, pair.low, pair.high, pair.measured, pair.retest].into_iter().all(drawable)
        });
        (!pairs.is_empty()).then_some(Self { pairs })
    }
}

impl Drawing for Agreement {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let values = || self.pairs.iter().flat_map(|pair| [pair.predicted, pair.measured, pair.retest]);
        let show = |value| Unit::Seconds.show(value);
        let axes = Axis::over("Predicted", values(), true, false, show).zip(Axis::over(
            "Measured",
            values(),
            true,
            false,
            show,
        ));
        let Some((x, y)) = axes else { return Err("no run can be placed".to_owned()) };
        let (low, high) = x.ends();
        let frame = Frame::draw(sheet, "Predicted against measured", (x, y), 190.0, scale)?;
        for factor in [0.9, 1.1] {
            let (from, to) = (low.max(low / factor), high.min(high / factor));
            frame.line(
                sheet,
                &[frame.at(from, from * factor), frame.at(to, to * factor)],
                &MUTED.mix(0.6),
                1.0,
            )?;
        }
        frame.line(sheet, &[frame.at(low, low), frame.at(high, high)], &MUTED, 1.6)?;
        for pair in &self.pairs {
            let colour = COLOURS[usize::from(pair.prefill)];
            let across =
                [frame.at(pair.low.max(low), pair.measured), frame.at(pair.high.min(high), pair.measured)];
            frame.line(sheet, &across, &colour.mix(0.55), 1.4)?;
            frame.line(
                sheet,
                &[frame.at(pair.predicted, pair.measured), frame.at(pair.predicted, pair.retest)],
                &colour.mix(0.55),
                1.4,
            )?;
            frame.disc(sheet, frame.at(pair.predicted, pair.measured), 4.2, &colour.mix(0.9))?;
        }
        let mut entries = Vec::new();
        for (prefill, words) in [(false, "time per token"), (true, "prefill")] {
            if self.pairs.iter().any(|pair| pair.prefill == prefill) {
                entries.push((Mark::Disc, COLOURS[usize::from(prefill)], words.to_owned()));
            }
        }
        entries.push((Mark::Line, MUTED, "equal, and 10 % off".to_owned()));
        frame.legend(sheet, &entries)
    }
}
