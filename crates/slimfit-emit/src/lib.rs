//! Writes a chosen architecture as files that other tools load.
#![doc = include_str!("../README.md")]

pub mod card;
mod companions;
mod config;
mod error;
mod huggingface;
pub mod kernels;
mod rendered;
mod training;

pub use companions::companions;
pub use config::{Emission, emit_config};
pub use error::EmitError;
pub use huggingface::MODELING_SLIMFIT;
pub use rendered::RenderedFile;
pub use training::{TrainingRequest, training_recipe};
