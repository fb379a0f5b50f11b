//! Writes a chosen architecture as files that other tools load.
#![doc = include_str!("../README.md")]

mod config;
mod error;
mod huggingface;
pub mod kernels;
mod rendered;

pub use config::{Emission, emit_config};
pub use error::EmitError;
pub use huggingface::MODELING_SLIMFIT;
