//! Development only: guard pages, the f64 reference model, synthetic architectures and weights.
#![doc = include_str!("../README.md")]

mod guarded;
pub mod reference;
pub mod synthetic;

pub use guarded::Guarded;
