//! A table of measured scores as a file: its columns, its cells, and the line of everything that is wrong.

use super::QualityTable;
use crate::space::{Axis, Window};
use crate::{Metric, SearchError};
use slimfit_document::{DocumentError, sha256_hex, suggestion};
use slimfit_quality::Recipe;
use slimfit_quantity::NumberFormat;
use std::path::Path;

/// A table of measured scores is small.
const MOST_BYTES: u64 = 64 << 20;
const ID: &str = "id";
const SETTING: &str = "setting";
const SIGMA: &str = "sigma";
const AXES: [&str; 15] = [
    "layers",
    "hidden_size",
    "heads",
    "kv_heads",
    "head_size",
    "ffn",
    "gated",
    "experts",
    "top_k",
    "window",
    "vocabulary_size",
    "tied_embeddings",
    "weights",
    "kv",
    "loops",
];

/// How rows name their points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Naming {
    /// By the id that fronts and dumps print.
    Id,
    /// By the values of these axes.
    Axes(Vec<String>),
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Its line in the file, from 1.
    pub(super) line: u64,
    pub(super) id: Option<String>,
    pub(super) axes: Wanted,
    /// In the order of the table's measured columns.
    pub(super) values: Vec<f64>,
    /// One standard deviation of each, where given.
    pub(super) sigmas: Vec<Option<f64>>,
}

/// Values that a row gives for axes; none: the row does not name that axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Wanted {
    pub(super) numbers: [Option<u64>; Axis::COUNT],
    pub(super) gated: Option<bool>,
    pub(super) experts: Option<u64>,
    pub(super) top_k: Option<u64>,
    pub(super) window: Option<WantedWindow>,
    pub(super) tied: Option<bool>,
    pub(super) weights: Option<NumberFormat>,
    pub(super) kv: Option<NumberFormat>,
}

/// A window as a cell says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedWindow {
    /// Empty, or `none`.
    None,
    /// `512`: of that size, however many layers see all.
    Size(u64),
    /// `512/4`: of that size, every fourth layer sees all.
    SizeAndPeriod(u64, u64),
}

impl WantedWindow {
    pub(super) fn holds(self, window: Option<Window>) -> bool {
        match (self, window) {
            (Self::None, window) => window.is_none(),
            (Self::Size(size), Some(window)) => window.size == size,
            (Self::SizeAndPeriod(size, every), Some(window)) => {
                window.size == size && window.full_every == Some(every)
            }
            (_, None) => false,
        }
    }
}

/// What a column of the file is.
#[derive(Debug, Clone, PartialEq)]
enum Column {
    Id,
    Axis(String),
    Setting,
    /// By place in the measured columns.
    Measured(usize),
    Sigma(usize),
}

impl QualityTable {
    /// Reads a CSV file. Its first line names the columns:
    ///
    /// - `id`, or axes of a point as `--dump-all` writes them (`layers`, `hidden_size`, …);
    /// - at least one of `loss` (nats per token of the recipe's tokenizer), `loss_per_byte`, and `score_<task>` (percent)
    ///   for tasks of the recipe;
    /// - `sigma`, one standard deviation of what is measured; with several measured columns `loss_sigma`,
    ///   `score_hellaswag_sigma` and so on;
    /// - `setting`, how it was measured: the same in every row.
    ///
    /// # Errors
    /// With file, line and column name, what no such table can say.
    pub fn read(path: &Path, recipe: &Recipe) -> Result<Self, SearchError> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            DocumentError::new("file-unreadable", error.to_string()).file(file.clone())
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > MOST_BYTES {
            let error = DocumentError::new("file-too-large", "the table is too large").file(file);
            return Err(error.found(format!("{bytes} bytes")).allowed(format!("{MOST_BYTES} bytes")).into());
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| DocumentError::new("encoding", "the table is no UTF-8 text").file(file.clone()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self::from_text(&text, &name, &file, recipe)
    }

    /// The same from text; errors name `file`.
    ///
    /// # Errors
    /// As [`QualityTable::read`].
    pub fn from_text(text: &str, name: &str, file: &str, recipe: &Recipe) -> Result<Self, SearchError> {
        let reader = Reader { file, recipe };
        let mut csv = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let header = csv.headers().map_err(|error| reader.csv(&error))?.clone();
        let (columns, measured) = reader.columns(&header)?;
        let axes: Vec<String> = columns
            .iter()
            .filter_map(|column| if let Column::Axis(axis) = column { Some(axis.clone()) } else { None })
            .collect();
        let naming = if axes.is_empty() { Naming::Id } else { Naming::Axes(axes) };
        let mut setting: Option<(String, u64)> = None;
        let mut rows = Vec::new();
        for record in csv.records() {
            let record = record.map_err(|error| reader.csv(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            rows.push(reader.row(&record, &header, &columns, &measured, line, &mut setting)?);
        }
        if rows.is_empty() {
            return Err(reader.error("empty-table", "the table has no row").into());
        }
        Ok(Self {
            name: name.to_owned(),
            file: file.to_owned(),
            text: text.to_owned(),
            sha256: sha256_hex(text.as_bytes()),
            naming,
            measured,
            setting: setting.map(|(setting, _)| setting),
            rows,
        })
    }

    pub(super) fn error(&self, row: &Row, code: &str, message: impl Into<String>) -> DocumentError {
        DocumentError::new(code, message).file(self.file.clone()).on_line(row.line)
    }
}

struct Reader<'a> {
    file: &'a str,
    recipe: &'a Recipe,
}

impl Reader<'_> {
    fn error(&self, code: &str, message: impl Into<String>) -> DocumentError {
        DocumentError::new(code, message).file(self.file)
    }

    fn csv(&self, error: &csv::Error) -> DocumentError {
        let line = error.position().map(csv::Position::line);
        let told = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => self
                .error("syntax", "a row has another number of cells than the first line")
                .found(len)
                .allowed(expected_len),
            _ => self.error("syntax", error.to_string()),
        };
        match line {
            Some(line) => told.on_line(line),
            None => told,
        }
    }

