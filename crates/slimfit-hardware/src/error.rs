//! What can go wrong with a profile.

use crate::validation::Fault;
use slimfit_document::DocumentError;

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HardwareError {
    /// The file, its syntax, or a rule that one of its fields breaks.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A profile that was built here and breaks a rule: it is not written.
    #[error("the profile breaks a rule: {0}")]
    Invalid(Fault),
    /// A profile of another machine.
    #[error(
        "this profile belongs to another machine or setting ({differences})\n\
         hint: measure this one with `slimfit profile`, or insist with `--allow-other-profile`"
    )]
    OtherMachine {
        /// What differs: `cores: 8 in the profile, 2 here`.
        differences: String,
    },
}
