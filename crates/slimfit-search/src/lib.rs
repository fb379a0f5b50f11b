//! Search spaces, workloads and the exact Pareto front.
//!
//! It asks an [`Evaluator`] about points; it measures nothing, draws nothing and prints nothing.
#![doc = include_str!("../README.md")]

mod appraiser;
mod archive;
mod compare;
mod describe;
mod device;
mod dominance;
mod enumerate;
mod error;
mod evaluator;
pub mod evolve;
mod exact;
mod file_bytes;
mod hypervolume;
mod invalid;
mod journal;
mod layered;
pub mod layers;
mod metric;
mod model;
mod notes;
mod on_device;
mod parts;
mod picks;
mod sample;
mod space;
mod summary;
mod table;
mod tally;
#[cfg(test)]
mod testing;
mod ties;
mod workload;

pub use appraiser::{Appraisal, Appraiser, ModelFormats};
pub use archive::Found;
pub use compare::{Comparison, Difference, Standing};
pub use describe::{Candidate, FRONT_SCHEMA};
pub use dominance::{dominates, non_dominated};
pub use enumerate::{Outcome, Progress, SearchOptions, enumerate, for_each_point};
pub use error::SearchError;
pub use evaluator::Evaluator;
pub use exact::{search, search_with_journal};
pub use hypervolume::{LogScale, hypervolume};
pub use invalid::Invalid;
pub use journal::{Journal, TakenUp};
pub use layered::{LayerOptions, LayeredOutcome, Model, search_layers};
pub use metric::{Metric, Task, Values};
pub use model::{ModelEvaluator, PreparedBlock};
pub use on_device::{DeviceObjectives, OnDevice};
pub use picks::shortlist;
pub use space::{Axis, Block, Fixed, Inner, LayerAxis, Mixture, Outside, Point, SPACE_SCHEMA, Space, Window};
pub use summary::SpaceSummary;
pub use table::{BoundTable, ExtraRows, Level, QualityTable};
pub use workload::{WORKLOAD_SCHEMA, Workload};
