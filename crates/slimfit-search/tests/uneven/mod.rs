//! The made-up device with a bandwidth that rises and falls from working set to working set, and barriers of any length.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use slimfit_hardware::HardwareProfile;
use slimfit_quantity::Measured;

/// Factors on the read bandwidth from the smallest working set to the largest; seconds of a barrier of two threads.
pub fn uneven(bandwidth: &[f64], barrier_seconds: f64) -> HardwareProfile {
    let mut profile = super::profile::synthetic(true);
    let mut sizes: Vec<u64> = profile.bandwidth.iter().map(|entry| entry.working_set_bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for entry in &mut profile.bandwidth {
        let place = sizes.iter().position(|size| *size == entry.working_set_bytes).unwrap();
        let value = entry.bytes_per_s.value.unwrap() * bandwidth[place % bandwidth.len()];
        entry.bytes_per_s = Measured::new(vec![value; 3]).unwrap().figure();
    }
    for barrier in &mut profile.overhead.barrier {
        if barrier.threads == 2 {
            barrier.seconds = Measured::new(vec![barrier_seconds; 3]).unwrap().figure();
        }
    }
    profile
}
