//! What a device is: the [`HardwareProfile`] schema, its files, its rules and its look-ups.
//!
//! Layer 2: it measures nothing and knows no model.
#![doc = include_str!("../README.md")]

mod bandwidth_curve;
mod builtin;
mod calibration;
mod difference;
mod error;
mod file;
mod fingerprint;
mod given_watts;
mod lookup;
mod placement;
mod profile;
mod store;
mod tuning;
mod validation;

pub use bandwidth_curve::{BandwidthBin, BandwidthCurve, MAXIMUM_MOVE};
pub use calibration::{
    Calibration, CalibrationError, CalibrationFactor, CalibrationPhase, CalibrationRegime, CalibrationTerm,
};
pub use difference::Difference;
pub use error::HardwareError;
pub use given_watts::GivenWatts;
pub use placement::{OtherPlacement, Placement, PlacementBarriers};
pub use profile::{
    Bandwidth, BandwidthKind, BarrierTime, Cache, Cluster, ControlGroup, Fingerprint, HandOver,
    HardwareProfile, KernelTime, Latency, LoadedPower, MemoryNode, Noise, Overhead, PROFILE_SCHEMA, Peak,
    PeakType, Power, ProfileKind, ProfileProvenance, Streaming, Tail, Topology, TopologySource,
};
pub use store::{LocalProfiles, SkippedProfile, StoredProfile, find_local, save_local};
pub use tuning::{TUNING_SCHEMA, TuningChoice, TuningRecord};
pub use validation::{Fault, OPERATIONS};
