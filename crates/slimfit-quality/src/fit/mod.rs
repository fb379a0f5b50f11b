//! Recipes from training runs: what a user's own small models, or a published suite, say of loss, shape and data.
//!
//! [`fit`] is the whole of it: it refuses what is too little or too narrow, judges itself on runs that it has not seen, and
//! gives a [`Recipe`](crate::Recipe) that a search takes like any other. The parts ([`fit_law`], [`leave_groups_out`], [`Surface`],
//! [`fit_curve`]) serve those who want another protocol.

mod bootstrap;
mod cross;
mod curve;
mod errors;
mod form;
mod judge;
mod law;
mod normal;
mod parameter;
mod provenance;
mod read;
mod refusal;
mod run;
mod solve;
mod surface;
#[cfg(test)]
mod tests;

pub use bootstrap::bootstrap;
pub use cross::{leave_groups_out, left_out};
pub use curve::{CURVE_SCALE, ScorePoint, fit_curve};
pub use errors::{FitErrors, conformal_half_width};
pub use form::Form;
pub use judge::{Fitted, FittedCoefficient, fit};
pub use law::{SOFT_L1_SCALE, fit_law, predicted_loss};
pub use parameter::Parameter;
pub use provenance::Provenance;
pub use read::{parse_runs, read_runs};
pub use refusal::FitRefusal;
pub use run::TrainingRun;
pub use surface::{Feature, Surface, SurfaceForm};
