//! Memory that ends (or begins) at a page that may not be touched: a read past the slice is a crash, not a surprise.

#![expect(unsafe_code, reason = "pages mapped and protected through the system")]

use std::ops::{Deref, DerefMut};

/// A slice of plain numbers with a protected page right after its last value or right before its first.
#[derive(Debug)]
pub struct Guarded<T: Copy> {
    mapping: *mut u8,
    mapped: usize,
    values: *mut T,
    length: usize,
}

impl<T: Copy> Guarded<T> {
    /// Copies `values` so that the byte after the last one belongs to a protected page.
    ///
    /// # Panics
    /// When the system refuses the memory.
    pub fn ending(values: &[T]) -> Self {
        Self::new(values, true)
    }

    /// Copies `values` so that the byte before the first one belongs to a protected page.
    ///
    /// # Panics
    /// When the system refuses the memory.
    pub fn beginning(values: &[T]) -> Self {
        Self::new(values, false)
    }

    fn new(values: &[T], guard_after: bool) -> Self {
        let page = page_bytes();
        let bytes = size_of_val(values);
        let usable = bytes.div_ceil(page).max(1) * page;
        let mapped = usable + page;
        // SAFETY: a new private anonymous mapping touches no existing memory.
        let mapping = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(mapping, libc::MAP_FAILED, "the system refused {mapped} bytes");
        let mapping = mapping.cast::<u8>();
        let (guard, start) = if guard_after { (usable, usable - bytes) } else { (0, page) };
        // SAFETY: the guard is one whole page inside our own mapping.
        let refused = unsafe { libc::mprotect(mapping.add(guard).cast(), page, libc::PROT_NONE) };
        assert_eq!(refused, 0, "the system refused to protect a page");
        // SAFETY: `start` is inside the mapping; `bytes` bytes from there are unprotected. The page size is a multiple
        // of every number's alignment, and so is the distance of `start` from a page border.
        let target = unsafe { mapping.add(start) }.cast::<T>();
        // SAFETY: source and target are valid for that many values and do not overlap, the mapping being new.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), target, values.len()) };
        Self { mapping, mapped, values: target, length: values.len() }
    }
}

impl<T: Copy> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `length` values were copied there and live as long as the mapping, which `self` owns.
        unsafe { std::slice::from_raw_parts(self.values, self.length) }
    }
}

impl<T: Copy> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and `&mut self` makes this the only view.
        unsafe { std::slice::from_raw_parts_mut(self.values, self.length) }
    }
}

impl<T: Copy> Drop for Guarded<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, given back once.
        unsafe { libc::munmap(self.mapping.cast(), self.mapped) };
    }
}

// SAFETY: the mapping belongs to this value alone, like the memory of a `Box<[T]>`.
unsafe impl<T: Copy + Send> Send for Guarded<T> {}
// SAFETY: shared access only reads.
unsafe impl<T: Copy + Sync> Sync for Guarded<T> {}

fn page_bytes() -> usize {
    // SAFETY: a query without arguments that could be wrong.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every system has a page size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_and_stand_at_the_border() {
        let page = page_bytes();
        for length in [0, 1, 3, 1024, 1025] {
            let values: Vec<f32> = (0..length).map(|index| index as f32).collect();
            let mut ending = Guarded::ending(&values);
            let beginning = Guarded::beginning(&values);
            assert_eq!(*ending, *values);
            assert_eq!(*beginning, *values);
            assert_eq!((ending.as_ptr() as usize + length * 4) % page, 0);
            assert_eq!(beginning.as_ptr() as usize % page, 0);
            ending.iter_mut().for_each(|value| *value += 1.0);
            assert!(ending.iter().zip(&values).all(|(new, old)| *new == old + 1.0));
        }
    }

    #[test]
    fn the_page_after_the_end_is_protected() {
        let guarded = Guarded::ending(&[1_u8, 2, 3]);
        // SAFETY: `fork` in a test: the child only reads memory and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: deliberately not: this read past the end must end the child with a signal.
            let value = unsafe { std::ptr::read_volatile(guarded.as_ptr().add(3)) };
            // SAFETY: ends the child without running anything else.
            unsafe { libc::_exit(i32::from(value & 1)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(waited, child);
        assert!(libc::WIFSIGNALED(status), "the read past the end was allowed");
    }
}
