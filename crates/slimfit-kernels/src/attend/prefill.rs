//! Attention of several tokens. A unit of work is a key head and a few tokens: the group's queries of those tokens, some
//! 48 rows, go through the keys in tiles, so that each tile is widened once and stays in the first cache for all rows.
//!
//! Scores are held as `(keys, rows)`: both products of a tile are then plain ones over rows of vectors (scores = K Qᵀ,
//! sums += weightsᵀ V), only the queries are transposed, once, and the softmax runs along lanes without any
//! horizontal step.

use super::cached::Cached;
use super::product::{Product, multiply};
use super::vectorised::cap;
use super::{AttendArgs, Part};
use crate::vector::{Tier, exp};
use std::ops::Range;

/// Keys of a tile.
const TILE: usize = 48;
/// Rows that a unit aims at: whole vectors of every tier, and whole blocks of the product.
const ROWS: usize = 48;
/// Lower than any score, but finite, so that a row whose keys are all masked so far has differences.
const LOWEST: f32 = -1e30;

/// Tokens of a unit.
fn unit_tokens(group: usize, tokens: usize) -> usize {
    (ROWS / group).clamp(1, tokens)
}

/// Rows of a unit, in whole vectors.
fn unit_rows(group: usize, tokens: usize) -> usize {
    (unit_tokens(group, tokens) * group).next_multiple_of(16)
}

/// Floats of a thread's scratch: transposed queries, keys, values, scores, sums, and five numbers a row.
pub(super) fn thread_scratch_floats(group: usize, head_size: usize, tokens: usize) -> usize {
    let (width, rows) = (head_size.next_multiple_of(16), unit_rows(group, tokens));
    2 * width * rows + 2 * TILE * width + TILE * rows + 5 * rows
}

/// A thread's scratch, cut up.
struct Scratch<'a> {
    /// `(width, rows)`: queries times the scale, transposed.
    queries: &'a mut [f32],
    /// `(TILE, width)`.
    keys: &'a mut [f32],
    /// `(TILE, width)`.
    values: &'a mut [f32],
    /// `(TILE, rows)`: scores, then weights.
    scores: &'a mut [f32],
    /// `(rows, width)`.
    sums: &'a mut [f32],
    /// Each row's running maximum, total weight, factor on what came before, position and ALiBi slope.
    maxima: &'a mut [f32],
    totals: &'a mut [f32],
    factors: &'a mut [f32],
    positions: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl<'a> Scratch<'a> {
    fn new(floats: &'a mut [f32], width: usize, rows: usize) -> Self {
        let mut rest = floats;
        let mut take = |count: usize| {
            let (taken, left) = std::mem::take(&mut rest).split_at_mut(count);
            rest = left;
            taken
        };
        Self {
            queries: take(width * rows),
            keys: take(TILE * width),
            values: take(TILE * width),
            scores: take(TILE * rows),
            sums: take(width * rows),
            maxima: take(rows),
            totals: take(rows),
            factors: take(rows),
            positions: take(rows),
            slopes: take(rows),
        }
    }
}

/// One unit: which tokens and keys, and the strides of its scratch.
struct Unit {
    kv_head: usize,
    tokens: Range<usize>,
    group: usize,
    rows: usize,
    width: usize,
}

#[inline(always)]
pub(super) fn attend<T: Tier, C: Cached>(tier: T, args: &AttendArgs<'_>, part: Part) {
    let (kv_heads, head_size) = (args.cache.kv_heads, args.cache.head_size);
    let group = args.heads / kv_heads;
    let (width, rows) = (head_size.next_multiple_of(16), unit_rows(group, args.tokens));
    let each = unit_tokens(group, args.tokens);
    let blocks = args.tokens.div_ceil(each);
    // SAFETY: each share has a stretch of scratch of its own.
    let floats = unsafe { args.own_scratch(part.index) };
    let mut scratch = Scratch::new(floats, width, rows);
    // Later tokens have more keys: the longest units first, dealt out there and back.
    for turn in 0..(blocks * kv_heads).div_ceil(part.of) {
        let seat = if turn % 2 == 0 { part.index } else { part.of - 1 - part.index };
        let index = turn * part.of + seat;
        if index < blocks * kv_heads {
            let block = blocks - 1 - index / kv_heads;
            let tokens = block * each..((block + 1) * each).min(args.tokens);
            let unit = Unit { kv_head: index % kv_heads, tokens, group, rows, width };
            attend_unit::<T, C>(tier, args, &unit, &mut scratch);
        }
    }
}

