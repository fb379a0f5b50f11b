//! The bandwidth staircase: working set across, bytes per second up, a line for each number of threads.

use super::axis::{Axis, Frame, Mark, short};
use super::canvas::Drawing;
use super::{COLOURS, MUTED};
use crate::ReportInput;
use crate::staircase::{Step, staircase};
use crate::unit::Unit;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use slimfit_hardware::Cache;

/// What is drawn.
pub(crate) struct Staircase<'a> {
    steps: Vec<Step<'a>>,
    caches: &'a [Cache],
    name: &'a str,
}

impl<'a> Staircase<'a> {
    /// Nothing when the profile holds no measured reading.
    pub(crate) fn of(input: &'a ReportInput) -> Option<Self> {
        let profile = input.profile.as_ref()?;
        let steps = staircase(profile);
        (!steps.is_empty()).then_some(Self { steps, caches: &profile.topology.caches, name: &profile.name })
    }
}

impl Drawing for Staircase<'_> {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let points = || self.steps.iter().flat_map(|step| step.points.iter());
        let across = points().map(|point| point.working_set_bytes as f64);
        let up = points().filter_map(|point| point.bytes_per_s.high.or(point.bytes_per_s.value));
        let x = Axis::over("Working set of all threads", across, true, true, whole_bytes);
        let y = Axis::from_zero("Read bandwidth", up, |value| Unit::BytesPerSecond.show(value));
        let (Some(x), Some(y)) = (x, y) else { return Err("no bandwidth can be placed".to_owned()) };
        let (low, high) = x.ends();
        let frame = Frame::draw(sheet, &format!("Memory bandwidth: {}", self.name), (x, y), 130.0, scale)?;
        for cache in self.caches.iter().filter(|cache| (low..high).contains(&(cache.bytes as f64))) {
            let across = frame.across(cache.bytes as f64);
            frame.line(sheet, &[(across, frame.top()), (across, frame.bottom())], &MUTED.mix(0.7), 1.0)?;
            let words = format!("L{} {}", cache.level, whole_bytes(cache.bytes as f64));
            frame.text(
                sheet,
                &words,
                (across, frame.top() - 9.0 * scale),
                12.5,
                &MUTED,
                (HPos::Center, VPos::Center),
            )?;
        }
        let mut entries = Vec::new();
        for (index, Step { threads, points }) in self.steps.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<_> = points
                .iter()
                .filter_map(|point| Some(frame.at(point.working_set_bytes as f64, point.bytes_per_s.value?)))
                .collect();
            frame.line(sheet, &places, &colour, 2.0)?;
            for (point, place) in points.iter().zip(&places) {
                if let (Some(low), Some(high)) = (point.bytes_per_s.low, point.bytes_per_s.high) {
                    frame.line(
                        sheet,
                        &[(place.0, frame.up(low)), (place.0, frame.up(high))],
                        &colour.mix(0.6),
                        1.4,
                    )?;
                }
                frame.disc(sheet, *place, 3.2, &colour)?;
            }
            let words = format!("{threads} thread{}", if *threads == 1 { "" } else { "s" });
            entries.push((Mark::Line, colour, words));
        }
        frame.legend(sheet, &entries)
    }
}

fn whole_bytes(value: f64) -> String {
    short(&Unit::Bytes.show(value))
}
