//! Attention of one token. All heads' visible keys lie end to end, and each share takes an equal stretch of that line,
//! so that threads are even where there are fewer heads than threads, too. A head that lies within one share is written
//! at once; parts of the others go to scratch, and the second phase adds them.
//!
//! A share goes through its keys in tiles: scores of all query heads of the group ([`score`]), their weights
//! ([`softmax`]), the sums of weighted values ([`values`]).

mod ahead;
mod score;
mod softmax;
mod values;

use self::ahead::Ahead;
use super::cached::Cached;
use super::{AttendArgs, Part};
use crate::SharedMut;
use crate::vector::Tier;
use std::f32::consts::LOG2_E;
use std::ops::Range;

/// Most keys whose scores are held at a time.
const TILE: usize = 128;
/// Floats from one query head's scores to the next: a tile, and what is written past its end.
const ROW: usize = TILE + 16;
/// What a tile's keys, and its values, take at most, so that blocks of query heads after the first find both in the
/// first cache.
const TILE_BYTES: usize = 8 << 10;
/// The same for a single query head. Nothing is fetched ahead for it, so reading alternates between keys and values so
/// often that the core fetches either by itself while it reads the other.
const SINGLE_TILE_BYTES: usize = 4 << 10;
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

/// Floats of a thread's scratch: three stretches, a tile of scores, the scaled queries, and a tile of keys and one of
/// values for caches that have to be widened first.
pub(super) fn thread_scratch_floats(group: usize, head_size: usize) -> usize {
    3 * stretch_floats(group, head_size)
        + group * (ROW + width(head_size))
        + 2 * widened_floats(group, head_size)
}

/// Keys of a tile whose numbers take so many bytes each.
fn tile(group: usize, head_size: usize, bytes: usize) -> usize {
    let most = if group == 1 { SINGLE_TILE_BYTES } else { TILE_BYTES };
    (most / (head_size * bytes) / 16 * 16).clamp(16, TILE)
}

/// Floats of a tile of keys as f32.
fn widened_floats(group: usize, head_size: usize) -> usize {
    tile(group, head_size, 4) * head_size
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
    let (sums, rest) = scratch.split_at_mut(3 * stretch);
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
        weigh::<T, C>(tier, args, kv_head, range, sums, rest);
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
                let factor = (sums[group * width + member] - largest).exp2();
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

/// How many of `left` rows or vectors to take at once where registers hold `most`: a single one is not left over, because
/// it alone would wait for its own sum.
#[inline(always)]
const fn at_once(left: usize, most: usize) -> usize {
    if left == most + 1 {
        left.div_ceil(2)
    } else if left < most {
        left
    } else {
        most
    }
}

/// Sums of a group's query heads over a range of a head's visible keys, with the largest score, in powers of two, and the
/// sum of weights of each.
#[inline(always)]
fn weigh<T: Tier, C: Cached>(
    tier: T,
    args: &AttendArgs<'_>,
    kv_head: usize,
    range: Range<usize>,
    sums: &mut [f32],
    scratch: &mut [f32],
) {
    let head_size = args.cache.head_size;
    let (group, width) = (args.heads / args.cache.kv_heads, width(head_size));
    let (sums, extremes) = sums.split_at_mut(group * width);
    let (maxima, totals) = extremes.split_at_mut(group);
    sums.fill(0.0);
    maxima.fill(f32::NEG_INFINITY);
    totals[..group].fill(0.0);
    let (scores, scratch) = scratch.split_at_mut(group * ROW);
    let (queries, widened) = scratch.split_at_mut(group * width);
    let (widened_keys, widened_values) = widened.split_at_mut(widened_floats(group, head_size));
    // Weights are powers of two, so that they take fewer steps; caps and slopes are of scores in natural units.
    let natural = args.softcap.is_some() || args.alibi;
    let scale = if natural { args.scale } else { args.scale * LOG2_E };
    for (member, to) in queries.chunks_exact_mut(width).enumerate() {
        to[head_size..].fill(0.0);
        for (to, from) in to.iter_mut().zip(args.query(0, kv_head * group + member)) {
            *to = from * scale;
        }
    }
    let visible = args.visible(0);
    let tile = tile(group, head_size, size_of::<C::Element>());
    let mut start = range.start;
    while start < range.end {
        let count = tile.min(range.end - start);
        let positions = visible.start + start..visible.start + start + count;
        // SAFETY: nobody writes the cache in this operation, and the caller chose `C` by its format.
        let keys = unsafe { C::tile(tier, args, args.cache.keys, kv_head, positions.clone(), widened_keys) };
        // SAFETY: as above.
        let values =
            unsafe { C::tile(tier, args, args.cache.values, kv_head, positions.clone(), widened_values) };
        let next = positions.end..visible.start + range.end.min(start + count + tile);
        let ahead = |half: SharedMut<'_, u8>, present| {
            if next.is_empty() {
                return Ahead::<C>::nothing(present);
            }
            let offset = args.cache.offset(kv_head, next.start);
            // SAFETY: as above.
            Ahead::of(unsafe { half.slice(offset..offset + args.cache.bytes(next.len())) }.as_ptr())
        };
        score::score(tier.narrow(), queries, keys, head_size, scores, ahead(args.cache.keys, keys.as_ptr()));
        if natural {
            let distance = (visible.end - 1 - positions.start) as f32;
            for (member, scores) in scores.chunks_exact_mut(ROW).enumerate() {
                let slope = args.slope(kv_head * group + member);
                softmax::finish(tier, args, scores, count, slope, distance);
            }
        }
        softmax::to_weights(tier, scores, count, maxima, totals, sums, width);
        values::add(
            tier.narrow(),
            scores,
            values,
            head_size,
            sums,
            ahead(args.cache.values, values.as_ptr()),
        );
        start += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_left_over() {
        for most in 1..=4 {
            for rows in 1..40 {
                let mut left = rows;
                while left > 0 {
                    let now = at_once(left, most);
                    assert!((1..=most).contains(&now) && now <= left, "{left} {most}");
                    assert!(now > 1 || rows == 1 || most <= 2, "{rows} {most}");
                    left -= now;
                }
            }
        }
    }

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
