//! The report's files: the page, the charts as pictures, the tables for spreadsheets.

use crate::chart::Picture;
use crate::page::render_public;
use crate::{ReportError, ReportInput, chart, table};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use slimfit_document::write_atomically;
use std::path::Path;

/// A file that was written, as commands print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenFile {
    /// Where it lies.
    pub path: String,
    /// `html`, `png`, `svg`, `csv`, `json` or `markdown`.
    pub kind: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Writes `report.html`, the charts `pareto`, `predicted-vs-measured`, `roofline` and `bandwidth` as PNG and SVG where
/// there is something to draw, and below `tables/` each table that has rows as CSV, JSON and Markdown. The page comes last: where it lies, all lie.
///
/// # Errors
/// When a record cannot be drawn or a file cannot be written; files of an earlier report are whole or replaced.
pub fn write_report(input: &ReportInput, out: &Path) -> Result<Vec<WrittenFile>, ReportError> {
    let public = input.without_private_parts();
    let page = render_public(&public, None)?;
    let mut files = Vec::new();
    for Picture { name, png, svg } in chart::all(&public)? {
        files.push(write(out, &format!("{name}.png"), "png", &png)?);
        files.push(write(out, &format!("{name}.svg"), "svg", svg.as_bytes())?);
    }
    let front = public.front.as_ref().map(slimfit_study::front_csv).unwrap_or_default();
    for table in table::all(&public, &front) {
        let name = table.name;
        files.push(write(out, &format!("tables/{name}.csv"), "csv", table.csv().as_bytes())?);
        files.push(write(out, &format!("tables/{name}.json"), "json", table.json().as_bytes())?);
        files.push(write(out, &format!("tables/{name}.md"), "markdown", table.markdown().as_bytes())?);
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
