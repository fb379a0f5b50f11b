//! The records of evaluations and measurements, and their store.
#![doc = include_str!("../README.md")]

mod csv;
mod error;
mod explanation;
mod front;
mod measurement;
mod quality;
mod store;
mod verification;

pub use csv::front_csv;
pub use error::StudyError;
pub use explanation::{CloudPoint, Explanation, OperationCost, PublishedScore, ReferenceModel};
pub use front::{
    BoundCount, BrokenLimit, Constraint, Front, FrontPoint, Interval, NamedHash, NearestMiss, Objective,
    ParameterCounts, ProfileRef, ReasonCount, RecipeRef, SearchHead,
};
pub use measurement::{
    ExternalEngine, FormatShare, Measurement, OperationTime, Percentiles, PredictedPercentiles,
    PredictedTail, RunFigures, Sentinels, Shares, Tail, WeightsSource,
};
pub use quality::{AnchorRef, NoiseTerm, NotPredictedTask, QualityNotes, QualityTableRef, TrainingRef};
pub use store::Study;
pub use verification::{
    BandwidthBaseline, Baselines, ErrorSummary, ParameterBaseline, PhaseErrors, PredictedValue, Skipped,
    Verification, VerificationRow,
};
