//! The whole road within a budget: profile, search, measure, emit, verify. The report is drawn by the caller, last.
//!
//! Every finished step is recorded in the study, so that a second run after Ctrl-C goes on where the first stopped.

use crate::{
    MeasureRequest, Observer, Predictor, SearchInputs, SearchSettings, VerifyOptions, WorkflowError,
    local_tuning, measure_machine, measure_model, search_into_study, verify,
};
use serde::{Deserialize, Serialize};
use slimfit_cost::{CostModel, Engine, EngineOptions};
use slimfit_document::{WrittenFile, sha256_hex};
use slimfit_emit::{Emission, EmitError, emit_config};
use slimfit_hardware::HardwareProfile;
use slimfit_kernels::Isa;
use slimfit_probe::PowerSource;
use slimfit_quality::{Anchor, QualityModel, Recipe, TrainingPlan};
use slimfit_runtime::WeightsFrom;
use slimfit_search::{DeviceObjectives, ExtraRows, Metric, QualityTable, Space, Workload, shortlist};
use slimfit_study::{FrontPoint, Input, InputKind, Measurement, Study};
use std::path::PathBuf;
use std::time::Instant;

/// Shares of the budget; what is left goes to the report.
const PROFILE_SHARE: f64 = 0.30;
const SEARCH_SHARE: f64 = 0.15;
const MEASURE_SHARE: f64 = 0.25;
const VERIFY_SHARE: f64 = 0.22;
/// Points that are run even where the time for it is over: one says nothing about the others.
const LEAST_MEASURED: usize = 2;
/// Points of the front that are run for real, at most.
const MEASURED_POINTS: usize = 4;
/// Dominated points kept to draw the cloud.
const CLOUD: usize = 20_000;
/// Tokens generated in a timed run, at most: enough for a steady mean.
const GENERATED: u64 = 32;
/// Below this budget child processes that measure peak memory would take too large a part.
const LEAST_BUDGET_FOR_MEMORY: f64 = 90.0;
/// The kind under which finished steps are recorded.
const STEP: &str = "run-step";
/// The kind under which the inputs of the run are recorded.
const INPUTS: &str = "run-inputs";

/// What to run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Seconds for everything but the report.
    pub budget_seconds: f64,
    /// The space.
    pub space: Space,
    /// The use.
    pub workload: Workload,
    /// How a model would be trained, with the recipe's text.
    pub recipe: (Recipe, String),
    /// Training tokens.
    pub tokens: u64,
    /// Siblings of known score.
    pub anchors: Vec<Anchor>,
    /// How the training is counted.
    pub training: TrainingPlan,
    /// Measured scores, and what happens to rows that name no point.
    pub quality_table: Option<(QualityTable, ExtraRows)>,
    /// Limits that every point keeps.
    pub limits: Vec<(Metric, f64)>,
    /// Seed of everything drawn.
    pub seed: u64,
    /// The cap on the instruction set.
    pub isa: Isa,
    /// Where profiles measured here are kept for other commands.
    pub profile_folder: PathBuf,
    /// What measures power.
    pub power: PowerSource,
}

/// A finished step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// `profile`, `search`, `measure`, `emit` or `verify`.
    pub name: String,
    /// Seconds it took when it ran.
    pub seconds: f64,
    /// Whether it had been finished by an earlier run of the same study.
    #[serde(default)]
    pub resumed: bool,
    /// Files it wrote outside the store.
    #[serde(default)]
    pub files: Vec<WrittenFile>,
}

/// How a study stands to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Nothing was run in it.
    Fresh,
    /// A run of the same inputs began in it and is not finished.
    Unfinished,
    /// A run of the same inputs is finished.
    Finished,
    /// It belongs to other inputs.
    Other,
}

impl RunOptions {
    /// One digest of everything that decides the result. The budget is left out: a run may go on with another.
    pub fn digest(&self) -> String {
        let limits: Vec<String> =
            self.limits.iter().map(|(metric, limit)| format!("{}<={limit}", metric.name())).collect();
        let table = self.quality_table.as_ref();
        let parts = [
            env!("CARGO_PKG_VERSION").to_owned(),
            self.space.text().to_owned(),
            self.workload.text().to_owned(),
            self.recipe.1.clone(),
            format!(
                "{:?} {:?} {:?}",
                self.anchors,
                self.training,
                table.map(|(table, extra)| (table.sha256(), extra))
            ),
            format!("{} {} {} {}", self.tokens, self.seed, self.isa, limits.join(" ")),
            match &self.power {
                PowerSource::System => String::new(),
                PowerSource::Command(command) => command.clone(),
                PowerSource::Given(watts) => watts.to_string(),
            },
        ];
        sha256_hex(parts.join("\u{0}").as_bytes())
    }

    /// Whether `study` is of this run.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self, study: &Study) -> Result<RunState, WorkflowError> {
        let Some(known) = study.latest::<String>(INPUTS, "")? else {
            return Ok(if study.head()?.is_some() { RunState::Other } else { RunState::Fresh });
        };
        if known != self.digest() {
            return Ok(RunState::Other);
        }
        let finished = study.latest::<StepRecord>(STEP, "verify")?.is_some();
        Ok(if finished { RunState::Finished } else { RunState::Unfinished })
    }
}

