//! Sums of weighted values. A few query heads' sums over a few vectors of columns stay in registers over a tile, so that a
//! value is widened once for all of these heads.
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::ahead::Ahead;
use super::{ROW, TILE, at_once, width};
use crate::attend::cached::Cached;
use crate::attend::vectorised::Element;
use crate::vector::Tier;

/// Most heads and most vectors of columns at once: their products and one operand of each head, or of each vector, are
/// what 16 registers hold.
const HEADS: usize = 4;
const VECTORS: usize = 4;

/// Adds values (rows of `head_size`) times weights (in rows of [`ROW`]) to every head's sums (rows of [`width`]).
/// Meanwhile `ahead` is fetched.
#[inline(always)]
pub(super) fn add<T: Tier, C: Cached>(
    tier: T,
    weights: &[f32],
    values: &[C::Element],
    head_size: usize,
    sums: &mut [f32],
    mut ahead: Ahead<C>,
) {
    let width = width(head_size);
    let group = sums.len() / width;
    let most = if T::ROWS < 3 { T::ROWS } else { HEADS };
    let mut member = 0;
    while member < group {
        let weights = &weights[member * ROW..];
        let sums = &mut sums[member * width..];
        member += match at_once(group - member, most) {
            4.. => heads::<T, C, 4>(tier, weights, values, head_size, sums, &mut ahead),
            3 => heads::<T, C, 3>(tier, weights, values, head_size, sums, &mut ahead),
            2 => heads::<T, C, 2>(tier, weights, values, head_size, sums, &mut ahead),
            _ => heads::<T, C, 1>(tier, weights, values, head_size, sums, &mut ahead),
        };
        ahead = Ahead::nothing(values.as_ptr());
    }
}

/// The same for the first `R` heads; returns `R`.
#[inline(always)]
fn heads<T: Tier, C: Cached, const R: usize>(
    tier: T,
    weights: &[f32],
    values: &[C::Element],
    head_size: usize,
    sums: &mut [f32],
    ahead: &mut Ahead<C>,
) -> usize {
    let (count, width) = (values.len() / head_size, width(head_size));
    assert!(count <= TILE && weights.len() >= (R - 1) * ROW + count && sums.len() >= R * width);
    let whole = head_size / T::LANES;
    let most = if R == 4 && T::ROWS < 4 { VECTORS - 1 } else { VECTORS };
    let mut vector = 0;
    while R == 1 && vector + 8 <= whole {
        vector +=
            columns::<T, C, R, 8, false>(tier, weights, values, head_size, sums, vector * T::LANES, ahead);
    }
    while vector < whole {
        let column = vector * T::LANES;
        vector += match at_once(whole - vector, most) {
            4.. => columns::<T, C, R, 4, false>(tier, weights, values, head_size, sums, column, ahead),
            3 => columns::<T, C, R, 3, false>(tier, weights, values, head_size, sums, column, ahead),
            2 => columns::<T, C, R, 2, false>(tier, weights, values, head_size, sums, column, ahead),
            _ => columns::<T, C, R, 1, false>(tier, weights, values, head_size, sums, column, ahead),
        };
    }
    if whole * T::LANES < head_size {
        columns::<T, C, R, 1, true>(tier, weights, values, head_size, sums, whole * T::LANES, ahead);
    }
    R
}

/// The same for `N` vectors of columns, or for one that is `CUT` off by the head's end; returns `N`.
#[inline(always)]
fn columns<T: Tier, C: Cached, const R: usize, const N: usize, const CUT: bool>(
    tier: T,
    weights: &[f32],
    values: &[C::Element],
    head_size: usize,
    sums: &mut [f32],
    column: usize,
    ahead: &mut Ahead<C>,
) -> usize {
    let (count, width) = (values.len() / head_size, width(head_size));
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
        // A single row is bound by memory, where the core's own fetching does better.
        if R > 1 && !CUT {
            ahead.fetch(tier, N * T::LANES);
        }
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
                    unsafe { C::Element::load_first(tier, row, left) }
                } else {
                    // SAFETY: `left` values lie there, at least `N` vectors.
                    unsafe { C::Element::load(tier, row.add(vector * T::LANES)) }
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
                    unsafe { C::Element::load_first(tier, row, left) }
                } else {
                    // SAFETY: `left` values lie there, at least `N` vectors.
                    unsafe { C::Element::load(tier, row.add(vector * T::LANES)) }
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
