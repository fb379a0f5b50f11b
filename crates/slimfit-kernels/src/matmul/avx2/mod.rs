//! The product with AVX2 and FMA: groups of 8 rows, one row in each lane.

pub(super) mod float;
mod float_panels;
pub(super) mod half;
pub(super) mod k_quants;
mod panels;
pub(super) mod quantised;
pub(super) mod transpose;

/// Rows of a group, lanes of a vector.
const ROWS: usize = 8;
