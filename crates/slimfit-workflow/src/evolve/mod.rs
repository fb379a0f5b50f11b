//! Searches a space for the front of what is measured, a point at a time, and keeps every evaluation in a study.
//!
//! `evaluators/README.md` is the page of evaluators that are commands.

mod answer;
mod command;
mod device;
mod keeper;
mod question;

pub use device::DeviceEvaluator;

use crate::search_study::{assumption_warnings, engine_warnings, explain};
use crate::{SearchInputs, WorkflowError};
use command::Command;
use device::Device;
use keeper::{Keeper, Measurer, answers};
use slimfit_cost::CostModel;
use slimfit_document::DocumentError;
use slimfit_quality::{Assumption, Z90};
use slimfit_search::evolve::{Evolution, EvolveOptions, EvolveProgress, Patience, evolve};
use slimfit_search::{Evaluator, Metric, ModelEvaluator, Progress, SearchOptions, search, shortlist};
use slimfit_study::{
    Findings, Front, MeasuredSearch, Measurement, Natural, ProfileRef, RequestRecord, SearchId,
    SearchRequest, Study,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Points of the model's front that are measured first.
const START: usize = 12;
/// Points from anywhere that are measured next.
const EXPLORE: usize = 4;
/// Share of the time that the search of the model's front may take.
const MODEL_SHARE: f64 = 1.0 / 3.0;
/// The record of the points that a search began with.
const START_RECORD: &str = "measured-search-start";

/// Who measures.
#[derive(Debug, Clone)]
pub enum PointEvaluator {
    /// A command for the system's shell, as `evaluators/README.md` says.
    Command(String),
    /// This device, through our own runtime.
    Device(DeviceEvaluator),
}

impl PointEvaluator {
    /// Its name in records.
    pub fn name(&self) -> &str {
        match self {
            Self::Command(command) => command,
            Self::Device(_) => "device",
        }
    }

    /// What decides its answers, in a text that is equal where they are.
    fn identity(&self) -> String {
        match self {
            Self::Command(command) => format!("command `{command}`"),
            // Another version has other kernels.
            Self::Device(DeviceEvaluator { isa, tuning, power, rounds, seed }) => format!(
                "device, version {}, {}, {tuning:?}, {power:?}, {rounds} rounds, seed {seed}",
                env!("CARGO_PKG_VERSION"),
                isa.name()
            ),
        }
    }
}

/// How it is searched.
pub struct EvolveSettings<'a> {
    /// What is minimised; none: quality, TTFT, TPOT, memory, and energy where the profile has it.
    pub objectives: Option<Vec<Metric>>,
    /// Largest allowed values.
    pub limits: Vec<(Metric, f64)>,
    /// What is measured: each an objective or a limit.
    pub measures: Vec<Metric>,
    /// Who measures.
    pub evaluator: PointEvaluator,
    /// Evaluations at most, kept ones that are used again included.
    pub evaluations: usize,
    /// Points of a batch.
    pub batch: usize,
    /// When the front grows no more.
    pub patience: Option<Patience>,
    /// Seed of all chance.
    pub seed: u64,
    /// The distance to the model's exact front that each pass of its search allows, falling.
    pub passes: Vec<f64>,
    /// When to stop with what was found.
    pub deadline: Option<Instant>,
    /// Set from outside to stop with what was found.
    pub cancel: &'a AtomicBool,
    /// Told now and then how far the search of the model's front is.
    pub model_progress: &'a (dyn Fn(Progress) + Sync),
    /// Told after each batch.
    pub progress: &'a (dyn Fn(EvolveProgress) + Sync),
}

/// Whether to stop with what was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halt<'a> {
    cancel: &'a AtomicBool,
    deadline: Option<Instant>,
}

