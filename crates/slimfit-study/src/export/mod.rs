//! Tables of a study for other programs: CSV, JSON, Parquet.

mod parquet;
mod tables;
mod text;

use std::io::{Error, Write};

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportTable {
    /// The points of a front.
    Front,
    /// Every run for real, predicted beside measured.
    Measurements,
    /// The seeded sample of dominated points.
    Sample,
    /// Every evaluation of a search that looks at points one by one.
    Evaluations,
}

impl ExportTable {
    /// Every table.
    pub const ALL: [Self; 4] = [Self::Front, Self::Measurements, Self::Sample, Self::Evaluations];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::Measurements => "measurements",
            Self::Sample => "sample",
            Self::Evaluations => "evaluations",
        }
    }
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values (RFC 4180); empty where there is no value.
    Csv,
    /// One object: `schema`, `table`, `rows`, each row an object; integers past 2⁵³ are decimal strings.
    Json,
    /// Parquet, not compressed; columns of text, 64-bit integers, doubles and booleans.
    Parquet,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::Parquet];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

/// Columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What it is.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    rows: usize,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, with the unit.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// The values of a column; nothing where a row has none.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Text.
    Text(Vec<Option<String>>),
    /// Counts.
    Integer(Vec<Option<i64>>),
    /// Real numbers.
    Real(Vec<Option<f64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Real(values) => values.len(),
            Self::Flag(values) => values.len(),
        }
    }
}

impl Table {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Writes the table.
    ///
    /// # Errors
    /// When `writer` takes no more.
    pub fn write(&self, format: ExportFormat, writer: &mut dyn Write) -> Result<(), Error> {
        match format {
            ExportFormat::Csv => text::write_csv(self, writer),
            ExportFormat::Json => text::write_json(self, writer),
            ExportFormat::Parquet => parquet::write(self, writer),
        }
    }

    fn new(name: &'static str, rows: usize, columns: Vec<Column>) -> Self {
        assert!(columns.iter().all(|column| column.values.len() == rows), "columns are of equal length");
        Self { name, columns, rows }
    }
}
