//! The finished records that a report is made of.

use crate::ReportError;
use crate::private::without_user_paths;
use serde::{Deserialize, Serialize};
use slimfit_document::Document;
use slimfit_hardware::HardwareProfile;
use slimfit_study::{
    CloudPoint, Comparison, Explanation, Front, InputKind, Measurement, ReferenceModel, RunningSearch, Study,
    Verification,
};

/// Everything a report shows. Any part may be missing: the page then says so in its place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReportInput {
    /// What the search found.
    pub front: Option<Front>,
    /// The device it searched for.
    pub profile: Option<HardwareProfile>,
    /// Models that were run for real.
    pub measurements: Vec<Measurement>,
    /// Predictions of unseen models beside their runs.
    pub verification: Option<Verification>,
    /// Where the predicted time of the picks goes.
    pub explanations: Vec<Explanation>,
    /// Public models priced on the same device.
    pub references: Vec<ReferenceModel>,
    /// A sample of dominated points, in the order of the front's objectives.
    pub cloud: Vec<CloudPoint>,
    /// A search that is not finished, as far as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningSearch>,
    /// Another study beside this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// The program's version.
    pub tool_version: String,
    /// The command that repeats this.
    pub command: String,
    /// When the report was made: UTC, `2026-01-31T12:00:00Z`.
    pub created: String,
}

impl ReportInput {
    /// Reads every record of `study`. The version is this program's; the caller says which command ran, and when.
    ///
    /// # Errors
    /// When the store or the copy of the profile cannot be read. Missing records are no error.
    pub fn from_study(study: &Study) -> Result<Self, ReportError> {
        let profile_file = study.input(InputKind::Profile);
        let profile =
            if profile_file.is_file() { Some(Document::read(&profile_file)?.parse()?) } else { None };
        Ok(Self {
            front: study.front()?,
            profile,
            measurements: study.measurements()?,
            verification: study.verification()?,
            explanations: study.explanations()?,
            references: study.references()?,
            cloud: study.cloud()?,
            running: study.running_search()?,
            comparison: None,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
            created: String::new(),
        })
    }

    /// The same records without the folders of whoever made them: a report is sent around.
    pub fn without_private_parts(&self) -> Self {
        let mut public = self.clone();
        public.command = without_user_paths(&public.command);
        if let Some(front) = &mut public.front {
            front.head.study = None;
            for candidate in &mut front.head.existing.candidates {
                let shorter = |text: &String| without_user_paths(text);
                candidate.path = candidate.path.as_ref().map(shorter);
            }
            for skipped in &mut front.head.existing.candidates_skipped {
                skipped.candidate = without_user_paths(&skipped.candidate);
                skipped.reason = without_user_paths(&skipped.reason);
            }
            for warning in &mut front.head.warnings {
                warning.message = without_user_paths(&warning.message);
            }
        }
        if let Some(profile) = &mut public.profile {
            for warning in &mut profile.warnings {
                warning.message = without_user_paths(&warning.message);
            }
        }
        if let Some(verification) = &mut public.verification {
            for skipped in &mut verification.skipped {
                skipped.reason = without_user_paths(&skipped.reason);
            }
        }
        public
    }
}
