//! Streams through memory: read, copy (`to[i] = from[i]`) and triad (`to[i] = b[i] + s · c[i]`).
//!
//! Bytes are counted as STREAM does (McCalpin 1995): those the program asks for, 8, 16 and 24 per element. The lines
//! that a store fetches before it overwrites them are not counted.
//!
//! A read splits its buffer into 1, 2, 4 or 8 equal parts and walks them side by side, since one address stream does not
//! keep enough lines of memory under way.

mod portable;
#[cfg(target_arch = "x86_64")]
mod read_x86;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
use x86::{avx2, avx512};

use crate::isa::Isa;

/// Words that every stream is walked in, so that parts end where blocks do. The rest is read one by one.
const BLOCK: usize = 64;

/// A loop that reads a buffer.
pub struct ReadLoop {
    /// `read-<isa>-s<streams>`.
    pub name: &'static str,
    /// The tier it needs.
    pub isa: Isa,
    /// Address streams.
    pub streams: usize,
    run: unsafe fn(&[f64], usize) -> u64,
}

/// Bytes of a row of a strided read: the 64 values in f16 that one head of a key and value cache keeps of a position.
pub const STRIDED_ROW_BYTES: usize = 128;
/// Rows from one to the next of the same head: a cache of so many heads, kept position by position.
pub const STRIDED_HEADS: usize = 4;

/// A loop that reads a buffer head by head: every [`STRIDED_HEADS`]th row of [`STRIDED_ROW_BYTES`], then those beside them.
pub struct StridedLoop {
    /// `strided-<isa>`.
    pub name: &'static str,
    /// The tier it needs.
    pub isa: Isa,
    run: unsafe fn(&[f64], usize) -> u64,
}

/// A loop that copies a buffer.
pub struct CopyLoop {
    /// `copy-<isa>`.
    pub name: &'static str,
    /// The tier it needs.
    pub isa: Isa,
    run: unsafe fn(&mut [f64], &[f64]),
}

/// A loop of the triad.
pub struct TriadLoop {
    /// `triad-<isa>`.
    pub name: &'static str,
    /// The tier it needs.
    pub isa: Isa,
    run: unsafe fn(&mut [f64], &[f64], &[f64], f64),
}

/// Every read loop of this architecture.
pub const READS: &[ReadLoop] = &[
    ReadLoop { name: "read-portable-s1", isa: Isa::Portable, streams: 1, run: portable::read::<1> },
    ReadLoop { name: "read-portable-s2", isa: Isa::Portable, streams: 2, run: portable::read::<2> },
    ReadLoop { name: "read-portable-s4", isa: Isa::Portable, streams: 4, run: portable::read::<4> },
    ReadLoop { name: "read-portable-s8", isa: Isa::Portable, streams: 8, run: portable::read::<8> },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx2-s1", isa: Isa::Avx2, streams: 1, run: read_x86::avx2_1 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx2-s2", isa: Isa::Avx2, streams: 2, run: read_x86::avx2_2 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx2-s4", isa: Isa::Avx2, streams: 4, run: read_x86::avx2_4 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx2-s8", isa: Isa::Avx2, streams: 8, run: read_x86::avx2_8 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx512-s1", isa: Isa::Avx512, streams: 1, run: read_x86::avx512_1 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx512-s2", isa: Isa::Avx512, streams: 2, run: read_x86::avx512_2 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx512-s4", isa: Isa::Avx512, streams: 4, run: read_x86::avx512_4 },
    #[cfg(target_arch = "x86_64")]
    ReadLoop { name: "read-avx512-s8", isa: Isa::Avx512, streams: 8, run: read_x86::avx512_8 },
];

/// Every strided read of this architecture.
pub const STRIDED: &[StridedLoop] = &[
    StridedLoop { name: "strided-portable", isa: Isa::Portable, run: portable::strided },
    #[cfg(target_arch = "x86_64")]
    StridedLoop { name: "strided-avx2", isa: Isa::Avx2, run: read_x86::avx2_strided },
];

/// Every copy loop of this architecture.
pub const COPIES: &[CopyLoop] = &[
    CopyLoop { name: "copy-portable", isa: Isa::Portable, run: portable::copy },
    #[cfg(target_arch = "x86_64")]
    CopyLoop { name: "copy-avx2", isa: Isa::Avx2, run: avx2::copy },
    #[cfg(target_arch = "x86_64")]
    CopyLoop { name: "copy-avx512", isa: Isa::Avx512, run: avx512::copy },
];

