//! Zeroed memory on a cache-line border, in huge pages where it is large.

#![expect(unsafe_code, reason = "memory mapped from the system, viewed as numbers")]

use crate::KernelError;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes of a huge page; memory at least this large asks for them.
const HUGE_PAGE: usize = 2 << 20;
/// Alignment of every allocation.
pub const ALIGNMENT: usize = 64;

/// Owned zeroed bytes, aligned to 64 (to 2 MiB where there are that many). Pages become resident when first touched.
#[derive(Debug)]
pub struct AlignedBytes {
    pointer: NonNull<u8>,
    length: usize,
    /// Keeps the memory mapped.
    mapping: Arc<Mapping>,
}

/// Pages of the system, given back when the last part of them is dropped.
#[derive(Debug)]
struct Mapping {
    base: *mut u8,
    length: usize,
}

// SAFETY: only the address is shared; the parts of the memory each have one owner.
unsafe impl Send for Mapping {}
// SAFETY: as above; nothing is read or written through a mapping itself.
unsafe impl Sync for Mapping {}

// SAFETY: these bytes are owned by this value alone, like a `Box<[u8]>`.
unsafe impl Send for AlignedBytes {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBytes {}

impl AlignedBytes {
    /// Maps `length` zeroed bytes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn zeroed(length: usize) -> Result<Self, KernelError> {
        let refused = KernelError::OutOfMemory { bytes: length };
        let slack = if length >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let mapped = length.max(1).checked_add(slack).filter(|&bytes| bytes <= isize::MAX as usize);
        let mapped = mapped.ok_or_else(|| refused.clone())?;
        // SAFETY: a new private anonymous mapping touches no existing memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(refused);
        }
        let base = base.cast::<u8>();
        let skip = if slack > 0 { base.align_offset(HUGE_PAGE) } else { 0 };
        // SAFETY: `skip` is below the slack that was mapped on top of `length`.
        let start = unsafe { base.add(skip) };
        #[cfg(target_os = "linux")]
        if slack > 0 {
            // SAFETY: advice on our own mapping; a refusal only costs speed.
            unsafe { libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE) };
        }
        let pointer = NonNull::new(start).expect("a successful mapping is not null");
        Ok(Self { pointer, length, mapping: Arc::new(Mapping { base, length: mapped }) })
    }

    /// Maps all of `lengths` at once, in their order, each aligned to 64: many small pieces that are used together then
    /// share huge pages, which none of them is large enough for alone.
    ///
    /// # Errors
    /// The system refuses.
    pub fn zeroed_parts(lengths: &[usize]) -> Result<Vec<Self>, KernelError> {
        let mut end = 0_usize;
        let mut starts = Vec::with_capacity(lengths.len());
        for &length in lengths {
            starts.push(end);
            let next = end.checked_add(length).and_then(|end| end.checked_next_multiple_of(ALIGNMENT));
            end = next.ok_or(KernelError::OutOfMemory { bytes: length })?;
        }
        let whole = Self::zeroed(end)?;
        let part = |(&start, &length): (&usize, &usize)| {
            // SAFETY: the sums above keep `start..start + length` inside the whole.
            let pointer = unsafe { whole.pointer.add(start) };
            Self { pointer, length, mapping: Arc::clone(&whole.mapping) }
        };
        Ok(starts.iter().zip(lengths).map(part).collect())
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `length` mapped, initialised (zeroed) bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }

    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as `as_slice`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }

    /// The bytes as f32; a rest of fewer than 4 bytes is left out.
    pub fn as_f32(&self) -> &[f32] {
        // SAFETY: aligned to 64, within the mapping, and any bit pattern is an f32.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr().cast(), self.length / 4) }
    }

    /// The bytes as f32, to write.
    pub fn as_f32_mut(&mut self) -> &mut [f32] {
        // SAFETY: as `as_f32`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr().cast(), self.length / 4) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `zeroed`, given back once, when no part of it is left.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_and_aligned() {
        for length in [0, 1, 100, HUGE_PAGE, HUGE_PAGE + 5] {
            let mut memory = AlignedBytes::zeroed(length).unwrap();
            assert_eq!(memory.as_slice().as_ptr().align_offset(ALIGNMENT), 0);
            assert!(memory.as_slice().iter().all(|&byte| byte == 0));
            memory.as_mut_slice().fill(1);
            assert_eq!((memory.len(), memory.as_f32().len()), (length, length / 4));
        }
    }

    #[test]
    fn parts_are_aligned_disjoint_and_outlive_each_other() {
        let lengths = [100, 0, 64, HUGE_PAGE, 1];
        let mut parts = AlignedBytes::zeroed_parts(&lengths).unwrap();
        for (number, (part, length)) in parts.iter_mut().zip(lengths).enumerate() {
            assert_eq!((part.len(), part.as_slice().as_ptr().align_offset(ALIGNMENT)), (length, 0));
            assert!(part.as_slice().iter().all(|&byte| byte == 0));
            part.as_mut_slice().fill(number as u8 + 1);
        }
        let last = parts.pop().unwrap();
        assert!(
            parts.iter().zip(1..).all(|(part, number)| part.as_slice().iter().all(|&byte| byte == number))
        );
        drop(parts);
        assert_eq!(last.as_slice(), [5]);
        assert!(AlignedBytes::zeroed_parts(&[usize::MAX, 1]).is_err());
    }

    #[test]
    fn an_absurd_size_is_refused() {
        assert!(matches!(AlignedBytes::zeroed(usize::MAX), Err(KernelError::OutOfMemory { .. })));
    }
}
