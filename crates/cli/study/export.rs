//! `slimfit study export`.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::{Output, note};
use clap::builder::PossibleValuesParser;
use serde_json::json;
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_study::{ExportFormat, ExportTable, SearchId, Study};
use std::path::PathBuf;

/// Arguments of `study export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit study export --study reports/2026-01-31-run --format csv --table measurements --out runs.csv"
)]
pub struct Arguments {
    /// The study's folder.
    #[arg(long)]
    study: PathBuf,
    /// The file's format.
    #[arg(long, value_parser = PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name)))]
    format: String,
    /// The file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is written: the newest front, every run for real, the sample of dominated points, or every evaluation of a
    /// search that looks at points one by one.
    #[arg(
        long,
        default_value = ExportTable::Front.name(),
        value_parser = PossibleValuesParser::new(ExportTable::ALL.map(ExportTable::name))
    )]
    table: String,
    /// The number of a search, as `slimfit study show` lists it; the newest one unless said.
    #[arg(long, value_name = "NUMBER")]
    search: Option<i64>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let unlisted = || Failure::internal("a value was let in that is not listed");
    let format = ExportFormat::ALL.into_iter().find(|format| format.name() == arguments.format);
    let format = format.ok_or_else(unlisted)?;
    let which = ExportTable::ALL.into_iter().find(|table| table.name() == arguments.table);
    let which = which.ok_or_else(unlisted)?;
    if which == ExportTable::Measurements && arguments.search.is_some() {
        let error = DocumentError::new("usage", "measurements are of the whole study, not of one search");
        return Err(error.field("--search").hint("leave `--search` out").into());
    }
    let study = Study::open(&arguments.study)?;
    let table = study.table(which, arguments.search.map(SearchId))?;
    if table.rows() == 0 {
        let error = DocumentError::new("no-rows", format!("the study holds no {}", which.name()));
        let error = error.file(arguments.study.display().to_string()).field("--table");
        return Err(error.hint("`slimfit study show` lists what it holds").into());
    }
    let file = WrittenFile::stream(&arguments.out, format.name(), |writer| table.write(format, writer))?;
    if output.is_json() {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let fields = json!({
            "study": arguments.study,
            "table": which.name(),
            "format": format.name(),
            "rows": table.rows(),
            "columns": columns,
            "files": [file],
        });
        output.object("study-export", "study export", fields)?;
        return Ok(Outcome::Done);
    }
    output.text(&file.path)?;
    note(&format!("{} rows, {} columns, {} bytes", table.rows(), table.columns.len(), file.bytes));
    Ok(Outcome::Done)
}
