//! How far predictions are from what was measured.

use slimfit_quantity::{kendall_tau, quantile, spearman};

/// Errors of a set of predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitErrors {
    /// Predictions.
    pub n: usize,
    /// Mean absolute error.
    pub mean_absolute: f64,
    /// 0.9 quantile of the absolute errors.
    pub quantile_90: f64,
    /// Mean absolute error as a share of the measured value.
    pub mean_relative: f64,
    /// Spearman's rank correlation with what was measured; none where one side never differs.
    pub spearman: Option<f64>,
    /// Kendall's τ-b, likewise.
    pub kendall_tau: Option<f64>,
}

impl FitErrors {
    /// Of predictions beside what was measured; nothing where there are none.
    pub fn of(predicted: &[f64], measured: &[f64]) -> Option<Self> {
        if predicted.is_empty() || predicted.len() != measured.len() {
            return None;
        }
        let absolute: Vec<f64> = predicted.iter().zip(measured).map(|(p, m)| (p - m).abs()).collect();
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / predicted.len() as f64;
        Some(Self {
            n: predicted.len(),
            mean_absolute: mean(&mut absolute.iter().copied()),
            quantile_90: quantile(&absolute, 0.9),
            mean_relative: mean(&mut absolute.iter().zip(measured).map(|(error, m)| error / m.abs())),
            spearman: spearman(predicted, measured),
            kendall_tau: kendall_tau(predicted, measured),
        })
    }
}

/// Half the width of a 90 % interval that is good for the next error: the ⌈0.9 (n + 1)⌉-th of the absolute errors
/// (split conformal), the largest where there are fewer than 9.
pub fn conformal_half_width(absolute: &[f64]) -> f64 {
    let mut sorted = absolute.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (0.9 * (sorted.len() + 1) as f64).ceil() as usize;
    sorted.get(place.min(sorted.len()).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
