//! f32, f16 and bf16 as little-endian bytes.

use half::{bf16, f16};

/// The f16 at `bytes[0..2]`.
pub fn read_f16(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Rounds to the nearest f16, ties to even, and stores it at `bytes[0..2]`.
pub fn write_f16(value: f32, bytes: &mut [u8]) {
    bytes[..2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
}

/// The bf16 at `bytes[0..2]`.
pub fn read_bf16(bytes: &[u8]) -> f32 {
    bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Rounds to the nearest bf16, ties to even, and stores it at `bytes[0..2]`.
pub fn write_bf16(value: f32, bytes: &mut [u8]) {
    bytes[..2].copy_from_slice(&bf16::from_f32(value).to_le_bytes());
}

/// The f32 at `bytes[0..4]`.
pub fn read_f32(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Stores an f32 at `bytes[0..4]`.
pub fn write_f32(value: f32, bytes: &mut [u8]) {
    bytes[..4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_nearest_even() {
        let rounded = |bits: u32| {
            let mut bytes = [0; 2];
            write_bf16(f32::from_bits(bits), &mut bytes);
            u16::from_le_bytes(bytes)
        };
        assert_eq!(rounded(0x3f80_8000), 0x3f80);
        assert_eq!(rounded(0x3f81_8000), 0x3f82);
        assert_eq!(rounded(0x3f80_8001), 0x3f81);
    }

    #[test]
    fn every_finite_half_round_trips() {
        for bits in 0..=u16::MAX {
            let value = read_f16(&bits.to_le_bytes());
            if value.is_finite() {
                let mut bytes = [0; 2];
                write_f16(value, &mut bytes);
                assert_eq!(u16::from_le_bytes(bytes), bits);
            }
        }
    }
}
