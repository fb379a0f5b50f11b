//! Models as rows of a table: one a line, columns named as the fields of an architecture.
//!
//! Whoever reads such a table adds columns of its own, and takes the architecture from [`Row::architecture`].

mod architecture;
#[cfg(test)]
mod tests;

use csv::StringRecord;
use slimfit_document::{DocumentError, suggestion};
use slimfit_quantity::parse_count;

/// A column: its name, and what it holds, with the default after a dash.
pub type Column = (&'static str, &'static str);

/// The columns of an architecture.
pub const ARCHITECTURE_COLUMNS: [Column; 19] = [
    ("layers", "stored layers"),
    ("hidden_size", "width of the residual stream"),
    ("heads", "query heads"),
    ("kv_heads", "key and value heads - `heads`"),
    ("head_size", "values of one head - hidden_size / heads"),
    ("ffn", "inner width of dense layers"),
    ("gated", "whether a third matrix gates it - true"),
    ("experts", "experts of a layer, 1: dense - 1"),
    ("top_k", "experts that a token visits; layers with experts need it"),
    ("expert_size", "inner width of one expert; layers with experts need it"),
    ("shared_size", "inner width that every token visits beside its experts - 0"),
    ("window", "keys that a query sees, 0: all - 0"),
    ("full_every", "every this-many-th layer sees all keys in spite of `window`, 0: none does - 0"),
    ("vocabulary_size", "rows of the embedding table"),
    ("tied_embeddings", "whether the output head is that table - false"),
    ("embedding_size", "width of the table where it is not hidden_size - hidden_size"),
    ("loops", "passes through the looped layers - 1"),
    ("loop_first", "the first looped layer, from 0 - 0"),
    ("loop_layers", "how many layers loop - all from loop_first on"),
];

/// Where each column stands.
#[derive(Debug)]
pub struct Columns {
    names: Vec<String>,
}

/// One row; a cell that is empty says nothing.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a Columns,
    record: &'a StringRecord,
}

impl Columns {
    /// Reads the first line: columns of an architecture, `own` ones, and such as begin with `prefix`.
    ///
    /// # Errors
    /// A column of another name, or one that stands twice.
    pub fn read(
        header: &StringRecord,
        own: &[Column],
        prefix: Option<&'static str>,
    ) -> Result<Self, DocumentError> {
        let known = || own.iter().chain(&ARCHITECTURE_COLUMNS).map(|(name, _)| *name);
        let mut names: Vec<String> = Vec::with_capacity(header.len());
        for name in header {
            let prefixed =
                prefix.and_then(|prefix| name.strip_prefix(prefix)).is_some_and(|rest| !rest.is_empty());
            if !prefixed && !known().any(|known| known == name) {
                let mut allowed: Vec<String> = known().map(str::to_owned).collect();
                allowed.extend(prefix.map(|prefix| format!("{prefix}…")));
                let error = DocumentError::new("unknown-column", "no column of this name").field(name);
                let error = error.found(format!("`{name}`")).allowed(allowed.join(", "));
                return Err(error.maybe_hint(suggestion(name, known())));
            }
            if names.iter().any(|known| known == name) {
                return Err(DocumentError::new("duplicate-column", "the column stands twice").field(name));
            }
            names.push(name.to_owned());
        }
        Ok(Self { names })
    }

    /// Refuses a table without one of these columns.
    ///
    /// # Errors
    /// The first that is missing.
    pub fn require(&self, wanted: &[&str]) -> Result<(), DocumentError> {
        match wanted.iter().find(|name| !self.names.iter().any(|known| known == *name)) {
            None => Ok(()),
            Some(name) => {
                let error = DocumentError::new("missing-column", "the column is missing").field(*name);
                Err(error.allowed(wanted.join(", ")).hint("the first line names the columns"))
            }
        }
    }

    /// Names of the columns that begin with `prefix`, and what follows it.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().filter_map(move |name| Some((name.as_str(), name.strip_prefix(prefix)?)))
    }

    /// The row that a record is.
    ///
    /// # Errors
    /// When it has more or fewer cells than there are columns.
    pub fn row<'a>(&'a self, record: &'a StringRecord) -> Result<Row<'a>, DocumentError> {
        if record.len() == self.names.len() {
            return Ok(Row { columns: self, record });
        }
        let error =
            DocumentError::new("row-length", "the row has another number of cells than the first line");
        Err(error.found(record.len()).allowed(self.names.len()))
    }
}

impl Row<'_> {
    /// The text of a cell.
    pub fn text(&self, column: &str) -> Option<&str> {
        let place = self.columns.names.iter().position(|name| name == column)?;
        let cell = self.record.get(place)?.trim();
        (!cell.is_empty()).then_some(cell)
    }

    /// The value of a cell that `read` understands.
    ///
    /// # Errors
    /// The cell and what it may hold.
    pub fn cell<T>(
        &self,
        column: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DocumentError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| {
            let error = DocumentError::new("bad-cell", "the cell cannot be read").field(column);
            let error = error.found(format!("`{text}`")).allowed(allowed);
            let is_nothing =
                ["nan", "na", "n/a", "none", "null", "-"].contains(&text.to_lowercase().as_str());
            error.maybe_hint(is_nothing.then(|| "leave the cell empty where nothing is known".to_owned()))
        })
    }

    /// A count as people write it: `300B`, `3e11` or 300000000000.
    ///
    /// # Errors
    /// When the cell holds none.
    pub fn count(&self, column: &str) -> Result<Option<u64>, DocumentError> {
        self.cell(column, "a count above 0, such as `300B` or 300000000000", |text| {
            let suffixed = text.ends_with(char::is_alphabetic);
            let count = if suffixed { parse_count(text).ok() } else { whole(text) };
            count.filter(|count| *count > 0)
        })
    }

    /// A number above `low`, at most `high`.
    ///
    /// # Errors
    /// When the cell holds none.
    pub fn number(&self, column: &str, low: f64, high: f64) -> Result<Option<f64>, DocumentError> {
        self.cell(column, &format!("a number above {low}, at most {high}"), |text| {
            text.parse().ok().filter(|number| *number > low && *number <= high)
        })
    }

    /// A value that a row cannot do without.
    ///
    /// # Errors
    /// When there is none.
    pub fn required<T>(&self, column: &str, value: Option<T>) -> Result<T, DocumentError> {
        value.ok_or_else(|| missing(column))
    }
}

/// Tables written by other programs often carry whole numbers as `12.0`.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value >= 0.0 && value.fract() == 0.0 && value < (1_u64 << 53) as f64).then_some(value as u64)
    })
}

fn missing(column: &str) -> DocumentError {
    DocumentError::new("missing-cell", "the row needs a value here: it is missing").field(column)
}
