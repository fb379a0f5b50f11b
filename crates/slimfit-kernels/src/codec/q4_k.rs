//! `q4_k`: 256 four-bit values in 8 sub-blocks of 32, each with a six-bit scale and a six-bit minimum, under two f16
//! factors. 144 bytes: the scales' factor, the minima's factor, 12 bytes of scales and minima, 128 bytes of values. A
//! stored `q` stands for `factor · scale · q − minima's factor · minimum`.
//!
//! Sub-block j < 4 has its scale in the low six bits of byte j and its minimum in those of byte j + 4. Sub-block 4 + j
//! has the low four bits of its scale and minimum in the halves of byte 8 + j, and their upper two on top of bytes j
//! and j + 4. Each 32 bytes of values hold two sub-blocks, the first in the low halves.

use super::float::{read_f16, write_f16};
use super::{BLOCK, SUPER_BLOCK, round_small};
use wide::f32x8;

/// Bytes of a block.
pub const BYTES: usize = 4 + PACKED + SUPER_BLOCK / 2;
/// Sub-blocks of a block.
pub const SUB_BLOCKS: usize = SUPER_BLOCK / BLOCK;
/// Bytes of the packed scales and minima, which lie behind the two factors.
pub const PACKED: usize = 12;
/// Largest stored value.
const LEVELS: f32 = 15.0;
/// Largest scale and minimum.
const STEPS: f32 = 63.0;
/// Candidates for the number of levels that a sub-block's range is divided into, around 15: fewer levels make coarser
/// steps, more cut the extremes off.
const CANDIDATES: [f32; 9] = [14.0, 14.4, 14.8, 15.0, 15.2, 15.6, 16.0, 16.5, 17.0];

/// The factors of scales and of minima.
pub fn factors(block: &[u8]) -> (f32, f32) {
    (read_f16(block), read_f16(&block[2..]))
}

/// Scale and minimum of a sub-block, before their factors: 0..=63.
pub fn scale_and_minimum(block: &[u8], sub_block: usize) -> (u8, u8) {
    let packed = &block[4..4 + PACKED];
    match sub_block.checked_sub(4) {
        None => (packed[sub_block] & 63, packed[sub_block + 4] & 63),
        Some(upper) => {
            let low = packed[upper + 8];
            (low & 15 | packed[upper] >> 6 << 4, low >> 4 | packed[upper + 4] >> 6 << 4)
        }
    }
}

/// Value `index` of a block as it is stored: 0..=15.
pub fn stored(block: &[u8], index: usize) -> u8 {
    let byte = block[4 + PACKED + index / (2 * BLOCK) * BLOCK + index % BLOCK];
    byte >> (index / BLOCK % 2 * 4) & 15
}

/// Value `index` of a block.
pub fn value(block: &[u8], index: usize) -> f32 {
    let (scales, minima) = factors(block);
    let (scale, minimum) = scale_and_minimum(block, index / BLOCK);
    scales * f32::from(scale) * f32::from(stored(block, index)) - minima * f32::from(minimum)
}

/// Quantises one block. Scale and minimum of each sub-block are fitted by least squares for several divisions of its
/// range; once they are rounded to six bits, their neighbours are tried too.
pub fn quantise(values: &[f32; SUPER_BLOCK], block: &mut [u8; BYTES]) {
    let sub_blocks = values.as_chunks::<BLOCK>().0;
    let fits: [Fit; SUB_BLOCKS] = std::array::from_fn(|index| fit(&sub_blocks[index]));
    let largest = |part: fn(&Fit) -> f32| fits.iter().map(part).fold(0f32, f32::max);
    write_f16(largest(|fit| fit.scale) / STEPS, block);
    write_f16(largest(|fit| fit.minimum) / STEPS, &mut block[2..]);
    block[4..].fill(0);
    let (scales, minima) = factors(block);
    for (index, values) in sub_blocks.iter().enumerate() {
        let (scale, minimum) = nearest(values, &fits[index], scales, minima);
        match index.checked_sub(4) {
            None => {
                block[4 + index] |= scale;
                block[8 + index] |= minimum;
            }
            Some(upper) => {
                block[12 + upper] = scale & 15 | minimum << 4;
                block[4 + upper] |= scale >> 4 << 6;
                block[8 + upper] |= minimum >> 4 << 6;
            }
        }
        let (scale, minimum) = (scales * f32::from(scale), minima * f32::from(minimum));
        let inverse = inverse(scale);
        let quants = &mut block[4 + PACKED + index / 2 * BLOCK..][..BLOCK];
        for (byte, value) in quants.iter_mut().zip(values) {
            *byte |= (level(*value, inverse, minimum) as u8) << (index % 2 * 4);
        }
    }
}

/// A sub-block's scale and minimum (a subtrahend, never negative) before rounding.
#[derive(Clone, Copy, Default)]
struct Fit {
    scale: f32,
    minimum: f32,
}

fn inverse(scale: f32) -> f32 {
    if scale > 0.0 { 1.0 / scale } else { 0.0 }
}

#[inline(always)]
fn level(value: f32, inverse: f32, minimum: f32) -> f32 {
    round_small(((value + minimum) * inverse).clamp(0.0, LEVELS))
}

/// [`level`] of eight values at once: the same bits.
#[inline(always)]
fn level_lanes(values: f32x8, inverse: f32x8, minimum: f32x8) -> f32x8 {
    /// As in [`round_small`].
    const SHIFT: f32x8 = f32x8::splat(12_582_912.0);
    let level = ((values + minimum) * inverse).fast_max(f32x8::ZERO).fast_min(f32x8::splat(LEVELS));
    (level + SHIFT) - SHIFT
}