    fn columns(&self, header: &csv::StringRecord) -> Result<(Vec<Column>, Vec<Metric>), DocumentError> {
        let qualities: Vec<Metric> =
            [Metric::Loss, Metric::LossPerByte].into_iter().chain(Metric::scores(self.recipe)).collect();
        let measured: Vec<Metric> = header
            .iter()
            .filter_map(|name| qualities.iter().copied().find(|metric| metric.name() == name))
            .collect();
        let place = |name: &str| measured.iter().position(|metric| metric.name() == name);
        let mut columns = Vec::new();
        for (index, name) in header.iter().enumerate() {
            if header.iter().take(index).any(|earlier| earlier == name) {
                let error = self.error("duplicate-column", "the column stands twice");
                return Err(error.on_line(1).field(name));
            }
            let column = if name == ID {
                Column::Id
            } else if name == SETTING {
                Column::Setting
            } else if AXES.contains(&name) {
                Column::Axis(name.to_owned())
            } else if let Some(place) = place(name) {
                Column::Measured(place)
            } else if name == SIGMA && measured.len() == 1 {
                Column::Sigma(0)
            } else if let Some(place) = name.strip_suffix("_sigma").and_then(place) {
                Column::Sigma(place)
            } else {
                return Err(self.unknown_column(name, &qualities, &measured));
            };
            columns.push(column);
        }
        let (by_id, by_axes) =
            (columns.contains(&Column::Id), columns.iter().any(|column| matches!(column, Column::Axis(_))));
        if by_id == by_axes {
            let message = if by_id {
                "rows name their points both by `id` and by axes"
            } else {
                "no column names the points"
            };
            let error = self.error("usage", message).on_line(1);
            return Err(error.allowed(format!("`id`, or the axes {}", AXES.join(", "))));
        }
        if measured.is_empty() {
            let names: Vec<&str> = qualities.iter().map(|metric| metric.name()).collect();
            let error = self.error("missing-field", "no column holds a measured score").on_line(1);
            return Err(error.allowed(names.join(", ")));
        }
        if [Metric::Loss, Metric::LossPerByte].iter().all(|metric| measured.contains(metric)) {
            let error = self.error("usage", "`loss` and `loss_per_byte` are one quantity").on_line(1);
            return Err(error.allowed("one of them"));
        }
        Ok((columns, measured))
    }

    fn unknown_column(&self, name: &str, qualities: &[Metric], measured: &[Metric]) -> DocumentError {
        let error =
            self.error("unknown-name", "unknown column").on_line(1).field(name).found(format!("`{name}`"));
        if name == SIGMA && measured.len() > 1 {
            let each: Vec<String> =
                measured.iter().map(|metric| format!("{}_sigma", metric.name())).collect();
            let error = error.allowed(each.join(", "));
            return error.hint("with several measured columns each has its own");
        }
        let task = name.strip_prefix("score_");
        if let Some(reason) = task.and_then(|task| self.recipe.scores.not_predicted.get(task)) {
            return error
                .allowed(names(qualities))
                .hint(format!("`{}` is not predicted for the other points: {reason}", task.unwrap_or(name)));
        }
        let known: Vec<&str> = [ID, SIGMA, SETTING]
            .into_iter()
            .chain(AXES)
            .chain(qualities.iter().map(|metric| metric.name()))
            .collect();
        error.allowed(known.join(", ")).maybe_hint(suggestion(name, known.iter().copied()))
    }

