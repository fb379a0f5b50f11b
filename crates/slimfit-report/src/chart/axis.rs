//! Axes: a titled frame with a grid, logarithmic or not, and marks at round values.
//!
//! Values are placed here and not by plotters, whose logarithmic axes mark powers of ten only.

use super::canvas::reason;
use super::{INK, LINE, MUTED};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// One axis.
pub(crate) struct Axis {
    /// What it shows, with its unit.
    pub(crate) title: String,
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over `values` with some room at both ends. Logarithmic where asked for and all values are positive.
    /// Nothing when no value is finite.
    pub(crate) fn over(
        title: impl Into<String>,
        values: impl Iterator<Item = f64>,
        log: bool,
        binary: bool,
        label: impl Fn(f64) -> String,
    ) -> Option<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && !(log && *value <= 0.0)) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            return None;
        }
        if log {
            let room = (high / low).powf(0.06).max(1.15);
            (low, high) = (low / room, high * room);
        } else {
            let room = ((high - low) * 0.06).max(high.abs() * 0.01).max(f64::MIN_POSITIVE);
            (low, high) = (low - room, high + room);
        }
        let ticks = round_values(low, high, log, binary)
            .into_iter()
            .map(|value| (value, short(&label(value))))
            .collect();
        Some(Self { title: title.into(), low, high, log, ticks })
    }

    /// The same axis, starting at zero.
    pub(crate) fn from_zero(
        title: impl Into<String>,
        values: impl Iterator<Item = f64>,
        label: impl Fn(f64) -> String,
    ) -> Option<Self> {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max) * 1.08;
        (high > 0.0).then(|| Self {
            title: title.into(),
            low: 0.0,
            high,
            log: false,
            ticks: round_values(0.0, high, false, false)
                .into_iter()
                .map(|value| (value, short(&label(value))))
                .collect(),
        })
    }

    /// Where the axis ends.
    pub(crate) const fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn share(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }
}

/// `30 ms` instead of `30.0 ms`.
pub(crate) fn short(text: &str) -> String {
    let (number, unit) = text.split_once(' ').map_or((text, None), |(number, unit)| (number, Some(unit)));
    let number = if number.contains('.') && !number.contains('e') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    unit.map_or_else(|| number.to_owned(), |unit| format!("{number} {unit}"))
}

/// Between 3 and about 10 round values within `low..=high`.
fn round_values(low: f64, high: f64, log: bool, binary: bool) -> Vec<f64> {
    let within = |value: &f64| *value >= low * 0.999_999 && *value <= high * 1.000_001;
    if log {
        let base: f64 = if binary { 2.0 } else { 10.0 };
        let powers = (low.ln() / base.ln()).floor() as i32..=(high.ln() / base.ln()).ceil() as i32;
        let families: [&[f64]; 3] =
            if binary { [&[1.0], &[1.0], &[1.0]] } else { [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0]] };
        let mut found = Vec::new();
        for family in families {
            found = powers
                .clone()
                .flat_map(|power| family.iter().map(move |factor| factor * base.powi(power)))
                .filter(|value| within(value))
                .collect();
            if found.len() >= 4 {
                break;
            }
        }
        while found.len() > 11 {
            found = found.into_iter().step_by(2).collect();
        }
        if found.len() >= 3 {
            return found;
        }
    }
    let rough = (high - low) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(power * 10.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|index| index as f64 * step).collect()
}

/// A drawn frame: turns values into places on the sheet.
pub(crate) struct Frame {
    x: Axis,
    y: Axis,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    /// Sheet units to pixels.
    pub(crate) scale: f64,
}

impl Frame {
    /// Draws title, grid, marks and axis titles, leaving `legend` units free on the right.
    pub(crate) fn draw<B: DrawingBackend>(
        sheet: &DrawingArea<B, Shift>,
        title: &str,
        (x, y): (Axis, Axis),
        legend: f64,
        scale: f64,
    ) -> Result<Self, String> {
        let (width, height) = sheet.dim_in_pixel();
        let (left, top) = (84.0 * scale, 52.0 * scale);
        let frame = Self {
            x,
            y,
            left,
            top,
            width: f64::from(width) - left - (24.0 + legend) * scale,
            height: f64::from(height) - top - 64.0 * scale,
            scale,
        };
        frame.text(sheet, title, (24.0 * scale, 24.0 * scale), 20.0, &INK, (HPos::Left, VPos::Center))?;
        for (value, label) in &frame.x.ticks {
            let across = frame.across(*value);
            frame.line(sheet, &[(across, top), (across, top + frame.height)], &LINE, 1.0)?;
            frame.text(
                sheet,
                label,
                (across, top + frame.height + 8.0 * scale),
                14.0,
                &MUTED,
                (HPos::Center, VPos::Top),
            )?;
        }
        for (value, label) in &frame.y.ticks {
            let up = frame.up(*value);
            frame.line(sheet, &[(left, up), (left + frame.width, up)], &LINE, 1.0)?;
            frame.text(sheet, label, (left - 8.0 * scale, up), 14.0, &MUTED, (HPos::Right, VPos::Center))?;
        }
        let bottom = top + frame.height;
        frame.line(sheet, &[(left, top), (left, bottom), (left + frame.width, bottom)], &MUTED, 1.2)?;
        let middle = (left + frame.width / 2.0, bottom + 46.0 * scale);
        frame.text(sheet, &frame.x.title, middle, 15.0, &INK, (HPos::Center, VPos::Center))?;
        let style =
            text_style(15.0 * scale, &INK, (HPos::Center, VPos::Center)).transform(FontTransform::Rotate270);
        sheet
            .draw(&Text::new(
                frame.y.title.clone(),
                ((18.0 * scale) as i32, (top + frame.height / 2.0) as i32),
                style,
            ))
            .map_err(reason)?;
        Ok(frame)
    }

