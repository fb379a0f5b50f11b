//! The product with AVX2 and FMA: groups of 8 rows, one row in each lane.

pub(super) mod float;
pub(super) mod half;
pub(super) mod k_quants;
mod panels;
pub(super) mod quantised;

/// Rows of a group, lanes of a vector.
const ROWS: usize = 8;
