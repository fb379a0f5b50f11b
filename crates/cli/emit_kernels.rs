//! What `slimfit emit --what kernels` writes: a crate of its own for a model on a device.

use crate::device;
use crate::failure::Failure;
use crate::output::Output;
use slimfit_arch::{Architecture, Positions};
use slimfit_document::{DocumentError, WrittenFile};
use slimfit_emit::card::CardFacts;
use slimfit_emit::kernels::KernelCrate;
use slimfit_hardware::HardwareProfile;
use slimfit_kernels::pool::allowed_cpus;
use slimfit_kernels::{Isa, Kernels, Tuning};
use slimfit_plan::{Plan, PlanOptions};
use slimfit_quantity::NumberFormat;
use std::path::Path;

/// The device that kernels are for.
pub struct KernelDevice {
    tier: Isa,
    tuning: Tuning,
    /// In words.
    name: String,
    threads: u32,
}

/// A model whose kernels are wanted.
pub struct KernelModel<'a> {
    pub name: &'a str,
    pub title: &'a str,
    pub architecture: &'a Architecture,
    pub weights: NumberFormat,
    pub kv: NumberFormat,
    pub threads: Option<u32>,
    pub context: u64,
    /// The `general.architecture` of the files that it reads.
    pub family: &'a str,
    /// What its card says.
    pub facts: &'a CardFacts,
    pub command: &'a str,
}

impl KernelDevice {
    /// The device of a profile, where its instructions are of this program's architecture; this machine without one.
    pub fn of(profile: Option<&HardwareProfile>, output: &Output) -> Result<Self, Failure> {
        let here = Isa::selected()?;
        let own = || -> Result<Tuning, Failure> { device::tuning(here, output) };
        let Some(profile) = profile else {
            let threads = u32::try_from(allowed_cpus().len()).unwrap_or(1);
            return Ok(Self { tier: here, tuning: own()?, name: "this machine".to_owned(), threads });
        };
        let (name, threads) = (profile.name.clone(), profile.fingerprint.cores.max(1));
        if profile.fingerprint == slimfit_probe::fingerprint(here)? {
            return Ok(Self { tier: here, tuning: own()?, name, threads });
        }
        let known = |isa: &String| isa.parse::<Isa>().ok().filter(|tier| tier.is_of_this_architecture());
        let richest = profile.fingerprint.isa.iter().filter_map(known).max();
        let tier = richest.filter(|tier| !matches!(tier, Isa::Scalar | Isa::Portable)).ok_or_else(|| {
            let found = format!("`{name}` with {}", profile.fingerprint.isa.join(", "));
            DocumentError::new(
                "foreign-device",
                "kernels are written on a machine of their device's architecture",
            )
            .field("--what")
            .found(found)
            .hint("leave out `kernels`, or run this on the device")
        })?;
        Ok(Self { tier, tuning: Tuning::default(), name, threads })
    }

    /// The device in words.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the crate into `folder`.
    pub fn write(&self, model: &KernelModel<'_>, folder: &Path) -> Result<Vec<WrittenFile>, Failure> {
        let threads = u64::from(model.threads.unwrap_or(self.threads));
        let context = match model.architecture.positions {
            Positions::Learned { context, .. } => context.min(model.context),
            _ => model.context,
        };
        let options = PlanOptions::new(model.weights, model.kv, self.tier, threads, context);
        let refused = |error: &dyn std::error::Error| Failure::sentence("no-kernels", error);
        let plan = Plan::new(model.architecture, options).map_err(|error| refused(&error))?;
        for step in &plan.steps {
            Kernels::supports(&step.operation).map_err(|error| refused(&error))?;
        }
        let emitted = KernelCrate {
            name: model.name,
            title: model.title,
            architecture: model.architecture,
            plan: &plan,
            tier: self.tier,
            tuning: &self.tuning,
            family: model.family,
            device: &self.name,
            facts: model.facts,
            command: model.command,
        };
        let files = emitted.files()?;
        let written = files.iter().map(|file| {
            WrittenFile::write(&folder.join(&file.path), "kernels", file.text.as_bytes())
                .map_err(Failure::from)
        });
        written.collect()
    }
}
