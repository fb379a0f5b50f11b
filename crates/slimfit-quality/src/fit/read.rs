//! Training runs as a table: one run a line, architecture fields as columns.

use super::run::TrainingRun;
use crate::QualityError;
use crate::table::{Column, Columns, Row};
use slimfit_document::DocumentError;
use std::path::Path;

const REQUIRED: [&str; 6] = ["hidden_size", "layers", "heads", "vocabulary_size", "tokens", "loss"];
/// Columns beside those of an architecture.
const OWN: [Column; 4] = [
    ("name", "what the run is called"),
    ("group", "runs that are left out together - those of one shape"),
    ("tokens", "training tokens"),
    ("loss", "nats per token on held-out text"),
];
/// Columns with measured scores begin with it: `score_hellaswag`, in percent.
const SCORE: &str = "score_";

/// Reads training runs from a CSV file with a head line.
///
/// Columns: those of [`ARCHITECTURE_COLUMNS`](crate::table::ARCHITECTURE_COLUMNS); `tokens` and `loss` (nats per token on
/// held-out text); `group` where runs of several shapes belong together, and `score_<task>` in percent.
///
/// # Errors
/// File, line and column of what cannot be a run.
pub fn read_runs(path: &Path) -> Result<Vec<TrainingRun>, QualityError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        DocumentError::new("read-failed", format!("the training runs cannot be read: {error}"))
            .file(path.display().to_string())
    })?;
    parse_runs(&text, &path.display().to_string())
}

/// The same from a text in memory; `origin` is the name that errors give it.
///
/// # Errors
/// As [`read_runs`].
pub fn parse_runs(text: &str, origin: &str) -> Result<Vec<TrainingRun>, QualityError> {
    let table = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        DocumentError::new("syntax", format!("not a table: {error}")).file(origin).at(line, 1)
    };
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|error| table(&error))?.clone();
    let columns = Columns::read(&head, &OWN, Some(SCORE)).and_then(|columns| {
        columns.require(&REQUIRED)?;
        Ok(columns)
    });
    let columns = columns.map_err(|error| error.file(origin).at(1, 1))?;
    let mut runs = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| table(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let found = columns.row(&record).and_then(|row| run(&columns, row));
        runs.push(found.map_err(|error| error.file(origin).at(line, 1))?);
    }
    if runs.is_empty() {
        let empty = DocumentError::new("empty", "the table holds no training run");
        return Err(empty.file(origin).hint("one line for each run below the head line").into());
    }
    Ok(runs)
}

fn run(columns: &Columns, row: Row<'_>) -> Result<TrainingRun, DocumentError> {
    let tokens = row.required("tokens", row.count("tokens")?)?;
    let loss = row.required("loss", row.number("loss", 0.0, 20.0)?)?;
    let mut run = TrainingRun::of(&row.architecture()?, tokens, loss)
        .map_err(|error| DocumentError::new("architecture", error.to_string()))?;
    if let Some(group) = row.text("group") {
        run.group = group.to_owned();
    }
    for (column, task) in columns.with_prefix(SCORE) {
        if let Some(score) = row.number(column, 0.0, 100.0)? {
            run.scores.insert(task.to_owned(), score);
        }
    }
    Ok(run)
}