impl Halt<'_> {
    fn is_halted(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Searches for the front of measured points, and keeps in `study` every evaluation as it comes, and at the end the front. A
/// second call with the same question goes on from what was kept: nothing is measured again, and the end is that of a call that
/// nothing interrupted.
///
/// # Errors
/// When the space cannot be priced, the study cannot be written, the evaluator breaks its protocol or fails (what it
/// answered is kept), or the user stopped it before anything was measured.
pub fn evolve_into_study(
    inputs: &SearchInputs,
    settings: &EvolveSettings<'_>,
    study: &Study,
) -> Result<Front, WorkflowError> {
    let began = Instant::now();
    inputs.require_one_device("a search of measured points")?;
    let cost = inputs.cost()?;
    let quality = inputs.quality()?;
    let model = inputs.evaluator(std::slice::from_ref(&cost), &quality)?;
    let objectives = settings.objectives.clone().unwrap_or_else(|| model.default_objectives(&inputs.space));
    check(settings)?;
    let model = model.asked_for(&objectives, &settings.limits);
    let halt = Halt { cancel: settings.cancel, deadline: settings.deadline };
    let mut options = EvolveOptions {
        objectives,
        limits: settings.limits.clone(),
        measures: settings.measures.clone(),
        start: Vec::new(),
        explore: EXPLORE,
        batch: settings.batch,
        evaluations: settings.evaluations,
        patience: settings.patience,
        deadline: settings.deadline,
        seed: settings.seed,
        cancel: Some(settings.cancel),
        progress: Some(settings.progress),
    };
    slimfit_search::evolve::check(&inputs.space, model.metrics(), &options)?;
    let request = request(inputs, settings, &options)?;
    let search = study.begin_search(&request)?.id;
    options.start = start(inputs, settings, &model, &options, (study, search))?;
    let known = known(study, &request, &settings.measures)?;
    let mut command;
    let mut device;
    let measurer: &mut dyn Measurer = match &settings.evaluator {
        PointEvaluator::Command(text) => {
            command = Command { command: text, measures: &settings.measures, halt };
            &mut command
        }
        PointEvaluator::Device(evaluator) => {
            device = Device {
                evaluator,
                measures: &settings.measures,
                halt,
                cost: &cost,
                model: &model,
                workload: &inputs.workload,
                study,
            };
            &mut device
        }
    };
    let mut keeper = Keeper {
        space: &inputs.space,
        model: &model,
        objectives: &options.objectives,
        limits: &options.limits,
        measures: &options.measures,
        study,
        search,
        known,
        reused: 0,
        measurer,
    };
    let mut evolution = evolve(&inputs.space, &model, &options, &mut keeper)?;
    let reused = keeper.reused;
    if settings.cancel.load(Ordering::Relaxed) && evolution.evaluations.is_empty() {
        return Err(WorkflowError::Interrupted);
    }
    // Of all that was done, the search of the model's front included.
    evolution.duration = began.elapsed();
    let found = Found { evolution: &evolution, options: &options, reused, search };
    keep(inputs, settings, (&cost, &model), &found, study)
}

/// What was found, to be recorded.
struct Found<'a> {
    evolution: &'a Evolution,
    options: &'a EvolveOptions<'a>,
    reused: u64,
    search: SearchId,
}

