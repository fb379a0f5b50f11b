//! Tables as CSV and as JSON.

use super::{Table, Values};
use serde_json::{Map, Value};
use std::io::{Error, Write};

/// The largest whole number that every JSON reader holds exactly.
const EXACT: u64 = 1 << 53;

pub(super) fn write_csv(table: &Table, writer: &mut dyn Write) -> Result<(), Error> {
    let mut lines = csv::Writer::from_writer(writer);
    lines.write_record(table.columns.iter().map(|column| &column.name))?;
    for row in 0..table.rows {
        lines.write_record(table.columns.iter().map(|column| cell(&column.values, row)))?;
    }
    lines.flush()
}

fn cell(values: &Values, row: usize) -> String {
    let text = match values {
        Values::Text(values) => values[row].clone(),
        Values::Integer(values) => values[row].map(|value| value.to_string()),
        Values::Real(values) => values[row].map(|value| value.to_string()),
        Values::Flag(values) => values[row].map(|value| value.to_string()),
    };
    text.unwrap_or_default()
}

/// One row a line, so that a large table is written as it is made.
pub(super) fn write_json(table: &Table, writer: &mut dyn Write) -> Result<(), Error> {
    write!(
        writer,
        "{{\n  \"schema\": \"slimfit/study-table/v1\",\n  \"table\": \"{}\",\n  \"rows\": [",
        table.name
    )?;
    for row in 0..table.rows {
        writer.write_all(if row == 0 { b"\n    " } else { b",\n    " })?;
        let fields: Map<String, Value> =
            table.columns.iter().map(|column| (column.name.clone(), value(&column.values, row))).collect();
        serde_json::to_writer(&mut *writer, &fields)?;
    }
    writer.write_all(if table.rows == 0 { b"]\n}\n" } else { b"\n  ]\n}\n" })
}

fn value(values: &Values, row: usize) -> Value {
    match values {
        Values::Text(values) => values[row].clone().into(),
        Values::Integer(values) => match values[row] {
            Some(value) if value.unsigned_abs() > EXACT => value.to_string().into(),
            value => value.into(),
        },
        Values::Real(values) => values[row].into(),
        Values::Flag(values) => values[row].into(),
    }
}
