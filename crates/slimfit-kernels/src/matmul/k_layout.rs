//! How `q4_k` and `q6_k` lie within a group of R interleaved rows.
//!
//! | part of a block | `q4_k` | `q6_k` |
//! |---|---|---|
//! | factors | `[R]` f16 of the scales, `[R]` f16 of the minima | `[R]` f16 |
//! | scales | GGUF's 12 packed bytes as `[6][R][2]` | `[8][R][2]` int8: pairs of sub-blocks |
//! | values | for each sub-block of 32 `[4][R][4]` bytes: low halves columns 4c..4c + 4, high halves 16 + 4c.. | for each sub-block of 16 `[3][R][4]` bytes |
//!
//! A sub-block of `q6_k` has its columns 0..4 and 4..8 in the halves of the first four bytes, 8..12 and 12..16 in those
//! of the second four, and all their upper bits in the third: columns 4c..4c + 4 at bit 2·c.
//!
//! As with `q8_0`, the factors of two blocks of `q6_k` stand together in front of both, so that loads stay aligned.
//! Scales come in pairs because 16-bit products add neighbours: `[R][2]` of them, widened, fill a vector whose lanes
//! are rows.

use super::{Layout, WeightFormat};
use crate::codec::q4_k::PACKED;
use crate::codec::q6_k::SCALES;
use crate::codec::{BLOCK, SUPER_BLOCK, float, q4_k, q6_k};

/// Offset in a group of block `block` of `q4_k`, which begins with its factors.
pub(super) const fn q4_k_offset(rows: usize, block: usize) -> usize {
    block * q4_k::BYTES * rows
}

/// Offset in a `q4_k` block of its packed scales and minima.
pub(super) const fn q4_k_packed(rows: usize) -> usize {
    4 * rows
}

/// Offset in a `q4_k` block of a sub-block's values.
pub(super) const fn q4_k_values(rows: usize, sub_block: usize) -> usize {
    (4 + PACKED + sub_block * BLOCK / 2) * rows
}

/// Bytes of a `q6_k` block without its factors.
const fn q6_k_rest(rows: usize) -> usize {
    (q6_k::BYTES - 2) * rows
}

/// Bytes of a group of so many `q6_k` blocks: an odd last block has room for two factors.
pub(super) const fn q6_k_group_bytes(rows: usize, blocks: usize) -> usize {
    blocks.div_ceil(2) * 4 * rows + blocks * q6_k_rest(rows)
}

/// Offset in a group of the factors of block `block` of `q6_k`.
pub(super) const fn q6_k_factors(rows: usize, block: usize) -> usize {
    q6_k_group_bytes(rows, block / 2 * 2) + block % 2 * 2 * rows
}

/// Offset in a group of the scales of block `block` of `q6_k`.
pub(super) const fn q6_k_scales(rows: usize, block: usize) -> usize {
    q6_k_group_bytes(rows, block / 2 * 2) + 4 * rows + block % 2 * q6_k_rest(rows)
}

/// Offset behind the scales of a `q6_k` block of a sub-block's values.
pub(super) const fn q6_k_values(rows: usize, sub_block: usize) -> usize {
    (q6_k::SUB_BLOCKS + sub_block * 12) * rows
}

/// Place among `[pairs][R][2]` bytes of a row's byte `index`.
pub(super) const fn paired(rows: usize, row: usize, index: usize) -> usize {
    (index / 2 * rows + row) * 2 + index % 2
}

/// Moves a block from GGUF's layout to row `row` of a group.
pub(super) fn place_q4_k(rows: usize, index: usize, block: &[u8; q4_k::BYTES], row: usize, group: &mut [u8]) {
    let group = &mut group[q4_k_offset(rows, index)..];
    group[2 * row..2 * row + 2].copy_from_slice(&block[..2]);
    group[2 * (rows + row)..2 * (rows + row) + 2].copy_from_slice(&block[2..4]);
    for (byte, &packed) in block[4..4 + PACKED].iter().enumerate() {
        group[q4_k_packed(rows) + paired(rows, row, byte)] = packed;
    }
    for sub_block in 0..q4_k::SUB_BLOCKS {
        let stored = |column: usize| q4_k::stored(block, sub_block * BLOCK + column);
        for column in 0..BLOCK / 2 {
            let to = q4_k_values(rows, sub_block) + (column / 4 * rows + row) * 4 + column % 4;
            group[to] = stored(column) | stored(column + BLOCK / 2) << 4;
        }
    }
}

