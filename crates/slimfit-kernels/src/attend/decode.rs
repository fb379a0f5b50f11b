//! Attention of one token. All heads' visible keys lie end to end, and each share takes an equal stretch of that line,
//! so that threads are even where there are fewer heads than threads, too. A head that lies within one share is written
//! at once; parts of the others go to scratch, and the second phase adds them.
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use super::cached::Cached;
use super::vectorised::{Element, cap};
use super::{AttendArgs, Part};
use crate::vector::{Tier, exp};
use std::ops::Range;

/// Most keys whose scores are held at a time.
const TILE: usize = 128;
/// What a tile's keys, and its values, take at most, so that blocks of query heads after the first find both in the
/// first cache.
const TILE_BYTES: usize = 8 << 10;
/// Borders between shares are multiples of this many keys.
const BORDER: usize = 16;
/// Stretches of sums in a thread's scratch: a head's end, a head's beginning, and a head that is whole.
const ENDING: usize = 0;
const BEGINNING: usize = 1;
const WHOLE: usize = 2;

/// Floats of one stretch: sums `(group, width)`, then the group's maxima, then its totals.
fn stretch_floats(group: usize, head_size: usize) -> usize {
    group * width(head_size) + (2 * group).next_multiple_of(16)
}

/// Floats from one head's sums to the next.
fn width(head_size: usize) -> usize {
    head_size.next_multiple_of(16)
}

/// Floats of a thread's scratch: three stretches, a tile of scores, and a tile of keys and one of values for caches that
/// have to be widened first.
pub(super) fn thread_scratch_floats(group: usize, head_size: usize) -> usize {
    3 * stretch_floats(group, head_size) + group * TILE + 2 * widened_floats(head_size)
}

/// Keys of a tile whose numbers take so many bytes each.
fn tile(head_size: usize, bytes: usize) -> usize {
    (TILE_BYTES / (head_size * bytes) / 16 * 16).clamp(16, TILE)
}

/// Floats of a tile of keys as f32.
fn widened_floats(head_size: usize) -> usize {
    tile(head_size, 4) * head_size
}

/// Where share `index` of `of` begins: a head, and a key of it counted from the first visible one.
fn border(kv_heads: usize, keys: usize, index: usize, of: usize) -> (usize, usize) {
    let place = kv_heads * keys * index / of;
    (place / keys, place % keys / BORDER * BORDER)
}

/// The keys of a head that a share has.
fn keys_of(kv_head: usize, kv_heads: usize, keys: usize, index: usize, of: usize) -> Range<usize> {
    let clip = |(head, key): (usize, usize)| match head.cmp(&kv_head) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => key,
        std::cmp::Ordering::Greater => keys,
    };
    clip(border(kv_heads, keys, index, of))..clip(border(kv_heads, keys, index + 1, of))
}

#[inline(always)]
pub(super) fn attend<T: Tier, C: Cached>(tier: T, args: &AttendArgs<'_>, part: Part) {
    let (kv_heads, head_size) = (args.cache.kv_heads, args.cache.head_size);
    let keys = args.visible(0).len();
    let group = args.heads / kv_heads;
    if part.phase > 0 {
        combine(args, part);
        return;
    }
    let stretch = stretch_floats(group, head_size);
    // SAFETY: each share has a stretch of scratch of its own.
    let scratch = unsafe { args.own_scratch(part.index) };
    let (sums, scores) = scratch.split_at_mut(3 * stretch);
    for kv_head in 0..kv_heads {
        let range = keys_of(kv_head, kv_heads, keys, part.index, part.of);
        if range.is_empty() {
            continue;
        }
        let whole = range == (0..keys);
        let which = if whole {
            WHOLE
        } else if range.start > 0 {
            ENDING
        } else {
            BEGINNING
        };
        let sums = &mut sums[which * stretch..(which + 1) * stretch];
        weigh::<T, C>(tier, args, kv_head, range, sums, scores);
        if whole {
            for member in 0..group {
                let total = sums[group * width(head_size) + group + member];
                let sums = &sums[member * width(head_size)..][..head_size];
                let start = (kv_head * group + member) * head_size;
                // SAFETY: only this share has this head.
                let output = unsafe { args.output.slice_mut(start..start + head_size) };
                for (y, sum) in output.iter_mut().zip(sums) {
                    *y = sum / total;
                }
            }
        }
    }
}

