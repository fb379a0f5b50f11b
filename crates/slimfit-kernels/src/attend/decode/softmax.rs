//! From a tile's scores to weights, with a running maximum and sum of weights.
#![expect(clippy::needless_range_loop, reason = "vectors are indexed alongside each other")]

use super::{AttendArgs, ROW, TILE};
use crate::attend::vectorised::cap;
use crate::vector::{Tier, exp2_falling};
use std::f32::consts::LOG2_E;

/// Vectors whose powers are computed together, and heads whose maxima are.
const TOGETHER: usize = 4;

/// Caps and biases `count` scores in place and makes them logarithms to base 2. `distance` is that of the first key from
/// the query.
#[inline(always)]
pub(super) fn finish<T: Tier>(
    tier: T,
    args: &AttendArgs<'_>,
    scores: &mut [f32],
    count: usize,
    slope: f32,
    distance: f32,
) {
    assert!(count <= TILE && scores.len() >= ROW);
    let mut offsets = [0.0; 16];
    for (lane, offset) in offsets.iter_mut().enumerate() {
        *offset = lane as f32;
    }
    for index in (0..count).step_by(T::LANES) {
        let place = scores[index..index + T::LANES].as_mut_ptr();
        // SAFETY: a whole vector lies there.
        let mut score = cap(tier, unsafe { tier.load(place) }, args.softcap);
        // SAFETY: 16 offsets are at least a vector.
        let lanes = unsafe { tier.load(offsets.as_ptr()) };
        let distances = tier.sub(tier.splat(distance - index as f32), lanes);
        score = tier.fma(tier.splat(-slope), distances, score);
        // SAFETY: as above.
        unsafe { tier.store(place, tier.mul(score, tier.splat(LOG2_E))) };
    }
}

/// Turns each head's `count` scores into 2^(score − largest) in place. Where a head's largest score grows, its total and
/// its sums, rows of `width`, shrink by as much.
#[inline(always)]
pub(super) fn to_weights<T: Tier>(
    tier: T,
    scores: &mut [f32],
    count: usize,
    maxima: &mut [f32],
    totals: &mut [f32],
    sums: &mut [f32],
    width: usize,
) {
    let group = maxima.len();
    assert!(
        count <= TILE && scores.len() >= group * ROW && totals.len() >= group && sums.len() >= group * width
    );
    let padded = count.next_multiple_of(T::LANES);
    for first in (0..group).step_by(TOGETHER) {
        let heads = TOGETHER.min(group - first);
        let (maxima, totals) = (&mut maxima[first..][..heads], &mut totals[first..][..heads]);
        let scores = &mut scores[first * ROW..][..heads * ROW];
        // Maxima of several heads first: each is a chain of its own.
        let mut largest = [0.0; TOGETHER];
        for head in 0..heads {
            let scores = &mut scores[head * ROW..][..padded];
            scores[count..].fill(f32::NEG_INFINITY);
            largest[head] = maximum(tier, scores, maxima[head]);
        }
        for head in 0..heads {
            let total = powers(tier, &mut scores[head * ROW..][..padded], largest[head]);
            if largest[head] > maxima[head] {
                let factor = (maxima[head] - largest[head]).exp2();
                maxima[head] = largest[head];
                totals[head] *= factor;
                for sum in &mut sums[(first + head) * width..][..width] {
                    *sum *= factor;
                }
            }
            totals[head] += total;
        }
    }
}

/// The largest of whole vectors and of `before`.
#[inline(always)]
fn maximum<T: Tier>(tier: T, scores: &[f32], before: f32) -> f32 {
    let mut largest = tier.splat(before);
    for vector in scores.chunks_exact(T::LANES) {
        // SAFETY: a whole vector.
        largest = tier.max(unsafe { tier.load(vector.as_ptr()) }, largest);
    }
    tier.largest(largest)
}

/// Turns whole vectors into 2^(score − largest) in place; returns their sum.
#[inline(always)]
fn powers<T: Tier>(tier: T, scores: &mut [f32], largest: f32) -> f32 {
    let largest = tier.splat(largest);
    let mut total = tier.splat(0.0);
    let mut several = scores.chunks_exact_mut(TOGETHER * T::LANES);
    for scores in &mut several {
        let mut vectors = [total; TOGETHER];
        for index in 0..TOGETHER {
            // SAFETY: a whole vector of several.
            let score = unsafe { tier.load(scores.as_ptr().add(index * T::LANES)) };
            vectors[index] = tier.sub(score, largest);
        }
        let weights = exp2_falling(tier, vectors);
        for index in 0..TOGETHER {
            // SAFETY: as above.
            unsafe { tier.store(scores.as_mut_ptr().add(index * T::LANES), weights[index]) };
        }
        let [a, b, c, d] = weights;
        total = tier.add(total, tier.add(tier.add(a, b), tier.add(c, d)));
    }
    for scores in several.into_remainder().chunks_exact_mut(T::LANES) {
        // SAFETY: a whole vector.
        let score = unsafe { tier.load(scores.as_ptr()) };
        let [weight] = exp2_falling(tier, [tier.sub(score, largest)]);
        total = tier.add(total, weight);
        // SAFETY: as above.
        unsafe { tier.store(scores.as_mut_ptr(), weight) };
    }
    tier.sum(total)
}
