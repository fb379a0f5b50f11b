//! Units, number formats, figures with their provenance, and the measuring harness.
//!
//! Layer 0: every other crate may import this one; it imports none and never prints.
#![doc = include_str!("../README.md")]

mod error;
mod estimator;
mod figure;
mod format;
pub mod harness;
mod rank;
mod units;
mod warning;

pub use error::QuantityError;
pub use estimator::{Outlier, Summary, median, quantile};
pub use figure::{Figure, Measured, Predicted, Source};
pub use format::NumberFormat;
pub use harness::{Bracketed, Cell, CellResult, Drift, interleave, sample_until};
pub use rank::{kendall_tau, spearman};
pub use units::{
    format_bytes, format_count, format_duration, format_integer, format_seconds, parse_bytes, parse_count,
    parse_duration, parse_flops_per_s, parse_seconds, parse_watt_hours,
};
pub use warning::Warning;
