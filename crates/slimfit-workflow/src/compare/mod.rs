//! Two studies side by side: what differs, by how much, and whether that is more than noise.

mod change;
mod conditions;
mod devices;
mod errors;
mod fronts;
mod runs;

use crate::WorkflowError;
use slimfit_document::Document;
use slimfit_hardware::HardwareProfile;
use slimfit_study::{ComparedStudy, Comparison, Front, InputKind, Measurement, Study, Verification};

/// The records of one study that are compared.
struct Records {
    label: String,
    front: Option<Front>,
    profile: Option<HardwareProfile>,
    measurements: Vec<Measurement>,
    verification: Option<Verification>,
}

impl Records {
    fn of(study: &Study) -> Result<Self, WorkflowError> {
        let file = study.input(InputKind::Profile);
        let profile = if file.is_file() { Some(Document::read(&file)?.parse()?) } else { None };
        let folder = study.folder().file_name().or(study
            .folder()
            .components()
            .next_back()
            .map(|last| last.as_os_str()));
        Ok(Self {
            label: folder.map_or_else(|| "study".to_owned(), |name| name.to_string_lossy().into_owned()),
            front: study.front()?,
            profile,
            measurements: study.measurements()?,
            verification: study.verification()?,
        })
    }

    fn device(&self) -> Option<String> {
        let of_front = || self.front.as_ref().map(|front| front.head.profile.name.clone());
        self.profile.as_ref().map(|profile| profile.name.clone()).or_else(of_front)
    }

    fn described(&self) -> ComparedStudy {
        ComparedStudy {
            label: self.label.clone(),
            device: self.device(),
            front_size: self.front.as_ref().map(|front| front.points.len() as u64),
            runs: self.measurements.len() as u64,
        }
    }

    /// Whether both are of the same machine, as far as fingerprints tell.
    fn same_machine(&self, other: &Self) -> bool {
        match (&self.profile, &other.profile) {
            (Some(ours), Some(theirs)) => ours.fingerprint == theirs.fingerprint,
            _ => false,
        }
    }
}

/// What differs from `first` to `second`.
///
/// A difference counts as more than noise where the two intervals lie apart: of what was measured, the quartiles, widened
/// by how far the machine itself moved; of what is predicted, 90 %.
///
/// # Errors
/// When a record of either cannot be read. A part that one of them lacks is left out of the answer.
pub fn compare_studies(first: &Study, second: &Study) -> Result<Comparison, WorkflowError> {
    let (mut first, mut second) = (Records::of(first)?, Records::of(second)?);
    if first.label == second.label {
        first.label.push_str(" (first)");
        second.label.push_str(" (second)");
    }
    let fronts = match (&first.front, &second.front) {
        (Some(ours), Some(theirs)) => Some(fronts::compared(ours, theirs)),
        _ => None,
    };
    let devices = match (&first.profile, &second.profile) {
        (Some(ours), Some(theirs)) => Some(devices::compared(ours, theirs)),
        _ => None,
    };
    let errors = match (&first.verification, &second.verification) {
        (Some(ours), Some(theirs)) => errors::compared(ours, theirs),
        _ => Vec::new(),
    };
    Ok(Comparison {
        conditions: conditions::differing(&first, &second),
        fronts,
        devices,
        runs: runs::compared(&first, &second),
        errors,
        first: first.described(),
        second: second.described(),
    })
}
