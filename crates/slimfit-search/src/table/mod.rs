//! Measured scores in place of predictions, for the points that a table names.
//!
//! A table is read by itself ([`QualityTable`]), then bound to the points of a space ([`BoundTable`]); a search looks
//! each point up by its number, so that dominance goes by what was measured.

mod bind;
mod read;

use crate::SearchError;
use crate::metric::{Metric, Values};
use read::{Naming, Row};
use slimfit_document::DocumentError;
use slimfit_quantity::Warning;
use slimfit_study::QualityTableRef;

/// A file of measured scores, checked but not yet bound to a space.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityTable {
    name: String,
    file: String,
    text: String,
    sha256: String,
    naming: Naming,
    /// What its columns measure.
    measured: Vec<Metric>,
    setting: Option<String>,
    rows: Vec<Row>,
}

/// What happens to rows that name no point of the space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExtraRows {
    /// They are an error that names the line.
    #[default]
    Refuse,
    /// They are counted and left out.
    Ignore,
}

/// Measured scores by the number of their point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BoundTable {
    /// Ascending by point.
    entries: Vec<Entry>,
    ignored: u64,
    levels: Vec<Level>,
}

/// How measured values of one kind lie against the predictions that they replace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// What was measured.
    pub metric: Metric,
    /// Mean of measured − predicted.
    pub mean_difference: f64,
}

/// One point's measured values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    index: u64,
    values: Vec<MeasuredValue>,
}

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MeasuredValue {
    pub(crate) metric: Metric,
    pub(crate) value: f64,
    /// Half of its 90 % interval.
    pub(crate) half_width: f64,
}

impl QualityTable {
    /// The file's name, without its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the file's bytes, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What its columns measure.
    pub fn measured(&self) -> &[Metric] {
        &self.measured
    }

    /// Refuses a table of what nobody asks for: it would change nothing.
    ///
    /// # Errors
    /// When a measured column is neither an objective nor a limit.
    pub fn check_asked_for(
        &self,
        objectives: &[Metric],
        limits: &[(Metric, f64)],
    ) -> Result<(), SearchError> {
        let asked = |metric: Metric| {
            let same = |other: Metric| match metric {
                // One quantity, per token and per byte.
                Metric::Loss | Metric::LossPerByte => matches!(other, Metric::Loss | Metric::LossPerByte),
                _ => other == metric,
            };
            objectives.iter().any(|other| same(*other)) || limits.iter().any(|(other, _)| same(*other))
        };
        let Some(metric) = self.measured.iter().find(|metric| !asked(**metric)) else { return Ok(()) };
        let names: Vec<&str> = objectives.iter().map(|metric| metric.name()).collect();
        let error =
            DocumentError::new("quality-table", "what the column measures is neither objective nor limit");
        let error = error.file(self.file.clone()).on_line(1).field(metric.name());
        let error = error.found(format!("objectives {}", names.join(", ")));
        Err(error.hint(format!("`--objectives {},…` makes it one", metric.name())).into())
    }

    /// What a front's record says of it.
    pub fn record(&self, bound: &BoundTable) -> QualityTableRef {
        QualityTableRef {
            name: self.name.clone(),
            sha256: self.sha256.clone(),
            measured: self.measured.iter().map(|metric| metric.name().to_owned()).collect(),
            setting: self.setting.clone(),
            points: bound.points(),
            ignored: bound.ignored,
        }
    }

    /// What the reader of a front must know: measured and predicted values stand side by side in it.
    pub fn warnings(&self, bound: &BoundTable) -> Vec<Warning> {
        let levels: Vec<String> = bound
            .levels
            .iter()
            .map(|Level { metric, mean_difference }| {
                format!("`{}` by {mean_difference:+.3} {}", metric.name(), metric.unit())
            })
            .collect();
        let mut warnings = vec![Warning::new(
            "quality-table",
            format!(
                "scores of {} points are measured ({}), all others are predicted; measured differs from what would be predicted there by, on average, {}: where that is much, points are on the front for their level alone",
                bound.points(),
                self.name,
                levels.join(", ")
            ),
        )];
        if bound.ignored > 0 {
            let message = format!("{} rows of {} name no candidate of the space", bound.ignored, self.name);
            warnings.push(Warning::new("quality-table-ignored", message));
        }
        warnings
    }

    /// How it was measured, where the table says so.
    pub fn setting(&self) -> Option<&str> {
        self.setting.as_deref()
    }
}

impl BoundTable {
    /// What was measured of points, by their numbers.
    pub(crate) fn of_points(points: impl Iterator<Item = (u64, Vec<MeasuredValue>)>) -> Self {
        let mut entries: Vec<Entry> = points.map(|(index, values)| Entry { index, values }).collect();
        entries.sort_by_key(|entry| entry.index);
        Self { entries, ..Self::default() }
    }

    /// Points that it names.
    pub fn points(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Rows that name no point and were left out.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How its values lie against the predictions that they replace.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Numbers of the points that it names.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|entry| entry.index)
    }

    /// What was measured of a point.
    pub(crate) fn of_point(&self, index: u64) -> Option<&Entry> {
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        Some(&self.entries[place])
    }
}

impl Entry {
    /// Puts what was measured in the place of predictions.
    pub(crate) fn replace(&self, values: &mut Values) {
        for measured in &self.values {
            values[measured.metric.column()] = measured.value;
        }
    }

    /// What was measured of one kind.
    pub(crate) fn of(&self, metric: Metric) -> Option<MeasuredValue> {
        self.values.iter().copied().find(|measured| measured.metric == metric)
    }
}
