//! Hypervolume of five and more objectives: the sum of what each point dominates and no later one does.

use crate::dominance::non_dominated;

/// Five and more objectives.
///
/// Points go from the largest last objective to the least. What a later point has in common with one then reaches as far
/// in the last objective as the one itself, so the rest of the comparison has one objective less.
pub(super) fn volume(points: &[f64], reference: &[f64]) -> f64 {
    let dimensions = reference.len();
    let others = dimensions - 1;
    let last = |point: &[f64]| point[others];
    let mut sorted: Vec<&[f64]> = non_dominated(points, dimensions)
        .into_iter()
        .map(|place| &points[place * dimensions..][..dimensions])
        .collect();
    sorted.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let mut volume = 0.0;
    let mut common = Vec::new();
    for (place, point) in sorted.iter().enumerate() {
        common.clear();
        for later in &sorted[place + 1..] {
            common.extend(later.iter().zip(*point).take(others).map(|(later, own)| later.max(*own)));
        }
        let own: f64 = point.iter().zip(reference).take(others).map(|(value, bound)| bound - value).product();
        let shared = if common.is_empty() {
            0.0
        } else {
            super::volume(&different(&common, others), &reference[..others])
        };
        volume += (own - shared) * (reference[others] - last(point));
    }
    volume
}

/// The points that no other dominates: what is in common with a point mostly is with few others.
fn different(points: &[f64], dimensions: usize) -> Vec<f64> {
    let kept = non_dominated(points, dimensions);
    kept.into_iter().flat_map(|place| &points[place * dimensions..][..dimensions]).copied().collect()
}