    /// The place of a value across.
    pub(crate) fn across(&self, value: f64) -> f64 {
        self.left + self.width * self.x.share(value)
    }

    /// The place of a value up.
    pub(crate) fn up(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - self.y.share(value))
    }

    /// The place of a point.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.across(x), self.up(y))
    }

    /// The right edge.
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// The upper edge.
    pub(crate) const fn top(&self) -> f64 {
        self.top
    }

    /// The lower edge.
    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// A line through places, cut to nothing outside the sheet by the backend.
    pub(crate) fn line<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        places: &[(f64, f64)],
        colour: &impl Color,
        width: f64,
    ) -> Result<(), String> {
        let style = ShapeStyle::from(colour).stroke_width((width * self.scale).round().max(1.0) as u32);
        sheet
            .draw(&PathElement::new(places.iter().map(|place| pixel(*place)).collect::<Vec<_>>(), style))
            .map_err(reason)
    }

    /// A filled disc.
    pub(crate) fn disc<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        place: (f64, f64),
        radius: f64,
        colour: &impl Color,
    ) -> Result<(), String> {
        sheet
            .draw(&Circle::new(pixel(place), (radius * self.scale) as i32, ShapeStyle::from(colour).filled()))
            .map_err(reason)
    }

    /// A ring.
    pub(crate) fn ring<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        place: (f64, f64),
        radius: f64,
        colour: &impl Color,
    ) -> Result<(), String> {
        let style = ShapeStyle::from(colour).stroke_width((1.6 * self.scale) as u32);
        sheet.draw(&Circle::new(pixel(place), (radius * self.scale) as i32, style)).map_err(reason)
    }

    /// A filled diamond.
    pub(crate) fn diamond<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        (x, y): (f64, f64),
        radius: f64,
        colour: &impl Color,
    ) -> Result<(), String> {
        let radius = radius * self.scale;
        let corners =
            [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)].map(pixel).to_vec();
        sheet.draw(&Polygon::new(corners, ShapeStyle::from(colour).filled())).map_err(reason)
    }

    /// Text of `size` units at a place.
    pub(crate) fn text<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        text: &str,
        place: (f64, f64),
        size: f64,
        colour: &RGBColor,
        anchor: (HPos, VPos),
    ) -> Result<(), String> {
        sheet
            .draw(&Text::new(text.to_owned(), pixel(place), text_style(size * self.scale, colour, anchor)))
            .map_err(reason)
    }

    /// Entries beside the frame: a mark in `colour` and its words.
    pub(crate) fn legend<B: DrawingBackend>(
        &self,
        sheet: &DrawingArea<B, Shift>,
        entries: &[(Mark, RGBColor, String)],
    ) -> Result<(), String> {
        for (index, (mark, colour, words)) in entries.iter().enumerate() {
            let x = self.right() + 26.0 * self.scale;
            let y = self.top + (8.0 + 22.0 * index as f64) * self.scale;
            match mark {
                Mark::Disc => self.disc(sheet, (x, y), 5.0, colour)?,
                Mark::Ring => self.ring(sheet, (x, y), 5.0, colour)?,
                Mark::Diamond => self.diamond(sheet, (x, y), 6.0, colour)?,
                Mark::Line => {
                    self.line(sheet, &[(x - 8.0 * self.scale, y), (x + 8.0 * self.scale, y)], colour, 2.5)?;
                }
            }
            self.text(sheet, words, (x + 15.0 * self.scale, y), 13.5, &INK, (HPos::Left, VPos::Center))?;
        }
        Ok(())
    }
}

/// The mark of a legend's entry.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Disc,
    Ring,
    Diamond,
    Line,
}

pub(super) fn pixel((x, y): (f64, f64)) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

pub(super) fn text_style<'a>(
    size: f64,
    colour: &'a RGBColor,
    (horizontal, vertical): (HPos, VPos),
) -> TextStyle<'a> {
    TextStyle::from(("sans-serif", size).into_font()).color(colour).pos(Pos::new(horizontal, vertical))
}

#[cfg(test)]
mod tests {
    use super::round_values;

    #[test]
    fn marks_stand_at_round_values() {
        assert_eq!(round_values(0.01, 10.0, true, false), [0.01, 0.1, 1.0, 10.0]);
        assert_eq!(round_values(15.0, 260.0, true, false), [20.0, 50.0, 100.0, 200.0]);
        assert_eq!(round_values(0.0, 60.0, false, false), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let narrow = round_values(2.94, 3.2, false, false);
        assert!(narrow.len() >= 4 && narrow.iter().all(|value| (2.94..=3.2).contains(value)), "{narrow:?}");
        assert_eq!(round_values(1024.0, 8192.0, true, true), [1024.0, 2048.0, 4096.0, 8192.0]);
    }
}
