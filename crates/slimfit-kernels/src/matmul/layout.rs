//! How a packed matrix lies in memory.
//!
//! *Rows*: GGUF's own row-major blocks. *Interleaved*: `interleave` rows form a group, and a group is stored so that
//! one vector load holds the same few columns of all its rows; a dot product then needs no horizontal sum, and a
//! loaded activation serves every row of the group. The last group is padded with zero rows.
//!
//! | format | within a group of R rows |
//! |---|---|
//! | f32 | `[column][R]` |
//! | f16 | `[column][R]` |
//! | bf16 | `[column / 2][R][2]`, an odd last column padded with zero |
//! | q8_0 | per pair of blocks: `[2][R]` f16 scales, then per block `[8][R][4]` int8 (columns 4c..4c + 4) |
//! | q4_0 | per pair of blocks: `[2][R]` f16 scales, then per block `[4][R][4]` bytes, low halves columns 4c..4c + 4, high halves 16 + 4c.. |
//!
//! The scales of two blocks stand together so that 16 rows' scales fill a cache line and every load stays aligned. An
//! odd last block has the whole scale line but only its own values. *Biased* q8_0 stores `value + 128` as u8, what
//! unsigned-by-signed dot instructions want. The k formats lie as [`super::k_layout`] says.

use super::k_layout;
use crate::codec::{BLOCK, SUPER_BLOCK, float, q4_0, q4_k, q6_k, q8_0};

/// Formats that a matrix can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// Upper half of an f32.
    Bf16,
    /// 8-bit blocks of 32.
    Q8_0,
    /// 4-bit blocks of 32.
    Q4_0,
    /// 4-bit blocks of 256 with scales and minima.
    Q4K,
    /// 6-bit blocks of 256 with scales.
    Q6K,
}

impl WeightFormat {
    /// Every format.
    pub const ALL: [Self; 7] =
        [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0, Self::Q4K, Self::Q6K];

    /// The name that users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4K => "q4_k",
            Self::Q6K => "q6_k",
        }
    }

    /// Values per block.
    pub const fn block_values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 => BLOCK,
            Self::Q4K | Self::Q6K => SUPER_BLOCK,
        }
    }

    /// Bytes per block in GGUF's layout.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => q8_0::BYTES,
            Self::Q4_0 => q4_0::BYTES,
            Self::Q4K => q4_k::BYTES,
            Self::Q6K => q6_k::BYTES,
        }
    }

    /// Bytes of a row in GGUF's layout.
    pub const fn row_bytes(self, columns: usize) -> usize {
        columns / self.block_values() * self.block_bytes()
    }

    /// Whether products with it quantise the activations.
    pub const fn is_quantised(self) -> bool {
        self.block_values() > 1
    }

    /// Whether blocks have 256 values in sub-blocks.
    pub const fn is_k(self) -> bool {
        matches!(self, Self::Q4K | Self::Q6K)
    }

    /// Encodes a row into GGUF's layout.
    ///
    /// # Panics
    /// When the lengths do not belong together or a block is not whole.
    pub fn encode_row(self, values: &[f32], bytes: &mut [u8]) {
        assert!(
            values.len().is_multiple_of(self.block_values()) && bytes.len() == self.row_bytes(values.len())
        );
        match self {
            Self::F32 => bytes.chunks_exact_mut(4).zip(values).for_each(|(b, v)| float::write_f32(*v, b)),
            Self::F16 => bytes.chunks_exact_mut(2).zip(values).for_each(|(b, v)| float::write_f16(*v, b)),
            Self::Bf16 => bytes.chunks_exact_mut(2).zip(values).for_each(|(b, v)| float::write_bf16(*v, b)),
            Self::Q8_0 => {
                for (values, bytes) in values.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
                    q8_0::quantise(values, bytes);
                }
            }
            Self::Q4_0 => {
                for (values, bytes) in values.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
                    q4_0::quantise(values, bytes);
                }
            }
            Self::Q4K => {
                for (values, bytes) in values.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
                    q4_k::quantise(values, bytes);
                }
            }
            Self::Q6K => {
                for (values, bytes) in values.as_chunks().0.iter().zip(bytes.as_chunks_mut().0) {
                    q6_k::quantise(values, bytes);
                }
            }
        }
    }
}

