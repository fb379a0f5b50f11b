//! The loops over several rooms: measure one model beside its prediction, verify many, and run the whole road.
#![doc = include_str!("../README.md")]

mod calibrate;
pub mod candidates;
mod card;
mod compare;
pub mod comparison;
mod devices;
mod energy;
mod engine;
mod error;
mod evolve;
mod machine;
mod measure;
mod observer;
mod refine;
mod run;
mod sample;
mod search_study;
mod verify;
mod why;

pub use calibrate::{CalibrationRun, calibrate};
pub use card::{Described, ModelFacts, StudyFacts, describe_model};
pub use compare::compare_studies;
pub use engine::{ANSWER_SCHEMA, EngineCommand, REQUEST_SCHEMA, measure_engine};
pub use error::WorkflowError;
pub use evolve::{DeviceEvaluator, EvolveSettings, PointEvaluator, evolve_into_study};
pub use machine::{local_tuning, measure_machine};
pub use measure::{
    MeasureRequest, Predictor, measure_model, peak_type, predicted_figures, predicted_percentiles,
    weights_source,
};
pub use observer::Observer;
pub use refine::{LEAST_MEASURED, refine};
pub use run::{RunOptions, RunState, StepRecord, run_all};
pub use search_study::{SearchInputs, SearchSettings, search_into_study};
pub use verify::{Subjects, VerifiedEngine, VerifyOptions, verify};
pub use why::{AskedFormats, why};
