//! The roofline: measured bandwidth and peaks, with the kernels beneath.

use super::axis::{Axis, Frame, Mark};
use super::canvas::Drawing;
use super::{COLOURS, INK, MUTED};
use crate::ReportInput;
use crate::roofline::{Peak, Place, bandwidths, peaks, placed, predicted};
use crate::unit::{Unit, digits};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// What is drawn.
pub(crate) struct Roofline {
    kernels: Vec<Place>,
    operations: Vec<Place>,
    bandwidths: Vec<(String, f64)>,
    peaks: Vec<Peak>,
}

impl Roofline {
    /// Nothing when the profile lacks bandwidth or peaks.
    pub(crate) fn of(input: &ReportInput) -> Option<Self> {
        let profile = input.profile.as_ref()?;
        let mut operations: Vec<Place> = input
            .explanations
            .iter()
            .flat_map(|explanation| &explanation.operations)
            .filter_map(predicted)
            .collect();
        operations.sort_by(|a, b| a.operations_per_byte.total_cmp(&b.operations_per_byte));
        operations.dedup();
        let roofline = Self {
            kernels: profile.kernels.iter().filter_map(placed).collect(),
            operations,
            bandwidths: bandwidths(profile),
            peaks: peaks(profile),
        };
        (!roofline.bandwidths.is_empty() && !roofline.peaks.is_empty()).then_some(roofline)
    }
}

impl Drawing for Roofline {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let places = || self.kernels.iter().chain(&self.operations);
        let highest = self.peaks.iter().map(|peak| peak.operations_per_second).fold(0.0, f64::max);
        let slowest = self.bandwidths.iter().map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
        let across = places().map(|place| place.operations_per_byte).chain([0.25, 4.0 * highest / slowest]);
        let up = places().map(|place| place.operations_per_second).chain([highest * 1.1, slowest * 0.25]);
        let x = Axis::over("Operations per byte", across, true, false, digits);
        let y = Axis::over("Operations per second", up, true, false, |value| {
            Unit::OperationsPerSecond.show(value)
        });
        let (Some(x), Some(y)) = (x, y) else { return Err("no kernel can be placed".to_owned()) };
        let ((left, right), (bottom, _)) = (x.ends(), y.ends());
        let frame = Frame::draw(sheet, "Roofline", (x, y), 220.0, scale)?;
        for (label, rate) in &self.bandwidths {
            let start = left.max(bottom / rate);
            let ridge = highest / rate;
            frame.line(sheet, &[frame.at(start, start * rate), frame.at(ridge, highest)], &MUTED, 1.8)?;
            let place = frame.at(start * 1.25, start * 1.25 * rate);
            frame.text(
                sheet,
                label,
                (place.0 + 8.0 * scale, place.1 + 10.0 * scale),
                12.5,
                &MUTED,
                (HPos::Left, VPos::Center),
            )?;
        }
        let fastest = self.bandwidths.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        for peak in &self.peaks {
            let value = peak.operations_per_second;
            frame.line(sheet, &[frame.at(value / fastest, value), frame.at(right, value)], &INK, 1.8)?;
            let place = (frame.right() - 4.0 * scale, frame.up(value) - 10.0 * scale);
            frame.text(sheet, &peak.label, place, 13.0, &INK, (HPos::Right, VPos::Center))?;
        }
        for place in &self.operations {
            frame.ring(
                sheet,
                frame.at(place.operations_per_byte, place.operations_per_second),
                4.0,
                &COLOURS[1].mix(0.8),
            )?;
        }
        for place in &self.kernels {
            frame.disc(
                sheet,
                frame.at(place.operations_per_byte, place.operations_per_second),
                3.0,
                &COLOURS[0].mix(0.75),
            )?;
        }
        let mut entries = vec![
            (Mark::Line, INK, "measured peak".to_owned()),
            (Mark::Line, MUTED, "measured bandwidth".to_owned()),
        ];
        if !self.kernels.is_empty() {
            entries.push((Mark::Disc, COLOURS[0], "kernels, measured".to_owned()));
        }
        if !self.operations.is_empty() {
            entries.push((Mark::Ring, COLOURS[1], "picks’ operations, predicted".to_owned()));
        }
        frame.legend(sheet, &entries)
    }
}
