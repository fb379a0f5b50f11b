//! `slimfit quality explain --batch FILE.csv`: one model a row.

use super::question::{Candidate, Question, Valued, bytes_per_token, no_tokens, trained_on};
use super::{row, show};
use crate::Outcome;
use crate::failure::Failure;
use crate::output::{Output, note};
use crate::table::table;
use serde_json::json;
use slimfit_document::{DocumentError, read_text};
use slimfit_formats::{LoadedModel, load_model};
use slimfit_quality::table::{Columns, Row};
use std::collections::HashMap;
use std::path::Path;

pub fn run(file: &Path, question: &mut Question, output: &Output) -> Result<Outcome, Failure> {
    let origin = file.display().to_string();
    let text = read_text(file)?;
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let first = reader.headers().map_err(|error| unreadable(&error).file(&origin))?.clone();
    let columns =
        Columns::read(&first, &row::COLUMNS, None).map_err(|error| error.file(&origin).on_line(1))?;
    let mut models = HashMap::new();
    let mut shown = table(&show::HEADS);
    let (mut rows, mut refused) = (0_u64, 0_u64);
    for record in reader.records() {
        crate::interrupt::check()?;
        rows += 1;
        let (line, valued) = match &record {
            Err(error) => (line_of(error), Err(unreadable(error).into())),
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cells = columns.row(record).map_err(Failure::from);
                (line, cells.and_then(|cells| value(cells, question, &mut models)))
            }
        };
        match valued {
            Ok(valued) if output.is_json() => {
                let mut fields = show::fields(&valued)?;
                fields["line"] = json!(line);
                output.object("quality-explain", "quality explain", fields)?;
            }
            Ok(valued) => {
                shown.add_row(show::row(line, &valued));
            }
            Err(Failure::Refused(error)) => {
                refused += 1;
                let code = error.code.replace('_', "-");
                let error = in_row(error).code(code).file(&origin).on_line(line);
                if output.is_json() { output.error_line(&error)? } else { note(&format!("error: {error}")) }
            }
            Err(other) => return Err(other),
        }
    }
    if rows == 0 {
        let error = DocumentError::new("no-rows", "the file holds no row").file(origin);
        return Err(error.hint("the first line names the columns; every other line is a model").into());
    }
    if !output.is_json() && refused < rows {
        output.text(&shown.trim_fmt())?;
    }
    if refused > 0 {
        note(&format!("{refused} of {rows} rows were refused"));
        return Ok(Outcome::RowsRefused);
    }
    Ok(Outcome::Done)
}

fn value(
    cells: Row<'_>,
    question: &mut Question,
    models: &mut HashMap<String, LoadedModel>,
) -> Result<Valued, Failure> {
    let known = match cells.text("model") {
        None => None,
        Some(reference) => {
            cells.no_architecture()?;
            if !models.contains_key(reference) {
                let model = load_model(reference).map_err(|error| {
                    let error = error.into_document();
                    if error.field.is_none() { error.field("model") } else { error }
                })?;
                models.insert(reference.to_owned(), model);
            }
            models.get(reference)
        }
    };
    let tokens = cells.count("tokens")?;
    let candidate = Candidate {
        name: cells.text("name").map(str::to_owned).or_else(|| known.map(|model| model.name.clone())),
        architecture: match known {
            Some(model) => model.architecture.clone(),
            None => cells.architecture()?,
        },
        recipe: cells.text("recipe").map(str::to_owned),
        tokens: tokens.or(question.tokens).or_else(|| known.and_then(trained_on)).ok_or_else(no_tokens)?,
        weights: row::format(&cells, "weights")?.unwrap_or(question.weights),
        kv: row::format(&cells, "kv")?.unwrap_or(question.kv),
        bytes_per_token: cells.cell("bytes_per_token", "1 to 64", bytes_per_token)?,
    };
    question.value(candidate)
}

/// A recipe or a model file that is wrong says so itself; to the row, that is what is wrong with its cell.
fn in_row(error: DocumentError) -> DocumentError {
    if error.file.is_none() {
        return error;
    }
    let (whole, hint) = (error.to_string(), error.hint.clone());
    let message = whole.split('\n').next().unwrap_or_default().to_owned();
    DocumentError::new(error.code.clone(), message).maybe_hint(hint)
}

fn line_of(error: &csv::Error) -> u64 {
    error.position().map_or(0, csv::Position::line)
}

fn unreadable(error: &csv::Error) -> DocumentError {
    DocumentError::new("csv", format!("not a row of CSV: {error}"))
}
