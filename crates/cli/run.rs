//! `slimfit run`: the whole road, resumable.

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::progress::{Progress, duration};
use crate::what::What;
use crate::{Outcome, companions, date, device, interrupt, report};
use serde_json::json;
use slimfit_document::DocumentError;
use slimfit_kernels::Isa;
use slimfit_study::Study;
use slimfit_workflow::{Observer, RunOptions, RunState, StepRecord, run_all};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Below this nothing useful fits.
const LEAST_BUDGET: f64 = 20.0;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit run\n  slimfit run --budget 60 --out reports/quick --max-memory 256MiB"
)]
pub struct Arguments {
    #[command(flatten)]
    what: What,
    /// How long it may take: `240`, `90s`, `4min`.
    #[arg(long, value_name = "SECONDS", default_value = "240", value_parser = slimfit_quantity::parse_seconds)]
    budget: f64,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The study's folder; `reports/<date>-run` unless said, or the one that an interrupted run left.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    power: device::PowerArguments,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    if arguments.budget < LEAST_BUDGET {
        let error = DocumentError::new("usage", "too short for every step").field("--budget");
        return Err(error
            .found(format!("{} s", arguments.budget))
            .allowed(format!("{LEAST_BUDGET} s or more"))
            .into());
    }
    let started = Instant::now();
    let what = &arguments.what;
    let space = what.space()?;
    let recipe = what.recipe()?;
    let options = RunOptions {
        budget_seconds: arguments.budget,
        limits: what.limits(&space, &recipe.0)?,
        anchors: what.anchors()?,
        training: what.training()?,
        quality_table: what.quality_table(&recipe.0)?,
        space,
        workload: what.workload()?,
        recipe,
        tokens: what.tokens(),
        seed: arguments.seed,
        isa: Isa::selected()?,
        profile_folder: PathBuf::from(device::LOCAL_FOLDER),
        power: arguments.power.source(),
    };
    let study = match &arguments.out {
        Some(folder) => given(folder, &options)?,
        None => named(&options)?,
    };
    let folder = study.folder().to_owned();
    note(&format!("study in {}", folder.display()));
    let steps = road(&options, &study)?;
    let progress = Progress::start("report");
    let files = report::write(&study, &folder, "slimfit run", None)?;
    let cards = companions::beside_emitted(&study)?;
    progress.finish(&format!("{} files", files.len() + cards.len()));
    let page = folder.join("report.html");
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        let files: Vec<_> = steps
            .iter()
            .flat_map(|step| &step.files)
            .map(|file| json!(file))
            .chain(files.iter().map(|file| json!(file)))
            .chain(cards.iter().map(|file| json!(file)))
            .collect();
        let steps: Vec<_> = steps
            .iter()
            .map(|step| json!({ "name": step.name, "seconds": step.seconds, "resumed": step.resumed }))
            .collect();
        let fields = json!({
            "seed": arguments.seed,
            "budget_seconds": arguments.budget,
            "seconds": seconds,
            "study": folder,
            "report": page,
            "steps": steps,
            "files": files,
        });
        output.object("run", "run", fields)?;
        return Ok(Outcome::Done);
    }
    for measurement in study.measurements()? {
        output.text(&line(&measurement))?;
    }
    note(&format!("done in {}", duration(seconds)));
    output.text(&format!("report: {}", page.display()))?;
    Ok(Outcome::Done)
}

/// Everything but the report, a bar for each step.
fn road(options: &RunOptions, study: &Study) -> Result<Vec<StepRecord>, Failure> {
    const STEPS: [&str; 5] = ["profile", "search", "measure", "emit", "verify"];
    let mut bar: Option<(usize, Progress)> = None;
    let mut tell = |name: &str, done: f64| {
        let head = name.split([' ', ':']).next().unwrap_or(name);
        let Some(place) = STEPS.iter().position(|step| *step == head) else { return };
        if bar.as_ref().is_none_or(|(known, _)| *known != place) {
            if let Some((_, progress)) = bar.take() {
                progress.finish("done");
            }
            bar = Some((place, Progress::start(format!("{}/6 {head}", place + 1))));
        }
        if let Some((_, progress)) = &bar {
            progress.set(done, name.split_once(": ").map_or("", |(_, what)| what));
        }
    };
    let mut observer = Observer { progress: &mut tell, cancel: interrupt::flag() };
    let steps = run_all(options, study, &mut observer)?;
    if let Some((_, progress)) = bar.take() {
        progress.finish("done");
    }
    let resumed: Vec<&str> =
        steps.iter().filter(|step| step.resumed).map(|step| step.name.as_str()).collect();
    if !resumed.is_empty() {
        note(&format!("already done before: {}", resumed.join(", ")));
    }
    Ok(steps)
}

/// The folder asked for: fresh, or of the same inputs.
fn given(folder: &Path, options: &RunOptions) -> Result<Study, Failure> {
    let study = Study::create(folder)?;
    if options.state(&study)? == RunState::Other {
        let found = study
            .head()?
            .map_or_else(|| "other inputs".to_owned(), |head| format!("space `{}`", head.space.name));
        return Err(slimfit_study::StudyError::OtherStudy { path: folder.to_owned(), found }.into());
    }
    Ok(study)
}

/// The newest unfinished run of the same inputs, whatever its date, else a new folder of today's date.
fn named(options: &RunOptions) -> Result<Study, Failure> {
    let reports = Path::new("reports");
    let mut left: Vec<PathBuf> = std::fs::read_dir(reports)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_run(path) && path.join("study.sqlite").is_file())
        .collect();
    left.sort();
    for folder in left.iter().rev() {
        let study = Study::open(folder)?;
        if options.state(&study)? == RunState::Unfinished {
            note("going on with the run that was interrupted");
            return Ok(study);
        }
    }
    let today = date::today();
    let mut folder = reports.join(format!("{today}-run"));
    let mut number = 2;
    while folder.exists() {
        folder = reports.join(format!("{today}-run-{number}"));
        number += 1;
    }
    Ok(Study::create(&folder)?)
}

/// Whether a folder is named as this command names them.
fn is_run(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.get(10..).is_some_and(|rest| rest == "-run" || rest.starts_with("-run-"))
}

fn line(measurement: &slimfit_study::Measurement) -> String {
    let spell = |figure: &slimfit_quantity::Figure| {
        figure.value.map_or_else(|| "unavailable".to_owned(), slimfit_quantity::format_seconds)
    };
    format!(
        "{:<20} {:>7} parameters, {}: per token {} measured, {} predicted; TTFT {} measured, {} predicted",
        measurement.name.as_deref().unwrap_or(&measurement.id),
        slimfit_quantity::format_count(measurement.architecture.parameters().total as f64),
        measurement.weights.name(),
        spell(&measurement.measured.tpot_seconds),
        spell(&measurement.predicted.tpot_seconds),
        spell(&measurement.measured.ttft_seconds),
        spell(&measurement.predicted.ttft_seconds),
    )
}
