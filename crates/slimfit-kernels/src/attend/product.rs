//! The product inside a tile: `C = keep · C + A B`, all f32 in a thread's own scratch. B and C are row-major with whole
//! vectors of columns, A may lie either way. Sums of a few rows and vectors stay in registers over the whole depth.
#![expect(clippy::needless_range_loop, reason = "register tiles are indexed alongside each other")]

use crate::vector::Tier;

/// Operands of a product.
pub(super) struct Product<'a> {
    /// Rows of A and C, an even number.
    pub(super) rows: usize,
    /// Columns of A, rows of B.
    pub(super) depth: usize,
    /// Columns of B and C, whole vectors.
    pub(super) columns: usize,
    pub(super) a: &'a [f32],
    /// From one row of A to the next, and from one column.
    pub(super) a_row: usize,
    pub(super) a_column: usize,
    pub(super) b: &'a [f32],
    pub(super) b_row: usize,
    pub(super) c: &'a mut [f32],
    pub(super) c_row: usize,
    /// What each row of C is multiplied with before; none: C is overwritten.
    pub(super) keep: Option<&'a [f32]>,
}

/// Does the product.
#[inline(always)]
pub(super) fn multiply<T: Tier>(tier: T, mut product: Product<'_>) {
    let Product { rows, depth, columns, a_row, a_column, b_row, c_row, .. } = product;
    assert!(
        rows.is_multiple_of(2) && columns.is_multiple_of(T::LANES) && rows > 0 && depth > 0 && columns > 0
    );
    assert!(product.a.len() > (rows - 1) * a_row + (depth - 1) * a_column);
    assert!(product.b.len() >= (depth - 1) * b_row + columns);
    assert!(product.c.len() >= (rows - 1) * c_row + columns);
    assert!(product.keep.is_none_or(|keep| keep.len() >= rows));
    let mut row = 0;
    while row < rows {
        row += match (rows - row, T::ROWS) {
            (6.., 2..) => row_block::<T, 6>(tier, &mut product, row),
            (4.., _) => row_block::<T, 4>(tier, &mut product, row),
            _ => row_block::<T, 2>(tier, &mut product, row),
        };
    }
}

/// `R` rows from `row`; returns `R`.
#[inline(always)]
fn row_block<T: Tier, const R: usize>(tier: T, product: &mut Product<'_>, row: usize) -> usize {
    let mut column = 0;
    while column < product.columns {
        let vectors = (product.columns - column) / T::LANES;
        column += T::LANES
            * match (vectors, T::ROWS) {
                (4.., 4..) => block::<T, R, 4>(tier, product, row, column),
                (3, 4..) => block::<T, R, 3>(tier, product, row, column),
                (2.., 2..) => block::<T, R, 2>(tier, product, row, column),
                _ => block::<T, R, 1>(tier, product, row, column),
            };
    }
    R
}

/// `R` rows and `N` vectors of columns; returns `N`.
#[inline(always)]
fn block<T: Tier, const R: usize, const N: usize>(
    tier: T,
    product: &mut Product<'_>,
    row: usize,
    column: usize,
) -> usize {
    let mut sums = [[tier.splat(0.0); N]; R];
    for k in 0..product.depth {
        let mut vectors = [tier.splat(0.0); N];
        for n in 0..N {
            let place = k * product.b_row + column + n * T::LANES;
            // SAFETY: row `k` below the depth, vectors below the columns: `multiply` checked the length.
            vectors[n] = unsafe { tier.load(product.b.as_ptr().add(place)) };
        }
        for r in 0..R {
            let place = (row + r) * product.a_row + k * product.a_column;
            // SAFETY: a row below the rows, a column below the depth: `multiply` checked the length.
            let factor = tier.splat(unsafe { *product.a.as_ptr().add(place) });
            for n in 0..N {
                sums[r][n] = tier.fma(factor, vectors[n], sums[r][n]);
            }
        }
    }
    for r in 0..R {
        for n in 0..N {
            let place = (row + r) * product.c_row + column + n * T::LANES;
            let mut sum = sums[r][n];
            if let Some(keep) = product.keep {
                // SAFETY: as for B.
                let before = unsafe { tier.load(product.c.as_ptr().add(place)) };
                sum = tier.fma(tier.splat(keep[row + r]), before, sum);
            }
            // SAFETY: as above.
            unsafe { tier.store(product.c.as_mut_ptr().add(place), sum) };
        }
    }
    N
}
