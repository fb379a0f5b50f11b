//! Hypervolume: how much of the space below a reference a front dominates. All objectives are minimised.
//!
//! It is exact: no sampling. [`LogScale`] is the scale on which fronts of devices are compared, since their objectives
//! differ by orders of magnitude.

mod many;
mod plane;
mod scale;
mod slices;
#[cfg(test)]
mod tests;

pub use scale::LogScale;

/// The volume that `points` dominate within `reference`, which no bound closes from below: the measure of everything that
/// is at least as large as some point and at most as large as the reference, in every objective.
///
/// `points` holds `reference.len()` objectives to a point, no NaN among them. Points that are not below the reference
/// in every objective add nothing; dominated and equal points neither. It is infinite where a point below the
/// reference is infinite, or the reference is.
///
/// Two and three objectives are a sweep, O(n log n); four a sweep over slices in three that each new point changes, O(n²)
/// (as Guerreiro and Fonseca, 2018); more are split point by point (While, Bradstreet and Barone, 2012: WFG), which
/// takes seconds for some thousand points in five.
pub fn hypervolume(points: &[f64], reference: &[f64]) -> f64 {
    let dimensions = reference.len();
    if dimensions == 0 {
        return 0.0;
    }
    let below = |point: &&[f64]| point.iter().zip(reference).all(|(value, bound)| value < bound);
    let inside: Vec<f64> = points.chunks_exact(dimensions).filter(below).flatten().copied().collect();
    if inside.is_empty() {
        0.0
    } else if inside.iter().chain(reference).any(|value| value.is_infinite()) {
        f64::INFINITY
    } else {
        volume(&inside, reference)
    }
}

/// The same of finite points that all lie below the reference.
fn volume(points: &[f64], reference: &[f64]) -> f64 {
    match *reference {
        [x] => x - points.iter().copied().fold(x, f64::min),
        [x, y] => plane::area(points.as_chunks().0, [x, y]),
        [x, y, z] => plane::volume(points.as_chunks().0, [x, y, z]),
        [x, y, z, w] => slices::volume(points.as_chunks().0, [x, y, z, w]),
        _ => many::volume(points, reference),
    }
}