/// Adds the parts of heads that several shares have, each head by one share.
#[inline(always)]
fn combine(args: &AttendArgs<'_>, part: Part) {
    let (kv_heads, head_size) = (args.cache.kv_heads, args.cache.head_size);
    let keys = args.visible(0).len();
    let (group, width) = (args.heads / kv_heads, width(head_size));
    let stretch = stretch_floats(group, head_size);
    for kv_head in (part.index..kv_heads).step_by(part.of) {
        let range_of = |share: usize| keys_of(kv_head, kv_heads, keys, share, part.of);
        let parts = || (0..part.of).filter(|&share| !range_of(share).is_empty());
        if parts().any(|share| range_of(share) == (0..keys)) {
            continue;
        }
        let sums_of = |share: usize| {
            let which = if range_of(share).start > 0 { ENDING } else { BEGINNING };
            let own = args.thread_scratch_bytes();
            let start = share * own + which * stretch * 4;
            // SAFETY: sums were written in the first phase and nobody writes scratch in this one.
            let bytes = unsafe { args.scratch.slice(start..start + stretch * 4) };
            // SAFETY: every pattern is an f32, and stretches of scratch are aligned to 64 bytes.
            unsafe { bytes.align_to::<f32>() }.1
        };
        for member in 0..group {
            let largest =
                parts().map(|share| sums_of(share)[group * width + member]).fold(f32::NEG_INFINITY, f32::max);
            let start = (kv_head * group + member) * head_size;
            // SAFETY: only this share combines this head.
            let output = unsafe { args.output.slice_mut(start..start + head_size) };
            output.fill(0.0);
            let mut total = 0.0;
            for share in parts() {
                let sums = sums_of(share);
                let factor = (sums[group * width + member] - largest).exp();
                total += factor * sums[group * width + group + member];
                for (y, sum) in output.iter_mut().zip(&sums[member * width..]) {
                    *y += factor * sum;
                }
            }
            for y in output {
                *y /= total;
            }
        }
    }
}

/// Sums of a group's query heads over a range of a head's visible keys.
#[inline(always)]
fn weigh<T: Tier, C: Cached>(
    tier: T,
    args: &AttendArgs<'_>,
    kv_head: usize,
    range: Range<usize>,
    sums: &mut [f32],
    scores: &mut [f32],
) {
    let head_size = args.cache.head_size;
    let (group, width) = (args.heads / args.cache.kv_heads, width(head_size));
    let (sums, extremes) = sums.split_at_mut(group * width);
    let (maxima, totals) = extremes.split_at_mut(group);
    sums.fill(0.0);
    maxima.fill(f32::NEG_INFINITY);
    totals[..group].fill(0.0);
    let visible = args.visible(0);
    let first_head = kv_head * group;
    let queries = &args.qkv[first_head * head_size..(first_head + group) * head_size];
    let tile = tile(head_size, size_of::<C::Element>());
    let (scores, widened) = scores.split_at_mut(group * TILE);
    let (widened_keys, widened_values) = widened.split_at_mut(widened_floats(head_size));
    let mut start = range.start;
    while start < range.end {
        let count = tile.min(range.end - start);
        let positions = visible.start + start..visible.start + start + count;
        // SAFETY: nobody writes the cache in this operation, and the caller chose `C` by its format.
        let keys = unsafe { C::tile(tier, args, args.cache.keys, kv_head, positions.clone(), widened_keys) };
        // SAFETY: as above.
        let values =
            unsafe { C::tile(tier, args, args.cache.values, kv_head, positions.clone(), widened_values) };
        // As many query heads at once as their sums fit registers.
        let mut member = 0;
        while member < group {
            let query = &queries[member * head_size..];
            let scores = &mut scores[member * TILE..];
            member += match (group - member).min(T::ROWS) {
                4.. => score::<T, C::Element, 4>(tier, query, keys, head_size, scores),
                3 => score::<T, C::Element, 3>(tier, query, keys, head_size, scores),
                2 => score::<T, C::Element, 2>(tier, query, keys, head_size, scores),
                _ => score::<T, C::Element, 1>(tier, query, keys, head_size, scores),
            };
        }
        for member in 0..group {
            let scores = &mut scores[member * TILE..(member + 1) * TILE];
            let distance = (visible.end - 1 - positions.start) as f32;
            let slope = args.slope(first_head + member);
            let before = maxima[member];
            let largest = finish_scores(tier, args, scores, count, slope, distance).max(before);
            let factor = (before - largest).exp();
            maxima[member] = largest;
            totals[member] = totals[member] * factor + to_weights(tier, scores, count, largest);
            if factor != 1.0 {
                for sum in &mut sums[member * width..(member + 1) * width] {
                    *sum *= factor;
                }
            }
        }
        let mut member = 0;
        while member < group {
            let weights = &scores[member * TILE..];
            let sums = &mut sums[member * width..];
            member += match (group - member).min(T::ROWS) {
                4.. => add_values::<T, C::Element, 4>(tier, weights, values, head_size, sums),
                3 => add_values::<T, C::Element, 3>(tier, weights, values, head_size, sums),
                2 => add_values::<T, C::Element, 2>(tier, weights, values, head_size, sums),
                _ => add_values::<T, C::Element, 1>(tier, weights, values, head_size, sums),
            };
        }
        start += count;
    }
}

