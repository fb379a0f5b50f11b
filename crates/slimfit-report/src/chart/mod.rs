//! The charts as pictures, for papers and chat: each drawn once as SVG and once as PNG.

mod agreement;
mod architecture;
mod axis;
mod bandwidth;
mod canvas;
mod explained;
mod groups;
mod labels;
mod pareto;
mod pen;
mod roofline;

use crate::{ReportError, ReportInput};
use canvas::{Canvas, Drawing};
use plotters::style::RGBColor;

pub use architecture::ArchitectureDrawing;
pub use explained::{ExplainedModel, ExplainedPicture};

/// A chart in both forms.
pub(crate) struct Picture {
    /// File name, without ending.
    pub(crate) name: &'static str,
    /// The PNG file.
    pub(crate) png: Vec<u8>,
    /// The SVG file.
    pub(crate) svg: String,
}

/// Okabe and Ito's colours, which people with any colour vision tell apart.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const INK: RGBColor = RGBColor(28, 30, 33);
const MUTED: RGBColor = RGBColor(110, 118, 129);
const LINE: RGBColor = RGBColor(226, 229, 233);
/// The first colour, as thin as points that tie with a cheaper one are drawn.
const TIED: RGBColor = RGBColor(140, 192, 220);
const DUST: RGBColor = RGBColor(200, 204, 210);

/// Every chart for which the records hold something to draw.
pub(crate) fn all(input: &ReportInput) -> Result<Vec<Picture>, ReportError> {
    let mut pictures = Vec::new();
    if let Some(pareto) = pareto::Pareto::of(input) {
        pictures.push(picture("pareto", &pareto)?);
    }
    if let Some(agreement) = agreement::Agreement::of(input) {
        pictures.push(picture("predicted-vs-measured", &agreement)?);
    }
    if let Some(roofline) = roofline::Roofline::of(input) {
        pictures.push(picture("roofline", &roofline)?);
    }
    if let Some(bandwidth) = bandwidth::Staircase::of(input) {
        pictures.push(picture("bandwidth", &bandwidth)?);
    }
    Ok(pictures)
}

fn picture(name: &'static str, drawing: &impl Drawing) -> Result<Picture, ReportError> {
    let failed = |reason: String| ReportError::Chart { chart: name, reason };
    let canvas = Canvas::new();
    Ok(Picture { name, png: canvas.png(drawing).map_err(failed)?, svg: canvas.svg(drawing).map_err(failed)? })
}
