//! How a share's rows and tokens are walked: several address streams for one token, tiles for many.

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, unused_macros, unused_imports, reason = "other tiers walk rows otherwise")
)]
#![expect(unsafe_code, reason = "an empty instruction that hides a number")]

use super::{MatMulArgs, MatrixShape};
use crate::Part;
use std::ops::Range;

/// Calls `visit` with every group of a share, `S` at a time from `S` equal stretches, then what is left one by one.
///
/// A core fetches ahead along each address stream by itself, and one stream does not fill its miss buffers; reading
/// `S` places of the matrix at once does.
macro_rules! for_streams {
    ($range:expr, $streams:tt, |$groups:ident| $many:expr, |$group:ident| $one:expr) => {{
        let range: std::ops::Range<usize> = $range;
        let stretch = range.len() / $streams;
        for index in range.start..range.start + stretch {
            let $groups: [usize; $streams] = std::array::from_fn(|stream| index + stream * stretch);
            $many
        }
        for $group in range.start + $streams * stretch..range.end {
            $one
        }
    }};
}
pub(super) use for_streams;

/// What a share of a product of several tokens multiplies: groups and tokens.
///
/// Threads split the tokens (`BY_TOKENS`, where each has enough of them: [`Part::by_tokens`]), so that each reads all
/// of the matrix but only activations that it converted itself; else the matrix, so that each reads a part of it and
/// all activations. `unit` is the largest tile, in whose multiples phase 0 split the tokens; `together` groups are best
/// not parted.
pub(super) fn share<const BY_TOKENS: bool>(
    args: &MatMulArgs<'_, impl MatrixShape>,
    part: Part,
    unit: usize,
    together: usize,
) -> (Range<usize>, Range<usize>) {
    let groups = args.layout.groups(args.rows());
    if BY_TOKENS && part.by_tokens(args.tokens) {
        (0..groups, part.range(args.tokens, unit))
    } else {
        (part.range(groups, together), 0..args.tokens)
    }
}

/// The sizes of tiles from the largest admitted on. `sizes` falls and ends in 1.
pub(super) const fn up_to(largest: usize, sizes: &'static [usize]) -> &'static [usize] {
    let mut sizes = sizes;
    while let [size, smaller @ ..] = sizes
        && *size > largest
    {
        sizes = smaller;
    }
    sizes
}

/// The tiles of a range of tokens, largest first: `(first token, tokens)`. `sizes` falls and ends in 1.
pub(super) fn tiles(tokens: Range<usize>, sizes: &'static [usize]) -> impl Iterator<Item = (usize, usize)> {
    let mut first = tokens.start;
    std::iter::from_fn(move || {
        let left = tokens.end - first;
        let size = *sizes.iter().find(|&&size| size <= left)?;
        let tile = (first, size);
        first += size;
        Some(tile)
    })
}

/// A count that the compiler does not know, so that it leaves a loop over blocks alone: unrolled, its code leaves the cache of
/// decoded instructions, and steps of several sums are put in another order.
#[inline(always)]
pub(super) fn uncounted(count: usize) -> usize {
    let mut count = count;
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("/* {0} */", inout(reg) count, options(pure, nomem, nostack, preserves_flags)) };
    count
}

/// Bytes of activations that pass a group of rows before the next group: what stays in a second cache.
const STRETCH_BYTES: usize = 384 << 10;

/// Stretches of tokens whose activations stay in the second cache while all groups pass, of `token_bytes` each, in multiples
/// of the largest tile, `unit`; `least` tokens at least, since each stretch reads all of the matrix, and `most` at most.
pub(super) fn stretches(
    tokens: Range<usize>,
    token_bytes: usize,
    unit: usize,
    (least, most): (usize, usize),
) -> impl Iterator<Item = Range<usize>> {
    let step = (STRETCH_BYTES / token_bytes.max(1)).clamp(least, most) / unit * unit;
    tokens.clone().step_by(step).map(move |start| start..tokens.end.min(start + step))
}

/// Calls a function that is generic over a tile's tokens.
macro_rules! with_tile {
    ($size:expr, [$($literal:literal),+], |$tokens:ident| $call:expr) => {
        match $size {
            $($literal => { const $tokens: usize = $literal; $call })+
            _ => unreachable!("`tiles` yields only these sizes"),
        }
    };
}
pub(super) use with_tile;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_tokens_in_order() {
        let found: Vec<_> = tiles(3..18, &[8, 4, 2, 1]).collect();
        assert_eq!(found, [(3, 8), (11, 4), (15, 2), (17, 1)]);
        assert_eq!(tiles(5..5, &[8, 4, 2, 1]).count(), 0);
    }

    #[test]
    fn stretches_cover_tokens_in_whole_tiles() {
        let found: Vec<_> = stretches(12..300, 4096, 12, (24, 500)).collect();
        assert_eq!(found, [12..108, 108..204, 204..300]);
        let found: Vec<_> = stretches(0..100, 1 << 20, 12, (40, 500)).collect();
        assert_eq!(found, [0..36, 36..72, 72..100]);
        assert_eq!(stretches(0..100, 0, 12, (40, 60)).collect::<Vec<_>>(), [0..60, 60..100]);
        assert_eq!(stretches(5..5, 64, 12, (40, 60)).count(), 0);
    }

    #[test]
    fn sizes_up_to_the_largest_remain() {
        assert_eq!(up_to(8, &[16, 12, 8, 3, 1]), [8, 3, 1]);
        assert_eq!(up_to(4, &[16, 12, 8, 3, 1]), [3, 1]);
        assert_eq!(up_to(20, &[16, 1]), [16, 1]);
    }

    #[test]
    fn streams_visit_every_group_once() {
        for count in 0..20 {
            let mut visits = vec![0; count + 2];
            let mut visit = |groups: &[usize]| groups.iter().for_each(|&group| visits[group] += 1);
            for_streams!(2..count + 2, 4, |groups| visit(&groups), |group| visit(&[group]));
            assert_eq!(visits, [vec![0; 2], vec![1; count]].concat());
        }
    }
}
