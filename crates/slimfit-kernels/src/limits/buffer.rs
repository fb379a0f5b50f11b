//! Memory for measuring: page-aligned, every page touched (fresh pages all map to one page of zeros, and reading them
//! measures the cache), with huge pages asked for or refused.

use std::io;
use std::ptr::NonNull;

/// What the system is told about pages of a [`Buffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugePages {
    /// Only pages of the base size.
    Never,
    /// Huge pages where the system has them to give.
    Advise,
}

/// Zeroed, touched, private memory of a whole number of 8-byte words.
pub struct Buffer {
    start: NonNull<u8>,
    mapped_bytes: usize,
    words: usize,
    advised: bool,
}

// SAFETY: the mapping is private and owned by this value alone.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

/// The largest page that counts as huge on the architectures we know; buffers are aligned to it.
const HUGE_PAGE_BYTES: usize = 2 << 20;

impl Buffer {
    /// Maps and touches `bytes` (rounded down to whole words, at least one).
    ///
    /// # Errors
    /// The system has not that much memory to give.
    pub fn new(bytes: usize, pages: HugePages) -> io::Result<Self> {
        let words = (bytes / 8).max(1);
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let mapped_bytes = words
            .checked_mul(8)
            .and_then(|bytes| bytes.checked_next_multiple_of(HUGE_PAGE_BYTES))
            .and_then(|bytes| bytes.checked_add(HUGE_PAGE_BYTES))
            .ok_or_else(too_large)?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
        // SAFETY: a new private mapping at an address of the system's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), mapped_bytes, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or_else(too_large)?;
        let mut buffer = Self { start, mapped_bytes, words, advised: false };
        buffer.advise(pages);
        // One word per base page is enough, and volatile stores are not merged away.
        for word in (0..words).step_by(512) {
            // SAFETY: `word` is below `words`.
            unsafe { buffer.first().add(word).write_volatile(0) };
        }
        Ok(buffer)
    }

    #[cfg(target_os = "linux")]
    fn advise(&mut self, pages: HugePages) {
        let advice = match pages {
            HugePages::Never => libc::MADV_NOHUGEPAGE,
            HugePages::Advise => libc::MADV_HUGEPAGE,
        };
        // SAFETY: the range is exactly this mapping; the advice changes no contents.
        let answer = unsafe { libc::madvise(self.start.as_ptr().cast(), self.mapped_bytes, advice) };
        self.advised = answer == 0;
    }

    #[cfg(not(target_os = "linux"))]
    fn advise(&mut self, _pages: HugePages) {}

    /// Whether the system took the advice about pages (it may still have no huge page to give).
    pub fn advised(&self) -> bool {
        self.advised
    }

    /// Bytes of the buffer.
    pub fn bytes(&self) -> usize {
        self.words * 8
    }

    fn first(&self) -> *mut u64 {
        let skip = self.start.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // SAFETY: the mapping is one huge page longer than its words, so the aligned start lies inside.
        unsafe { self.start.as_ptr().add(skip) }.cast()
    }

    /// The words as f64.
    pub fn as_f64(&self) -> &[f64] {
        // SAFETY: `words` mapped, initialised, aligned words, of which every pattern is an f64.
        unsafe { std::slice::from_raw_parts(self.first().cast(), self.words) }
    }

    /// The words as f64, to write.
    pub fn as_f64_mut(&mut self) -> &mut [f64] {
        // SAFETY: as in `as_f64`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first().cast(), self.words) }
    }

    /// The words as indices (on targets where they have 8 bytes).
    #[cfg(target_pointer_width = "64")]
    pub fn as_usize(&self) -> &[usize] {
        // SAFETY: as in `as_f64`, with the size of `usize` checked above.
        unsafe { std::slice::from_raw_parts(self.first().cast(), self.words) }
    }

    /// The words as indices, to write.
    #[cfg(target_pointer_width = "64")]
    pub fn as_usize_mut(&mut self) -> &mut [usize] {
        // SAFETY: as in `as_usize`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.first().cast(), self.words) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`, to which no reference is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.mapped_bytes) };
    }
}
