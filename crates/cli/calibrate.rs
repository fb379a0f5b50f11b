//! `slimfit calibrate`.

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::portable::PortableArgument;
use crate::progress::Progress;
use crate::table::table;
use crate::timed::TimedArguments;
use crate::{Outcome, date, device, interrupt};
use serde_json::json;
use slimfit_cost::{CalibrationFit, CostModel};
use slimfit_document::{DocumentError, write_atomically};
use slimfit_formats::load_model;
use slimfit_hardware::{Calibration, HardwareProfile};
use slimfit_kernels::Isa;
use slimfit_quantity::NumberFormat;
use slimfit_search::Space;
use slimfit_workflow::{CalibrationRun, Observer, Subjects, VerifyOptions, calibrate};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Fewer models than this tell nothing: each is left out in turn.
const LEAST_MODELS: usize = 3;

/// Arguments of `calibrate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit calibrate --samples 5\n  slimfit calibrate --models smollm2-135m,mobilellm-125m,pythia-70m --weights q4_0\n\nExit code 1 where factors do not help: nothing is stored then."
)]
pub struct Arguments {
    /// A measured hardware profile: a file or a local name; the newest one of this machine unless said.
    #[arg(long)]
    profile: Option<String>,
    /// Calibrate the profile of another machine all the same.
    #[arg(long)]
    allow_other_profile: bool,
    /// Models to run, as `measure` takes them: names or files, between commas.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["space", "samples"])]
    models: Vec<String>,
    /// Weight format of those models; the file's own unless said, or q8_0.
    #[arg(long, requires = "models")]
    weights: Option<NumberFormat>,
    /// KV cache format of those models.
    #[arg(long, default_value = "f16", requires = "models")]
    kv: NumberFormat,
    /// A search space to draw models from, built-in or a file; may be given several times.
    #[arg(long, default_value = "slm-demo")]
    space: Vec<String>,
    #[command(flatten)]
    portable: PortableArgument,
    /// Models to draw.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(LEAST_MODELS as i64..=1000))]
    samples: u16,
    /// Seed of the draw, of weights and of tokens.
    #[arg(long, default_value_t = 2)]
    seed: u64,
    #[command(flatten)]
    timed: TimedArguments,
    /// The file of the calibrated profile; the profile's own unless said.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let isa = Isa::selected()?;
    let stored = device::stored(arguments.profile.as_deref(), isa)?;
    let profile = stored.profile;
    // Says what a published profile lacks before anything runs.
    CostModel::new(&profile)?;
    device::require_this_machine(&profile, isa, arguments.allow_other_profile)?;
    let options = VerifyOptions {
        samples: usize::from(arguments.samples),
        seed: arguments.seed,
        prompts: arguments.timed.prompt.clone(),
        depths: arguments.timed.depth.clone(),
        tuning: device::tuning(isa, output)?,
        ..VerifyOptions::new(isa)
    };
    device::require_cache_format(arguments.kv)?;
    let (models, spaces) = (models(arguments)?, spaces(arguments)?);
    let subjects = if models.is_empty() { Subjects::Spaces(&spaces) } else { Subjects::Models(&models) };
    let file = arguments.out.clone().unwrap_or(stored.path);
    // Before the runs: a file that cannot be written must not cost the user what was measured.
    require_writable(&file)?;
    let progress = Progress::start("calibrate");
    let mut report = |what: &str, done: f64| progress.set(done, what);
    let mut observer = Observer { progress: &mut report, cancel: interrupt::flag() };
    let found = calibrate(subjects, &profile, &options, &date::now(), &mut observer)?;
    progress.finish(&format!("{} runs", found.verification.rows.len()));
    let file = match &found.calibration {
        Some(calibration) => {
            let calibrated = HardwareProfile { calibration: Some(calibration.clone()), ..profile.clone() };
            calibrated.save(&file)?;
            Some(file)
        }
        None => None,
    };
    if output.is_json() {
        let factors = found.calibration.as_ref().map_or(&[][..], |calibration| &calibration.factors);
        let errors = found.errors.iter().map(|error| {
            json!({
                "phase": error.phase, "n": error.n, "before": error.before, "after": error.after,
                "helps": CalibrationFit::helps(error), "interval_scale": error.interval_scale,
            })
        });
        output.object(
            "calibrate",
            "calibrate",
            json!({
                "seed": arguments.seed,
                "profile": { "fingerprint_id": profile.fingerprint.id(), "sha256": profile.sha256(), "name": profile.name },
                "stored": file.is_some(),
                "file": file,
                "models": found.calibration.as_ref().map(|calibration| calibration.models),
                "factors": factors,
                "errors": errors.collect::<Vec<_>>(),
                "rows": found.verification.rows,
                "skipped": found.verification.skipped,
            }),
        )?;
    } else {
        output.text(&text(&found))?;
        if let Some(file) = &file {
            output.text(&file.display().to_string())?;
        }
    }
    if file.is_some() {
        return Ok(Outcome::Done);
    }
    if found.errors.is_empty() {
        note(&format!("nothing is stored: fewer than {LEAST_MODELS} models were run"));
        return Ok(Outcome::CheckFailed);
    }
    note(match &profile.calibration {
        None => "nothing is stored: factors do not make predictions of other models better",
        Some(_) => {
            "nothing is stored: factors do not make predictions of other models better; the earlier calibration stays"
        }
    });
    Ok(Outcome::CheckFailed)
}

