//! Where power comes from, as the user wants it.

use super::{CommandMeter, PowerMeter, find_meter};
use crate::SystemTree;
use slimfit_hardware::GivenWatts;

/// Where power comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum PowerSource {
    /// The best meter of the system.
    #[default]
    System,
    /// A command that prints watts or joules, as [`CommandMeter`] reads them.
    Command(String),
    /// Nothing is measured: the user gives the watts.
    Given(GivenWatts),
}

impl PowerSource {
    /// Opens the meter.
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub fn open(&self, tree: &SystemTree) -> Result<Box<dyn PowerMeter>, String> {
        match self {
            Self::System => find_meter(tree),
            Self::Command(command) => match CommandMeter::start(command) {
                Ok(meter) => Ok(Box::new(meter)),
                Err(error) => Err(error.to_string()),
            },
            Self::Given(_) => Err("the watts were given, not measured".to_owned()),
        }
    }
}