/// Writes the front.
fn keep(
    inputs: &SearchInputs,
    settings: &EvolveSettings<'_>,
    (cost, model): (&CostModel, &ModelEvaluator<'_>),
    found: &Found<'_>,
    study: &Study,
) -> Result<Front, WorkflowError> {
    let Found { evolution, options, reused, search } = *found;
    let profile = ProfileRef {
        fingerprint_id: inputs.profile.fingerprint.id(),
        sha256: inputs.profile.sha256(),
        name: inputs.profile.name.clone(),
    };
    let runs: BTreeMap<String, Measurement> = match settings.evaluator {
        PointEvaluator::Command(_) => BTreeMap::new(),
        PointEvaluator::Device(_) => study
            .measurements()?
            .into_iter()
            .map(|measurement| (measurement.id.clone(), measurement))
            .collect(),
    };
    let half_width = |index: u64, metric: Metric| {
        let point = inputs.space.point(index).ok();
        let spread = point.and_then(|point| {
            let run = runs.get(&point.architecture.id(point.weights, point.kv))?;
            let bytes_per_token = model.law().bytes_per_token(point.architecture.vocabulary_size);
            device::value(metric, run, bytes_per_token).ok()
        });
        // Quartiles of a normal distribution lie 0.674 of its standard deviation from the middle.
        spread.map_or(0.0, |(_, half_width)| half_width * Z90 / 0.674_49)
    };
    let (mut front, cloud) = model.measured_front(&inputs.space, evolution, options, profile, &half_width)?;
    if settings.objectives.is_none() {
        front.head.warnings.extend(inputs.no_energy(std::slice::from_ref(cost)));
    }
    front.head.warnings.extend(engine_warnings(cost, &inputs.profile));
    front.head.warnings.extend(assumption_warnings(&front, inputs));
    let in_force = Assumption::ALL.into_iter().filter(|assumption| inputs.space.assumes(*assumption));
    front.head.assume = in_force.map(|assumption| assumption.name().to_owned()).collect();
    front.head.study = Some(study.folder().display().to_string());
    front.head.measured_search = Some(MeasuredSearch {
        evaluator: settings.evaluator.name().to_owned(),
        measures: options.measures.iter().map(|metric| metric.name().to_owned()).collect(),
        evaluations: evolution.evaluations.len() as u64,
        failed: evolution.failed() as u64,
        reused,
        stopped: evolution.stopped.name().to_owned(),
        batch: options.batch as u64,
        started_from: options.start.len() as u64,
        hypervolume: evolution.hypervolume.clone(),
        errors: evolution.surrogate_errors(),
    });
    let indices: Vec<Natural> = evolution.front.iter().map(|found| Natural::from(found.index)).collect();
    let findings = Findings {
        front: &front,
        // More evaluations may always follow.
        complete: false,
        indices: &indices,
        cloud: &cloud,
        explanations: &explain(&front, cost, model, &inputs.workload)?,
        // Their losses and times are predicted, and do not compare with measured ones.
        references: &[],
    };
    study.finish_search(search, &findings)?;
    Ok(front)
}

/// Refuses what cannot be asked for.
fn check(settings: &EvolveSettings<'_>) -> Result<(), DocumentError> {
    match &settings.evaluator {
        PointEvaluator::Device(_) => DeviceEvaluator::check(&settings.measures),
        PointEvaluator::Command(command) if command.trim().is_empty() => {
            let error = DocumentError::new("usage", "an evaluator without a command").field("--evaluator");
            Err(error.found("nothing").allowed("`device`, or a command for the shell"))
        }
        PointEvaluator::Command(_) => Ok(()),
    }
}

/// The question. How many evaluations are allowed and how long they may take decides only when the search ends.
fn request(
    inputs: &SearchInputs,
    settings: &EvolveSettings<'_>,
    options: &EvolveOptions<'_>,
) -> Result<SearchRequest, WorkflowError> {
    let mut request = inputs.request(&options.question())?;
    let mut names: Vec<&str> = options.measures.iter().map(|metric| metric.name()).collect();
    names.sort_unstable();
    request.settings =
        format!("{}; measures {names:?} by {}", request.settings, settings.evaluator.identity());
    Ok(request)
}

/// Answers that any search of the study kept which asked the same evaluator about the same space, device and use: seeds,
/// objectives and limits decide which points are asked about, and nothing about the answers.
fn known(
    study: &Study,
    request: &SearchRequest,
    measures: &[Metric],
) -> Result<HashMap<String, Result<Vec<f64>, String>>, WorkflowError> {
    let asked = |record: RequestRecord| RequestRecord {
        program_version: String::new(),
        objectives: Vec::new(),
        limits: Vec::new(),
        seed: 0,
        ..record
    };
    let same = asked(request.record());
    let mut known = HashMap::new();
    for search in study.searches()? {
        if asked(search.request) == same {
            known.extend(answers(study.evaluations(search.id)?, measures));
        }
    }
    Ok(known)
}

/// Points of the model's front to begin with: those that an earlier run of this search began with, or else the knee, the
/// best in each objective, and others that lie far from them.
fn start(
    inputs: &SearchInputs,
    settings: &EvolveSettings<'_>,
    model: &ModelEvaluator<'_>,
    options: &EvolveOptions<'_>,
    (study, search): (&Study, SearchId),
) -> Result<Vec<u64>, WorkflowError> {
    let key = search.to_string();
    if let Some(kept) = study.latest(START_RECORD, &key)? {
        return Ok(kept);
    }
    let predicted = |metric: &Metric| model.metrics().contains(metric);
    let objectives: Vec<Metric> = options.objectives.iter().copied().filter(predicted).collect();
    let limits: Vec<(Metric, f64)> =
        options.limits.iter().copied().filter(|(metric, _)| predicted(metric)).collect();
    let certain: Vec<(Metric, f64)> =
        limits.iter().copied().filter(|(metric, _)| !options.measures.contains(metric)).collect();
    let mut points = Vec::new();
    if !objectives.is_empty() {
        let deadline = settings.deadline.map(|deadline| {
            let left: Duration = deadline.saturating_duration_since(Instant::now());
            Instant::now() + left.mul_f64(MODEL_SHARE)
        });
        let mut asked = SearchOptions {
            objectives,
            limits,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            seed: options.seed,
            sample: 0,
            passes: settings.passes.clone(),
            deadline,
            cancel: Some(settings.cancel),
            progress: Some(settings.model_progress),
        };
        let mut outcome = search_model(inputs, model, &asked)?;
        if outcome.is_empty() && asked.limits != certain {
            // What the model says of a measured metric may be wrong: its limit is for measured values.
            asked.limits = certain;
            outcome = search_model(inputs, model, &asked)?;
        }
        points = outcome;
    }
    if settings.cancel.load(Ordering::Relaxed) {
        return Err(WorkflowError::Interrupted);
    }
    study.append(START_RECORD, &key, &points)?;
    Ok(points)
}

fn search_model(
    inputs: &SearchInputs,
    model: &ModelEvaluator<'_>,
    options: &SearchOptions<'_>,
) -> Result<Vec<u64>, WorkflowError> {
    let outcome = search(&inputs.space, model, options)?;
    let profile = ProfileRef {
        fingerprint_id: inputs.profile.fingerprint.id(),
        sha256: inputs.profile.sha256(),
        name: inputs.profile.name.clone(),
    };
    let (front, _) = model.front(&inputs.space, &outcome, options, profile)?;
    Ok(shortlist(&front, START).into_iter().map(|place| outcome.front[place].index).collect())
}
