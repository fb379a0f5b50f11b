//! What an architecture is worth: loss and scores from its shape, a recipe and a training length.
//!
//! It reads no weights and no benchmark files, and knows nothing of devices.
#![doc = include_str!("../README.md")]

mod anchor;
mod assume;
mod error;
mod estimate;
pub mod fit;
mod flags;
mod formula;
mod law;
mod measured_text;
mod noises;
mod outside;
mod recipe;
mod refusal;
mod score;
mod shape;
pub mod table;
#[cfg(test)]
mod tests;
mod text;
mod training;
mod vocabulary;

pub use anchor::{Anchor, AnchorModel, AnchorShift};
pub use assume::{Assumed, Assumption, Footing};
pub use error::QualityError;
pub use estimate::{LossNoise, NotPredicted, QualityEstimate, QualityModel, Term, Z90};
pub use flags::Flags;
pub use law::{Base, Law, Loss};
pub use measured_text::{LEAST_TEXT_BYTES, MeasuredText};
pub use noises::{NoiseSource, Noises};
pub use recipe::{
    AnchoredTask, Anchors, Coefficient, Correction, Corrections, Limits, LossTerms, MOST_TASKS, Noise,
    PowerLaw, RECIPE_SCHEMA, Recipe, ScoreCurve, Scores, ShapeTerms, Text, Validity, VocabularyTerm,
};
pub use refusal::Refusal;
pub use score::Score;
pub use shape::{Looped, Shape};
pub use text::{TokenizedText, WorkloadText};
pub use training::{TRAINING_CONTEXT, TrainingCost, TrainingPlan, TrainingRate};
