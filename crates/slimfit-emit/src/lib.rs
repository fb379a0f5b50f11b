//! Writes a chosen architecture as files that other tools load.
#![doc = include_str!("../README.md")]

mod config;
mod error;
pub mod kernels;

pub use config::{Emission, emit_config};
pub use error::EmitError;
