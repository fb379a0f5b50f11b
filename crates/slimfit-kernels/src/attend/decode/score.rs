//! Products of queries and keys. A few query heads meet a few keys at a time, so that a key is widened once for all of
//! these heads, each query is read once for these keys, and four sums over lanes are one.
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::ahead::Ahead;
use super::{ROW, TILE, at_once, width};
use crate::attend::cached::Cached;
use crate::attend::vectorised::Element;
use crate::vector::Tier;

/// Scores of every query (rows of [`width`], scaled, filled up with zeros) with every key (rows of `head_size`), in rows of
/// [`ROW`]. What lies after the last key's score is overwritten. Meanwhile `ahead` is fetched.
#[inline(always)]
pub(super) fn score<T: Tier, C: Cached>(
    tier: T,
    queries: &[f32],
    keys: &[C::Element],
    head_size: usize,
    scores: &mut [f32],
    mut ahead: Ahead<C>,
) {
    let width = width(head_size);
    let group = queries.len() / width;
    let mut member = 0;
    while member < group {
        let queries = &queries[member * width..];
        let scores = &mut scores[member * ROW..];
        member += match (at_once(group - member, T::ROWS), T::ROWS) {
            (4.., _) => block::<T, C, 4, 4>(tier, queries, keys, head_size, scores, &mut ahead),
            (3, _) => block::<T, C, 3, 4>(tier, queries, keys, head_size, scores, &mut ahead),
            (2, _) => block::<T, C, 2, 4>(tier, queries, keys, head_size, scores, &mut ahead),
            // Eight keys of four bytes a number lie too far apart for the core's own fetching.
            (_, 3..) if size_of::<C::Element>() == 2 => {
                block::<T, C, 1, 8>(tier, queries, keys, head_size, scores, &mut ahead)
            }
            _ => block::<T, C, 1, 4>(tier, queries, keys, head_size, scores, &mut ahead),
        };
        ahead = Ahead::nothing(keys.as_ptr());
    }
}

/// The same for the first `R` queries, `K` keys at a time (a multiple of four); returns `R`.
#[inline(always)]
fn block<T: Tier, C: Cached, const R: usize, const K: usize>(
    tier: T,
    queries: &[f32],
    keys: &[C::Element],
    head_size: usize,
    scores: &mut [f32],
    ahead: &mut Ahead<C>,
) -> usize {
    let width = width(head_size);
    let count = keys.len() / head_size;
    assert!(queries.len() >= R * width && count <= TILE && scores.len() >= R * ROW && K <= ROW - TILE);
    // The last keys are done again where they are no `K`; where all are fewer, each is done on its own, `K` times.
    let (stride, step) = if count >= K { (head_size, K) } else { (0, 1) };
    let whole = head_size / T::LANES * T::LANES;
    let mut next = 0;
    while next < count {
        let first = if count >= K { next.min(count - K) } else { next };
        next += step;
        let mut sums = [[tier.splat(0.0); K]; R];
        let mut offsets = [0; K];
        for key in 0..K {
            offsets[key] = first * head_size + key * stride;
        }
        for column in (0..whole).step_by(T::LANES) {
            let mut vectors = [tier.splat(0.0); R];
            for member in 0..R {
                // SAFETY: a whole vector of a query below `R`, whose rows the assertion counted.
                vectors[member] = unsafe { tier.load(queries.as_ptr().add(member * width + column)) };
            }
            // A single row is bound by memory, where the core's own fetching does better.
            if R > 1 {
                ahead.fetch(tier, K * T::LANES);
            }
            for key in 0..K {
                // SAFETY: a whole vector of a key below `count`.
                let vector = unsafe { C::Element::load(tier, keys.as_ptr().add(offsets[key] + column)) };
                for member in 0..R {
                    sums[member][key] = tier.fma(vectors[member], vector, sums[member][key]);
                }
                // A single row leaves registers free.
                if R > 1 {
                    for member in 0..R {
                        tier.settle(&mut sums[member][key]);
                    }
                }
            }
        }
        if whole < head_size {
            for key in 0..K {
                // SAFETY: the rest of a key below `count`.
                let vector = unsafe {
                    C::Element::load_first(tier, keys.as_ptr().add(offsets[key] + whole), head_size - whole)
                };
                for member in 0..R {
                    // SAFETY: a whole vector of a row, which is filled up.
                    let query = unsafe { tier.load(queries.as_ptr().add(member * width + whole)) };
                    sums[member][key] = tier.fma(query, vector, sums[member][key]);
                }
            }
        }
        for member in 0..R {
            for key in (0..K).step_by(4) {
                let sums = &sums[member][key..key + 4];
                let four = [sums[0], sums[1], sums[2], sums[3]];
                let place = scores[member * ROW + first + key..].as_mut_ptr();
                // SAFETY: `first` is below the tile's size, and a row has room for `K` more.
                unsafe { place.cast::<[f32; 4]>().write_unaligned(tier.sum_each(four)) };
            }
        }
    }
    R
}
