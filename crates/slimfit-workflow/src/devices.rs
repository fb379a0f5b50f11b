//! Several devices that one model is chosen for.

use crate::{SearchInputs, WorkflowError};
use slimfit_cost::{CostError, CostModel};
use slimfit_document::DocumentError;
use slimfit_hardware::HardwareProfile;
use slimfit_quantity::Warning;
use slimfit_search::Metric;
use slimfit_study::ProfileRef;

impl SearchInputs {
    /// The profiles of all devices.
    pub fn profiles(&self) -> impl Iterator<Item = &HardwareProfile> {
        std::iter::once(&self.profile).chain(&self.further_profiles)
    }

    /// How records name the devices.
    pub fn profile_refs(&self) -> Vec<ProfileRef> {
        let each = self.profiles().map(|profile| ProfileRef {
            fingerprint_id: profile.fingerprint.id(),
            sha256: profile.sha256(),
            name: profile.name.clone(),
        });
        each.collect()
    }

    /// What prices the points on each device.
    ///
    /// # Errors
    /// When a profile does not hold what the engine needs.
    pub fn costs(&self) -> Result<Vec<CostModel>, CostError> {
        self.profiles()
            .map(|profile| CostModel::for_engine(profile, self.engine, self.engine_options))
            .collect()
    }

    /// Refuses several devices where `what` knows but one.
    ///
    /// # Errors
    /// When there are several.
    pub fn require_one_device(&self, what: &str) -> Result<(), DocumentError> {
        if self.further_profiles.is_empty() {
            return Ok(());
        }
        let error = DocumentError::new("several-devices", format!("{what} is of one device"));
        let error = error.field("--profile").found(format!("{} profiles", self.profiles().count()));
        Err(error.allowed("one").hint("search for each device on its own, into a folder each"))
    }

    /// Refuses what one of several devices cannot give, by its name.
    ///
    /// # Errors
    /// When a device lacks what `asked` needs.
    pub(crate) fn check_devices<'m>(
        &self,
        costs: &[CostModel],
        asked: impl Iterator<Item = &'m Metric> + Clone,
    ) -> Result<(), WorkflowError> {
        for (place, (profile, cost)) in self.profiles().zip(costs).enumerate() {
            for metric in asked.clone().map(|metric| metric.quantity()) {
                let missing = match metric {
                    Metric::TtftSeconds if !cost.has_prefill() => Some(CostError::Prefill),
                    Metric::JoulesPerToken => cost.energy().err(),
                    metric if metric.is_percentile() => cost.tails().err(),
                    _ => None,
                };
                let Some(reason) = missing else { continue };
                if self.further_profiles.is_empty() {
                    // Of one device, the search says what would help.
                    if matches!(reason, CostError::Prefill) {
                        return Err(reason.into());
                    }
                    continue;
                }
                let message = format!("device {} of {} cannot give an objective", place + 1, costs.len());
                let error = DocumentError::new("device-objective", message).field(metric.name());
                let error = error.found(format!("profile `{}`: {reason}", profile.name));
                return Err(error
                    .hint("name other objectives with `--objectives`, or leave that device out")
                    .into());
            }
        }
        Ok(())
    }

    /// Says that energy is no objective, and of which device.
    pub(crate) fn no_energy(&self, costs: &[CostModel]) -> Option<Warning> {
        let (profile, error) =
            self.profiles().zip(costs).find_map(|(profile, cost)| Some((profile, cost.energy().err()?)))?;
        let error = if costs.len() > 1 { format!("`{}`: {error}", profile.name) } else { error.to_string() };
        let message = format!(
            "energy is not among the objectives: {error}; `--power-watts IDLE,LOADED` gives the watts of one device, and \
             `slimfit profile --power-command` reads any meter"
        );
        Some(Warning::new("no-energy", message))
    }
}
