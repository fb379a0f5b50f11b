//! What an architecture is worth: loss and scores from its shape, a recipe and a training length.
//!
//! It reads no weights and no benchmark files, and knows nothing of devices.
#![doc = include_str!("../README.md")]

mod anchor;
mod error;
mod estimate;
mod flags;
mod law;
mod recipe;
mod refusal;
mod score;
mod shape;
#[cfg(test)]
mod tests;
mod text;

pub use anchor::{Anchor, AnchorModel, AnchorShift};
pub use error::QualityError;
pub use estimate::{NotPredicted, QualityEstimate, QualityModel, Term, Uncertainty, Z90};
pub use flags::Flags;
pub use law::{Base, Law, Loss};
pub use recipe::{
    AnchoredTask, Anchors, Coefficient, Correction, Corrections, Limits, LossTerms, Noise, PowerLaw,
    RECIPE_SCHEMA, Recipe, ScoreCurve, Scores, ShapeTerms, Text, Validity, VocabularyTerm,
};
pub use refusal::Refusal;
pub use score::Score;
pub use shape::{Looped, Shape};
pub use text::WorkloadText;
