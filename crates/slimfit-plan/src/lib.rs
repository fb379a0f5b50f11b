//! From an architecture to the ordered, fused operations of one step, and the layout of all they work on.
#![doc = include_str!("../README.md")]

mod build;
mod error;
mod memory;
mod phase;
mod plan;
mod slots;
mod step;
mod traffic;
mod weight_formats;

pub use error::PlanError;
pub use memory::Memory;
pub use phase::Phase;
pub use plan::{Plan, PlanOptions};
pub use slots::{Buffer, KvSlot, MatrixSlot, RopeSlot, VectorSlot};
pub use step::{ModelPart, Shape, Step, TokenRows};
pub use traffic::{Traffic, traffic, visited_experts};
pub use weight_formats::WeightFormats;
