//! How a loop tells what it does, and learns that it should stop.

use crate::WorkflowError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told what runs; asked whether to stop.
pub struct Observer<'a> {
    /// Called with the step's name and the fraction of it that is done.
    pub progress: &'a mut dyn FnMut(&str, f64),
    /// Set from outside, by Ctrl-C say.
    pub cancel: &'a AtomicBool,
}

impl Observer<'_> {
    /// Says how far a step is.
    ///
    /// # Errors
    /// When the user wants to stop.
    pub fn at(&mut self, step: &str, fraction: f64) -> Result<(), WorkflowError> {
        (self.progress)(step, fraction);
        if self.cancel.load(Ordering::Relaxed) { Err(WorkflowError::Interrupted) } else { Ok(()) }
    }
}