/// A layout: see the head of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The format.
    pub format: WeightFormat,
    /// Rows of a group; 1: GGUF's own row-major layout.
    pub interleave: usize,
    /// Whether q8_0 values are stored as `value + 128`.
    pub biased: bool,
}

impl Layout {
    /// GGUF's own layout.
    pub const fn rows(format: WeightFormat) -> Self {
        Self { format, interleave: 1, biased: false }
    }

    /// Groups of `interleave` rows, q8_0 signed.
    pub const fn interleaved(format: WeightFormat, interleave: usize) -> Self {
        Self { format, interleave, biased: false }
    }

    /// Groups of `interleave` rows, q8_0 biased.
    pub const fn biased(format: WeightFormat, interleave: usize) -> Self {
        Self { format, interleave, biased: matches!(format, WeightFormat::Q8_0) }
    }

    /// Bytes of one block's quantised values in a group of an interleaved layout of `q8_0` or `q4_0`.
    pub const fn block_quants(self) -> usize {
        match self.format {
            WeightFormat::Q8_0 => BLOCK * self.interleave,
            WeightFormat::Q4_0 => BLOCK / 2 * self.interleave,
            _ => 0,
        }
    }

    /// Offset in a group of block `block`'s scales, interleaved layouts of `q8_0` or `q4_0`.
    pub const fn scales_offset(self, block: usize) -> usize {
        block / 2 * self.pair_bytes() + block % 2 * 2 * self.interleave
    }

    /// Offset in a group of block `block`'s values, interleaved layouts of `q8_0` or `q4_0`.
    pub const fn quants_offset(self, block: usize) -> usize {
        block / 2 * self.pair_bytes() + 4 * self.interleave + block % 2 * self.block_quants()
    }

    const fn pair_bytes(self) -> usize {
        4 * self.interleave + 2 * self.block_quants()
    }