/// Moves a block from GGUF's layout to row `row` of a group.
pub(super) fn place_q6_k(rows: usize, index: usize, block: &[u8; q6_k::BYTES], row: usize, group: &mut [u8]) {
    let factor = q6_k_factors(rows, index) + 2 * row;
    group[factor..factor + 2].copy_from_slice(&block[q6_k::BYTES - 2..]);
    let group = &mut group[q6_k_scales(rows, index)..];
    for (sub_block, &scale) in block[SCALES..SCALES + q6_k::SUB_BLOCKS].iter().enumerate() {
        group[paired(rows, row, sub_block)] = scale;
    }
    for sub_block in 0..q6_k::SUB_BLOCKS {
        let stored = |column: usize| q6_k::stored(block, sub_block * q6_k::SUB_BLOCK + column);
        for column in 0..4 {
            let parts: [u8; 4] = std::array::from_fn(|chunk| stored(4 * chunk + column));
            let to = q6_k_values(rows, sub_block) + row * 4 + column;
            group[to] = parts[0] & 15 | parts[1] << 4;
            group[to + 4 * rows] = parts[2] & 15 | parts[3] << 4;
            group[to + 8 * rows] = (0..4).fold(0, |upper, chunk| upper | parts[chunk] >> 4 << (2 * chunk));
        }
    }
}

/// Scale and minimum of a sub-block of row `row`, before their factors.
pub(super) fn q4_k_scale(rows: usize, packed: &[u8], row: usize, sub_block: usize) -> (u8, u8) {
    // GGUF's own block with nothing but its packed bytes.
    let mut block = [0; 4 + PACKED];
    for (byte, packed_byte) in block[4..].iter_mut().enumerate() {
        *packed_byte = packed[paired(rows, row, byte)];
    }
    q4_k::scale_and_minimum(&block, sub_block)
}

/// Column `column` of a sub-block of row `row` as `q4_k` stores it.
pub(super) fn q4_k_stored(rows: usize, values: &[u8], row: usize, column: usize) -> u8 {
    let byte = values[(column % (BLOCK / 2) / 4 * rows + row) * 4 + column % 4];
    if column < BLOCK / 2 { byte & 15 } else { byte >> 4 }
}

/// Column `column` of a sub-block of row `row` as `q6_k` stores it.
pub(super) fn q6_k_stored(rows: usize, values: &[u8], row: usize, column: usize) -> u8 {
    let (chunk, place) = (column / 4, row * 4 + column % 4);
    let low = values[chunk / 2 * 4 * rows + place] >> (chunk % 2 * 4) & 15;
    low | (values[8 * rows + place] >> (2 * chunk) & 3) << 4
}

/// Decodes columns `first..first + values.len()` of row `row` of a group.
pub(super) fn read_row(layout: Layout, group: &[u8], row: usize, first: usize, values: &mut [f32]) {
    let q4 = layout.format == WeightFormat::Q4K;
    let length = if q4 { BLOCK } else { q6_k::SUB_BLOCK };
    let (mut column, mut rest) = (first, values);
    while !rest.is_empty() {
        let start = column % length;
        let (own, others) = rest.split_at_mut((length - start).min(rest.len()));
        let (block, sub_block) = (column / SUPER_BLOCK, column % SUPER_BLOCK / length);
        column += own.len();
        if q4 {
            read_q4_k(layout.interleave, group, row, (block, sub_block, start), own);
        } else {
            read_q6_k(layout.interleave, group, row, (block, sub_block, start), own);
        }
        rest = others;
    }
}

/// Decodes columns of one sub-block, from column `start` of it on.
fn read_q4_k(
    rows: usize,
    group: &[u8],
    row: usize,
    (block, sub_block, start): (usize, usize, usize),
    values: &mut [f32],
) {
    let block = &group[q4_k_offset(rows, block)..];
    let factor = |part: usize| float::read_f16(&block[2 * (part * rows + row)..]);
    let (scale, minimum) = q4_k_scale(rows, &block[q4_k_packed(rows)..], row, sub_block);
    let (scale, minimum) = (factor(0) * f32::from(scale), factor(1) * f32::from(minimum));
    for (column, value) in (start..).zip(values) {
        let stored = if rows == 1 {
            q4_k::stored(block, sub_block * BLOCK + column)
        } else {
            q4_k_stored(rows, &block[q4_k_values(rows, sub_block)..], row, column)
        };
        *value = scale * f32::from(stored) - minimum;
    }
}

/// Decodes columns of one sub-block, from column `start` of it on.
fn read_q6_k(
    rows: usize,
    group: &[u8],
    row: usize,
    (block, sub_block, start): (usize, usize, usize),
    values: &mut [f32],
) {
    if rows == 1 {
        let block = &group[block * q6_k::BYTES..][..q6_k::BYTES];
        for (column, value) in (start..).zip(values) {
            *value = q6_k::value(block, sub_block * q6_k::SUB_BLOCK + column);
        }
        return;
    }
    let factor = float::read_f16(&group[q6_k_factors(rows, block) + 2 * row..]);
    let block = &group[q6_k_scales(rows, block)..];
    let scale = factor * f32::from(block[paired(rows, row, sub_block)] as i8);
    for (column, value) in (start..).zip(values) {
        let stored = q6_k_stored(rows, &block[q6_k_values(rows, sub_block)..], row, column);
        *value = scale * (f32::from(stored) - 32.0);
    }
}
