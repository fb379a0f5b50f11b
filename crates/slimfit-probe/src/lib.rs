//! Fills a hardware profile by measuring this device.
#![doc = include_str!("../README.md")]

mod cells;
mod counters;
mod date;
mod error;
mod noise;
mod power;
mod probe;
mod sampler;
mod sentinel;
mod system_tree;
mod topology;

pub use error::ProbeError;
pub use power::{PowerMeter, find_meter};
pub use probe::{ProbeOptions, probe};
pub use sentinel::{PeakSentinel, ReadSentinel};
pub use system_tree::SystemTree;
pub use topology::{Identity, MemoryLimit, SystemDescription, allowed_processors, fingerprint};

use slimfit_quantity::{Figure, Measured};

/// The figure of samples; a rate of samples that could not be formed is unavailable.
fn figure(measured: Option<Measured>) -> Figure {
    measured.map_or_else(|| Figure::unavailable("the samples are no numbers"), |measured| measured.figure())
}
