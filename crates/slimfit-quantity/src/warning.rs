//! Warnings that tell the reader what to do.

use serde::{Deserialize, Serialize};

/// A warning as commands print it: a fixed code for scripts and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Fixed, lower-case, hyphenated: `machine-drifted`.
    pub code: String,
    /// What was seen and what to do about it.
    pub message: String,
}

impl Warning {
    /// A warning with a fixed code.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
