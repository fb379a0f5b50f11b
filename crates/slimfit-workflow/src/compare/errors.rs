//! How far predictions were off in both.

use slimfit_study::{ComparedError, ErrorSummary, Verification};

/// Normalised errors, phase by phase.
pub(super) fn compared(first: &Verification, second: &Verification) -> Vec<ComparedError> {
    let (ours, theirs) = (&first.normalised, &second.normalised);
    let phases = [
        ("decode", ours.decode, theirs.decode),
        ("prefill", ours.prefill, theirs.prefill),
        ("memory", ours.memory, theirs.memory),
    ];
    let both = |(phase, first, second): (&str, Option<ErrorSummary>, Option<ErrorSummary>)| {
        let (first, second) = (first?, second?);
        let floor = [first, second].into_iter().filter_map(|error| error.retest_mape).reduce(f64::max);
        let beyond_noise = floor.map(|floor| (first.mape - second.mape).abs() > floor);
        Some(ComparedError { phase: phase.to_owned(), first, second, beyond_noise })
    };
    phases.into_iter().filter_map(both).collect()
}
