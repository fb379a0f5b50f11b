//! How well a fit predicts what it has not seen: whole groups of runs left out, one after the other.

use super::law::{fit_law, predicted_loss};
use super::parameter::Parameter;
use super::run::{TrainingRun, groups};
use crate::recipe::Recipe;

/// Predicts every run by a fit of the law that has seen no run of its group; in the order of `runs`.
///
/// Nothing where a fit finds no minimum.
pub fn leave_groups_out(recipe: &Recipe, runs: &[&TrainingRun], moved: &[Parameter]) -> Option<Vec<f64>> {
    left_out(runs, |kept, dropped| {
        let fitted = fit_law(recipe, kept, moved)?;
        Some(dropped.iter().map(|run| predicted_loss(&fitted, run)).collect())
    })
}

/// What `predict` says of each run when it is shown the runs of all other groups: `predict(kept, dropped)` gives one
/// value for each of `dropped`.
///
/// Nothing where it gives nothing.
pub fn left_out(
    runs: &[&TrainingRun],
    predict: impl Fn(&[&TrainingRun], &[&TrainingRun]) -> Option<Vec<f64>>,
) -> Option<Vec<f64>> {
    let mut values = vec![f64::NAN; runs.len()];
    for group in groups(runs) {
        let places: Vec<usize> = (0..runs.len()).filter(|place| runs[*place].group == group).collect();
        let kept: Vec<&TrainingRun> = runs.iter().copied().filter(|run| run.group != group).collect();
        let dropped: Vec<&TrainingRun> = places.iter().map(|place| runs[*place]).collect();
        for (place, value) in places.iter().zip(predict(&kept, &dropped)?) {
            values[*place] = value;
        }
    }
    Some(values)
}
