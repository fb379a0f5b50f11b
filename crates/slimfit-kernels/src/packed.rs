//! A weight matrix in the layout of its format and instruction set. Adapter: it speaks [`NumberFormat`].

use crate::matmul::{Layout, WeightFormat, layout_for};
use crate::memory::AlignedBytes;
use crate::{Isa, KernelError};
use slimfit_quantity::NumberFormat;

/// A matrix `(rows, columns)` that owns its packed bytes. Filled row range by row range, so that the peak of memory
/// while loading is the packed matrix and one chunk of rows.
#[derive(Debug)]
pub struct PackedMatrix {
    format: NumberFormat,
    layout: Layout,
    rows: usize,
    columns: usize,
    group_bytes: usize,
    bytes: AlignedBytes,
}

impl PackedMatrix {
    /// A matrix of zeros for the kernels that a cap of `isa` selects.
    ///
    /// # Errors
    /// A row is not made of whole blocks, or memory is refused.
    pub fn new(format: NumberFormat, rows: usize, columns: usize, isa: Isa) -> Result<Self, KernelError> {
        Self::with_layout(layout_for(weight_format(format), isa), rows, columns)
    }

    /// A matrix of zeros in a given layout; tests of single variants want it.
    ///
    /// # Errors
    /// A row is not made of whole blocks, or memory is refused.
    pub fn with_layout(layout: Layout, rows: usize, columns: usize) -> Result<Self, KernelError> {
        let format = number_format(layout.format);
        let total = total_bytes(layout, rows as u64, columns as u64)?;
        let too_large =
            || KernelError::TooLarge { rows: rows as u64, columns: columns as u64, format: format.name() };
        let bytes = AlignedBytes::zeroed(usize::try_from(total).map_err(|_| too_large())?)?;
        Ok(Self { format, layout, rows, columns, group_bytes: layout.group_bytes(columns), bytes })
    }

    /// A matrix of zeros in memory that the caller has: zeroed bytes, [`packed_bytes`](Self::packed_bytes) of them.
    ///
    /// # Errors
    /// A row is not made of whole blocks, or the memory has another length.
    pub fn in_memory(
        format: NumberFormat,
        rows: usize,
        columns: usize,
        isa: Isa,
        bytes: AlignedBytes,
    ) -> Result<Self, KernelError> {
        let layout = layout_for(weight_format(format), isa);
        let expected = total_bytes(layout, rows as u64, columns as u64)?;
        if bytes.len() as u64 != expected {
            let (found, expected) = (bytes.len(), usize::try_from(expected).unwrap_or(usize::MAX));
            return Err(KernelError::Rows { first: 0, end: rows, rows, found, expected });
        }
        Ok(Self { format, layout, rows, columns, group_bytes: layout.group_bytes(columns), bytes })
    }

    /// Rows from one matrix of a stack to the next: a stack is a matrix that holds several of equal shape above each
    /// other, each padded to whole groups, so that each can be multiplied alone.
    pub fn stacked(format: NumberFormat, rows: usize, isa: Isa) -> usize {
        rows.next_multiple_of(layout_for(weight_format(format), isa).interleave)
    }

    /// Bytes of a packed matrix, padding included.
    ///
    /// # Errors
    /// A row is not made of whole blocks, or the size overflows.
    pub fn packed_bytes(format: NumberFormat, rows: u64, columns: u64, isa: Isa) -> Result<u64, KernelError> {
        total_bytes(layout_for(weight_format(format), isa), rows, columns)
    }

    /// Encodes whole rows `(n, columns)` and packs them from row `first` on.
    ///
    /// # Errors
    /// The rows are not the matrix's.
    pub fn pack_rows(&mut self, first: usize, values: &[f32]) -> Result<(), KernelError> {
        let count = self.checked_count(first, values.len(), self.columns)?;
        let mut encoded = vec![0; self.layout.format.row_bytes(self.columns)];
        for index in 0..count {
            self.layout.format.encode_row(&values[index * self.columns..][..self.columns], &mut encoded);
            self.place(first + index, &encoded);
        }
        Ok(())
    }

    /// Packs whole rows that are already in GGUF's layout of the matrix's format (little-endian), from row `first` on.
    ///
    /// # Errors
    /// The rows are not the matrix's.
    pub fn pack_encoded_rows(&mut self, first: usize, encoded: &[u8]) -> Result<(), KernelError> {
        let row_bytes = self.layout.format.row_bytes(self.columns);
        let count = self.checked_count(first, encoded.len(), row_bytes)?;
        for index in 0..count {
            self.place(first + index, &encoded[index * row_bytes..][..row_bytes]);
        }
        Ok(())
    }

