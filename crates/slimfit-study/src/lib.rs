//! The records of evaluations and measurements, and their store.
#![doc = include_str!("../README.md")]

mod candidate;
mod comparison;
mod contents;
mod csv;
mod error;
mod evaluation;
mod explanation;
mod export;
mod findings;
mod front;
mod front_files;
mod input;
mod label;
mod measured_search;
mod measurement;
mod natural;
mod news;
mod parts;
mod progress;
mod quality;
mod refinement;
mod running;
mod searches;
mod store;
mod study;
mod units;
mod verification;
mod why;
mod worker;

pub use candidate::{
    CandidateModel, CandidateOrigin, CandidateTraining, Candidates, Dominator, DominatorKind, PricedFormat,
    RankedBy, SkippedCandidate,
};
pub use comparison::{
    Change, ComparedDevices, ComparedError, ComparedFronts, ComparedPick, ComparedRun, ComparedStudy,
    Comparison, Condition, DeviceFigure, DevicePart, LeftOut, Side,
};
pub use contents::{RecordCount, SearchContents, StudyContents};
pub use csv::front_csv;
pub use error::StudyError;
pub use evaluation::Evaluation;
pub use explanation::{CloudPoint, Explanation, OperationCost, PublishedScore, ReferenceModel};
pub use export::{Column, ExportFormat, ExportTable, Table, Values};
pub use findings::{FRONT_SCHEMA, Findings};
pub use front::{
    BoundCount, BrokenLimit, ByDevice, Constraint, DevicePoint, Front, FrontPoint, Interval, NamedHash,
    NearestMiss, Objective, ParameterCounts, ProfileRef, ReasonCount, RecipeRef, SearchHead,
};
pub use input::{Input, InputKind, InputRef};
pub use label::objective_label;
pub use measured_search::{MeasuredSearch, SurrogateErrors};
pub use measurement::{
    ExternalEngine, FormatShare, Measurement, OperationTime, Percentiles, PredictedPercentiles,
    PredictedTail, RunFigures, Sentinels, Shares, Tail, WeightsSource,
};
pub use natural::{Natural, NaturalError};
pub use news::News;
pub use progress::{Miss, PassCounts, PointSet, SearchProgress};
pub use quality::{AnchorRef, NoiseTerm, NotPredictedTask, QualityNotes, QualityTableRef, TrainingRef};
pub use refinement::{CorrectionError, Moved, PickMove, PickedPoint, REFINEMENT, Refinement, Shift};
pub use running::{RunningSearch, SearchOutline};
pub use searches::{BegunSearch, RequestRecord, SearchId, SearchRecord, SearchRequest};
pub use study::Study;
pub use units::Units;
pub use verification::{
    BandwidthBaseline, Baselines, ErrorSummary, ParameterBaseline, PhaseErrors, PredictedValue, Skipped,
    Verification, VerificationRow,
};
pub use why::{
    AskedModel, Better, Excess, IntervalOf, ObjectiveDifference, Opponent, OutsideSpace, Verdict, Why,
};
pub use worker::{Claim, LEASE, SaveOutcome, Worker};
