//! Block codecs: how rows of numbers are stored, bit-compatible with GGUF. Plain loops; used when models load and when
//! embedding rows are read, and by the scalar kernels. The vector kernels have their own decoders.

pub mod activation;
pub mod float;
pub mod q4_0;
pub mod q4_k;
pub mod q6_k;
pub mod q8_0;

/// Values of a `q8_0` or `q4_0` block.
pub const BLOCK: usize = 32;
/// Values of a `q4_k` or `q6_k` block.
pub const SUPER_BLOCK: usize = 256;

/// Rounds to the nearest integer, ties to even, for magnitudes below 2²². An addition that pushes the fraction out of
/// the significand, since the baseline of some CPUs rounds only by a call.
#[inline(always)]
pub(crate) fn round_small(value: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT) - SHIFT
}
