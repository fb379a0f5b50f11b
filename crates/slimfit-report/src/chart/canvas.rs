//! A sheet to draw on: the same drawing becomes an SVG, or a PNG that is drawn larger and averaged down.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use std::sync::Once;

/// Pixels of a PNG for each unit of the sheet.
const DENSITY: u32 = 2;
/// Pixels drawn for each pixel kept, in each direction: plotters does not smooth the edges of marks itself.
const OVERSAMPLING: u32 = 2;
const FONT: &[u8] = include_bytes!("../../vendor/source-sans-3-regular.ttf");

/// A chart that can be drawn on any sheet.
pub(crate) trait Drawing {
    /// Draws on `sheet`, every length multiplied by `scale`.
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String>;
}

/// The sheet.
pub(crate) struct Canvas {
    width: u32,
    height: u32,
}

impl Canvas {
    /// A sheet for one chart.
    pub(crate) fn new() -> Self {
        Self::sized(960, 600)
    }

    /// A sheet of another size. Registers the bundled font, once, under the name that SVG viewers replace by their own.
    pub(crate) fn sized(width: u32, height: u32) -> Self {
        static FONT_READY: Once = Once::new();
        FONT_READY.call_once(|| {
            for style in [FontStyle::Normal, FontStyle::Bold] {
                // The font is part of the program and a test draws with it, so it cannot be refused.
                let _ = register_font("sans-serif", style, FONT);
            }
        });
        Self { width, height }
    }

    /// The drawing as SVG.
    pub(crate) fn svg(&self, drawing: &impl Drawing) -> Result<String, String> {
        let mut text = String::new();
        {
            let sheet = SVGBackend::with_string(&mut text, (self.width, self.height)).into_drawing_area();
            sheet.fill(&WHITE).map_err(reason)?;
            drawing.draw(&sheet, 1.0)?;
            sheet.present().map_err(reason)?;
        }
        Ok(text)
    }

    /// The drawing as PNG.
    pub(crate) fn png(&self, drawing: &impl Drawing) -> Result<Vec<u8>, String> {
        let scale = DENSITY * OVERSAMPLING;
        let (width, height) = (self.width * scale, self.height * scale);
        let mut pixels = vec![0_u8; (width * height * 3) as usize];
        {
            let sheet = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            sheet.fill(&WHITE).map_err(reason)?;
            drawing.draw(&sheet, f64::from(scale))?;
            sheet.present().map_err(reason)?;
        }
        encoded(&averaged(&pixels, width as usize, height as usize), self.width, self.height)
    }
}

/// The mean of each square of `OVERSAMPLING` by `OVERSAMPLING` pixels. `pixels`: (height, width, 3) row-major.
fn averaged(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let step = OVERSAMPLING as usize;
    let mut small = Vec::with_capacity(pixels.len() / (step * step));
    for row in 0..height / step {
        for column in 0..width / step {
            for channel in 0..3 {
                let mut sum = 0;
                for y in 0..step {
                    for x in 0..step {
                        sum +=
                            usize::from(pixels[((row * step + y) * width + column * step + x) * 3 + channel]);
                    }
                }
                small.push((sum / (step * step)) as u8);
            }
        }
    }
    small
}

fn encoded(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width * DENSITY, height * DENSITY);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(pixels).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(file)
}

/// What a drawing library answers, as text.
pub(crate) fn reason(error: impl std::fmt::Display) -> String {
    error.to_string()
}
