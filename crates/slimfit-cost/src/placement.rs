//! Prices where threads lie: in the placement that a profile found usual, and in the other it saw.

use crate::{CostError, CostModel};
use slimfit_hardware::{HardwareProfile, OtherPlacement, Placement};
use slimfit_quantity::Predicted;

/// A placement that fewer looks than this share found is too seldom to widen a 90 % interval.
pub const SELDOM: f64 = 0.05;

/// The prices of one thread count in the placement that is not its usual one.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    threads: u32,
    share: f64,
    model: CostModel,
}

impl Elsewhere {
    /// Of every thread count that has another placement.
    ///
    /// # Errors
    /// As [`CostModel::new`].
    pub(crate) fn all(profile: &HardwareProfile) -> Result<Vec<Self>, CostError> {
        let one = |&OtherPlacement { threads, share, .. }: &OtherPlacement| {
            let mut laid = profile.in_other_placement(threads)?;
            laid.other_placements.clear();
            Some(CostModel::new(&laid).map(|model| Self { threads, share, model }))
        };
        profile.other_placements.iter().filter_map(one).collect()
    }
}

impl CostModel {
    /// The prices of this device while `threads` threads lie so: predictions of that placement alone. Nothing for one that
    /// was not profiled.
    pub fn in_placement(&self, threads: u32, placement: Placement) -> Option<Self> {
        match placement {
            Placement::Usual => {
                let mut alone = self.clone();
                alone.elsewhere.clear();
                Some(alone)
            }
            Placement::Other => self.elsewhere(threads).map(|other| other.model.clone()),
            Placement::Unknown => None,
        }
    }

    /// Share of the looks, while the device was profiled, that found `threads` threads in the other placement; 0 where all
    /// found them in one.
    pub fn share_elsewhere(&self, threads: u32) -> f64 {
        self.elsewhere(threads).map_or(0.0, |other| other.share)
    }

    /// The placement in which a barrier of `threads` takes nearest to so many seconds.
    ///
    /// # Errors
    /// When the profile was not measured with that many threads.
    pub fn placement_of(&self, threads: u32, barrier_seconds: f64) -> Result<Placement, CostError> {
        Ok(self.placement_barriers(threads)?.placement_of(barrier_seconds))
    }

    fn elsewhere(&self, threads: u32) -> Option<&Elsewhere> {
        self.elsewhere.iter().find(|other| other.threads == threads)
    }

    /// The prices in the other placement of `threads`, where that was seen often enough for a 90 % interval to cover it.
    pub fn often_elsewhere(&self, threads: u32) -> Option<&Self> {
        self.elsewhere(threads).filter(|other| other.share >= SELDOM).map(|other| &other.model)
    }
}

/// The usual central value within bounds that hold in both placements.
pub(crate) fn covering(usual: Predicted, other: Predicted) -> Predicted {
    Predicted { value: usual.value, low: usual.low.min(other.low), high: usual.high.max(other.high) }
}
