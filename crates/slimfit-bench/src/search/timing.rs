//! Ours and the peer's in turns.

use anyhow::Result;
use slimfit_quantity::median;
use std::time::Instant;

/// Runs of each side in a pass; the median counts.
const RUNS: usize = 3;

/// Seconds of both sides in both passes.
#[derive(Debug, Clone, Copy)]
pub struct Turns {
    /// Ours.
    pub ours: [f64; 2],
    /// The peer's.
    pub peer: [f64; 2],
}

impl Turns {
    /// How many times the peer's time ours is, in the pass where it is least.
    pub fn least_ratio(&self) -> f64 {
        (self.peer[0] / self.ours[0]).min(self.peer[1] / self.ours[1])
    }
}

/// Times both sides in turns; `peer` says itself how long it took.
pub fn in_turns<T>(mut ours: impl FnMut() -> T, mut peer: impl FnMut() -> Result<f64>) -> Result<Turns> {
    let mut turns = Turns { ours: [0.0; 2], peer: [0.0; 2] };
    for pass in 0..2 {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let start = Instant::now();
            std::hint::black_box(ours());
            own.push(start.elapsed().as_secs_f64());
            others.push(peer()?);
        }
        turns.ours[pass] = median(&own);
        turns.peer[pass] = median(&others);
    }
    Ok(turns)
}
