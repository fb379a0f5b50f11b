//! The product with AVX-512, VNNI and BF16: groups of 16 rows, one row in each lane.

pub(super) mod float;
pub(super) mod half;
pub(super) mod k_quants;
mod lanes;
pub(super) mod quantised;

/// Rows of a group, lanes of a vector.
const ROWS: usize = 16;
