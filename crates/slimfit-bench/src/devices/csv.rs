//! Tables as CSV: quoted fields, a head row, columns by name.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::Path;

/// A table in memory.
#[derive(Debug)]
pub struct Csv {
    columns: HashMap<String, usize>,
    rows: Vec<Vec<String>>,
}

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    table: &'a Csv,
    fields: &'a [String],
}

impl Csv {
    /// Reads a file that has all of `columns`.
    ///
    /// # Errors
    /// The file cannot be read, a column is missing, or a row has too few or too many fields.
    pub fn read(path: &Path, columns: &[&str]) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("`{}`", path.display()))?;
        Self::parse(&text, columns).with_context(|| format!("`{}`", path.display()))
    }

    /// Reads text that has all of `columns`.
    ///
    /// # Errors
    /// As [`Csv::read`].
    pub fn parse(text: &str, columns: &[&str]) -> Result<Self> {
        let mut records = records(text)?.into_iter();
        let head = records.next().context("no head row")?;
        let places: HashMap<String, usize> =
            head.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        for column in columns {
            anyhow::ensure!(places.contains_key(*column), "no column `{column}`");
        }
        let rows: Vec<Vec<String>> = records.collect();
        for (index, row) in rows.iter().enumerate() {
            anyhow::ensure!(
                row.len() == head.len(),
                "row {}: {} fields, the head has {}",
                index + 2,
                row.len(),
                head.len()
            );
        }
        Ok(Self { columns: places, rows })
    }

    /// Its rows.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|fields| Row { table: self, fields })
    }
}

impl<'a> Row<'a> {
    /// The text of a column that [`Csv::read`] was asked for.
    pub fn text(&self, column: &str) -> &'a str {
        self.table.columns.get(column).map_or("", |&place| self.fields[place].trim())
    }

    /// The number of a column; nothing where it is blank or no number.
    pub fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)
    }
}

fn records(text: &str) -> Result<Vec<Vec<String>>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if quoted {
        bail!("a quotation mark is not closed");
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_hold_commas_quotes_and_line_ends() {
        let table = Csv::parse("a,b\n1,\"x, \"\"y\"\"\nz\"\r\n2,\n", &["a", "b"]).unwrap();
        let rows: Vec<Row<'_>> = table.rows().collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].text("b"), "x, \"y\"\nz");
        assert_eq!((rows[1].number("a"), rows[1].number("b")), (Some(2.0), None));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(Csv::parse("a,b\n1\n", &["a"]).unwrap_err().to_string().contains("row 2"));
        assert!(Csv::parse("a,b\n", &["c"]).unwrap_err().to_string().contains("`c`"));
        assert!(Csv::parse("a\n\"x", &["a"]).is_err());
    }
}
