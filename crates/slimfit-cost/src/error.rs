//! What cannot be priced.

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CostError {
    /// The profile lacks what a prediction rests on.
    #[error("the hardware profile has no {what}; measure one with `slimfit profile`")]
    Missing {
        /// What it lacks.
        what: String,
    },
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
