//! The one error of this crate, in the shape that every command prints.

use serde::Serialize;
use std::fmt;
use std::ops::Deref;

/// The schema of the object that [`DocumentError::to_json`] returns.
pub const ERROR_SCHEMA: &str = "slimfit/error/v1";

/// What is wrong with a document, and what to do about it.
///
/// The fields are those of [`ErrorDetails`], which this type dereferences to; the box keeps `Result`s small.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct DocumentError(Box<ErrorDetails>);

/// The parts of a [`DocumentError`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ErrorDetails {
    /// Fixed, lower-case, hyphenated: `unknown-field`.
    pub code: String,
    /// What is wrong, in one lower-case sentence without place, found and allowed.
    pub message: String,
    /// The file as the user named it, or the name of a built-in document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// From 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// The field: `axes.hidden[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What may stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl DocumentError {
    /// An error without a place yet.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorDetails { code: code.into(), message: message.into(), ..ErrorDetails::default() }))
    }

    /// Replaces the code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.code = code.into();
        self
    }

    /// Names the file.
    #[must_use]
    pub fn file(mut self, file: impl Into<String>) -> Self {
        self.0.file = Some(file.into());
        self
    }

    /// Names line and column, both from 1.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Self {
        self.0.line = Some(line);
        self.0.column = Some(column);
        self
    }

    /// Names the line, from 1, of a table whose columns have names.
    #[must_use]
    pub fn on_line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Names the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says what was found.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.0.found = Some(found.to_string());
        self
    }

    /// Says what is allowed.
    #[must_use]
    pub fn allowed(mut self, allowed: impl fmt::Display) -> Self {
        self.0.allowed = Some(allowed.to_string());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// A hint where there is one to give.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint.or(self.0.hint);
        self
    }

    /// `{"schema": "slimfit/error/v1", "error": {…}}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "schema": ERROR_SCHEMA, "error": self })
    }
}

impl Deref for DocumentError {
    type Target = ErrorDetails;

    fn deref(&self) -> &ErrorDetails {
        &self.0
    }
}

impl fmt::Display for DocumentError {
    /// `space.yaml:12:7: `axes.depth`: wrong type: found `"six"`; allowed: a whole number`, then the hint on its own line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(f, ":{line}:{column}")?;
            } else if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": ")?;
        }
        if let Some(field) = &self.field
            && !self.message.contains(&format!("`{field}`"))
        {
            write!(f, "`{field}`: ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(found) = &self.found
            && !self.message.contains(found.as_str())
        {
            write!(f, ": found {found}")?;
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
