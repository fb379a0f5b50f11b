//! Each table of the page as files, in SI base units and full precision: CSV for spreadsheets (RFC 4180), JSON for
//! programs, Markdown for papers and chat.

mod records;

pub(crate) use records::all;

use std::borrow::Cow;
use std::fmt::Write;

/// Lines of a Markdown table: it is for reading, and the other forms hold the rest.
const MARKDOWN_LINES: usize = 200;

/// A cell. Numbers are held as the text that they are written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Text(Cow<'a, str>),
    Number(Cow<'a, str>),
    Truth(bool),
    /// Unavailable: an empty field in CSV, `null` in JSON.
    Nothing,
}

/// A table with a name that serves as file name, without ending.
pub(crate) struct Table<'a> {
    pub(crate) name: &'static str,
    columns: Vec<Cow<'a, str>>,
    rows: Vec<Vec<Cell<'a>>>,
}

impl<'a> Table<'a> {
    fn new(name: &'static str, columns: &[&'static str]) -> Self {
        Self {
            name,
            columns: columns.iter().map(|column| Cow::Borrowed(*column)).collect(),
            rows: Vec::new(),
        }
    }

    /// The CSV form.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::new();
        for (index, column) in self.columns.iter().enumerate() {
            separate(&mut text, index, ",");
            quote(&mut text, column);
        }
        text.push('\n');
        for row in &self.rows {
            for (index, cell) in row.iter().enumerate() {
                separate(&mut text, index, ",");
                match cell {
                    Cell::Text(words) => quote(&mut text, words),
                    Cell::Number(number) => text.push_str(number),
                    Cell::Truth(truth) => text.push_str(if *truth { "true" } else { "false" }),
                    Cell::Nothing => {}
                }
            }
            text.push('\n');
        }
        text
    }

    /// The JSON form: a list with one object a line.
    pub(crate) fn json(&self) -> String {
        let keys: Vec<String> = self.columns.iter().map(|column| json_text(column)).collect();
        let mut text = String::from("[");
        for (line, row) in self.rows.iter().enumerate() {
            text.push_str(if line == 0 { "\n{" } else { ",\n{" });
            for (index, (key, cell)) in keys.iter().zip(row).enumerate() {
                separate(&mut text, index, ",");
                text.push_str(key);
                text.push(':');
                match cell {
                    Cell::Text(words) => text.push_str(&json_text(words)),
                    Cell::Number(number) => text.push_str(number),
                    Cell::Truth(truth) => text.push_str(if *truth { "true" } else { "false" }),
                    Cell::Nothing => text.push_str("null"),
                }
            }
            text.push('}');
        }
        text.push_str("\n]\n");
        text
    }

    /// The Markdown form, its first lines.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = Cow<'_, str>>| {
            text.push('|');
            for cell in cells {
                let safe = cell.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
                let safe = safe.replace('&', "&amp;").replace('<', "&lt;");
                let _ = write!(text, " {safe} |");
            }
            text.push('\n');
        };
        line(&mut self.columns.iter().map(|column| Cow::Borrowed(&**column)));
        line(&mut self.columns.iter().map(|_| Cow::Borrowed("---")));
        for row in self.rows.iter().take(MARKDOWN_LINES) {
            line(&mut row.iter().map(|cell| match cell {
                Cell::Text(words) => Cow::Borrowed(&**words),
                Cell::Number(number) => Cow::Borrowed(&**number),
                Cell::Truth(truth) => Cow::Borrowed(if *truth { "yes" } else { "no" }),
                Cell::Nothing => Cow::Borrowed(""),
            }));
        }
        if let Some(more @ 1..) = self.rows.len().checked_sub(MARKDOWN_LINES) {
            let _ = writeln!(text, "\n… and {more} more rows: `{}.csv` holds them all.", self.name);
        }
        text
    }
}

fn separate(text: &mut String, index: usize, separator: &str) {
    if index > 0 {
        text.push_str(separator);
    }
}

fn quote(text: &mut String, cell: &str) {
    if cell.contains([',', '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(cell);
    }
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text, or nothing.
fn text<'a>(words: impl Into<Cow<'a, str>>) -> Cell<'a> {
    Cell::Text(words.into())
}

/// A whole number.
fn whole(value: impl std::fmt::Display) -> Cell<'static> {
    Cell::Number(value.to_string().into())
}

/// A number, or nothing where there is none or it is not finite.
fn number(value: impl Into<Option<f64>>) -> Cell<'static> {
    match value.into() {
        // `Debug` of a float is its shortest text that reads back alike, which is JSON, too.
        Some(value) if value.is_finite() => Cell::Number(format!("{value:?}").into()),
        _ => Cell::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_keeps_what_cells_hold() {
        let mut table = Table::new("names", &["name", "bytes", "tied", "loss"]);
        table.rows.push(vec![text("a,\"b\"\n|<i>"), number(1.5e9), Cell::Truth(true), number(f64::NAN)]);
        table.rows.push(vec![text("plain"), whole(u64::MAX), Cell::Truth(false), number(None)]);
        assert_eq!(
            table.csv(),
            "name,bytes,tied,loss\n\"a,\"\"b\"\"\n|<i>\",1500000000.0,true,\nplain,18446744073709551615,false,\n"
        );
        let json: serde_json::Value = serde_json::from_str(&table.json()).unwrap();
        assert_eq!(
            json[0],
            serde_json::json!({ "name": "a,\"b\"\n|<i>", "bytes": 1.5e9, "tied": true, "loss": null })
        );
        assert_eq!(json[1]["bytes"], u64::MAX);
        assert_eq!(
            table.markdown(),
            "| name | bytes | tied | loss |\n| --- | --- | --- | --- |\n\
             | a,\"b\" \\|&lt;i> | 1500000000.0 | yes |  |\n| plain | 18446744073709551615 | no |  |\n"
        );
    }

    #[test]
    fn a_long_table_ends_in_words_where_it_is_for_reading() {
        let mut table = Table::new("long", &["n"]);
        table.rows = (0..MARKDOWN_LINES + 3).map(|row| vec![whole(row)]).collect();
        assert!(table.markdown().ends_with("… and 3 more rows: `long.csv` holds them all.\n"));
        assert_eq!(table.csv().lines().count(), MARKDOWN_LINES + 4);
    }
}
