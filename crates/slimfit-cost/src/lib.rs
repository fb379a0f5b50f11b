//! Prices a plan on a hardware profile: latency, memory, energy, each with its terms and an interval.
#![doc = include_str!("../README.md")]

mod calibration;
mod curve;
mod energy;
mod engine;
mod error;
mod explain;
mod hand_over;
mod model;
mod placement;
mod predict;
mod products;
mod rates;
mod regime;
mod reuse;
mod scatter;
mod streams;
mod tails;

pub use calibration::{CALIBRATION_CLASSES, CalibrationFit, CalibrationSample, fit_calibration};
pub use energy::{BusyTime, EnergyModel, POWER_HALF_WIDTH, RequestEnergy, RequestPattern};
pub use engine::{
    Coefficient, DecodeTerms, DecodeWork, ENGINE_SCHEMA, Engine, EngineCoefficients, EngineDevice,
    EngineMemory, EngineModel, EngineOptions, EnginePrediction, PREFILL_UNAVAILABLE,
};
pub use error::CostError;
pub use model::{Bound, CostModel, StepCost, Terms};
pub use predict::{
    DECODE_HALF_WIDTH, DECODE_HALF_WIDTH_TOGETHER, PREFILL_HALF_WIDTH, PREFILL_HALF_WIDTH_TOGETHER,
    PROCESS_BYTES, Prediction, RunShape, RunTime,
};
pub use regime::{Regime, RegimeId};
pub use tails::{EXCESS_FACTOR, Percentile, Percentiles, TailModel};