/// Every triad loop of this architecture.
pub const TRIADS: &[TriadLoop] = &[
    TriadLoop { name: "triad-portable", isa: Isa::Portable, run: portable::triad },
    #[cfg(target_arch = "x86_64")]
    TriadLoop { name: "triad-avx2", isa: Isa::Avx2, run: avx2::triad },
    #[cfg(target_arch = "x86_64")]
    TriadLoop { name: "triad-avx512", isa: Isa::Avx512, run: avx512::triad },
];

impl ReadLoop {
    /// Reads the whole buffer `passes` times; returns the exclusive or of the bits of all words read, so 0 after an
    /// even number of passes.
    ///
    /// # Panics
    /// When this machine lacks the loop's tier.
    pub fn run(&self, buffer: &[f64], passes: usize) -> u64 {
        assert!(self.isa.is_available(), "`{}` needs `{}`", self.name, self.isa);
        // SAFETY: the tier's features are there.
        unsafe { (self.run)(buffer, passes) }
    }

    /// Bytes that one pass reads.
    pub fn bytes(&self, buffer: &[f64]) -> u64 {
        size_of_val(buffer) as u64
    }
}

impl StridedLoop {
    /// Reads the whole buffer `passes` times; returns what [`ReadLoop::run`] does.
    ///
    /// # Panics
    /// When this machine lacks the loop's tier.
    pub fn run(&self, buffer: &[f64], passes: usize) -> u64 {
        assert!(self.isa.is_available(), "`{}` needs `{}`", self.name, self.isa);
        // SAFETY: the tier's features are there.
        unsafe { (self.run)(buffer, passes) }
    }

    /// Bytes that one pass reads.
    pub fn bytes(&self, buffer: &[f64]) -> u64 {
        size_of_val(buffer) as u64
    }
}

impl CopyLoop {
    /// Copies `from` into `to`, `passes` times.
    ///
    /// # Panics
    /// When the lengths differ or this machine lacks the loop's tier.
    pub fn run(&self, to: &mut [f64], from: &[f64], passes: usize) {
        assert!(self.isa.is_available(), "`{}` needs `{}`", self.name, self.isa);
        assert_eq!(to.len(), from.len(), "a copy is as long as its source");
        for _ in 0..passes {
            // SAFETY: the tier's features are there.
            unsafe { (self.run)(std::hint::black_box(&mut *to), std::hint::black_box(from)) };
        }
    }

    /// Bytes that one pass reads and writes.
    pub fn bytes(&self, from: &[f64]) -> u64 {
        2 * size_of_val(from) as u64
    }
}

impl TriadLoop {
    /// `to[i] = b[i] + s · c[i]`, `passes` times.
    ///
    /// # Panics
    /// When the lengths differ or this machine lacks the loop's tier.
    pub fn run(&self, to: &mut [f64], b: &[f64], c: &[f64], s: f64, passes: usize) {
        assert!(self.isa.is_available(), "`{}` needs `{}`", self.name, self.isa);
        assert!(to.len() == b.len() && to.len() == c.len(), "the triad's three arrays have one length");
        for _ in 0..passes {
            // SAFETY: the tier's features are there.
            unsafe { (self.run)(std::hint::black_box(&mut *to), std::hint::black_box(b), c, s) };
        }
    }

    /// Bytes that one pass reads and writes.
    pub fn bytes(&self, to: &[f64]) -> u64 {
        3 * size_of_val(to) as u64
    }
}

/// Words of each of `S` parts: a whole number of blocks.
fn part_words<const S: usize>(words: usize) -> usize {
    words / S / BLOCK * BLOCK
}

/// Words of two rows of every head: what a strided read takes at once.
const STRIDED_BLOCK: usize = 2 * STRIDED_HEADS * STRIDED_ROW_BYTES / 8;

/// Makes the compiler forget what memory holds, so that the next pass loads it again.
///
/// Passes repeat inside the loops, not around them: half of a first cache is read in some 300 cycles, beside which a call
/// and the folding of its sums would count.
#[inline(always)]
fn forget() {
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("", options(nostack, preserves_flags)) };
}

/// The exclusive or of the bits of the words that the blocks left over.
fn xor_bits(words: &[f64]) -> u64 {
    words.iter().fold(0, |bits, word| bits ^ word.to_bits())
}
