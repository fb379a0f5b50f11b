//! The report's files: the page, the charts as pictures, the tables for spreadsheets.

use crate::chart::Picture;
use crate::{ReportError, ReportInput, chart, csv, render_html};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use slimfit_document::write_atomically;
use std::path::Path;

/// A file that was written, as commands print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Where it lies.
    pub path: String,
    /// `html`, `png`, `svg` or `csv`.
    pub kind: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Writes `report.html`, the charts `pareto`, `predicted-vs-measured`, `roofline` and `bandwidth` as PNG and SVG where
/// there is something to draw, and a CSV of each table that has rows. The page comes last: where it lies, all lie.
///
/// # Errors
/// When a record cannot be drawn or a file cannot be written; files of an earlier report are whole or replaced.
pub fn write_report(input: &ReportInput, out: &Path) -> Result<Vec<WrittenFile>, ReportError> {
    let page = render_html(input)?;
    let public = input.without_private_parts();
    let mut files = Vec::new();
    for Picture { name, png, svg } in chart::all(&public)? {
        files.push(write(out, &format!("{name}.png"), "png", &png)?);
        files.push(write(out, &format!("{name}.svg"), "svg", svg.as_bytes())?);
    }
    for (name, text) in csv::all(&public) {
        files.push(write(out, name, "csv", text.as_bytes())?);
    }
    files.push(write(out, "report.html", "html", page.as_bytes())?);
    Ok(files)
}

fn write(out: &Path, name: &str, kind: &str, bytes: &[u8]) -> Result<WrittenFile, ReportError> {
    let path = out.join(name);
    write_atomically(&path, bytes)?;
    Ok(WrittenFile {
        path: path.display().to_string(),
        kind: kind.to_owned(),
        bytes: bytes.len() as u64,
        sha256: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}
