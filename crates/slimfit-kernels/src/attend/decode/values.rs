//! Sums of weighted values. A few query heads' sums over a few vectors of columns stay in registers over a tile, so that a
//! value is widened once for all of these heads.
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::{ROW, TILE, at_once};
use crate::attend::vectorised::Element;
use crate::vector::Tier;

/// Most heads and most vectors of columns at once: their products and one operand of each head, or of each vector, are
/// what 16 registers hold.
const HEADS: usize = 4;
const VECTORS: usize = 4;

/// Adds values (rows of `head_size`) times weights (in rows of [`ROW`]) to every head's sums (rows of `width`).
#[inline(always)]
pub(super) fn add<T: Tier, E: Element>(
    tier: T,
    weights: &[f32],
    values: &[E],
    head_size: usize,
    sums: &mut [f32],
    width: usize,
) {
    let group = sums.len() / width;
    let most = if T::ROWS < 3 { T::ROWS } else { HEADS };
    let mut member = 0;
    while member < group {
        let weights = &weights[member * ROW..];
        let sums = &mut sums[member * width..];
        member += match at_once(group - member, most) {
            4.. => heads::<T, E, 4>(tier, weights, values, head_size, sums, width),
            3 => heads::<T, E, 3>(tier, weights, values, head_size, sums, width),
            2 => heads::<T, E, 2>(tier, weights, values, head_size, sums, width),
            _ => heads::<T, E, 1>(tier, weights, values, head_size, sums, width),
        };
    }
}

/// The same for the first `R` heads; returns `R`.
#[inline(always)]
fn heads<T: Tier, E: Element, const R: usize>(
    tier: T,
    weights: &[f32],
    values: &[E],
    head_size: usize,
    sums: &mut [f32],
    width: usize,
) -> usize {
    let count = values.len() / head_size;
    assert!(count <= TILE && weights.len() >= (R - 1) * ROW + count && sums.len() >= R * width);
    let whole = head_size / T::LANES;
    let most = if R == 4 && T::ROWS < 4 { VECTORS - 1 } else { VECTORS };
    let mut vector = 0;
    while R == 1 && vector + 8 <= whole {
        vector +=
            columns::<T, E, R, 8, false>(tier, weights, values, head_size, sums, width, vector * T::LANES);
    }
    while vector < whole {
        let column = vector * T::LANES;
        vector += match at_once(whole - vector, most) {
            4.. => columns::<T, E, R, 4, false>(tier, weights, values, head_size, sums, width, column),
            3 => columns::<T, E, R, 3, false>(tier, weights, values, head_size, sums, width, column),
            2 => columns::<T, E, R, 2, false>(tier, weights, values, head_size, sums, width, column),
            _ => columns::<T, E, R, 1, false>(tier, weights, values, head_size, sums, width, column),
        };
    }
    if whole * T::LANES < head_size {
        columns::<T, E, R, 1, true>(tier, weights, values, head_size, sums, width, whole * T::LANES);
    }
    R
}

/// The same for `N` vectors of columns, or for one that is `CUT` off by the head's end; returns `N`.
#[inline(always)]
fn columns<T: Tier, E: Element, const R: usize, const N: usize, const CUT: bool>(
    tier: T,
    weights: &[f32],
    values: &[E],
    head_size: usize,
    sums: &mut [f32],
    width: usize,
    column: usize,
) -> usize {
    let count = values.len() / head_size;
    let left = head_size - column;
    assert!(if CUT { N == 1 && left < T::LANES } else { left >= N * T::LANES });
    assert!(weights.len() >= (R - 1) * ROW + count && sums.len() >= R * width);
    assert!(column + N * T::LANES <= width);
    let mut totals = [[tier.splat(0.0); N]; R];
    for member in 0..R {
        for vector in 0..N {
            let place = member * width + column + vector * T::LANES;
            // SAFETY: whole vectors of a row of sums, as just asserted.
            totals[member][vector] = unsafe { tier.load(sums.as_ptr().add(place)) };
        }
    }
    for key in 0..count {
        // SAFETY: a key below `count`.
        let row = unsafe { values.as_ptr().add(key * head_size + column) };
        // Whichever there are fewer of, factors or vectors, are held; of the others one at a time is.
        if R <= N {
            let mut factors = [tier.splat(0.0); R];
            for member in 0..R {
                // SAFETY: asserted above.
                factors[member] = tier.splat(unsafe { *weights.get_unchecked(member * ROW + key) });
            }
            for vector in 0..N {
                let value = if CUT {
                    // SAFETY: `left` values lie there, less than a vector.
                    unsafe { E::load_first(tier, row, left) }
                } else {
                    // SAFETY: `left` values lie there, at least `N` vectors.
                    unsafe { E::load(tier, row.add(vector * T::LANES)) }
                };
                for member in 0..R {
                    totals[member][vector] = tier.fma(factors[member], value, totals[member][vector]);
                }
                if R > 1 {
                    for member in 0..R {
                        tier.settle(&mut totals[member][vector]);
                    }
                }
            }
        } else {
            let mut vectors = [tier.splat(0.0); N];
            for vector in 0..N {
                vectors[vector] = if CUT {
                    // SAFETY: `left` values lie there, less than a vector.
                    unsafe { E::load_first(tier, row, left) }
                } else {
                    // SAFETY: `left` values lie there, at least `N` vectors.
                    unsafe { E::load(tier, row.add(vector * T::LANES)) }
                };
            }
            for member in 0..R {
                // SAFETY: asserted above.
                let factor = tier.splat(unsafe { *weights.get_unchecked(member * ROW + key) });
                for vector in 0..N {
                    totals[member][vector] = tier.fma(factor, vectors[vector], totals[member][vector]);
                }
                for vector in 0..N {
                    tier.settle(&mut totals[member][vector]);
                }
            }
        }
    }
    for member in 0..R {
        for vector in 0..N {
            let place = member * width + column + vector * T::LANES;
            // SAFETY: as for loading.
            unsafe { tier.store(sums.as_mut_ptr().add(place), totals[member][vector]) };
        }
    }
    N
}