/// Runs what `study` does not hold yet, and returns every step in order.
///
/// # Errors
/// What a step cannot do, or that the user wants to stop: finished steps stay.
pub fn run_all(
    options: &RunOptions,
    study: &Study,
    observer: &mut Observer<'_>,
) -> Result<Vec<StepRecord>, WorkflowError> {
    let started = Instant::now();
    study.append(INPUTS, "", &options.digest())?;
    let mut steps = Vec::new();

    step("profile", study, &mut steps, || {
        let progress = &mut observer.progress;
        let mut inner = |what: &str, done: f64| progress(&format!("profile: {what}"), done);
        let mut inner = Observer { progress: &mut inner, cancel: observer.cancel };
        let budget = options.budget_seconds * PROFILE_SHARE;
        let profile =
            measure_machine(&options.profile_folder, options.isa, budget, &options.power, &mut inner)?;
        slimfit_hardware::save_local(&options.profile_folder, &profile)?;
        study.keep_input(&Input::new(InputKind::Profile, &profile.name, profile.to_yaml()?))?;
        Ok(Vec::new())
    })?;
    let profile = HardwareProfile::load(study.input(InputKind::Profile))?;

    step("search", study, &mut steps, || {
        search_step(options, &profile, study, observer).map(|()| Vec::new())
    })?;
    let front = study.front()?.ok_or_else(|| nothing(options, "the study holds no front"))?;
    if front.points.is_empty() {
        return Err(nothing(options, "no point keeps every limit"));
    }
    let chosen: Vec<&FrontPoint> =
        shortlist(&front, MEASURED_POINTS).into_iter().map(|place| &front.points[place]).collect();

    step("measure", study, &mut steps, || measure_step(options, &profile, &chosen, study, observer))?;
    step("emit", study, &mut steps, || emit_step(options, &chosen, study, observer))?;
    // What running one of the chosen points took tells what an unseen one will take.
    let runs = study.measurements()?.len().max(1) as f64;
    let each = steps.iter().find(|step| step.name == "measure").map_or(4.0, |step| step.seconds) / runs;
    let left = options.budget_seconds - started.elapsed().as_secs_f64();
    let share = (options.budget_seconds * VERIFY_SHARE).min(left);
    let samples = ((share / each.max(1.0)) as usize).clamp(2, 12);
    step("verify", study, &mut steps, || verify_step(options, &profile, samples, study, observer))?;
    Ok(steps)
}

fn nothing(options: &RunOptions, reason: &str) -> WorkflowError {
    WorkflowError::NothingToRun { space: options.space.name().to_owned(), reason: reason.to_owned() }
}

fn step(
    name: &str,
    study: &Study,
    steps: &mut Vec<StepRecord>,
    work: impl FnOnce() -> Result<Vec<WrittenFile>, WorkflowError>,
) -> Result<(), WorkflowError> {
    if let Some(done) = study.latest::<StepRecord>(STEP, name)? {
        steps.push(StepRecord { resumed: true, ..done });
        return Ok(());
    }
    let started = Instant::now();
    let files = work()?;
    let record =
        StepRecord { name: name.to_owned(), seconds: started.elapsed().as_secs_f64(), resumed: false, files };
    study.append(STEP, name, &record)?;
    steps.push(record);
    Ok(())
}

fn search_step(
    options: &RunOptions,
    profile: &HardwareProfile,
    study: &Study,
    observer: &mut Observer<'_>,
) -> Result<(), WorkflowError> {
    let inputs = SearchInputs {
        profile: profile.clone(),
        further_profiles: Vec::new(),
        space: options.space.clone(),
        workload: options.workload.clone(),
        recipe: options.recipe.0.clone(),
        recipe_text: options.recipe.1.clone(),
        tokens: options.tokens,
        engine: Engine::Slimfit,
        engine_options: EngineOptions::default(),
        anchors: options.anchors.clone(),
        training: options.training,
        quality_table: options.quality_table.clone(),
        candidates: None,
    };
    observer.at("search", 0.0)?;
    let settings = SearchSettings {
        objectives: None,
        devices: DeviceObjectives::Worst,
        limits: options.limits.clone(),
        seed: options.seed,
        sample: CLOUD,
        // A space too large for the budget still gives a front of known distance.
        passes: vec![0.03, 0.0],
        deadline: Some(
            Instant::now() + std::time::Duration::from_secs_f64(options.budget_seconds * SEARCH_SHARE),
        ),
        cancel: observer.cancel,
        progress: &|_| {},
        taken_up: &|_| {},
    };
    search_into_study(&inputs, &settings, study)?;
    observer.at("search", 1.0)
}

