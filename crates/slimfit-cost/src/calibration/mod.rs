//! Factors on predicted times that a few models run on the device gave: where they apply, and how they are found.
//!
//! A predicted time is a sum over eight classes: phase (one token, many) × regime (the last cache holds what decoding
//! touches, or not) × term (reading and computing, or what each operation costs besides). Each class has one factor, so
//! that a calibrated time is still a sum over operations.

mod fit;
mod interval;
#[cfg(test)]
mod tests;

pub use fit::{CalibrationFit, CalibrationSample, fit_calibration};

use crate::{CostError, CostModel, RunShape};
use slimfit_hardware::{Calibration, CalibrationPhase, CalibrationRegime, CalibrationTerm, HardwareProfile};
use slimfit_plan::{Phase, Plan, Shape, TokenRows};

/// Classes of predicted time.
pub const CALIBRATION_CLASSES: usize = 8;

/// A class by its parts.
pub(crate) const fn class(
    phase: CalibrationPhase,
    regime: CalibrationRegime,
    term: CalibrationTerm,
) -> usize {
    4 * phase as usize + 2 * regime as usize + term as usize
}

/// The factors of a profile; all 1 where it has none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Factors {
    values: [f64; CALIBRATION_CLASSES],
    /// By phase: how many times as wide as without calibration intervals are, in logarithms.
    interval_scales: [f64; 2],
    /// Regimes up to so many bytes are in cache.
    cache_bytes: f64,
    calibration: Option<Calibration>,
}

impl Factors {
    pub(crate) fn of(profile: &HardwareProfile) -> Self {
        let mut factors = Self::none(profile);
        let Some(calibration) = &profile.calibration else { return factors };
        for found in &calibration.factors {
            if let Some(value) = found.factor.value {
                factors.values[class(found.phase, found.regime, found.term)] = value;
            }
        }
        for error in &calibration.errors {
            factors.interval_scales[error.phase as usize] = error.interval_scale.unwrap_or(1.0);
        }
        factors.calibration = Some(calibration.clone());
        factors
    }

    /// No correction: for other runtimes.
    pub(crate) fn none(profile: &HardwareProfile) -> Self {
        let cache_bytes = profile.topology.last_cache_bytes().unwrap_or(0) as f64;
        let values = [1.0; CALIBRATION_CLASSES];
        Self { values, interval_scales: [1.0; 2], cache_bytes, calibration: None }
    }

    /// How many times as wide as without calibration the intervals of a phase's times are, in logarithms.
    pub(crate) fn interval_scale(&self, phase: CalibrationPhase) -> f64 {
        self.interval_scales[phase as usize]
    }

    fn place(&self, one_token: bool, up_to_bytes: f64) -> (CalibrationPhase, CalibrationRegime) {
        let phase = if one_token { CalibrationPhase::Decode } else { CalibrationPhase::Prefill };
        let near = up_to_bytes <= self.cache_bytes;
        (phase, if near { CalibrationRegime::Cache } else { CalibrationRegime::Memory })
    }

    /// Factors on reading and computing, and on what an operation costs besides.
    pub(crate) fn at(&self, one_token: bool, up_to_bytes: f64) -> (f64, f64) {
        let (phase, regime) = self.place(one_token, up_to_bytes);
        let value = |term| self.values[class(phase, regime, term)];
        (value(CalibrationTerm::Work), value(CalibrationTerm::Fixed))
    }
}

impl CostModel {
    /// What the profile's predictions were calibrated by.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.factors.calibration.as_ref()
    }

    /// The seconds of a phase of `run` by class; they add up to the prediction. To be asked of a model without
    /// calibration when factors are to be found.
    ///
    /// # Errors
    /// As [`CostModel::predict`].
    pub fn seconds_by_class(
        &self,
        phase: Phase,
        plan: &Plan,
        run: RunShape,
        threads: u32,
    ) -> Result<[f64; CALIBRATION_CLASSES], CostError> {
        let depth = run.mean_depth();
        let regime = self.regime(threads, Self::working_set_bytes(plan, depth))?;
        let shapes = match phase {
            Phase::Prefill => Shape::prefill(run.prompt_tokens, plan.options.chunk),
            Phase::Decode => vec![Shape::decode(depth)],
        };
        let mut seconds = [0.0; CALIBRATION_CLASSES];
        for (chunk, &shape) in shapes.iter().enumerate() {
            let last = chunk + 1 == shapes.len();
            for (step, regime) in plan.steps.iter().zip(self.step_regimes(plan, shape, regime)?) {
                if !last && step.rows != TokenRows::All {
                    continue;
                }
                let cost = self.step(step, shape, regime)?;
                let one_token = Plan::tokens_of(step, shape) <= 1;
                let (phase, place) = self.factors.place(one_token, self.regimes[regime.index()].up_to_bytes);
                seconds[class(phase, place, CalibrationTerm::Work)] += cost.seconds - cost.overhead_seconds;
                seconds[class(phase, place, CalibrationTerm::Fixed)] += cost.overhead_seconds;
            }
        }
        Ok(seconds)
    }
}
