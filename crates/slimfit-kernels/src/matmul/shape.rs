//! Rows and columns of a matrix: known when a program runs, or when it is compiled.

/// Rows and columns of a matrix. Kernels are generic over it: this library runs [`AnyShape`], and code made for one model
/// runs [`Exactly`] its shapes, whose loops the compiler can count.
pub trait MatrixShape: Copy {
    /// Outputs.
    fn rows(self) -> usize;
    /// Inputs.
    fn columns(self) -> usize;
}

/// A shape that is known when the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnyShape {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
}

/// A shape that is known when the program is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exactly<const ROWS: usize, const COLUMNS: usize>;

impl MatrixShape for AnyShape {
    #[inline(always)]
    fn rows(self) -> usize {
        self.rows
    }

    #[inline(always)]
    fn columns(self) -> usize {
        self.columns
    }
}

impl<const ROWS: usize, const COLUMNS: usize> MatrixShape for Exactly<ROWS, COLUMNS> {
    #[inline(always)]
    fn rows(self) -> usize {
        ROWS
    }

    #[inline(always)]
    fn columns(self) -> usize {
        COLUMNS
    }
}
