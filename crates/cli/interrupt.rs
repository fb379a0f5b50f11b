//! Ctrl-C: the running step is left at the next safe place, and nothing that was written is lost.

use crate::Outcome;
use crate::failure::Failure;
use crate::output::note;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
/// The exit code of a command that the user stopped.
pub const EXIT_CODE: u8 = 130;

/// Listens for Ctrl-C, `SIGTERM` and a closed terminal. The second signal ends the process at once.
pub fn install() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(EXIT_CODE.into());
        }
        note("interrupted: stopping at the next safe place (again: at once)");
    })
    .map_err(|error| Failure::internal(format!("signals cannot be handled: {error}")))
}

/// Set once the user asked to stop.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}

/// How a command ends that printed what it has.
pub fn outcome() -> Outcome {
    if ASKED.load(Ordering::SeqCst) { Outcome::Interrupted } else { Outcome::Done }
}

/// An error once the user asked to stop.
pub fn check() -> Result<(), Failure> {
    if ASKED.load(Ordering::SeqCst) { Err(Failure::Interrupted) } else { Ok(()) }
}
