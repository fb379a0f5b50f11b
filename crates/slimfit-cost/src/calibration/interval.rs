//! How wide the intervals of this device's predictions must be, from the errors of a few models that were left out.
//!
//! An error counts in units of the interval that was predicted for that run: |ln(predicted ÷ measured)| ÷ ln(high ÷
//! value), so that 1 is on its edge. The scale is what 90 of 100 such errors stay below, in a mixture: the errors that
//! were seen, each model weighing 1 however many runs it has, and errors as the default interval expects them, weighing
//! [`DEFAULT_WEIGHT`] models and falling off exponentially with a tenth past 1. With few models the default decides;
//! with many, the quantile of the errors themselves (split conformal prediction without its finite-sample term, for which
//! the default's share stands in). One disturbed model among few widens the interval, but cannot take it over.

/// Models that the default weighs. It rests on fourteen models (28 cells of decoding) of one machine; of another machine
/// it is worth about half.
const DEFAULT_WEIGHT: f64 = 8.0;
/// The share of errors that an interval holds.
const LEVEL: f64 = 0.9;
/// What intervals are scaled by at most: runs do not repeat to less than a few percent, and past five times as wide
/// the profile should be measured again.
const RANGE: std::ops::RangeInclusive<f64> = 0.2..=5.0;
const STEPS: usize = 60;

/// The scale for `errors`: of every run its model and its error in units of the default interval's half-width.
pub(super) fn scale(errors: &[(&str, f64)]) -> f64 {
    let weighted: Vec<(f64, f64)> = errors
        .iter()
        .map(|(model, error)| {
            let alike = errors.iter().filter(|(other, _)| other == model).count();
            (*error, 1.0 / alike as f64)
        })
        .collect();
    let models: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let within = |scale: f64| {
        let seen: f64 = weighted.iter().filter(|(error, _)| *error <= scale).map(|(_, weight)| weight).sum();
        DEFAULT_WEIGHT * (1.0 - (1.0 - LEVEL).powf(scale)) + seen
    };
    let wanted = LEVEL * (DEFAULT_WEIGHT + models);
    let (mut low, mut high) = (*RANGE.start(), *RANGE.end());
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if within(middle) < wanted { low = middle } else { high = middle }
    }
    high
}
