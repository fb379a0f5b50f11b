//! Draws on a sheet in its own units, whatever the pixels are.

use super::INK;
use super::axis::{pixel, text_style};
use super::canvas::reason;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Draws in units of the sheet.
pub(super) struct Pen<'a, B: DrawingBackend> {
    pub(super) sheet: &'a DrawingArea<B, Shift>,
    pub(super) scale: f64,
}

impl<B: DrawingBackend> Pen<'_, B> {
    fn place(&self, (x, y): (f64, f64)) -> (i32, i32) {
        pixel((x * self.scale, y * self.scale))
    }

    /// Text of `size` at a place.
    pub(super) fn text(
        &self,
        text: &str,
        place: (f64, f64),
        size: f64,
        colour: &RGBColor,
        anchor: (HPos, VPos),
    ) -> Result<(), String> {
        let style = text_style(size * self.scale, colour, anchor);
        self.sheet.draw(&Text::new(text.to_owned(), self.place(place), style)).map_err(reason)
    }

    /// Units that a text of `size` takes across.
    pub(super) fn width(&self, text: &str, size: f64) -> Result<f64, String> {
        let style = text_style(size * self.scale, &INK, (HPos::Left, VPos::Center));
        let (width, _) = self.sheet.estimate_text_size(text, &style).map_err(reason)?;
        Ok(f64::from(width) / self.scale)
    }

    /// A filled rectangle from its upper left corner.
    pub(super) fn rectangle(
        &self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        colour: &RGBColor,
    ) -> Result<(), String> {
        let corners = [self.place((x, y)), self.place((x + width, y + height))];
        let style = ShapeStyle::from(colour).filled();
        self.sheet.draw(&plotters::element::Rectangle::new(corners, style)).map_err(reason)
    }

    /// A line through places.
    pub(super) fn line(&self, places: &[(f64, f64)], colour: &RGBColor, width: f64) -> Result<(), String> {
        let style = ShapeStyle::from(colour).stroke_width((width * self.scale).round().max(1.0) as u32);
        let places: Vec<(i32, i32)> = places.iter().map(|place| self.place(*place)).collect();
        self.sheet.draw(&PathElement::new(places, style)).map_err(reason)
    }
}