/// Sums over a sub-block for eight divisions of its range at once: of the levels, of their squares, and of their products
/// with the values. Each is a sum of eight sums, of the values of one place in every eight.
#[inline(always)]
fn level_sums(values: &[f32; BLOCK], inverse: f32x8, minimum: f32x8) -> [f32x8; 3] {
    let mut sums = [f32x8::ZERO; 3];
    for place in 0..8 {
        let mut some = [f32x8::ZERO; 3];
        for value in values[place..].iter().step_by(8) {
            let value = f32x8::splat(*value);
            let level = level_lanes(value, inverse, minimum);
            some[0] += level;
            some[1] += level * level;
            some[2] += level * value;
        }
        for (sum, some) in sums.iter_mut().zip(some) {
            *sum += some;
        }
    }
    sums
}

fn fit(values: &[f32; BLOCK]) -> Fit {
    let chunks = values.as_chunks::<8>().0;
    let most = |start: f32, pick: fn(f32, f32) -> f32| {
        let mut lanes = [start; 8];
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane = pick(*lane, *value));
        }
        lanes.into_iter().fold(start, pick)
    };
    let (lowest, highest) = (most(0.0, f32::min), most(f32::MIN, f32::max));
    let range = highest - lowest;
    if range <= 0.0 {
        // All are the same and not positive: the minimum alone says it.
        return Fit { scale: 0.0, minimum: -lowest };
    }
    let total: f32 = values.iter().sum();
    let mut best = Fit { scale: range / LEVELS, minimum: -lowest };
    let mut least = f32::INFINITY;
    let minimum = f32x8::splat(-lowest);
    let eight = std::array::from_fn(|candidate| CANDIDATES[candidate] / range);
    let of_eight = level_sums(values, f32x8::new(eight), minimum);
    let of_last = level_sums_of_one(values, f32x8::splat(CANDIDATES[8] / range), minimum);
    let of_eight = of_eight.map(|sums| sums.to_array());
    let sums = (0..8).map(|lane| of_eight.map(|sums| sums[lane])).chain([of_last]);
    for [first, second, mixed] in sums {
        let count = BLOCK as f32;
        let determinant = count * second - first * first;
        if determinant <= 0.0 {
            continue;
        }
        let mut scale = (count * mixed - total * first) / determinant;
        let mut offset = (second * total - first * mixed) / determinant;
        if offset > 0.0 {
            (scale, offset) = (mixed / second, 0.0);
        }
        // The squared error, less the squares of the values, which all candidates share.
        let error = scale * (scale * second - 2.0 * mixed)
            + offset * (count * offset - 2.0 * total)
            + 2.0 * scale * offset * first;
        if scale > 0.0 && error < least {
            (best, least) = (Fit { scale, minimum: -offset }, error);
        }
    }
    best
}

/// The rounded scale and minimum around a fit that lose least.
fn nearest(values: &[f32; BLOCK], fit: &Fit, scales: f32, minima: f32) -> (u8, u8) {
    let round = |value: f32, factor: f32| (value * inverse(factor)).round().clamp(0.0, STEPS);
    let (scale, minimum) = (round(fit.scale, scales), round(fit.minimum, minima));
    const STEPS_AROUND: [(f32, f32); 7] =
        [(0.0, 0.0), (0.0, -1.0), (0.0, 1.0), (-1.0, 0.0), (1.0, 0.0), (-1.0, -1.0), (1.0, 1.0)];
    // The last lane repeats the first.
    let around: [(f32, f32); 8] = std::array::from_fn(|lane| {
        let (up, right) = STEPS_AROUND[lane % STEPS_AROUND.len()];
        (scale + up, minimum + right)
    });
    let errors =
        errors(values, around.map(|around| scales * around.0), around.map(|around| minima * around.1));
    let mut best = (scale, minimum);
    let mut least = f32::INFINITY;
    for ((scale, minimum), error) in around.into_iter().zip(errors) {
        let allowed = (0.0..=STEPS).contains(&scale) && (0.0..=STEPS).contains(&minimum);
        if allowed && error < least {
            (best, least) = ((scale, minimum), error);
        }
    }
    (best.0 as u8, best.1 as u8)
}

/// [`level_sums`] for one division, eight values at once: the same bits.
#[inline(always)]
fn level_sums_of_one(values: &[f32; BLOCK], inverse: f32x8, minimum: f32x8) -> [f32; 3] {
    let mut sums = [f32x8::ZERO; 3];
    for values in values.as_chunks::<8>().0 {
        let values = f32x8::new(*values);
        let level = level_lanes(values, inverse, minimum);
        sums[0] += level;
        sums[1] += level * level;
        sums[2] += level * values;
    }
    sums.map(|lanes| lanes.to_array().iter().sum())
}

/// Squared errors of a sub-block for eight scales and minima, summed as [`level_sums`] does.
#[inline(always)]
fn errors(values: &[f32; BLOCK], scales: [f32; 8], minima: [f32; 8]) -> [f32; 8] {
    let inverse = f32x8::new(scales.map(inverse));
    let (scale, minimum) = (f32x8::new(scales), f32x8::new(minima));
    let mut sum = f32x8::ZERO;
    for place in 0..8 {
        let mut squares = f32x8::ZERO;
        for value in values[place..].iter().step_by(8) {
            let value = f32x8::splat(*value);
            let error = scale * level_lanes(value, inverse, minimum) - minimum - value;
            squares += error * error;
        }
        sum += squares;
    }
    sum.to_array()
}
