//! Marks and words of the picture.

use super::WIDTH;
use super::layout::{LEFT, RIGHT};
use super::words::Block;
use crate::chart::pen::Pen;
use crate::chart::{COLOURS, INK, LINE, MUTED};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

/// Experts that are drawn as squares.
const MOST_SQUARES: u64 = 40;

/// A filled rectangle with a thin edge.
pub(super) fn framed<B: DrawingBackend>(
    pen: &Pen<'_, B>,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
    colour: &RGBColor,
) -> Result<(), String> {
    pen.rectangle((x, y), (width, height), colour)?;
    let corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)];
    pen.line(&corners, &LINE, 1.5)
}

/// Title and lines of a block, one below the other.
pub(super) fn words_of<B: DrawingBackend>(
    pen: &Pen<'_, B>,
    block: &Block,
    (left, top): (f64, f64),
    width: f64,
) -> Result<(), String> {
    fitted(pen, &block.title, (left, top), (width, 16.0), &INK)?;
    for (place, line) in block.lines.iter().enumerate() {
        fitted(pen, line, (left, top + 18.0 + 16.0 * place as f64), (width, 13.5), &MUTED)?;
    }
    Ok(())
}

/// Text no wider than `width`: smaller where it must be, and cut where even that is too wide.
pub(super) fn fitted<B: DrawingBackend>(
    pen: &Pen<'_, B>,
    text: &str,
    place: (f64, f64),
    (width, size): (f64, f64),
    colour: &RGBColor,
) -> Result<(), String> {
    const SMALLEST: f64 = 0.7;
    let needed = pen.width(text, size)?;
    let smaller = size * (width / needed.max(1.0)).clamp(SMALLEST, 1.0);
    let mut shown = text.to_owned();
    while pen.width(&shown, smaller)? > width && shown.chars().count() > 2 {
        let keep = shown.chars().count() - 2;
        shown = shown.chars().take(keep).chain(['…']).collect();
    }
    pen.text(&shown, place, smaller, colour, (HPos::Left, VPos::Center))
}

/// An arrow down the middle.
pub(super) fn arrow<B: DrawingBackend>(pen: &Pen<'_, B>, from: f64, to: f64) -> Result<(), String> {
    let across = (LEFT + RIGHT) / 2.0;
    pen.line(&[(across, from + 3.0), (across, to - 3.0)], &MUTED, 1.8)?;
    pen.line(&[(across - 5.0, to - 9.0), (across, to - 3.0), (across + 5.0, to - 9.0)], &MUTED, 1.8)
}

/// A line beside everything from the table to the head that is the same.
pub(super) fn tie<B: DrawingBackend>(pen: &Pen<'_, B>, first: f64, last: f64) -> Result<(), String> {
    let (inside, outside) = (WIDTH - 26.0, WIDTH - 14.0);
    pen.line(&[(inside, first), (outside, first), (outside, last), (inside, last)], &COLOURS[2], 2.0)
}

/// Squares for experts, those that a token visits filled.
pub(super) fn experts<B: DrawingBackend>(
    pen: &Pen<'_, B>,
    (left, top): (f64, f64),
    width: f64,
    (experts, visited): (u64, u64),
) -> Result<(), String> {
    let shown = experts.min(MOST_SQUARES);
    let pitch = (width / shown as f64).min(12.0);
    let side = pitch * 0.72;
    for place in 0..shown {
        let corner = (left + pitch * place as f64, top);
        if place < visited {
            pen.rectangle(corner, (side, side), &COLOURS[1])?;
        } else {
            framed(pen, corner, (side, side), &WHITE)?;
        }
    }
    if shown < experts {
        let place = (left + pitch * shown as f64 + 2.0, top + side / 2.0);
        pen.text("…", place, 13.0, &MUTED, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}
