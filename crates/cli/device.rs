//! Which hardware profile a command works with.

use crate::failure::Failure;
use crate::output::Output;
use slimfit_document::{DocumentError, suggestion};
use slimfit_hardware::{GivenWatts, HardwareError, HardwareProfile, ProfileKind, StoredProfile, find_local};
use slimfit_kernels::{ISA_VARIABLE, Isa, Tuning};
use slimfit_probe::PowerSource;
use slimfit_quantity::NumberFormat;
use slimfit_workflow::local_tuning;
use std::path::{Path, PathBuf};

/// Where profiles measured here are kept, below the current folder.
pub const LOCAL_FOLDER: &str = "hardware-profiles/local";

/// Where names of profiles come from.
const PROFILES: &str = "`slimfit profile --list` names the devices that are built in; those measured here lie in `hardware-profiles/local`";

/// Watts for predictions.
#[derive(Debug, clap::Args)]
pub struct WattsArgument {
    /// The device's watts, idle and loaded, where nothing measures them: `2.7,6.5`. Every joule is then modelled.
    #[arg(long, value_name = "IDLE,LOADED")]
    power_watts: Option<GivenWatts>,
}

impl WattsArgument {
    /// The profile with the given watts in it, where some were given.
    pub fn applied(&self, mut profile: HardwareProfile) -> HardwareProfile {
        if let Some(watts) = self.power_watts {
            profile.give_watts(watts);
        }
        profile
    }

    /// The same of several devices, which no two numbers describe.
    pub fn applied_to(&self, mut profiles: Vec<HardwareProfile>) -> Result<Vec<HardwareProfile>, Failure> {
        if self.power_watts.is_some() && profiles.len() > 1 {
            let error = DocumentError::new("usage", "watts are of one device").field("--power-watts");
            let error = error.found(format!("{} profiles", profiles.len())).allowed("one profile");
            return Err(error
                .hint("write the watts into the profiles: `slimfit profile --power-watts`")
                .into());
        }
        Ok(profiles.drain(..).map(|profile| self.applied(profile)).collect())
    }
}

/// Whether factors that `slimfit calibrate` stored count.
#[derive(Debug, clap::Args)]
pub struct CalibrationArgument {
    /// Predict without the factors that `slimfit calibrate` stored in the profile.
    #[arg(long)]
    no_calibration: bool,
}

impl CalibrationArgument {
    /// The profile, without its factors where they are not wanted.
    pub fn applied(&self, mut profile: HardwareProfile) -> HardwareProfile {
        if self.no_calibration {
            profile.calibration = None;
        }
        profile
    }
}

/// Where power comes from when something runs.
#[derive(Debug, clap::Args)]
pub struct PowerArguments {
    /// A command that prints the device's power, a line for each reading: `3.2 W`, or energy counted so far: `120 J`. For
    /// wall meters and phones.
    #[arg(long, value_name = "CMD", conflicts_with = "power_watts")]
    power_command: Option<String>,
    /// The watts given instead.
    #[command(flatten)]
    pub watts: WattsArgument,
}

impl PowerArguments {
    /// What to measure power with.
    pub fn source(&self) -> PowerSource {
        match (&self.power_command, self.watts.power_watts) {
            (Some(command), _) => PowerSource::Command(command.clone()),
            (None, Some(watts)) => PowerSource::Given(watts),
            (None, None) => PowerSource::System,
        }
    }
}

/// The profile named on the command line, or the newest local one of this machine.
pub fn profile(reference: Option<&str>, isa: Isa) -> Result<HardwareProfile, Failure> {
    Ok(stored(reference, isa)?.profile)
}

/// The profiles named on the command line, all different; the newest local one of this machine where none is.
pub fn profiles(references: &[String], isa: Isa) -> Result<Vec<HardwareProfile>, Failure> {
    if references.is_empty() {
        return Ok(vec![profile(None, isa)?]);
    }
    let mut profiles: Vec<HardwareProfile> = Vec::new();
    for (place, reference) in references.iter().enumerate() {
        let next = profile(Some(reference), isa)?;
        if let Some(same) = profiles.iter().position(|known| known.sha256() == next.sha256()) {
            let error = DocumentError::new("usage", "one profile stands for two devices").field("--profile");
            let found = format!("`{}` and `{}`, which are the same", references[same], references[place]);
            return Err(error.found(found).allowed("profiles that differ").into());
        }
        profiles.push(next);
    }
    Ok(profiles)
}

