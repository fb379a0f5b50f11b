//! Seeded chance: the same on every machine and in every version of a library.

use crate::sample::mix;

/// A counter under the finaliser of SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed: mix(seed), count: 0 }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.count += 1;
        mix(self.seed ^ mix(self.count))
    }

    /// From 0 to below `end`, which is above 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The high half of a 128-bit product: no remainder favours small numbers noticeably.
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// From 0 to below 1.
    pub(super) fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