    /// Bytes of one group; one row where rows are not interleaved.
    pub const fn group_bytes(self, columns: usize) -> usize {
        if self.interleave == 1 {
            return self.format.row_bytes(columns);
        }
        match self.format {
            WeightFormat::F32 => columns * self.interleave * 4,
            WeightFormat::F16 => columns * self.interleave * 2,
            WeightFormat::Bf16 => columns.div_ceil(2) * self.interleave * 4,
            WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
                let blocks = columns / BLOCK;
                let odd = if blocks % 2 == 1 { 4 * self.interleave + self.block_quants() } else { 0 };
                blocks / 2 * self.pair_bytes() + odd
            }
            WeightFormat::Q4K => k_layout::q4_k_offset(self.interleave, columns / SUPER_BLOCK),
            WeightFormat::Q6K => k_layout::q6_k_group_bytes(self.interleave, columns / SUPER_BLOCK),
        }
    }

    /// Groups of a matrix.
    pub const fn groups(self, rows: usize) -> usize {
        rows.div_ceil(self.interleave)
    }

    /// Moves a row from GGUF's layout to row `row` of a group.
    ///
    /// # Panics
    /// When a length is not that of a row or of a group.
    pub fn place_row(self, columns: usize, encoded: &[u8], row: usize, group: &mut [u8]) {
        assert!(encoded.len() == self.format.row_bytes(columns) && row < self.interleave);
        assert_eq!(group.len(), self.group_bytes(columns));
        let rows = self.interleave;
        if rows == 1 {
            group.copy_from_slice(encoded);
            return;
        }
        match self.format {
            WeightFormat::F32 => {
                for (to, from) in group[row * 4..].chunks_mut(rows * 4).zip(encoded.as_chunks::<4>().0) {
                    to[..4].copy_from_slice(from);
                }
            }
            WeightFormat::F16 => {
                for (to, from) in group[row * 2..].chunks_mut(rows * 2).zip(encoded.as_chunks::<2>().0) {
                    to[..2].copy_from_slice(from);
                }
            }
            WeightFormat::Bf16 => {
                for (to, from) in group[row * 4..].chunks_mut(rows * 4).zip(encoded.chunks(4)) {
                    to[..from.len()].copy_from_slice(from);
                }
            }
            WeightFormat::Q8_0 | WeightFormat::Q4_0 => {
                let flip = if self.biased { 0x80 } else { 0 };
                for (index, block) in encoded.chunks_exact(self.format.block_bytes()).enumerate() {
                    let scale = self.scales_offset(index) + 2 * row;
                    group[scale..scale + 2].copy_from_slice(&block[..2]);
                    let quants = self.quants_offset(index);
                    for (chunk, from) in block[2..].as_chunks::<4>().0.iter().enumerate() {
                        let to = quants + (chunk * rows + row) * 4;
                        group[to..to + 4].copy_from_slice(&from.map(|byte| byte ^ flip));
                    }
                }
            }
            WeightFormat::Q4K => {
                for (index, block) in encoded.as_chunks().0.iter().enumerate() {
                    k_layout::place_q4_k(rows, index, block, row, group);
                }
            }
            WeightFormat::Q6K => {
                for (index, block) in encoded.as_chunks().0.iter().enumerate() {
                    k_layout::place_q6_k(rows, index, block, row, group);
                }
            }
        }
    }

    /// Decodes columns `first..first + values.len()` of row `row` of a group.
    ///
    /// # Panics
    /// When the columns exceed the group.
    pub fn read_row(self, group: &[u8], row: usize, first: usize, values: &mut [f32]) {
        let rows = self.interleave;
        assert!(row < rows);
        if self.format.is_k() {
            k_layout::read_row(self, group, row, first, values);
            return;
        }
        for (column, value) in (first..).zip(values) {
            *value = match self.format {
                WeightFormat::F32 => float::read_f32(&group[(column * rows + row) * 4..]),
                WeightFormat::F16 => float::read_f16(&group[(column * rows + row) * 2..]),
                WeightFormat::Bf16 if rows == 1 => float::read_bf16(&group[column * 2..]),
                WeightFormat::Bf16 => {
                    float::read_bf16(&group[(column / 2 * rows + row) * 4 + column % 2 * 2..])
                }
                _ => {
                    let (scale, integer) = self.read_quantised(group, row, column);
                    scale * f32::from(integer)
                }
            };
        }
    }

    fn read_quantised(self, group: &[u8], row: usize, column: usize) -> (f32, i8) {
        let (block, index) = (column / BLOCK, column % BLOCK);
        let rows = self.interleave;
        if rows == 1 {
            let block = &group[block * self.format.block_bytes()..];
            return match self.format {
                WeightFormat::Q4_0 => (q4_0::scale(block), q4_0::value(block, index)),
                _ => (q8_0::scale(block), q8_0::value(block, index)),
            };
        }
        let scale = float::read_f16(&group[self.scales_offset(block) + 2 * row..]);
        let byte_of =
            |index: usize| group[self.quants_offset(block) + (index / 4 * rows + row) * 4 + index % 4];
        let integer = match self.format {
            WeightFormat::Q4_0 if index < BLOCK / 2 => (byte_of(index) & 15) as i8 - 8,
            WeightFormat::Q4_0 => (byte_of(index - BLOCK / 2) >> 4) as i8 - 8,
            _ if self.biased => (byte_of(index) ^ 0x80) as i8,
            _ => byte_of(index) as i8,
        };
        (scale, integer)
    }
}
