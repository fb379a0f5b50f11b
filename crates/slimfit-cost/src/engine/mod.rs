//! Other engines: what a runtime that is not ours takes on a device, from bandwidth and fitted efficiencies.
//!
//! Efficiency is a property of (engine, format, instructions, kind of device). Memory time and compute time are joined by
//! a p-norm, the cache is read at its own rate, and each executed layer has a fixed cost. For one thread count the
//! seconds are linear in bytes, so what a search sums over layers is the same number.

mod coefficients;
mod decode;
mod device;
mod prediction;
mod pricing;
mod validation;

pub use coefficients::{Coefficient, ENGINE_SCHEMA, EngineCoefficients};
pub(crate) use decode::join;
pub use decode::{DecodeTerms, DecodeWork, EngineModel};
pub use device::{EngineDevice, EngineMemory};
pub use prediction::EnginePrediction;
pub(crate) use pricing::EnginePricing;
pub use pricing::{EngineOptions, PREFILL_UNAVAILABLE};

use crate::CostError;
use slimfit_document::suggestion;
use slimfit_hardware::HardwareProfile;

/// Which runtime a prediction is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// This project's own runtime: priced from the times of its kernels, which only a measured profile holds.
    Slimfit,
    /// llama.cpp, upstream: priced from coefficients fitted on published rates.
    LlamaCpp,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Slimfit, Self::LlamaCpp];

    /// The name in flags, files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slimfit => "slimfit",
            Self::LlamaCpp => "llama.cpp",
        }
    }

    /// The engine of that name.
    ///
    /// # Errors
    /// [`CostError::Engine`] with all names and the nearest.
    pub fn named(name: &str) -> Result<Self, CostError> {
        Self::ALL.into_iter().find(|engine| engine.name() == name).ok_or_else(|| CostError::Engine {
            found: name.to_owned(),
            allowed: Self::ALL.map(Self::name).join(", "),
            hint: suggestion(name, Self::ALL.map(Self::name)),
        })
    }

    /// The engine that predicts on `profile`: the one asked for, else ours where the profile was measured and llama.cpp
    /// where it was only published.
    ///
    /// # Errors
    /// [`CostError::Published`] when ours is asked for and the profile holds no times of our kernels.
    pub fn for_profile(asked: Option<Self>, profile: &HardwareProfile) -> Result<Self, CostError> {
        match asked {
            Some(Self::Slimfit) if !profile.is_measured() => Err(CostError::Published {
                name: profile.name.clone(),
                what: "times of slimfit's own kernels",
                hint: "predict with `--engine llama.cpp`, or measure that device with `slimfit profile`",
            }),
            Some(engine) => Ok(engine),
            None if profile.is_measured() => Ok(Self::Slimfit),
            None => Ok(Self::LlamaCpp),
        }
    }
}

#[cfg(test)]
mod tests;