#[inline(always)]
fn attend_unit<T: Tier, C: Cached>(tier: T, args: &AttendArgs<'_>, unit: &Unit, scratch: &mut Scratch<'_>) {
    let head_size = args.cache.head_size;
    let Unit { rows, width, group, .. } = *unit;
    begin(args, unit, scratch);
    let first = args.visible(unit.tokens.start);
    let last = args.visible(unit.tokens.end - 1);
    let mut start = first.start;
    while start < last.end {
        let positions = start..last.end.min(start + TILE);
        let keys = positions.len().next_multiple_of(2);
        widen::<T, C>(tier, args, unit, args.cache.keys, positions.clone(), scratch.keys);
        widen::<T, C>(tier, args, unit, args.cache.values, positions.clone(), scratch.values);
        multiply(
            tier,
            Product {
                rows: keys,
                depth: head_size,
                columns: rows,
                a: scratch.keys,
                a_row: width,
                a_column: 1,
                b: scratch.queries,
                b_row: rows,
                c: scratch.scores,
                c_row: rows,
                keep: None,
            },
        );
        if args.softcap.is_some() || args.alibi {
            adjust(tier, args, unit, positions.clone(), scratch);
        }
        let scores = &mut scratch.scores[..keys * rows];
        scores[positions.len() * rows..].fill(f32::NEG_INFINITY);
        if positions.end > first.end || positions.start < last.start {
            mask(args, unit, positions.clone(), scores);
        }
        to_weights(tier, rows, scratch, keys);
        multiply(
            tier,
            Product {
                rows,
                depth: keys,
                columns: width,
                a: scratch.scores,
                a_row: 1,
                a_column: rows,
                b: scratch.values,
                b_row: width,
                c: scratch.sums,
                c_row: width,
                keep: Some(scratch.factors),
            },
        );
        start = positions.end;
    }
    for (row, sums) in scratch.sums.chunks_exact(width).take(unit.tokens.len() * group).enumerate() {
        let (token, member) = (unit.tokens.start + row / group, row % group);
        let place = (token * args.heads + unit.kv_head * group + member) * head_size;
        // SAFETY: only this unit has these heads of these tokens.
        let output = unsafe { args.output.slice_mut(place..place + head_size) };
        for (y, sum) in output.iter_mut().zip(sums) {
            *y = sum / scratch.totals[row];
        }
    }
}

/// Transposes the queries, times the scale, and sets every row's numbers. Rows past the last are zeros.
#[inline(always)]
fn begin(args: &AttendArgs<'_>, unit: &Unit, scratch: &mut Scratch<'_>) {
    let Unit { rows, group, .. } = *unit;
    scratch.queries.fill(0.0);
    scratch.sums.fill(0.0);
    scratch.maxima.fill(LOWEST);
    scratch.totals.fill(0.0);
    for row in 0..rows {
        let token = (unit.tokens.start + row / group).min(unit.tokens.end - 1);
        let head = unit.kv_head * group + row % group;
        scratch.positions[row] = (args.first_position + token) as f32;
        scratch.slopes[row] = args.slope(head);
        if row < unit.tokens.len() * group {
            for (column, value) in args.query(token, head).iter().enumerate() {
                scratch.queries[column * rows + row] = value * args.scale;
            }
        }
    }
}

