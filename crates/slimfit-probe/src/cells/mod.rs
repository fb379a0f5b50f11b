//! What is measured: one file for each part of a profile.

pub(crate) mod bandwidth;
pub(crate) mod kernels;
pub(crate) mod latency;
pub(crate) mod overhead;
pub(crate) mod peaks;
