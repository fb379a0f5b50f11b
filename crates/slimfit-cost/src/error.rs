//! What cannot be priced.

use crate::PREFILL_UNAVAILABLE;
use slimfit_document::DocumentError;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CostError {
    /// The profile lacks what a prediction rests on.
    #[error("the hardware profile has no {what}; measure one with `slimfit profile`")]
    Missing {
        /// What it lacks.
        what: String,
    },
    /// The profile was described from publications and cannot hold what is asked of it.
    #[error("the profile `{name}` is described from publications and holds no {what}\nhint: {hint}")]
    Published {
        /// The device.
        name: String,
        /// What was asked for.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// Prefill was asked for where nothing predicts it.
    #[error("prefill time is unavailable: {PREFILL_UNAVAILABLE}")]
    Prefill,
    /// No engine has this name.
    #[error("engine `{found}` is not known; known are {allowed}{}", .hint.as_deref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
    Engine {
        /// The name asked for.
        found: String,
        /// All names, comma-separated.
        allowed: String,
        /// The nearest name, as a question.
        hint: Option<String>,
    },
    /// A file of coefficients that cannot be read, or that breaks a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The profile was made with a tier this program does not know.
    #[error(transparent)]
    Isa(#[from] slimfit_kernels::IsaError),
    /// The model cannot be planned.
    #[error(transparent)]
    Plan(#[from] slimfit_plan::PlanError),
    /// Nothing tells the device's power.
    #[error("the hardware profile tells no power: {reason}")]
    NoPower {
        /// Why it tells none.
        reason: String,
    },
    /// Nothing tells how the times of steps scatter on the device.
    #[error("the hardware profile tells no percentiles of times: {reason}; `slimfit profile` measures them")]
    NoTails {
        /// Why it tells none.
        reason: String,
    },
    /// A pattern of requests that cannot be.
    #[error("{found} {what} cannot be")]
    Pattern {
        /// The quantity.
        what: &'static str,
        /// The number asked for.
        found: String,
    },
    /// The device does not finish one request before the next comes.
    #[error(
        "{requests_per_hour} requests an hour do not fit: this model serves at most {most:.1} on this device"
    )]
    TooManyRequests {
        /// Requests asked for.
        requests_per_hour: f64,
        /// Requests that fit.
        most: f64,
    },
    /// A thread count that the profile did not measure.
    #[error("the hardware profile was not measured with {found} threads; measured were {measured}")]
    Threads {
        /// The count asked for.
        found: u32,
        /// The counts measured, comma-separated.
        measured: String,
    },
}
