//! The gather, a row's pieces collected block by block so that the compiler turns them into numbers on vectors.

#![expect(unsafe_code, reason = "writes its own part of the shared output")]

use super::{EmbedArgs, share};
use crate::Part;
use crate::codec::{BLOCK, float};
use crate::matmul::{Layout, WeightFormat};
use crate::vector::{Tier, load_tail, store_tail};

#[inline(always)]
pub(super) fn embed<T: Tier>(tier: T, args: &EmbedArgs<'_>, part: Part) {
    let (tokens, columns) = share(args.tokens.len(), args.width, part);
    let group_bytes = args.layout.group_bytes(args.width);
    for token in tokens {
        let row = args.tokens[token] as usize;
        assert!(row < args.vocabulary, "token {row} of a vocabulary of {}", args.vocabulary);
        let start = token * args.width + columns.start;
        // SAFETY: only this share has these columns of this token.
        let output = unsafe { args.output.slice_mut(start..start + columns.len()) };
        let group = &args.table[row / args.layout.interleave * group_bytes..][..group_bytes];
        read(args.layout, group, row % args.layout.interleave, columns.start, output);
        if args.scale == 1.0 && args.positions.is_none() {
            continue;
        }
        let scale = tier.splat(args.scale);
        let positions = args.positions.map(|positions| &positions[start..start + columns.len()]);
        for index in (0..output.len()).step_by(T::LANES) {
            let mut value = tier.mul(scale, load_tail(tier, output, index));
            if let Some(positions) = positions {
                value = tier.add(value, load_tail(tier, positions, index));
            }
            store_tail(tier, output, index, value);
        }
    }
}

/// Decodes columns `first..` of a row of a group. What is not interleaved, or in a format without a way of its own here,
/// is read as the layout says.
#[inline(always)]
fn read(layout: Layout, group: &[u8], row: usize, first: usize, output: &mut [f32]) {
    let whole = first.is_multiple_of(BLOCK) && output.len().is_multiple_of(BLOCK);
    if layout.interleave == 1 || layout.format.is_quantised() && !whole {
        layout.read_row(group, row, first, output);
    } else if layout.format == WeightFormat::F32 {
        let stride = 4 * layout.interleave;
        for (value, bytes) in output.iter_mut().zip(group[first * stride + 4 * row..].chunks(stride)) {
            *value = float::read_f32(bytes);
        }
    } else if layout.format == WeightFormat::Q8_0 {
        let flip = if layout.biased { 0x80 } else { 0 };
        for (index, values) in output.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let block = first / BLOCK + index;
            let scale = float::read_f16(&group[layout.scales_offset(block) + 2 * row..]);
            let bytes: [u8; BLOCK] = pieces(layout, &group[layout.quants_offset(block)..], row);
            for (value, byte) in values.iter_mut().zip(bytes) {
                *value = scale * f32::from((byte ^ flip) as i8);
            }
        }
    } else if layout.format == WeightFormat::Q4_0 {
        for (index, values) in output.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let block = first / BLOCK + index;
            let scale = float::read_f16(&group[layout.scales_offset(block) + 2 * row..]);
            let bytes: [u8; BLOCK / 2] = pieces(layout, &group[layout.quants_offset(block)..], row);
            let (low, high) = values.split_at_mut(BLOCK / 2);
            for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
                *low = scale * f32::from((byte & 15) as i8 - 8);
                *high = scale * f32::from((byte >> 4) as i8 - 8);
            }
        }
    } else {
        layout.read_row(group, row, first, output);
    }
}

/// A row's bytes of a block, of which 4 lie together.
#[inline(always)]
fn pieces<const N: usize>(layout: Layout, quants: &[u8], row: usize) -> [u8; N] {
    let stride = 4 * layout.interleave;
    let mut bytes = [0; N];
    for (to, from) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(quants[4 * row..].chunks(stride)) {
        to.copy_from_slice(&from[..4]);
    }
    bytes
}
