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
    /// Watts that the user gave and that cannot be.
    #[error(
        "`{found}` is not IDLE,LOADED in watts, the first above 0 and the second above the first; write `2.7,6.5`"
    )]
    Watts {
        /// The text found.
        found: String,
    },
}
