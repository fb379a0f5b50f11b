//! `q4_0`: 32 four-bit values under one f16 scale. 18 bytes: scale, then 16 bytes whose low halves are values 0..16
//! and whose high halves are values 16..32. A stored `q` stands for `(q − 8) · scale`.

use super::BLOCK;
use super::float::{read_f16, write_f16};

/// Bytes of a block.
pub const BYTES: usize = 2 + BLOCK / 2;

/// Quantises one block: the value of largest magnitude becomes −8, so the scale carries its sign.
pub fn quantise(values: &[f32; BLOCK], block: &mut [u8; BYTES]) {
    let extreme =
        values.iter().fold(0f32, |extreme, &value| if value.abs() > extreme.abs() { value } else { extreme });
    let scale = extreme / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    write_f16(scale, block);
    let encode = |value: f32| ((value * inverse + 8.5) as i32).clamp(0, 15) as u8;
    for index in 0..BLOCK / 2 {
        block[2 + index] = encode(values[index]) | encode(values[index + BLOCK / 2]) << 4;
    }
}

/// The scale of a block.
pub fn scale(block: &[u8]) -> f32 {
    read_f16(block)
}

/// Value `index` of a block before scaling, offset taken off: −8..=7.
pub fn value(block: &[u8], index: usize) -> i8 {
    let byte = block[2 + index % (BLOCK / 2)];
    let nibble = if index < BLOCK / 2 { byte & 15 } else { byte >> 4 };
    nibble as i8 - 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_the_scale_are_exact_and_halves_are_in_order() {
        let mut values = [0f32; BLOCK];
        for (index, value) in values.iter_mut().enumerate() {
            *value = ((index % 16) as f32 - 8.0) * 0.25;
        }
        let mut block = [0; BYTES];
        quantise(&values, &mut block);
        assert_eq!(scale(&block), 0.25);
        for (index, &expected) in values.iter().enumerate() {
            assert_eq!(f32::from(value(&block, index)) * scale(&block), expected);
        }
        assert_eq!(block[3], 0x11, "values 1 and 17 share a byte");
    }

    #[test]
    fn a_positive_extreme_gives_a_negative_scale() {
        let mut values = [0f32; BLOCK];
        values[5] = 4.0;
        let mut block = [0; BYTES];
        quantise(&values, &mut block);
        assert_eq!(scale(&block), -0.5);
        assert_eq!(value(&block, 5), -8);
    }
}
