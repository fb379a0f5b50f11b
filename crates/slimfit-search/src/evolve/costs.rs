//! Metrics as costs: positive numbers of which less is better, whose logarithms are compared.

use crate::{Metric, Values};

/// A value as a cost: of what is maximised, its inverse.
pub(super) fn cost(metric: Metric, value: f64) -> f64 {
    if metric.is_maximised() { 1.0 / value } else { value }
}

/// The logarithm of [`cost`].
pub(super) fn log_cost(metric: Metric, value: f64) -> f64 {
    cost(metric, value).ln()
}

/// Whether a value has a logarithm.
pub(super) fn is_usable(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// Whether all limits are kept.
pub(super) fn keeps(limits: &[(Metric, f64)], values: &Values) -> bool {
    limits.iter().all(|(metric, limit)| metric.keeps(values[metric.column()], *limit))
}
