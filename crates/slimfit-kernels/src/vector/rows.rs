//! Vectors at the end of a row: the whole one where it fits, else only the lanes that are left.

use super::Tier;

/// Reads the vector at `index` of a row; lanes past its end are 0.
#[inline(always)]
pub(crate) fn load_tail<T: Tier>(tier: T, row: &[f32], index: usize) -> T::Vector {
    let left = row.len() - index;
    let from = row[index..].as_ptr();
    if left >= T::LANES {
        // SAFETY: `left` values lie there.
        unsafe { tier.load(from) }
    } else {
        // SAFETY: as above.
        unsafe { tier.load_first(from, left) }
    }
}

/// Writes the vector at `index` of a row; lanes past its end are dropped.
#[inline(always)]
pub(crate) fn store_tail<T: Tier>(tier: T, row: &mut [f32], index: usize, vector: T::Vector) {
    let left = row.len() - index;
    let to = row[index..].as_mut_ptr();
    if left >= T::LANES {
        // SAFETY: there is room for `left` values.
        unsafe { tier.store(to, vector) };
    } else {
        // SAFETY: as above.
        unsafe { tier.store_first(to, vector, left) };
    }
}