/// A profile with its file: for a compiled-in one, the name alone.
pub fn stored(reference: Option<&str>, isa: Isa) -> Result<StoredProfile, Failure> {
    if let Some(reference) = reference {
        return named(reference);
    }
    let fingerprint = slimfit_probe::fingerprint(isa)?;
    match find_local(LOCAL_FOLDER, &fingerprint).newest {
        Some(stored) => Ok(stored),
        None => {
            // A cap is a setting of its own: a profile without it does not count.
            let message = match std::env::var(ISA_VARIABLE) {
                Ok(cap) => {
                    format!("there is no hardware profile of this machine under `{ISA_VARIABLE}={cap}`")
                }
                Err(_) => "there is no hardware profile of this machine".to_owned(),
            };
            let error = DocumentError::new("no-profile", message);
            let error = error.file(LOCAL_FOLDER).hint(
                "measure one with `slimfit profile`, or name a file or a device of `slimfit profile --list` with `--profile`",
            );
            Err(error.into())
        }
    }
}

/// The newest local profile of this machine under this instruction-set cap.
pub fn newest(isa: Isa) -> Result<Option<HardwareProfile>, Failure> {
    let fingerprint = slimfit_probe::fingerprint(isa)?;
    Ok(find_local(LOCAL_FOLDER, &fingerprint).newest.map(|stored| stored.profile))
}

/// The kernels that `slimfit profile` found fastest on this machine under this cap. Choices of another version's kernels
/// are left aside, and the user is told.
pub fn tuning(isa: Isa, output: &Output) -> Result<Tuning, Failure> {
    let (tuning, warning) = local_tuning(Path::new(LOCAL_FOLDER), isa)?;
    output.warnings(warning.as_slice());
    Ok(tuning)
}

/// A file, the name of a local profile without folder and ending, or that of a compiled-in one.
fn named(reference: &str) -> Result<StoredProfile, Failure> {
    let load = |path: PathBuf| -> Result<StoredProfile, Failure> {
        match HardwareProfile::load(&path) {
            Ok(profile) => Ok(StoredProfile { profile, path }),
            Err(HardwareError::Document(error)) if error.code == "file-missing" => {
                let names = error.hint.is_none().then(|| PROFILES.to_owned());
                Err(error.maybe_hint(names).into())
            }
            Err(error) => Err(error.into()),
        }
    };
    let looks_like_a_path = reference.contains(['/', '\\', '.']);
    if looks_like_a_path || Path::new(reference).exists() {
        return load(PathBuf::from(reference));
    }
    let file = Path::new(LOCAL_FOLDER).join(format!("{reference}.yaml"));
    if file.is_file() {
        return load(file);
    }
    if let Some(profile) = HardwareProfile::builtin(reference) {
        return Ok(StoredProfile { path: PathBuf::from(reference), profile: profile? });
    }
    let mut local: Vec<String> = std::fs::read_dir(LOCAL_FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    local.sort_unstable();
    let known: Vec<String> = HardwareProfile::builtin_names().map(str::to_owned).chain(local).collect();
    let allowed = format!("{}, or the path of a file", known.join(", "));
    let hint = suggestion(reference, known.iter().map(String::as_str));
    Err(DocumentError::new("unknown-profile", "no hardware profile of this name")
        .found(format!("`{reference}`"))
        .allowed(allowed)
        .maybe_hint(hint)
        .into())
}

/// Refuses a profile of another machine unless the user insists.
pub fn require_this_machine(profile: &HardwareProfile, isa: Isa, insist: bool) -> Result<(), Failure> {
    if insist {
        return Ok(());
    }
    another_machine(
        profile,
        isa,
        "measure this one with `slimfit profile`, or insist with `--allow-other-profile`",
    )
}

/// Refuses a profile of another machine, with what the user can do.
pub fn another_machine(profile: &HardwareProfile, isa: Isa, hint: &str) -> Result<(), Failure> {
    let differences = match profile.require_machine(&slimfit_probe::fingerprint(isa)?) {
        Err(HardwareError::OtherMachine { differences }) => differences,
        other => return Ok(other?),
    };
    let message = match profile.provenance.kind {
        ProfileKind::Published => {
            format!("the profile `{}` is of another machine, described from publications", profile.name)
        }
        ProfileKind::Measured => {
            format!("the profile `{}` belongs to another machine or setting ({differences})", profile.name)
        }
    };
    Err(DocumentError::new("other-machine", message).hint(hint).into())
}

/// Refuses a format in which slimfit's own runtime keeps no cache.
pub fn require_cache_format(kv: NumberFormat) -> Result<(), Failure> {
    if NumberFormat::SEARCHABLE_KV.contains(&kv) {
        return Ok(());
    }
    let error = DocumentError::new("usage", "slimfit keeps no cache in this format").field("--kv");
    let allowed = NumberFormat::SEARCHABLE_KV.map(NumberFormat::name).join(", ");
    Err(error.found(format!("`{kv}`")).allowed(allowed).into())
}
