//! `q6_k`: 256 six-bit values in 16 sub-blocks of 16, each with an int8 scale, under one f16 factor. 210 bytes: 128
//! bytes of low halves, 64 bytes of upper two bits, 16 scales, the factor. A stored `q` stands for
//! `factor · scale · (q − 32)`.
//!
//! Each half of a block (128 values) has 64 bytes of low halves and 32 of upper bits. Its value 32·k + i, i < 32, has
//! its low bits in byte 32·(k mod 2) + i, in the low half of it where k < 2, and its upper two in byte i, at bit 2·k.

use super::float::{read_f16, write_f16};
use super::{SUPER_BLOCK, round_small};

/// Bytes of a block.
pub const BYTES: usize = SCALES + SUB_BLOCKS + 2;
/// Sub-blocks of a block.
pub const SUB_BLOCKS: usize = SUPER_BLOCK / SUB_BLOCK;
/// Values of a sub-block.
pub const SUB_BLOCK: usize = 16;
/// Where a block's scales begin; its factor follows them.
pub const SCALES: usize = UPPER + SUPER_BLOCK / 4;
/// Where a block's upper bits begin.
const UPPER: usize = SUPER_BLOCK / 2;
/// Candidates for how far the value of largest magnitude lies from zero, in steps.
const CANDIDATES: [f32; 9] = [-29.0, -29.8, -30.5, -31.0, -31.4, -31.8, -32.2, -32.6, -33.2];

/// The factor of a block.
pub fn factor(block: &[u8]) -> f32 {
    read_f16(&block[SCALES + SUB_BLOCKS..])
}

/// The scale of a sub-block, before its factor.
pub fn scale(block: &[u8], sub_block: usize) -> i8 {
    block[SCALES + sub_block] as i8
}

/// Byte and shift of value `index`'s low bits, byte and shift of its upper bits.
const fn places(index: usize) -> ((usize, usize), (usize, usize)) {
    let (half, quarter, place) = (index / 128, index / 32 % 4, index % 32);
    ((half * 64 + quarter % 2 * 32 + place, quarter / 2 * 4), (UPPER + half * 32 + place, quarter * 2))
}

/// Value `index` of a block as it is stored: 0..=63.
pub fn stored(block: &[u8], index: usize) -> u8 {
    let ((low, low_shift), (upper, upper_shift)) = places(index);
    block[low] >> low_shift & 15 | (block[upper] >> upper_shift & 3) << 4
}

/// Value `index` of a block.
pub fn value(block: &[u8], index: usize) -> f32 {
    let integer = f32::from(stored(block, index)) - 32.0;
    factor(block) * f32::from(scale(block, index / SUB_BLOCK)) * integer
}

/// Quantises one block. The scale of each sub-block is fitted by least squares for several lengths of a step; once it
/// is rounded to eight bits, its neighbours are tried too.
pub fn quantise(values: &[f32; SUPER_BLOCK], block: &mut [u8; BYTES]) {
    let sub_blocks = values.as_chunks::<SUB_BLOCK>().0;
    let fits: [f32; SUB_BLOCKS] = std::array::from_fn(|index| fit(&sub_blocks[index]));
    let extreme =
        fits.iter().fold(0f32, |extreme, &fit| if fit.abs() > extreme.abs() { fit } else { extreme });
    block.fill(0);
    write_f16(extreme / -128.0, &mut block[SCALES + SUB_BLOCKS..]);
    let factor = factor(block);
    for (sub_block, values) in sub_blocks.iter().enumerate() {
        let scale = nearest(values, fits[sub_block], factor);
        block[SCALES + sub_block] = scale as u8;
        let inverse = inverse(factor * f32::from(scale));
        for (index, value) in values.iter().enumerate() {
            let stored = (step(*value, inverse) + 32.0) as u8;
            let ((low, low_shift), (upper, upper_shift)) = places(sub_block * SUB_BLOCK + index);
            block[low] |= (stored & 15) << low_shift;
            block[upper] |= stored >> 4 << upper_shift;
        }
    }
}

fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

#[inline(always)]
fn step(value: f32, inverse: f32) -> f32 {
    round_small((value * inverse).clamp(-32.0, 31.0))
}

fn fit(values: &[f32; SUB_BLOCK]) -> f32 {
    let extreme =
        values.iter().fold(0f32, |extreme, &value| if value.abs() > extreme.abs() { value } else { extreme });
    if extreme == 0.0 {
        return 0.0;
    }
    let (mut best, mut most) = (extreme / -32.0, f32::NEG_INFINITY);
    for steps in CANDIDATES {
        let inverse = steps / extreme;
        let (mut mixed, mut second) = ([0f32; 8], [0f32; 8]);
        for values in values.as_chunks::<8>().0 {
            for lane in 0..8 {
                let step = step(values[lane], inverse);
                mixed[lane] += step * values[lane];
                second[lane] += step * step;
            }
        }
        let (mixed, second) = (mixed.iter().sum::<f32>(), second.iter().sum::<f32>());
        // The squared error of the best scale is the squares of the values less this.
        let explained = mixed * mixed / second;
        if second > 0.0 && explained > most {
            (best, most) = (mixed / second, explained);
        }
    }
    best
}

/// The rounded scale around a fit that loses least.
fn nearest(values: &[f32; SUB_BLOCK], fit: f32, factor: f32) -> i8 {
    let scale = (fit * inverse(factor)).round().clamp(-128.0, 127.0);
    let mut best = scale;
    let mut least = f32::INFINITY;
    for scale in [scale, scale - 1.0, scale + 1.0] {
        if !(-128.0..=127.0).contains(&scale) {
            continue;
        }
        let step_size = factor * scale;
        let inverse = inverse(step_size);
        let error: f32 = values.iter().map(|value| (step_size * step(*value, inverse) - value).powi(2)).sum();
        if error < least {
            (best, least) = (scale, error);
        }
    }
    best as i8
}
