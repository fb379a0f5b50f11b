//! `slimfit report --study DIR`.

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::{Outcome, date};
use serde_json::json;
use slimfit_document::DocumentError;
use slimfit_report::{ReportInput, comparison_sentences, write_report};
use slimfit_study::{Comparison, Study};
use slimfit_workflow::compare_studies;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit report --study reports/2026-01-31-run --open\n  slimfit report --study reports/2026-01-31-run --compare reports/2026-02-07-run"
)]
pub struct Arguments {
    /// The study's folder.
    #[arg(long)]
    study: PathBuf,
    /// Another study, of the same or of another device: what moved from `--study` to it, by how much, and whether that is
    /// more than noise.
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// Show the page in the browser.
    #[arg(long)]
    open: bool,
    /// Where the files go; the study's folder unless said.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let study = Study::open(&arguments.study)?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.study.clone());
    let comparison = match &arguments.compare {
        Some(other) => Some(compare_studies(&study, &Study::open(other)?)?),
        None => None,
    };
    let command = if comparison.is_some() { "slimfit report --compare" } else { "slimfit report" };
    let files = write(&study, &out, command, comparison.as_ref())?;
    if output.is_json() {
        let mut object = json!({ "study": arguments.study, "files": files });
        if let Some(comparison) = &comparison {
            object["comparison"] = json!(comparison);
            object["sentences"] = json!(comparison_sentences(comparison));
        }
        output.object("report", "report", object)?;
    } else {
        for sentence in comparison.iter().flat_map(comparison_sentences) {
            output.text(&sentence)?;
        }
        for file in &files {
            output.text(&file.path)?;
        }
    }
    let page = out.join("report.html");
    if arguments.open {
        open::that_detached(&page).map_err(|error| {
            let error = DocumentError::new("no-browser", format!("no browser can be started: {error}"));
            Failure::from(error.hint(format!("the report is written: open `{}` yourself", page.display())))
        })?;
    } else if !output.is_json() {
        note(&format!("open {}", page.display()));
    }
    Ok(Outcome::Done)
}

/// Draws the report of a study, perhaps beside another; `command` stands in it as what made it.
pub fn write(
    study: &Study,
    out: &Path,
    command: &str,
    comparison: Option<&Comparison>,
) -> Result<Vec<slimfit_report::WrittenFile>, Failure> {
    let mut input = ReportInput::from_study(study)?;
    env!("CARGO_PKG_VERSION").clone_into(&mut input.tool_version);
    command.clone_into(&mut input.command);
    input.created = date::now();
    input.comparison = comparison.cloned();
    Ok(write_report(&input, out)?)
}
