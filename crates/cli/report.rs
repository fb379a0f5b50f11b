//! `slimfit report --study DIR`.

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::{Outcome, date};
use serde_json::json;
use slimfit_report::{ReportInput, write_report};
use slimfit_study::Study;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  slimfit report --study reports/2026-01-31-run")]
pub struct Arguments {
    /// The study's folder.
    #[arg(long)]
    study: PathBuf,
    /// Where the files go; the study's folder unless said.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let study = Study::open(&arguments.study)?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.study.clone());
    let files = write(&study, &out, "slimfit report")?;
    if output.is_json() {
        output.object("report", "report", json!({ "study": arguments.study, "files": files }))?;
        return Ok(Outcome::Done);
    }
    for file in &files {
        output.text(&file.path)?;
    }
    note(&format!("open {}", out.join("report.html").display()));
    Ok(Outcome::Done)
}

/// Draws the report of a study; `command` stands in it as what made it.
pub fn write(study: &Study, out: &Path, command: &str) -> Result<Vec<slimfit_report::WrittenFile>, Failure> {
    let mut input = ReportInput::from_study(study)?;
    env!("CARGO_PKG_VERSION").clone_into(&mut input.tool_version);
    command.clone_into(&mut input.command);
    input.created = date::now();
    Ok(write_report(&input, out)?)
}
