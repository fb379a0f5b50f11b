//! Number formats of weights and of the KV cache: block length and bytes, bit-compatible with GGUF.

use crate::QuantityError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How numbers are stored. A *block* is the smallest unit that is stored whole: one value for floats, 32 values and
/// their scale for `q8_0` and `q4_0`, 256 values for the `k` formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(non_camel_case_types, reason = "the names of the GGUF formats, as everyone writes them")]
pub enum NumberFormat {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper 16 bits of an f32.
    Bf16,
    /// 32 int8 values and an f16 scale: 34 bytes.
    Q8_0,
    /// 32 four-bit values and an f16 scale: 18 bytes.
    Q4_0,
    /// 256 four-bit values in 8 sub-blocks with six-bit scales and minima: 144 bytes.
    Q4_K,
    /// 256 six-bit values in 16 sub-blocks with int8 scales: 210 bytes.
    Q6_K,
}

impl NumberFormat {
    /// Every format, in the order tables show them.
    pub const ALL: [NumberFormat; 7] =
        [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0, Self::Q4_K, Self::Q6_K];
    /// Weight formats that the search may choose.
    pub const SEARCHABLE_WEIGHTS: [NumberFormat; 7] = Self::ALL;
    /// KV-cache formats that the search may choose.
    pub const SEARCHABLE_KV: [NumberFormat; 3] = [Self::F32, Self::F16, Self::Q8_0];

    /// The name in files, flags and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4_K => "q4_k",
            Self::Q6_K => "q6_k",
        }
    }

    /// Values per block.
    pub const fn block_values(self) -> u64 {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 => 32,
            Self::Q4_K | Self::Q6_K => 256,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_K => 144,
            Self::Q6_K => 210,
        }
    }

    /// Bits per value, scales included.
    pub fn bits_per_value(self) -> f64 {
        self.block_bytes() as f64 * 8.0 / self.block_values() as f64
    }

    /// How a matrix whose rows have so many values is stored in a model whose weights have this format: rows that are no
    /// whole number of `k` blocks are kept in [`Self::Q8_0`]. Published files of the `k` formats mix formats for the
    /// same reason.
    pub const fn for_columns(self, columns: u64) -> Self {
        match self {
            Self::Q4_K | Self::Q6_K if !columns.is_multiple_of(self.block_values()) => Self::Q8_0,
            _ => self,
        }
    }

    /// Whether values are stored as small integers with a scale.
    pub const fn is_quantised(self) -> bool {
        self.block_values() > 1
    }

    /// Bytes of `values` numbers.
    ///
    /// # Errors
    /// When `values` is no multiple of the block, or the size overflows.
    pub fn bytes_for(self, values: u64) -> Result<u64, QuantityError> {
        let block = self.block_values();
        if !values.is_multiple_of(block) {
            return Err(QuantityError::PartialBlock { values, format: self.name(), block });
        }
        (values / block)
            .checked_mul(self.block_bytes())
            .ok_or(QuantityError::Overflow { what: "a tensor's size" })
    }
}

impl fmt::Display for NumberFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NumberFormat {
    type Err = QuantityError;

    /// Names are accepted in either case: GGUF tools print `Q8_0`.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let lower = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.name() == lower).ok_or_else(|| {
            QuantityError::UnknownFormat {
                found: text.to_owned(),
                allowed: Self::ALL.map(Self::name).join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_text_and_in_serde() {
        for format in NumberFormat::ALL {
            assert_eq!(format.name().parse::<NumberFormat>(), Ok(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{}\"", format.name()));
        }
    }

    #[test]
    fn a_partial_block_is_an_error() {
        assert!(NumberFormat::Q8_0.bytes_for(33).is_err());
        assert_eq!(NumberFormat::Q4_K.bytes_for(512), Ok(288));
    }

    #[test]
    fn only_k_formats_give_way_to_q8_0() {
        assert_eq!(NumberFormat::Q4_K.for_columns(576), NumberFormat::Q8_0);
        assert_eq!(NumberFormat::Q6_K.for_columns(1536), NumberFormat::Q6_K);
        assert_eq!(NumberFormat::Q4_0.for_columns(576), NumberFormat::Q4_0);
        assert_eq!(NumberFormat::Bf16.for_columns(7), NumberFormat::Bf16);
    }
}
