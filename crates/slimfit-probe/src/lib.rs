//! Fills a hardware profile by measuring this device: topology, bandwidth, peaks, latency, kernels, power.
//!
//! Layer 3. It never prints and never invents: what cannot be measured is *unavailable*, with the reason.
#![doc = include_str!("../README.md")]

mod cells;
mod check;
pub mod child;
mod clock;
mod error;
mod noise;
mod placed;
mod placements;
mod power;
mod probe;
mod schedule;
mod sentinel;
mod settling;
mod system_tree;
mod time;
mod topology;

pub use check::{Checked, check};
pub use error::ProbeError;
pub use noise::ProcessorTime;
pub use placements::barrier_seconds;
pub use power::{
    BatteryMeter, CommandMeter, HwmonMeter, Ina3221Meter, MeterError, PerfMeter, PowerMeter, PowerSource,
    RaplMeter, WatchedMeter, find_meter,
};
pub use probe::{DEFAULT_BUDGET_SECONDS, ProbeOptions, measured_threads, probe, probe_placement};
pub use sentinel::{PeakSentinel, ReadSentinel};
pub use settling::settling_passes;
pub use system_tree::{SystemTree, parse_processor_list};
pub use topology::{Identity, SystemDescription, allowed_processors, fingerprint};
