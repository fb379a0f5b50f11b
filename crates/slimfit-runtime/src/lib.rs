//! Executes a plan for real: weights, KV cache, prefill, decode, and what is measured of them.
#![doc = include_str!("../README.md")]

mod available;
mod buffers;
mod error;
mod execution;
mod measure;
mod memory_probe;
mod model;
mod operations;
mod rotation;
mod seeded;
mod session;
mod weights;
mod weights_from;

pub use available::available_memory;
pub use error::RuntimeError;
pub use measure::{
    DepthFill, MeasureOptions, RunResult, Sentinels, Tail, decode_streamed_bytes, measure, prefill_flops,
};
pub use memory_probe::{MEMORY_PROBE_ARGUMENT, MemoryReport, MemoryRequest, measure_memory, memory_probe};
pub use model::Model;
pub use operations::OperationSeconds;
pub use rotation::rotation_frequencies;
pub use seeded::{SeededWeights, seeded_tokens};
pub use session::Session;
pub use slimfit_formats::TensorSource;
pub use weights_from::{OpenWeights, WeightsFrom};
