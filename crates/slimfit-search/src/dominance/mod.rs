//! Dominance: which points no other point beats. All objectives are minimised.
//!
//! `a` dominates `b` when it is at most `b` in every objective and less in at least one; equal points do not dominate
//! each other, so all of them stay.

mod divide;
mod order;
mod strong;
mod sweep;
#[cfg(test)]
mod tests;
mod tree;

use divide::divide;
use order::Ordered;
pub(crate) use order::key as order_key;
pub(crate) use tree::DominanceTree;

/// Whether `a` is at most `b` in every objective.
pub(crate) fn at_most(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Whether `a` dominates `b`.
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut less = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        less |= a < b;
    }
    less
}

/// [`at_most`] without a branch for each objective.
fn at_most_all<const D: usize>(a: &[f64; D], b: &[f64; D]) -> bool {
    (0..D).fold(true, |all, axis| all & (a[axis] <= b[axis]))
}

/// [`dominates`] without a branch for each objective.
fn dominates_all<const D: usize>(a: &[f64; D], b: &[f64; D]) -> bool {
    let (mut all, mut less) = (true, false);
    for axis in 0..D {
        all &= a[axis] <= b[axis];
        less |= a[axis] < b[axis];
    }
    all & less
}

/// Points by all objectives in turn. Zeros of either sign are equal, as they are to [`dominates`].
pub(crate) fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| order::key(*a).cmp(&order::key(*b)))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Places of the points that no other point dominates, ascending. `values` holds `dimensions` objectives to a point, no
/// NaN among them; infinities are numbers like others.
///
/// A few strong points drop most of the others in a scan, wherever most are dominated. The rest is sorted by all
/// objectives in turn, so that a point can only be dominated by an earlier one: two objectives then need the least second
/// one so far; three the least third one by rank of the second; more are divided and conquered. O(n log n) up to three
/// objectives, O(n logᵈ⁻² n) for d.
///
/// # Panics
/// For more than 32 objectives or 2³² points.
pub fn non_dominated(values: &[f64], dimensions: usize) -> Vec<usize> {
    match dimensions {
        0 => Vec::new(),
        1 => filter::<1>(values, sweep::one),
        2 => filter::<2>(values, sweep::two),
        3 => filter::<3>(values, sweep::three),
        4 => filter::<4>(values, divide),
        5 => filter::<5>(values, divide),
        6 => filter::<6>(values, divide),
        7 => filter::<8>(&widened::<8>(values, dimensions), divide),
        8 => filter::<8>(values, divide),
        9..=16 => filter::<16>(&widened::<16>(values, dimensions), divide),
        17..=32 => filter::<32>(&widened::<32>(values, dimensions), divide),
        _ => panic!("a filter compares at most 32 objectives, not {dimensions}"),
    }
}

/// `D` objectives to a point; `stay` tells which of different points, sorted by all objectives in turn, no other
/// dominates.
fn filter<const D: usize>(values: &[f64], stay: impl Fn(&[[f64; D]]) -> Vec<bool>) -> Vec<usize> {
    let points = values.as_chunks::<D>().0;
    let count = u32::try_from(points.len()).expect("a filter holds at most 2^32 points");
    let ordered = Ordered::new(points, strong::survivors(points, count));
    let sorted: Vec<[f64; D]> = ordered.representatives().map(|place| points[place as usize]).collect();
    ordered.places(&stay(&sorted))
}

/// Points with further objectives in which all are equal. They stand behind the first, where splitting at them costs
/// nothing.
fn widened<const D: usize>(values: &[f64], dimensions: usize) -> Vec<f64> {
    let mut widened = Vec::with_capacity(values.len() / dimensions * D);
    for point in values.chunks_exact(dimensions) {
        widened.push(point[0]);
        widened.resize(widened.len() + D - dimensions, 0.0);
        widened.extend_from_slice(&point[1..]);
    }
    widened
}
