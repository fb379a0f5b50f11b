//! How a share's rows and tokens are walked: several address streams for one token, tiles for many.

use std::ops::Range;

/// Calls `visit` with every group of a share, `S` at a time from `S` equal stretches, then what is left one by one.
///
/// A core fetches ahead along each address stream by itself, and one stream does not fill its miss buffers; reading
/// `S` places of the matrix at once does.
macro_rules! for_streams {
    ($range:expr, $streams:literal, |$groups:ident| $many:expr, |$group:ident| $one:expr) => {{
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
    fn streams_visit_every_group_once() {
        for count in 0..20 {
            let mut visits = vec![0; count + 2];
            let mut visit = |groups: &[usize]| groups.iter().for_each(|&group| visits[group] += 1);
            for_streams!(2..count + 2, 4, |groups| visit(&groups), |group| visit(&[group]));
            assert_eq!(visits, [vec![0; 2], vec![1; count]].concat());
        }
    }
}
