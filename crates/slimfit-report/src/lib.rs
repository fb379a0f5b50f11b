//! HTML, PNG, SVG, CSV, JSON and Markdown from finished records; never computes a new number.
#![doc = include_str!("../README.md")]

mod chart;
mod cloud;
mod data;
mod differences;
mod error;
mod input;
mod live;
mod mark;
mod page;
mod private;
mod roofline;
mod section;
mod shape;
mod staircase;
mod table;
mod unit;
mod write;

pub use chart::{ArchitectureDrawing, ExplainedModel, ExplainedPicture};
pub use differences::comparison_sentences;
pub use error::ReportError;
pub use input::ReportInput;
pub use live::LiveReport;
pub use page::{PageParts, render_html, render_parts};
pub use write::{WrittenFile, write_report};
