//! The loops that find what a device can do at best: read bandwidth, copy and triad, latency, peak multiply-add rates
//! and the effective clock.
//!
//! They measure no time themselves. Each does a stated amount of work and returns it with a checksum; whoever probes
//! times them, chooses working sets and thread counts, and judges noise. Tables ([`READS`], [`STRIDED`], [`COPIES`], [`TRIADS`],
//! [`PEAKS`]) list every loop of the architecture, and [`Isa::is_available`](crate::Isa::is_available) says which of
//! them this machine runs.
#![expect(unsafe_code, reason = "vector loads, inline assembly that no compiler may fold, and mapped memory")]

mod buffer;
mod chase;
mod clock;
mod peak;
mod stream;
#[cfg(test)]
mod tests;

pub use buffer::{Buffer, HugePages};
pub use chase::{LINE_BYTES, link_cycle, walk_cycle};
pub use clock::dependent_adds;
pub use peak::{PEAKS, PeakLoop, PeakRun};
pub use stream::{
    COPIES, CopyLoop, READS, ReadLoop, STRIDED, STRIDED_HEADS, STRIDED_ROW_BYTES, StridedLoop, TRIADS,
    TriadLoop,
};
