//! Activations in 8 bits: blocks of int8 values under one f32 scale, made anew for each product. A block has 32 values
//! for `q8_0` and `q4_0`, and 256 for the k formats, as long as the weights' own blocks.
//!
//! The rounding is part of every quantised product's contract, so that vector and scalar kernels agree to the bit:
//! scale = `max|x| / 127`, value = `x · (127 / max|x|)` rounded to nearest, ties to even; all zero where the block is.

/// Quantises one block and returns its scale.
///
/// # Panics
/// When the lengths differ.
pub fn quantise(values: &[f32], quantised: &mut [i8]) -> f32 {
    assert_eq!(values.len(), quantised.len());
    let largest = values.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (integer, value) in quantised.iter_mut().zip(values) {
        *integer = (value * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::BLOCK;

    #[test]
    fn integers_up_to_127_are_exact_and_ties_go_to_even() {
        let mut values: Vec<f32> = (0..BLOCK).map(|index| index as f32 - 16.0).collect();
        values[0] = -127.0;
        values[1] = 2.5;
        values[2] = 3.5;
        let mut quantised = [0; BLOCK];
        assert_eq!(quantise(&values, &mut quantised), 1.0);
        assert_eq!(quantised[..4], [-127, 2, 4, -13]);
    }

    #[test]
    fn a_block_of_zeros_has_scale_zero() {
        let mut quantised = [1; BLOCK];
        assert_eq!(quantise(&[0.0; BLOCK], &mut quantised), 0.0);
        assert_eq!(quantised, [0; BLOCK]);
    }
}