/// Runs the chosen points; those that an earlier run measured are left out.
fn measure_step(
    options: &RunOptions,
    profile: &HardwareProfile,
    chosen: &[&FrontPoint],
    study: &Study,
    observer: &mut Observer<'_>,
) -> Result<Vec<WrittenFile>, WorkflowError> {
    let cost = CostModel::new(profile)?;
    let quality = QualityModel::new(options.recipe.0.clone());
    let law = quality.law(options.tokens, &options.workload.bytes());
    let known: Vec<Measurement> = study.measurements()?;
    let started = Instant::now();
    let whole_share = options.budget_seconds * MEASURE_SHARE;
    let share = whole_share / chosen.len() as f64;
    for (place, point) in chosen.iter().enumerate() {
        let taken = started.elapsed().as_secs_f64();
        // The machine may be slower now than its profile: the next point would take about as long as those before it.
        if place >= LEAST_MEASURED && taken * (place + 1) as f64 / place as f64 > whole_share {
            break;
        }
        let name = format!("measure {} of {}", place + 1, chosen.len());
        observer.at(&name, place as f64 / chosen.len() as f64)?;
        let whole = options.workload.run_shape(&law, point.architecture.vocabulary_size);
        if known.iter().any(|known| known.id == point.id && known.prompt_tokens == whole.prompt_tokens) {
            continue;
        }
        let mut request = MeasureRequest {
            name: point.picks.first().cloned(),
            architecture: point.architecture.clone(),
            loops: None,
            weights: point.weights,
            kv: point.kv,
            threads: Some(point.threads),
            isa: options.isa,
            prompt_tokens: whole.prompt_tokens,
            generated_tokens: whole.generated_tokens.min(GENERATED),
            depth_tokens: whole.depth_tokens,
            rounds: 1,
            source: WeightsFrom::Seeded { seed: options.seed },
            seed: options.seed,
            tuning: local_tuning(&options.profile_folder, options.isa)?.0,
            memory: options.budget_seconds >= LEAST_BUDGET_FOR_MEMORY,
            power: options.power.clone(),
        };
        let run = request.run_shape();
        let predicted =
            cost.predict(&point.architecture, point.weights, point.kv, run, Some(point.threads))?;
        let once = predicted.prefill()?.value + predicted.tpot_seconds.value * run.generated_tokens as f64;
        // Half of the share for loading, warming up, the operations' own runs and the child.
        request.rounds = ((share / 2.0 / (2.0 * once)) as usize).clamp(1, 6);
        let each = chosen.len() as f64;
        let progress = &mut observer.progress;
        let mut inner =
            |what: &str, done: f64| progress(&format!("{name}: {what}"), (place as f64 + done) / each);
        let mut inner = Observer { progress: &mut inner, cancel: observer.cancel };
        let measurement = measure_model(&request, Predictor::Model(&cost), &mut inner)?;
        study.add_measurement(&measurement)?;
    }
    observer.at("measure", 1.0)?;
    Ok(Vec::new())
}

/// Writes each chosen point as the narrowest standard class that holds it.
fn emit_step(
    options: &RunOptions,
    chosen: &[&FrontPoint],
    study: &Study,
    observer: &mut Observer<'_>,
) -> Result<Vec<WrittenFile>, WorkflowError> {
    observer.at("emit", 0.0)?;
    let quality = QualityModel::new(options.recipe.0.clone());
    let law = quality.law(options.tokens, &options.workload.bytes());
    let mut files = Vec::new();
    for point in chosen {
        let run = options.workload.run_shape(&law, point.architecture.vocabulary_size);
        let name = point.picks.first().unwrap_or(&point.id);
        let emission = Emission {
            name: point.id.clone(),
            architecture: point.architecture.clone(),
            context: run.context().next_power_of_two(),
        };
        match emit_config(&emission, &study.folder().join("emitted").join(name)) {
            Ok(written) => files.extend(written),
            // From an earlier run that was stopped before the step was recorded.
            Err(EmitError::NotEmpty(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    observer.at("emit", 1.0)?;
    Ok(files)
}

/// Verifies a few unseen architectures.
fn verify_step(
    options: &RunOptions,
    profile: &HardwareProfile,
    samples: usize,
    study: &Study,
    observer: &mut Observer<'_>,
) -> Result<Vec<WrittenFile>, WorkflowError> {
    let mut settings = VerifyOptions::new(options.isa);
    settings.samples = samples;
    settings.seed = options.seed;
    settings.depths = vec![128, 512];
    settings.generated_tokens = 8;
    settings.tuning = local_tuning(&options.profile_folder, options.isa)?.0;
    settings.memory = options.budget_seconds >= LEAST_BUDGET_FOR_MEMORY;
    let progress = &mut observer.progress;
    let mut inner = |what: &str, done: f64| progress(&format!("verify: {what}"), done);
    let mut inner = Observer { progress: &mut inner, cancel: observer.cancel };
    let verification = verify(std::slice::from_ref(&options.space), profile, &settings, &mut inner)?;
    // What was stopped half-way is done again, whole.
    observer.at("verify", 1.0)?;
    study.set_verification(&verification)?;
    Ok(Vec::new())
}