    fn row(
        &self,
        record: &csv::StringRecord,
        header: &csv::StringRecord,
        columns: &[Column],
        measured: &[Metric],
        line: u64,
        setting: &mut Option<(String, u64)>,
    ) -> Result<Row, DocumentError> {
        let mut row = Row {
            line,
            id: None,
            axes: Wanted::default(),
            values: vec![f64::NAN; measured.len()],
            sigmas: vec![None; measured.len()],
        };
        for ((cell, name), column) in record.iter().zip(header).zip(columns) {
            let cell = Cell { reader: self, line, name, text: cell };
            match column {
                Column::Id => row.id = Some(cell.id()?),
                Column::Axis(axis) => cell.axis(axis, &mut row.axes)?,
                Column::Setting => match setting {
                    Some((known, first)) if known != cell.text => {
                        let error = cell.wrong("scores of several settings are in one table");
                        return Err(error.allowed(format!("`{known}`, as on line {first}")));
                    }
                    Some(_) => {}
                    None => *setting = Some((cell.text.to_owned(), line)),
                },
                Column::Measured(place) => row.values[*place] = cell.measured(measured[*place])?,
                Column::Sigma(place) if cell.text.is_empty() => row.sigmas[*place] = None,
                Column::Sigma(place) => row.sigmas[*place] = Some(cell.number(0.0, f64::MAX, "0 or more")?),
            }
        }
        Ok(row)
    }
}

fn names(metrics: &[Metric]) -> String {
    metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
}

struct Cell<'a> {
    reader: &'a Reader<'a>,
    line: u64,
    name: &'a str,
    text: &'a str,
}

impl Cell<'_> {
    fn wrong(&self, message: &str) -> DocumentError {
        let found =
            if self.text.is_empty() { "an empty cell".to_owned() } else { format!("`{}`", self.text) };
        self.reader.error("wrong-value", message).on_line(self.line).field(self.name).found(found)
    }

    fn id(&self) -> Result<String, DocumentError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if self.text.len() == 12 && self.text.bytes().all(hex) {
            return Ok(self.text.to_owned());
        }
        Err(self
            .wrong("no id of a point")
            .allowed("12 hex digits, as `front.json` and `--dump-all` have them"))
    }

    fn number(&self, least: f64, most: f64, allowed: &str) -> Result<f64, DocumentError> {
        let number = self.text.parse::<f64>().ok().filter(|number| number.is_finite());
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.wrong("wrong number").allowed(allowed))
    }

    /// Every row gives every measured column: what is left out would be a prediction among measurements.
    fn measured(&self, metric: Metric) -> Result<f64, DocumentError> {
        if self.text.is_empty() {
            let error = self.wrong("the row lacks what others measured");
            return Err(error.allowed("a number in every row, or another table without this column"));
        }
        match metric {
            Metric::Score(_) => self.number(0.0, 100.0, "0 to 100 percent"),
            _ => self.number(f64::MIN_POSITIVE, f64::MAX, "nats above 0"),
        }
    }

    fn whole(&self) -> Result<u64, DocumentError> {
        self.text.parse().map_err(|_| self.wrong("wrong number").allowed("a whole number"))
    }

    fn truth(&self) -> Result<bool, DocumentError> {
        match self.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong("wrong value").allowed("true, false")),
        }
    }

    fn format(&self) -> Result<NumberFormat, DocumentError> {
        self.text.parse().map_err(|_| {
            let known: Vec<&str> = NumberFormat::ALL.iter().map(|format| format.name()).collect();
            let error = self.wrong("unknown number format").allowed(known.join(", "));
            error.maybe_hint(suggestion(self.text, known.iter().copied()))
        })
    }

    fn window(&self) -> Result<WantedWindow, DocumentError> {
        let wrong = || {
            self.wrong("no window").allowed("empty or `none`, `512`, or `512/4`: every 4th layer sees all")
        };
        match self.text.split_once('/') {
            None if self.text.is_empty() || self.text == "none" => Ok(WantedWindow::None),
            None => Ok(WantedWindow::Size(self.text.parse().map_err(|_| wrong())?)),
            Some((size, every)) => {
                let size = size.parse().map_err(|_| wrong())?;
                Ok(WantedWindow::SizeAndPeriod(size, every.parse().map_err(|_| wrong())?))
            }
        }
    }

    fn axis(&self, axis: &str, axes: &mut Wanted) -> Result<(), DocumentError> {
        match axis {
            "gated" => axes.gated = Some(self.truth()?),
            "experts" => axes.experts = Some(self.whole()?),
            "top_k" => axes.top_k = Some(self.whole()?),
            "window" => axes.window = Some(self.window()?),
            "tied_embeddings" => axes.tied = Some(self.truth()?),
            "weights" => axes.weights = Some(self.format()?),
            "kv" => axes.kv = Some(self.format()?),
            name => {
                if let Some(axis) = Axis::numeric(name) {
                    axes.numbers[axis as usize] = Some(self.whole()?);
                }
            }
        }
        Ok(())
    }
}
