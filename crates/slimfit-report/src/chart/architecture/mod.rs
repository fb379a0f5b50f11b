//! What a model looks like: its blocks from the embedding to the output head, equal layers folded, with their shapes and
//! parameters.

mod blocks;
mod layout;
mod marks;
mod rows;
#[cfg(test)]
mod tests;
mod words;

use super::canvas::{Canvas, Drawing};
use super::{ExplainedPicture, pen::Pen};
use crate::ReportError;
use layout::Column;
use plotters::coord::Shift;
use plotters::prelude::*;
use slimfit_arch::Architecture;

/// The sheet's width; its height follows from the blocks.
const WIDTH: f64 = 1080.0;

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct ArchitectureDrawing<'a> {
    /// The model's name.
    pub title: &'a str,
    /// What it is; validated.
    pub architecture: &'a Architecture,
}

impl ArchitectureDrawing<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// When the drawing library refuses.
    pub fn draw(&self) -> Result<ExplainedPicture, ReportError> {
        let failed = |reason: String| ReportError::Chart { chart: "architecture", reason };
        let column = Column::of(self);
        let canvas = Canvas::sized(WIDTH as u32, column.height().ceil() as u32);
        Ok(ExplainedPicture {
            svg: canvas.svg(&column).map_err(failed)?,
            png: canvas.png(&column).map_err(failed)?,
        })
    }
}

impl Drawing for Column<'_> {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        self.draw_with(&Pen { sheet, scale })
    }
}
