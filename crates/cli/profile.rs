//! `slimfit profile`.

use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::{Outcome, device, devices, interrupt, profile_check, profile_text};
use serde_json::json;
use slimfit_document::DocumentError;
use slimfit_hardware::{HardwareProfile, Power, save_local};
use slimfit_kernels::Isa;
use slimfit_quantity::format_seconds;
use slimfit_workflow::{Observer, measure_machine};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `profile`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit profile --budget 60\n  slimfit profile --out my-board.yaml --json\n  slimfit profile --check\n  slimfit profile --compare monday.yaml friday.yaml"
)]
pub struct Arguments {
    /// The file; a name of its own under hardware-profiles/local/ unless said.
    #[arg(long)]
    out: Option<PathBuf>,
    /// How long to measure: `60`, `90s`, `2min`.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = slimfit_quantity::parse_seconds)]
    budget: f64,
    #[command(flatten)]
    power: device::PowerArguments,
    /// Measure nothing: list the devices described from publications, which `--profile NAME` takes.
    #[arg(long, conflicts_with_all = ["out", "budget"])]
    list: bool,
    /// Measure for 5 seconds whether this profile still holds (a file or a name; the newest of this machine unless
    /// said); exit code 1 where it does not.
    #[arg(long, value_name = "PROFILE", num_args = 0..=1, conflicts_with_all = ["out", "budget", "list"])]
    check: Option<Option<String>>,
    /// Measure nothing: say what changed from the first profile to the second.
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["out", "budget", "list", "check"])]
    compare: Vec<String>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    if arguments.list {
        devices::list(output)?;
        return Ok(Outcome::Done);
    }
    if let Some(reference) = &arguments.check {
        return profile_check::check(reference.as_deref(), output);
    }
    if let [before, after] = &arguments.compare[..] {
        return profile_check::compare(before, after, output);
    }
    let isa = Isa::selected()?;
    writable(arguments.out.as_deref())?;
    let progress = Progress::start("profile");
    let mut report = |what: &str, done: f64| progress.set(done, what);
    let mut observer = Observer { progress: &mut report, cancel: interrupt::flag() };
    let folder = Path::new(device::LOCAL_FOLDER);
    let measured = measure_machine(folder, isa, arguments.budget, &arguments.power.source(), &mut observer);
    interrupt::check()?;
    let profile = measured?;
    let file = match &arguments.out {
        Some(file) => {
            profile.save(file)?;
            file.clone()
        }
        None => save_local(device::LOCAL_FOLDER, &profile)?,
    };
    progress.finish(&file.display().to_string());
    if output.is_json() {
        let mut fields =
            serde_json::to_value(&profile).map_err(|error| Failure::internal(error.to_string()))?;
        fields["file"] = json!(file);
        output.object("profile", "profile", fields)?;
    } else {
        output.warnings(&profile.warnings);
        output.text(&summary(&profile))?;
        output.text(&file.display().to_string())?;
    }
    Ok(Outcome::Done)
}

/// A minute of measuring must not end at a folder that cannot be written.
fn writable(out: Option<&Path>) -> Result<(), Failure> {
    let folder = match out {
        Some(file) if file.exists() && !file.is_file() => return Ok(()),
        Some(file) => {
            file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
        }
        None => PathBuf::from(device::LOCAL_FOLDER),
    };
    slimfit_document::create_directory(&folder)?;
    let trial = folder.join(format!(".slimfit-{}.tmp", std::process::id()));
    slimfit_document::write_atomically(&trial, b"\n")?;
    std::fs::remove_file(&trial).map_err(|error| {
        DocumentError::new("write-failed", error.to_string()).file(folder.display().to_string())
    })?;
    Ok(())
}

fn summary(profile: &HardwareProfile) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", profile.name);
    text.push_str(&profile_text::topology(profile));
    let _ = writeln!(text, "\n{}\n", profile_text::bandwidth(profile).trim_fmt());
    let _ = writeln!(text, "{}\n", profile_text::latency(profile).trim_fmt());
    let _ = writeln!(text, "{}\n", profile_text::peak(profile).trim_fmt());
    for barrier in &profile.overhead.barrier {
        let seconds = barrier.seconds.value.map_or_else(|| "unavailable".to_owned(), format_seconds);
        let _ = writeln!(text, "barrier of {} threads: {seconds}", barrier.threads);
    }
    let _ = writeln!(text, "{}", power(&profile.power));
    if let Some(source) = profile.topology.sources.iter().find(|source| source.field == "peak.clock_hz") {
        let _ = writeln!(text, "clock: {}", source.from);
    }
    text
}

/// Which meter told what, or why none did.
fn power(power: &Power) -> String {
    let Some(idle) = power.idle_watts.value else {
        let reason = power.idle_watts.reason.as_deref().unwrap_or("no reason is given");
        return format!("power: unavailable: {reason}");
    };
    let origin = power.meter.as_deref().or(power.idle_watts.citation.as_deref()).unwrap_or("unknown origin");
    let mut text = format!("power ({origin}): idle {idle:.2} W");
    for load in &power.loaded {
        if let Some(watts) = load.watts.value {
            let _ = write!(text, ", {} {}: {watts:.2} W", load.class, load.threads);
        }
    }
    text
}
