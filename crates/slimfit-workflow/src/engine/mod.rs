//! Another runtime as the thing that is measured: a command of the user's, one line of JSON in, one out.
//!
//! `engines/README.md` is the protocol's page, `engines/llama_bench.py` a whole engine.

mod files;
mod limits;
mod measure;
mod process;
mod protocol;
#[cfg(test)]
mod tests;

pub(crate) use files::EngineFiles;
pub(crate) use measure::EngineCell;
pub use measure::measure_engine;
pub(crate) use process::{Running, finished, last_line};
pub use protocol::{ANSWER_SCHEMA, REQUEST_SCHEMA};

use std::time::Duration;

/// A command that runs models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCommand {
    /// For the system's shell.
    pub command: String,
    /// How long it may take for one request.
    pub timeout: Duration,
}
