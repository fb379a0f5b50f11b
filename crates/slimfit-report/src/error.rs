//! What can go wrong while a report is drawn or written.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The study cannot be read.
    #[error(transparent)]
    Study(#[from] slimfit_study::StudyError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Document(#[from] slimfit_document::DocumentError),
    /// A record cannot be written as JSON.
    #[error("the records cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The live page cannot be served.
    #[error(
        "port {port} of this machine cannot be served: {reason}\nhint: choose another by `--port`, or 0 for a free one"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the system answered.
        reason: String,
    },
    /// A chart cannot be drawn.
    #[error("chart `{chart}` cannot be drawn: {reason}")]
    Chart {
        /// The chart's file name, without ending.
        chart: &'static str,
        /// What the drawing library answered.
        reason: String,
    },
}
