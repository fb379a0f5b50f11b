//! Which runtime a prediction is of: arguments that several commands share.

use crate::failure::Failure;
use slimfit_cost::{Engine, EngineOptions};
use slimfit_document::{DocumentError, suggestion};
use slimfit_hardware::HardwareProfile;

/// The runtime, and how it is priced.
#[derive(Debug, clap::Args)]
pub struct EngineArguments {
    /// The runtime whose times are predicted: `slimfit`, or `llama.cpp` from class efficiencies. Unless said, slimfit
    /// where the profile was measured, llama.cpp where it was described from publications.
    #[arg(long, value_name = "NAME")]
    engine: Option<String>,
    /// Take prefill of another runtime from a class figure, good to a factor of 3; without it prefill is unavailable there.
    #[arg(long)]
    allow_class_prefill: bool,
}

impl EngineArguments {
    /// The runtime for `profile`, and how it is priced.
    pub fn resolve(&self, profile: &HardwareProfile) -> Result<(Engine, EngineOptions), Failure> {
        let asked = self.engine.as_deref().map(named).transpose()?;
        let engine = Engine::for_profile(asked, profile)?;
        if self.allow_class_prefill && engine == Engine::Slimfit {
            let error = DocumentError::new("usage", "slimfit's own prefill needs no class figure");
            return Err(error
                .field("--allow-class-prefill")
                .found("engine `slimfit`")
                .allowed("another engine, as with `--engine llama.cpp`")
                .into());
        }
        Ok((engine, EngineOptions { allow_class_prefill: self.allow_class_prefill }))
    }
}

fn named(name: &str) -> Result<Engine, Failure> {
    Engine::named(name).map_err(|_| {
        let known = Engine::ALL.map(Engine::name);
        DocumentError::new("usage", "no engine of this name")
            .field("--engine")
            .found(format!("`{name}`"))
            .allowed(known.join(", "))
            .maybe_hint(suggestion(name, known))
            .into()
    })
}