/// Copies a tile of the cache as f32, its rows and their number filled up with zeros: rows to the width, the number
/// to an even one.
#[inline(always)]
fn widen<T: Tier, C: Cached>(
    tier: T,
    args: &AttendArgs<'_>,
    unit: &Unit,
    half: crate::SharedMut<'_, u8>,
    positions: Range<usize>,
    to: &mut [f32],
) {
    let count = positions.len();
    let to = &mut to[..count.next_multiple_of(2) * unit.width];
    to[count * unit.width..].fill(0.0);
    // SAFETY: nobody writes the cache in this operation, and the caller chose `C` by its format.
    unsafe { C::widen(tier, args, half, unit.kv_head, positions, unit.width, to) };
}

/// Caps scores and takes off what distance costs.
#[inline(always)]
fn adjust<T: Tier>(
    tier: T,
    args: &AttendArgs<'_>,
    unit: &Unit,
    positions: Range<usize>,
    scratch: &mut Scratch<'_>,
) {
    for (key, scores) in positions.zip(scratch.scores.chunks_exact_mut(unit.rows)) {
        for row in (0..unit.rows).step_by(T::LANES) {
            let place = scores[row..row + T::LANES].as_mut_ptr();
            // SAFETY: a whole vector lies there.
            let mut score = cap(tier, unsafe { tier.load(place) }, args.softcap);
            if args.alibi {
                // SAFETY: the numbers of a vector of rows.
                let position = unsafe { tier.load(scratch.positions[row..row + T::LANES].as_ptr()) };
                // SAFETY: as above.
                let slope = unsafe { tier.load(scratch.slopes[row..row + T::LANES].as_ptr()) };
                let distance = tier.sub(tier.splat(key as f32), position);
                score = tier.fma(slope, distance, score);
            }
            // SAFETY: as above.
            unsafe { tier.store(place, score) };
        }
    }
}

/// Sets the scores of keys that a token may not see to −∞: rows are ordered by token, so those are the first rows of
/// late keys and, with a window, the last rows of early ones.
#[inline(always)]
fn mask(args: &AttendArgs<'_>, unit: &Unit, positions: Range<usize>, scores: &mut [f32]) {
    let first = args.first_position + unit.tokens.start;
    for (key, scores) in positions.zip(scores.chunks_exact_mut(unit.rows)) {
        let too_early = key.saturating_sub(first) * unit.group;
        scores[..too_early.min(unit.rows)].fill(f32::NEG_INFINITY);
        if let Some(window) = args.window {
            let seen_by = (key + window).saturating_sub(first) * unit.group;
            scores[seen_by.min(unit.rows)..].fill(f32::NEG_INFINITY);
        }
    }
}

/// Turns the tile's scores into weights, raises the maxima and adds to the totals.
#[inline(always)]
fn to_weights<T: Tier>(tier: T, rows: usize, scratch: &mut Scratch<'_>, keys: usize) {
    let scores = &mut scratch.scores[..keys * rows];
    for row in (0..rows).step_by(T::LANES) {
        let place = |numbers: &mut [f32]| numbers[row..row + T::LANES].as_mut_ptr();
        let (maxima, totals) = (place(scratch.maxima), place(scratch.totals));
        // SAFETY: the numbers of a vector of rows.
        let before = unsafe { tier.load(maxima) };
        let mut largest = before;
        for key in 0..keys {
            // SAFETY: a vector of rows of a key below `keys`.
            largest = tier.max(unsafe { tier.load(scores.as_ptr().add(key * rows + row)) }, largest);
        }
        let factor = exp(tier, tier.sub(before, largest));
        // SAFETY: as above.
        let mut total = tier.mul(unsafe { tier.load(totals) }, factor);
        for key in 0..keys {
            // SAFETY: as above.
            let place = unsafe { scores.as_mut_ptr().add(key * rows + row) };
            // SAFETY: as above.
            let weight = exp(tier, tier.sub(unsafe { tier.load(place) }, largest));
            total = tier.add(total, weight);
            // SAFETY: as above.
            unsafe { tier.store(place, weight) };
        }
        // SAFETY: as above.
        unsafe { tier.store(maxima, largest) };
        // SAFETY: as above.
        unsafe { tier.store(totals, total) };
        // SAFETY: as above.
        unsafe { tier.store(place(scratch.factors), factor) };
    }
}