/// Refuses a file beside which nothing can be written: files are written under another name first.
fn require_writable(file: &Path) -> Result<(), Failure> {
    if file.is_dir() {
        let error = DocumentError::new("write-failed", "this is a folder, not a file");
        return Err(error.file(file.display().to_string()).field("--out").into());
    }
    let beside = file.with_extension("slimfit-try");
    let tried = write_atomically(&beside, b"").map_err(|error| error.message.clone());
    let tried = tried.and_then(|()| std::fs::remove_file(&beside).map_err(|error| error.to_string()));
    tried.map_err(|reason| {
        let error =
            DocumentError::new("write-failed", reason).file(file.display().to_string()).field("--out");
        error.hint("`--out` names another file").into()
    })
}

fn spaces(arguments: &Arguments) -> Result<Vec<Space>, Failure> {
    arguments.space.iter().map(|space| arguments.portable.applied(Space::load(space, &[])?)).collect()
}

fn models(
    arguments: &Arguments,
) -> Result<Vec<(slimfit_arch::Architecture, NumberFormat, NumberFormat)>, Failure> {
    let few = |found: usize| {
        let error = DocumentError::new(
            "usage",
            "too few models: each is left out in turn to see what factors are worth",
        );
        error
            .field("--models")
            .found(found.to_string())
            .allowed(format!("{LEAST_MODELS} different ones or more"))
    };
    if (1..LEAST_MODELS).contains(&arguments.models.len()) {
        return Err(few(arguments.models.len()).into());
    }
    let models = arguments
        .models
        .iter()
        .map(|reference| {
            let model = load_model(reference)?;
            let weights = arguments.weights.or(model.weights_format).unwrap_or(NumberFormat::Q8_0);
            Ok((model.architecture, weights, arguments.kv))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let different: BTreeSet<String> =
        models.iter().map(|(architecture, weights, kv)| architecture.id(*weights, *kv)).collect();
    if (1..LEAST_MODELS).contains(&different.len()) {
        return Err(few(different.len()).into());
    }
    Ok(models)
}

fn text(found: &CalibrationRun) -> String {
    let mut text = String::new();
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let mut rows =
        table(&["errors of models left out", "runs", "without factors", "with", "", "90 % interval"]);
    for error in &found.errors {
        rows.add_row(vec![
            error.phase.name().to_owned(),
            error.n.to_string(),
            percent(error.before),
            percent(error.after),
            if CalibrationFit::helps(error) { "helps" } else { "no help: left out" }.to_owned(),
            error.interval_scale.map_or_else(String::new, |scale| format!("{scale:.2} × as wide")),
        ]);
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
    let mut models: Vec<&str> = found.verification.rows.iter().map(|row| row.id.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    let _ = writeln!(text, "of {} models, each left out in turn", models.len());
    if let Some(calibration) = &found.calibration {
        let _ = writeln!(text, "\n{}", factors(calibration));
    }
    for skipped in &found.verification.skipped {
        let _ = writeln!(text, "not run: {}: {}", skipped.id, skipped.reason);
    }
    text
}

/// The factors as a table.
pub fn factors(calibration: &Calibration) -> String {
    let mut rows = table(&["factor on", "models in", "part", "factor", "90 % interval", "runs"]);
    let times = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    for found in &calibration.factors {
        let figure = &found.factor;
        rows.add_row(vec![
            found.phase.name().to_owned(),
            found.regime.name().to_owned(),
            found.term.name().to_owned(),
            times(figure.value),
            format!("{} – {}", times(figure.low), times(figure.high)),
            figure.n.to_string(),
        ]);
    }
    rows.trim_fmt()
}
