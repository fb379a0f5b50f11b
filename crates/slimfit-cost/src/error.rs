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
    /// A thread count that the profile did not measure.
    #[error("the hardware profile was not measured with {found} threads; measured were {measured}")]
    Threads {
        /// The count asked for.
        found: u32,
        /// The counts measured, comma-separated.
        measured: String,
    },
}
