//! What a model is: an [`Architecture`], its validity and its exact counts.
//!
//! Layer 1: no input or output, no knowledge of hardware.
#![doc = include_str!("../README.md")]

mod architecture;
mod counts;
mod error;
mod flops;
mod id;
mod kv_cache;
mod tally;
mod tensor;
#[cfg(test)]
mod tests;
mod validate;

pub use architecture::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp, Moe, Norm,
    NormKind, NormPlacement, Positions, QkNorm, Rope, RopeScaling, Scales,
};
pub use counts::Parameters;
pub use error::ArchitectureError;
pub use tensor::{Tensor, TensorPart, TensorRole};
pub use validate::{MAX_EXECUTED_LAYERS, MAX_STORED_LAYERS};
