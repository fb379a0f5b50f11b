//! `q8_0`: 32 int8 values under one f16 scale. 34 bytes: scale, then the values in order.

use super::BLOCK;
use super::float::{read_f16, write_f16};

/// Bytes of a block.
pub const BYTES: usize = 2 + BLOCK;

/// Quantises one block: scale `max|x| / 127`, values rounded to nearest with ties away from zero.
pub fn quantise(values: &[f32; BLOCK], block: &mut [u8; BYTES]) {
    let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    write_f16(scale, block);
    for (byte, value) in block[2..].iter_mut().zip(values) {
        *byte = (value * inverse).round() as i8 as u8;
    }
}

/// The scale of a block.
pub fn scale(block: &[u8]) -> f32 {
    read_f16(block)
}

/// Value `index` of a block before scaling.
pub fn value(block: &[u8], index: usize) -> i8 {
    block[2 + index] as i8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_the_scale_are_exact() {
        let mut values = [0f32; BLOCK];
        for (index, value) in values.iter_mut().enumerate() {
            *value = (index as f32 - 16.0) * 0.5;
        }
        values[0] = 63.5;
        let mut block = [0; BYTES];
        quantise(&values, &mut block);
        assert_eq!(scale(&block), 0.5);
        for (index, &expected) in values.iter().enumerate() {
            assert_eq!(f32::from(value(&block, index)) * scale(&block), expected);
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xff; BYTES];
        quantise(&[0.0; BLOCK], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