    /// Decodes columns `first..first + values.len()` of a row.
    ///
    /// # Panics
    /// When row or columns lie outside the matrix.
    pub fn read_row(&self, row: usize, first: usize, values: &mut [f32]) {
        assert!(row < self.rows && first + values.len() <= self.columns, "row {row} of {}", self.rows);
        let group =
            &self.bytes.as_slice()[row / self.layout.interleave * self.group_bytes..][..self.group_bytes];
        self.layout.read_row(group, row % self.layout.interleave, first, values);
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The format.
    pub fn format(&self) -> NumberFormat {
        self.format
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The packed bytes, 64-byte aligned.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    fn place(&mut self, row: usize, encoded: &[u8]) {
        let interleave = self.layout.interleave;
        let group = &mut self.bytes.as_mut_slice()[row / interleave * self.group_bytes..][..self.group_bytes];
        self.layout.place_row(self.columns, encoded, row % interleave, group);
    }

    fn checked_count(&self, first: usize, found: usize, per_row: usize) -> Result<usize, KernelError> {
        let count = found.checked_div(per_row).unwrap_or(0);
        let end = first.saturating_add(count);
        if end > self.rows || count * per_row != found {
            let expected = count * per_row;
            return Err(KernelError::Rows { first, end, rows: self.rows, found, expected });
        }
        Ok(count)
    }
}

fn total_bytes(layout: Layout, rows: u64, columns: u64) -> Result<u64, KernelError> {
    let format = number_format(layout.format);
    let block = layout.format.block_values() as u64;
    if !columns.is_multiple_of(block) {
        return Err(KernelError::PartialBlock { columns, format: format.name(), block });
    }
    let too_large = || KernelError::TooLarge { rows, columns, format: format.name() };
    // A group has at most 16 rows of 4 bytes a column, so 2^48 columns cannot overflow its size.
    let columns =
        usize::try_from(columns).ok().filter(|&columns| (columns as u64) < 1 << 48).ok_or_else(too_large)?;
    let groups = rows.div_ceil(layout.interleave as u64);
    groups
        .checked_mul(layout.group_bytes(columns) as u64)
        .filter(|&bytes| bytes <= isize::MAX as u64)
        .ok_or_else(too_large)
}

/// The kernels' format for a number format.
pub(crate) fn weight_format(format: NumberFormat) -> WeightFormat {
    match format {
        NumberFormat::F32 => WeightFormat::F32,
        NumberFormat::F16 => WeightFormat::F16,
        NumberFormat::Bf16 => WeightFormat::Bf16,
        NumberFormat::Q8_0 => WeightFormat::Q8_0,
        NumberFormat::Q4_0 => WeightFormat::Q4_0,
        NumberFormat::Q4_K => WeightFormat::Q4K,
        NumberFormat::Q6_K => WeightFormat::Q6K,
    }
}

fn number_format(format: WeightFormat) -> NumberFormat {
    match format {
        WeightFormat::F32 => NumberFormat::F32,
        WeightFormat::F16 => NumberFormat::F16,
        WeightFormat::Bf16 => NumberFormat::Bf16,
        WeightFormat::Q8_0 => NumberFormat::Q8_0,
        WeightFormat::Q4_0 => NumberFormat::Q4_0,
        WeightFormat::Q4K => NumberFormat::Q4_K,
        WeightFormat::Q6K => NumberFormat::Q6_K,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_keeps_every_value() {
        // What each format keeps exactly: integers, next to a value that makes the scale 1 in `q8_0` and `q4_0`. The k
        // formats keep what they make of anything, so theirs is decoded from GGUF's own layout.
        for format in WeightFormat::ALL {
            for layout in [
                Layout::rows(format),
                Layout::interleaved(format, 8),
                Layout::interleaved(format, 16),
                Layout::biased(format, 8),
                Layout::biased(format, 16),
            ] {
                let all: [usize; 3] = if format.is_k() { [256, 512, 768] } else { [32, 96, 128] };
                for columns in all {
                    let rows = 19;
                    let mut matrix = PackedMatrix::with_layout(layout, rows, columns).unwrap();
                    let mut plain = PackedMatrix::with_layout(Layout::rows(format), rows, columns).unwrap();
                    let extreme = if format == WeightFormat::Q8_0 { -127.0 } else { -8.0 };
                    let values: Vec<f32> = (0..rows * columns)
                        .map(|place| {
                            let (row, column) = (place / columns, place % columns);
                            if column.is_multiple_of(32) {
                                extreme
                            } else {
                                ((row * 7 + column * 3) % 15) as f32 - 7.0
                            }
                        })
                        .collect();
                    matrix.pack_rows(0, &values).unwrap();
                    plain.pack_rows(0, &values).unwrap();
                    let mut read = vec![f32::NAN; columns];
                    let mut expected = vec![f32::NAN; columns];
                    for row in 0..rows {
                        matrix.read_row(row, 0, &mut read);
                        plain.read_row(row, 0, &mut expected);
                        assert_eq!(read, expected, "{layout:?} row {row}");
                        if !format.is_k() {
                            assert_eq!(read, values[row * columns..][..columns], "{layout:?} row {row}");
                        }
                        let part = 17..columns - 3;
                        let mut some = vec![f32::NAN; part.len()];
                        matrix.read_row(row, part.start, &mut some);
                        assert_eq!(some, expected[part], "{layout:?} part of row {row}");
                    }
                }
            }
        }
    }

    #[test]
    fn odd_columns_are_padded_in_bf16_and_refused_in_blocks() {
        let layout = Layout::interleaved(WeightFormat::Bf16, 16);
        let mut matrix = PackedMatrix::with_layout(layout, 3, 7).unwrap();
        matrix.pack_rows(1, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
        let mut tail = [0.0; 3];
        matrix.read_row(1, 4, &mut tail);
        assert_eq!(tail, [5.0, 6.0, 7.0]);
        assert_eq!(matrix.bytes().len(), 4 * 16 * 4);
        assert!(matches!(
            PackedMatrix::new(NumberFormat::Q8_0, 4, 33, Isa::Scalar),
            Err(KernelError::PartialBlock { columns: 33, .. })
        ));
    }

    #[test]
    fn foreign_rows_and_absurd_sizes_are_refused() {
        let mut matrix = PackedMatrix::new(NumberFormat::F32, 4, 3, Isa::Scalar).unwrap();
        assert!(matrix.pack_rows(3, &[0.0; 6]).is_err());
        assert!(matrix.pack_rows(0, &[0.0; 4]).is_err());
        assert!(PackedMatrix::packed_bytes(NumberFormat::F32, u64::MAX, u64::MAX / 8, Isa::Scalar).is_err());
    }
}