/// Products of `R` query heads with each key; returns `R`. Four keys at a time, so that a vector of a query serves
/// four, and four horizontal sums are one.
#[inline(always)]
fn score<T: Tier, E: Element, const R: usize>(
    tier: T,
    queries: &[f32],
    keys: &[E],
    head_size: usize,
    scores: &mut [f32],
) -> usize {
    let count = keys.len() / head_size;
    let whole = head_size / T::LANES * T::LANES;
    assert!(queries.len() >= R * head_size && count <= TILE && scores.len() >= (R - 1) * TILE + count);
    for first in (0..count).step_by(4) {
        let mut sums = [[tier.splat(0.0); 4]; R];
        // The last keys, where they are no four, stand in for those that are missing.
        let offsets: [usize; 4] = std::array::from_fn(|key| (first + key).min(count - 1) * head_size);
        for column in (0..whole).step_by(T::LANES) {
            let mut vectors = [tier.splat(0.0); 4];
            for key in 0..4 {
                // SAFETY: a whole vector of a key below `count`.
                vectors[key] = unsafe { E::load(tier, keys.as_ptr().add(offsets[key] + column)) };
            }
            for member in 0..R {
                // SAFETY: a whole vector of a query below `R`, whose values the assertion counted.
                let query = unsafe { tier.load(queries.as_ptr().add(member * head_size + column)) };
                for key in 0..4 {
                    sums[member][key] = tier.fma(query, vectors[key], sums[member][key]);
                }
            }
        }
        if whole < head_size {
            let left = head_size - whole;
            for member in 0..R {
                // SAFETY: the rest of a query below `R`.
                let query =
                    unsafe { tier.load_first(queries.as_ptr().add(member * head_size + whole), left) };
                for key in 0..4 {
                    // SAFETY: the rest of a key below `count`.
                    let vector =
                        unsafe { E::load_first(tier, keys.as_ptr().add(offsets[key] + whole), left) };
                    sums[member][key] = tier.fma(query, vector, sums[member][key]);
                }
            }
        }
        let keys = 4.min(count - first);
        for member in 0..R {
            let four = tier.sum_each(sums[member]);
            scores[member * TILE + first..][..keys].copy_from_slice(&four[..keys]);
        }
    }
    R
}

/// Scales, caps and biases `count` scores in place, fills the rest of the last vector with −∞; returns the largest.
/// `distance` is that of the first key from the query.
#[inline(always)]
fn finish_scores<T: Tier>(
    tier: T,
    args: &AttendArgs<'_>,
    scores: &mut [f32],
    count: usize,
    slope: f32,
    distance: f32,
) -> f32 {
    let scale = tier.splat(args.scale);
    let padded = count.next_multiple_of(T::LANES);
    scores[count..padded].fill(f32::NEG_INFINITY);
    let mut largest = tier.splat(f32::NEG_INFINITY);
    let mut offsets = [0.0; 16];
    for (lane, offset) in offsets.iter_mut().enumerate() {
        *offset = lane as f32;
    }
    for index in (0..padded).step_by(T::LANES) {
        let place = scores[index..index + T::LANES].as_mut_ptr();
        // SAFETY: a whole vector lies there.
        let mut score = tier.mul(unsafe { tier.load(place) }, scale);
        if args.softcap.is_some() {
            // tanh would bring the −∞ of the padding back.
            score = cap(tier, score, args.softcap);
        }
        if args.alibi {
            // SAFETY: 16 offsets are at least a vector.
            let lanes = unsafe { tier.load(offsets.as_ptr()) };
            let distances = tier.sub(tier.splat(distance - index as f32), lanes);
            score = tier.fma(tier.splat(-slope), distances, score);
        }
        // SAFETY: as above.
        unsafe { tier.store(place, score) };
        if index + T::LANES <= count {
            largest = tier.max(score, largest);
        }
    }
    let whole = count / T::LANES * T::LANES;
    scores[count..padded].fill(f32::NEG_INFINITY);
    scores[whole..count].iter().fold(tier.largest(largest), |largest, &score| largest.max(score))
}

