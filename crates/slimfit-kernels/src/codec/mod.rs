//! Block codecs: how rows of numbers are stored, bit-compatible with GGUF. Plain loops; used when models load and when
//! embedding rows are read, and by the scalar kernels. The vector kernels have their own decoders.

pub mod activation;
pub mod float;
pub mod q4_0;
pub mod q8_0;

/// Values of a `q8_0` or `q4_0` block.
pub const BLOCK: usize = 32;
