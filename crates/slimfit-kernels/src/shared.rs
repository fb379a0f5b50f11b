//! A slice that several threads write at once, each its own part, and the part of an operation that one thread does.

#![expect(unsafe_code, reason = "disjoint mutable parts of one slice for several threads")]

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice shared by the threads of one operation. A plain `&mut [T]` cannot be shared; this can, and the
/// caller of [`slice_mut`](Self::slice_mut) promises that parts do not overlap.
#[derive(Debug)]
pub struct SharedMut<'a, T> {
    pointer: *mut T,
    length: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: the value is a slice `&mut [T]` whose disjoint parts may move to other threads when T may; overlapping use
// is ruled out by the contract of `slice` and `slice_mut`.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as for `Send`; shared use without calling an unsafe method only reads the length.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<T> Clone for SharedMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Shares `slice` for as long as it is borrowed.
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { pointer: slice.as_mut_ptr(), length: slice.len(), lifetime: PhantomData }
    }

    /// An empty slice.
    pub fn empty() -> Self {
        Self::new(&mut [])
    }

    /// Values in the slice.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the slice begins; for alignment checks and prefetching.
    pub fn as_ptr(&self) -> *const T {
        self.pointer
    }

    /// The same, to write through. Whoever does promises what [`slice_mut`](Self::slice_mut) asks for.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.pointer
    }

    /// The part `range` as a shared slice of its own.
    ///
    /// # Panics
    /// When the range exceeds the slice.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {}", self.length);
        // SAFETY: the start lies inside the slice or one past its end, as asserted above.
        let pointer = unsafe { self.pointer.add(range.start) };
        Self { pointer, length: range.end - range.start, lifetime: PhantomData }
    }

    /// Reads `range`.
    ///
    /// # Safety
    /// Nobody writes any of it while the returned slice lives.
    ///
    /// # Panics
    /// When the range exceeds the slice.
    pub unsafe fn slice(&self, range: Range<usize>) -> &'a [T] {
        let part = self.part(range);
        // SAFETY: `part` checked the bounds of memory that is borrowed for 'a; no writer, as the caller promises.
        unsafe { std::slice::from_raw_parts(part.pointer, part.length) }
    }

    /// Writes `range`.
    ///
    /// # Safety
    /// Nobody else reads or writes any of it while the returned slice lives.
    ///
    /// # Panics
    /// When the range exceeds the slice.
    pub unsafe fn slice_mut(&self, range: Range<usize>) -> &'a mut [T] {
        let part = self.part(range);
        // SAFETY: `part` checked the bounds of memory that is borrowed for 'a; sole user, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(part.pointer, part.length) }
    }
}

/// Numbers of which every pattern of bits is one.
pub(crate) trait Plain: Copy {}

impl Plain for f32 {}
impl Plain for u32 {}

impl<'a> SharedMut<'a, u8> {
    /// The same memory as numbers.
    ///
    /// # Panics
    /// When it is not aligned for them or not made of whole ones.
    pub(crate) fn cast<T: Plain>(self) -> SharedMut<'a, T> {
        let pointer = self.pointer.cast::<T>();
        assert!(pointer.align_offset(align_of::<T>()) == 0 && self.length.is_multiple_of(size_of::<T>()));
        SharedMut { pointer, length: self.length / size_of::<T>(), lifetime: PhantomData }
    }
}

/// Which share of an operation a thread does: phase `phase`, share `index` of `of`. All shares of a phase write
/// disjoint memory; a phase starts only when all shares of the one before are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The phase, below [`phases`](crate::phases) of the operation.
    pub phase: usize,
    /// The share, below `of`.
    pub index: usize,
    /// Shares in all.
    pub of: usize,
}

impl Part {
    /// The whole of a phase, for one thread.
    pub const fn whole(phase: usize) -> Self {
        Self { phase, index: 0, of: 1 }
    }

    /// This share of `total` things, in multiples of `granule`: contiguous, disjoint, together everything.
    pub fn range(self, total: usize, granule: usize) -> Range<usize> {
        let granules = total.div_ceil(granule);
        let border = |index: usize| (granules * index / self.of * granule).min(total);
        border(self.index)..border(self.index + 1)
    }

    /// Whether shares are best made of whole tokens. What one core wrote, another gets slowly, many times as
    /// slowly as from its own cache where they share none; so from so many tokens on, products and what lies between
    /// them keep to the same tokens. Each share then reads all of a matrix, which few tokens would not pay for.
    pub(crate) const fn by_tokens(self, tokens: usize) -> bool {
        splits_tokens(tokens, self.of)
    }
}

/// The thread that does a share. Of equal shares it is that of the share's index; where there are more shares than
/// threads, it is the thread that owns scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The thread, below `of`.
    pub index: usize,
    /// Threads in all.
    pub of: usize,
    /// Whether this thread did another share of this phase of this operation just before.
    pub again: bool,
}

impl Seat {
    /// That of a thread that does one share, where there are as many shares as threads.
    pub const fn of(part: Part) -> Self {
        Self { index: part.index, of: part.of, again: false }
    }
}

/// Whether so many threads split the tokens of a product rather than the rows of its matrix, where the kernel can.
pub const fn splits_tokens(tokens: usize, threads: usize) -> bool {
    tokens >= LEAST_TOKENS * threads
}

/// From so many tokens a share on, products take longer to compute than to read their matrix from memory.
const LEAST_TOKENS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once_in_whole_granules() {
        for total in [0, 1, 15, 16, 17, 100] {
            for of in 1..5 {
                let ranges: Vec<_> =
                    (0..of).map(|index| Part { phase: 0, index, of }.range(total, 16)).collect();
                assert_eq!(ranges[0].start, 0);
                assert_eq!(ranges[of - 1].end, total);
                assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
                assert!(
                    ranges[..of - 1].iter().all(|range| range.end.is_multiple_of(16) || range.end == total)
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "of 4")]
    fn a_part_beyond_the_end_panics() {
        let mut values = [0; 4];
        SharedMut::new(&mut values).part(3..5);
    }
}
