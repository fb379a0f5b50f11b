//! Which runtime a prediction is of: arguments that several commands share.

use crate::failure::Failure;
use slimfit_cost::{Engine, EngineOptions};
use slimfit_document::{DocumentError, suggestion};
use slimfit_hardware::HardwareProfile;
use slimfit_workflow::EngineCommand;
use std::time::Duration;

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

impl EngineArguments {
    /// The one runtime for all of several devices.
    pub fn resolve_all(&self, profiles: &[HardwareProfile]) -> Result<(Engine, EngineOptions), Failure> {
        let all: Vec<_> = profiles.iter().map(|profile| self.resolve(profile)).collect::<Result<_, _>>()?;
        let first = all[0];
        if let Some(place) = all.iter().position(|(engine, _)| *engine != first.0) {
            let error =
                DocumentError::new("usage", "the devices would run different engines").field("--engine");
            let of = |place: usize| format!("{} on `{}`", all[place].0.name(), profiles[place].name);
            return Err(error
                .found(format!("{}, {}", of(0), of(place)))
                .allowed("one engine for all devices")
                .hint("`--engine llama.cpp` prices both measured and published devices")
                .into());
        }
        Ok(first)
    }
}

/// The runtime that is measured, where it is not slimfit's own.
#[derive(Debug, clap::Args)]
pub struct MeasuredEngineArguments {
    /// Measure another runtime: a command that reads one line of JSON and prints one, in the system's shell. The page
    /// `crates/slimfit-workflow/engines/README.md` says what stands in them; `llama_bench.py` beside it runs llama.cpp.
    #[arg(long, value_name = "CMD", value_parser = command_line)]
    engine_command: Option<String>,
    /// How long that command may take for one request: `90s`, `10min`.
    #[arg(long, value_name = "TIME", default_value = "600", value_parser = some_time, requires = "engine_command")]
    engine_timeout: f64,
    /// Whose predicted times stand beside those of the command: `llama.cpp`. Unless said, none do.
    #[arg(long, value_name = "NAME", requires = "engine_command")]
    engine: Option<String>,
    /// Take that engine's prefill from a class figure, good to a factor of 3; without it prefill is unavailable there.
    #[arg(long, requires = "engine")]
    allow_class_prefill: bool,
}

impl MeasuredEngineArguments {
    /// The command, where there is one.
    pub fn command(&self) -> Option<EngineCommand> {
        let command = self.engine_command.clone()?;
        Some(EngineCommand { command, timeout: Duration::from_secs_f64(self.engine_timeout) })
    }

    /// Whose times are predicted for the command, where it is said.
    pub fn predicted(&self) -> Result<Option<(Engine, EngineOptions)>, Failure> {
        let Some(engine) = self.engine.as_deref().map(named).transpose()? else { return Ok(None) };
        if engine == Engine::Slimfit {
            let error = DocumentError::new("usage", "slimfit's own times predict no other runtime");
            let others =
                Engine::ALL.into_iter().filter(|engine| *engine != Engine::Slimfit).map(Engine::name);
            let allowed = others.collect::<Vec<_>>().join(", ");
            return Err(error.field("--engine").found("`slimfit`").allowed(allowed).into());
        }
        Ok(Some((engine, EngineOptions { allow_class_prefill: self.allow_class_prefill })))
    }
}

/// A command that is not blank: the shell runs nothing without complaint.
fn command_line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("nothing to run; write a command as in a shell".to_owned());
    }
    Ok(text.to_owned())
}

/// A time in which something can happen.
fn some_time(text: &str) -> Result<f64, String> {
    let seconds = slimfit_quantity::parse_seconds(text).map_err(|error| error.to_string())?;
    if seconds > 0.0 {
        Ok(seconds)
    } else {
        Err("no time at all; write more than 0, like `90s` or `10min`".to_owned())
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