/// Turns scores into e^(score − largest) in place, over whole vectors; returns their sum.
#[inline(always)]
fn to_weights<T: Tier>(tier: T, scores: &mut [f32], count: usize, largest: f32) -> f32 {
    let largest = tier.splat(largest);
    let mut total = tier.splat(0.0);
    for index in (0..count).step_by(T::LANES) {
        let place = scores[index..index + T::LANES].as_mut_ptr();
        // SAFETY: a whole vector lies there.
        let weight = exp(tier, tier.sub(unsafe { tier.load(place) }, largest));
        total = tier.add(total, weight);
        // SAFETY: as above.
        unsafe { tier.store(place, weight) };
    }
    tier.sum(total)
}

/// Adds the weighted values to `R` query heads' sums; returns `R`.
#[inline(always)]
fn add_values<T: Tier, E: Element, const R: usize>(
    tier: T,
    weights: &[f32],
    values: &[E],
    head_size: usize,
    sums: &mut [f32],
) -> usize {
    let mut column = 0;
    if R == 1 {
        while column + 8 * T::LANES <= head_size {
            add_columns::<T, E, R, 8>(tier, weights, values, head_size, sums, column);
            column += 8 * T::LANES;
        }
    }
    while column + 4 * T::LANES <= head_size {
        add_columns::<T, E, R, 4>(tier, weights, values, head_size, sums, column);
        column += 4 * T::LANES;
    }
    while column < head_size {
        add_columns::<T, E, R, 1>(tier, weights, values, head_size, sums, column);
        column += T::LANES;
    }
    R
}

/// The same for `N` vectors of columns; a single one may be cut off by the head's end.
#[inline(always)]
fn add_columns<T: Tier, E: Element, const R: usize, const N: usize>(
    tier: T,
    weights: &[f32],
    values: &[E],
    head_size: usize,
    sums: &mut [f32],
    column: usize,
) {
    let count = values.len() / head_size;
    let width = width(head_size);
    let left = head_size - column;
    assert!(count <= TILE && weights.len() >= (R - 1) * TILE + count && sums.len() >= R * width);
    assert!(left >= N * T::LANES || N == 1);
    let mut totals = [[tier.splat(0.0); N]; R];
    for member in 0..R {
        for vector in 0..N {
            let place = member * width + column + vector * T::LANES;
            // SAFETY: `width` is a multiple of every tier's lanes, so whole vectors lie in a head's sums.
            totals[member][vector] = unsafe { tier.load(sums.as_ptr().add(place)) };
        }
    }
    for key in 0..count {
        let mut factors = [tier.splat(0.0); R];
        for member in 0..R {
            // SAFETY: asserted above.
            factors[member] = tier.splat(unsafe { *weights.get_unchecked(member * TILE + key) });
        }
        for vector in 0..N {
            // SAFETY: a key below `count`, at a column of it.
            let from = unsafe { values.as_ptr().add(key * head_size + column + vector * T::LANES) };
            let value = if N > 1 || left >= T::LANES {
                // SAFETY: `left` values lie there, at least a vector.
                unsafe { E::load(tier, from) }
            } else {
                // SAFETY: `left` values lie there, less than a vector.
                unsafe { E::load_first(tier, from, left) }
            };
            for member in 0..R {
                totals[member][vector] = tier.fma(factors[member], value, totals[member][vector]);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_every_key_of_every_head_once() {
        for kv_heads in [1, 2, 3, 8] {
            for keys in [1, 15, 16, 17, 100, 1_000] {
                for of in [1, 2, 3, 5, 16] {
                    for kv_head in 0..kv_heads {
                        let mut next = 0;
                        for index in 0..of {
                            let range = keys_of(kv_head, kv_heads, keys, index, of);
                            if !range.is_empty() {
                                assert_eq!(range.start, next, "{kv_heads} {keys} {of}");
                                next = range.end;
                            }
                        }
                        assert_eq!(next, keys, "{kv_heads} {keys} {of}");
                    }
                }
            }
        }
    }
}
