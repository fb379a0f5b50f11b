//! Hints to the caches: what will be read or written soon.
//!
//! A hint reads nothing and cannot fault, wherever it points.

#![expect(unsafe_code, reason = "the prefetch instruction")]

use super::{MatMulArgs, MatrixShape};
use std::arch::x86_64::{_MM_HINT_NTA, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the line `AHEAD` bytes after `from`; nothing where that is 0. Below 0 it is as many bytes, and the hint is that
/// the line will not be used twice.
#[inline(always)]
pub(super) fn prefetch<const AHEAD: isize>(from: *const u8) {
    let line = from.wrapping_add(AHEAD.unsigned_abs()).cast();
    if AHEAD > 0 {
        // SAFETY: a hint on an address that is only computed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    } else if AHEAD < 0 {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_NTA>(line) };
    }
}

/// Asks for the lines that a tile's sums will be written to: rows `rows` of `tokens` tokens from `first` on. Every token's lie
/// on another page; fetched one after the other when the sums are done, they cost up to a quarter of the product. Where
/// rows do not begin on a line, the first one came with the group before; more hints cost more than they bring.
#[inline(always)]
pub(super) fn fetch_outputs(
    args: &MatMulArgs<'_, impl MatrixShape>,
    rows: Range<usize>,
    first: usize,
    tokens: usize,
) {
    const LINE_ROWS: usize = LINE / size_of::<f32>();
    for token in first..first + tokens {
        for row in rows.clone().step_by(LINE_ROWS) {
            let last = token * args.rows() + rows.end.min(row + LINE_ROWS) - 1;
            // SAFETY: a hint on an address that is only computed.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(args.output.as_ptr().wrapping_add(last).cast()) };
        }
    }
}

/// The weights of two groups that are needed next, fetched into the second cache a few lines with each tile: all at once
/// they would fill the miss buffers.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    starts: [*const u8; 2],
    /// Lines of each group and tile.
    lines: usize,
}

/// The most lines of a group that come with one tile. Where few tiles would have to fetch more, they would wait for them.
const MOST_LINES: usize = 16;

impl Ahead {
    /// What comes after stretch `stretch` of `of` equal ones of groups `group` and `group + 1`: their next stretch, or the
    /// first of the groups after them. Nothing where `groups` end.
    #[inline(always)]
    pub(super) fn after(
        args: &MatMulArgs<'_, impl MatrixShape>,
        groups: &Range<usize>,
        group: usize,
        (stretch, of): (usize, usize),
        tiles: usize,
    ) -> Self {
        let bytes = args.layout.group_bytes(args.columns());
        let (group, stretch) = if stretch + 1 < of { (group, stretch + 1) } else { (group + 2, 0) };
        let start = |group: usize| args.weights.as_ptr().wrapping_add(group * bytes + bytes * stretch / of);
        let lines = bytes.div_ceil(of * LINE).div_ceil(tiles);
        let lines = if group < groups.end && lines <= MOST_LINES { lines } else { 0 };
        Self { starts: [start(group), start(group + 1)], lines }
    }

    /// Asks for the share of tile `index`.
    #[inline(always)]
    pub(super) fn fetch(self, index: usize) {
        for line in index * self.lines..(index + 1) * self.lines {
            for start in self.starts {
                // SAFETY: a hint on an address that is only computed.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(line * LINE).cast()) };
            }
        }
    }
}
