//! Predicts architectures nobody has run, then runs them, and adds up the errors.
//!
//! All predictions are made and hashed before the first run, one for each placement of the threads that the profile saw.
//! Models are run in one order, then again in the reverse order; every timed run stands between two sentinels, and what was
//! found in two placements is run again.

mod external;
mod placements;
mod subject;
mod timed;

use external::External;
use subject::{Cell, Phase, Subject, predict};
use timed::TimedRun;

use crate::comparison::{baselines, phase_errors};
use crate::engine::{EngineCommand, EngineFiles};
use crate::sample::sample;
use crate::{Observer, WorkflowError, peak_type};
use slimfit_arch::Architecture;
use slimfit_cost::{CostModel, Engine, EngineOptions};
use slimfit_document::sha256_hex;
use slimfit_hardware::{HardwareProfile, Placement};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::PlanOptions;
use slimfit_probe::{PeakSentinel, ReadSentinel, barrier_seconds};
use slimfit_quality::{QualityModel, Recipe};
use slimfit_quantity::{NumberFormat, Predicted, Warning};
use slimfit_runtime::{MemoryRequest, Model, SeededWeights, Session, WeightsFrom, seeded_tokens};
use slimfit_search::{ModelEvaluator, Space, Workload};
use slimfit_study::{PredictedValue, Skipped, Verification, VerificationRow};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Training tokens that decide which points of a space count as valid; verification looks at no loss.
const TRAINING_TOKENS: u64 = 100_000_000_000;

/// Passes over all models, and as many more at most over those whose threads lay one way in the first and the other in the
/// second.
const PASSES: usize = 2;
/// The time that those take at most, as a share of the first two.
const SHARE_OF_MORE: f64 = 0.5;

/// What to verify.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Architectures to draw.
    pub samples: usize,
    /// Seed of the draw, of weights and of tokens.
    pub seed: u64,
    /// The cap on the instruction set.
    pub isa: Isa,
    /// Tokens of the prompts whose prefill is timed.
    pub prompts: Vec<u64>,
    /// Tokens in the cache at which decoding is timed.
    pub depths: Vec<u64>,
    /// Tokens decoded in one run.
    pub generated_tokens: u64,
    /// Calm runs of a cell in each of the two passes, at least; the median counts.
    pub rounds: usize,
    /// Whether to measure peak memory in child processes.
    pub memory: bool,
    /// The kernels found fastest on this machine.
    pub tuning: Tuning,
    /// Another runtime to run, and whose predictions it is to keep.
    pub engine: Option<VerifiedEngine>,
}

/// Another runtime, and what prices it.
#[derive(Debug, Clone)]
pub struct VerifiedEngine {
    /// What runs it.
    pub command: EngineCommand,
    /// Whose times are predicted.
    pub predicted: Engine,
    /// How they are.
    pub options: EngineOptions,
}

impl VerifyOptions {
    /// Twelve architectures, prompts of 128 tokens, decoding at 128 and 1024 tokens.
    pub fn new(isa: Isa) -> Self {
        Self {
            samples: 12,
            seed: 1,
            isa,
            prompts: vec![128],
            depths: vec![128, 1024],
            generated_tokens: 16,
            rounds: 3,
            memory: true,
            tuning: Tuning::default(),
            engine: None,
        }
    }

    fn cost(&self, profile: &HardwareProfile) -> Result<CostModel, WorkflowError> {
        Ok(match &self.engine {
            None => CostModel::new(profile)?,
            Some(engine) => CostModel::for_engine(profile, engine.predicted, engine.options)?,
        })
    }

    fn context(&self) -> u64 {
        let depth = self.depths.iter().max().map_or(0, |depth| depth + self.generated_tokens);
        depth.max(self.prompts.iter().copied().max().unwrap_or(0)).max(1)
    }
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub enum Subjects<'a> {
    /// Draws from search spaces.
    Spaces(&'a [Space]),
    /// Given models, each with its formats of weights and cache.
    Models(&'a [(Architecture, NumberFormat, NumberFormat)]),
}

/// Draws from `spaces`, predicts on `profile`, runs, compares.
///
/// Stopped by the observer once something was timed, it returns what there is, with a warning `interrupted`.
///
/// # Errors
/// When nothing can be drawn, the profile lacks what predictions rest on, the machine refuses to run, or the observer
/// wants to stop before anything was timed.
pub fn verify(
    spaces: &[Space],
    profile: &HardwareProfile,
    options: &VerifyOptions,
    observer: &mut Observer<'_>,
) -> Result<Verification, WorkflowError> {
    verify_subjects(Subjects::Spaces(spaces), profile, options, observer)
}

/// The same with models that may be given.
pub(crate) fn verify_subjects(
    wanted: Subjects<'_>,
    profile: &HardwareProfile,
    options: &VerifyOptions,
    observer: &mut Observer<'_>,
) -> Result<Verification, WorkflowError> {
    observer.at("predict", 0.0)?;
    let cost = options.cost(profile)?;
    let (mut subjects, mut skipped) = (Vec::new(), Vec::new());
    match wanted {
        Subjects::Spaces(spaces) => {
            for (place, space) in spaces.iter().enumerate() {
                // An even share of the samples for each space, the first ones take the rest.
                let share =
                    options.samples / spaces.len() + usize::from(place < options.samples % spaces.len());
                let lists = (&mut subjects, &mut skipped);
                draw(space, &cost, profile, options, (share, place as u64), lists)?;
            }
        }
        Subjects::Models(models) => {
            for (architecture, weights, kv) in models {
                let subject = Subject::new(architecture.clone(), *weights, *kv);
                add(subject, &cost, profile, options, (&mut subjects, &mut skipped))?;
            }
        }
    }
    if let (true, Some(first)) = (subjects.is_empty(), skipped.first()) {
        let reason = format!("none of {} models can be run here: {}", skipped.len(), first.reason);
        return Err(WorkflowError::NothingToRun { space: "what was drawn".to_owned(), reason });
    }
    let mut known = placements::Known::new(profile);
    let mut predictions_sha256 = hash(&subjects)?;

    let most = if options.engine.is_some() { PASSES } else { 2 * PASSES };
    let (began, mut enough) = (Instant::now(), Duration::MAX);
    let (mut done, mut stopped) = (0, false);
    'passes: for pass in 0..most {
        let more = pass >= PASSES;
        if pass == PASSES {
            enough = began.elapsed().mul_f64(1.0 + SHARE_OF_MORE);
        }
        let wanted =
            |subject: &Subject| !more || subject.cells.iter().any(|cell| cell.wants_more(options.rounds));
        let mut order: Vec<usize> = (0..subjects.len()).filter(|&index| wanted(&subjects[index])).collect();
        if pass % 2 == 1 {
            order.reverse();
        }
        let total = done + order.len() * if pass == 0 { PASSES } else { 1 };
        for index in order {
            if observer.at("run", done as f64 / total.max(1) as f64).is_err() {
                stopped = true;
                break 'passes;
            }
            if began.elapsed() > enough {
                break 'passes;
            }
            done += 1;
            if options.engine.is_none() {
                let threads = subjects[index].threads;
                match known.extend(threads, &mut subjects, options, observer) {
                    Err(_) if observer.cancel.load(Ordering::Relaxed) => {
                        stopped = true;
                        break 'passes;
                    }
                    Ok(true) => predictions_sha256 = hash(&subjects)?,
                    Ok(false) => {}
                    Err(error) => return Err(error),
                }
            }
            let subject = &mut subjects[index];
            let ended = match &options.engine {
                None => run(subject, &known.profile, options, observer),
                Some(VerifiedEngine { command, .. }) => {
                    let cancel = observer.cancel;
                    External { command, cost: &cost, profile, options, cancel }.run(subject)
                }
            };
            match ended {
                Err(WorkflowError::Interrupted) => {
                    stopped = true;
                    break 'passes;
                }
                ended => ended?,
            }
        }
    }
    if stopped {
        known.warnings.push(interrupted(&subjects)?);
    }
    (observer.progress)("run", 1.0);
    if let Some(error) = external::nothing_measured(&mut subjects) {
        return Err(error);
    }
    Ok(Verification { warnings: known.warnings, ..record(options, subjects, skipped, predictions_sha256) })
}

/// What is said of a verification that was stopped; an error where nothing was timed.
fn interrupted(subjects: &[Subject]) -> Result<Warning, WorkflowError> {
    let cells = || subjects.iter().flat_map(|subject| &subject.cells);
    let passes = |cell: &Cell| cell.runs.len().max(cell.passes.len());
    let with = |least: usize| cells().filter(|cell| passes(cell) >= least).count();
    let (all, once, twice) = (cells().count(), with(1), with(PASSES));
    if once == 0 {
        return Err(WorkflowError::Interrupted);
    }
    let message = format!(
        "interrupted: of {all} cells {once} were timed, {twice} of them in both passes; the others have no row, and errors are of what there is"
    );
    Ok(Warning::new("interrupted", message))
}

fn draw(
    space: &Space,
    cost: &CostModel,
    profile: &HardwareProfile,
    options: &VerifyOptions,
    (count, salt): (usize, u64),
    (subjects, skipped): (&mut Vec<Subject>, &mut Vec<Skipped>),
) -> Result<(), WorkflowError> {
    let quality = QualityModel::new(Recipe::builtin("gemstones")?);
    let workload = Workload::load("assistant")?;
    let evaluator = ModelEvaluator::new(space, cost, &quality, TRAINING_TOKENS, &workload);
    for (point, _) in sample(space, &evaluator, count, options.seed ^ salt)? {
        let subject = Subject::new(point.architecture, point.weights, point.kv);
        add(subject, cost, profile, options, (&mut *subjects, &mut *skipped))?;
    }
    Ok(())
}

/// Predicts a subject; what cannot be run here is skipped with the reason.
fn add(
    mut subject: Subject,
    cost: &CostModel,
    profile: &HardwareProfile,
    options: &VerifyOptions,
    (subjects, skipped): (&mut Vec<Subject>, &mut Vec<Skipped>),
) -> Result<(), WorkflowError> {
    if options.engine.is_some()
        && let Err(error) = EngineFiles::check(&subject.architecture, subject.weights)
    {
        skipped.push(Skipped { id: subject.id, reason: error.to_string() });
        return Ok(());
    }
    match predict(&mut subject, cost, profile, options) {
        Ok(()) => subjects.push(subject),
        Err(WorkflowError::Runtime(error)) => {
            skipped.push(Skipped { id: subject.id, reason: error.to_string() });
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// SHA-256 of every prediction, in order.
fn hash(subjects: &[Subject]) -> Result<String, WorkflowError> {
    let predictions: Vec<_> = subjects
        .iter()
        .flat_map(|subject| {
            subject.cells.iter().flat_map(move |cell| {
                cell.said.iter().map(move |(placement, said)| {
                    let of = |predicted: Predicted| (predicted.value, predicted.low, predicted.high);
                    let phase = (cell.phase.name(), cell.tokens, placement.name());
                    (&subject.id, subject.threads, phase, of(said.predicted), said.predicted_p95.map(of))
                })
            })
        })
        .collect();
    let bytes = serde_json::to_vec(&predictions).map_err(|error| {
        slimfit_document::DocumentError::new(
            "unprintable",
            format!("the predictions cannot be written: {error}"),
        )
    })?;
    Ok(sha256_hex(&bytes))
}

/// One pass over the cells of one model.
fn run(
    subject: &mut Subject,
    profile: &HardwareProfile,
    options: &VerifyOptions,
    observer: &Observer<'_>,
) -> Result<(), WorkflowError> {
    let missing = |cell: &&mut Cell| cell.phase == Phase::Memory && cell.passes.len() < PASSES;
    if let Some(cell) = subject.cells.iter_mut().find(missing) {
        let largest = |tokens: &[u64]| tokens.iter().copied().max().unwrap_or(0);
        let report = slimfit_runtime::measure_memory(&MemoryRequest {
            architecture: subject.architecture.clone(),
            weights: subject.weights,
            kv: subject.kv,
            isa: options.isa.name().to_owned(),
            threads: u64::from(subject.threads),
            prompt: largest(&options.prompts),
            generate: options.generated_tokens,
            depth: largest(&options.depths),
            chunk: PlanOptions::CHUNK,
            source: WeightsFrom::Seeded { seed: options.seed },
            seed: options.seed,
        })?;
        cell.passes.push((report.peak_memory_bytes() as f64, 1.0));
    }
    let threads = subject.threads;
    let pool = Pool::new(threads as usize)?;
    let plan =
        PlanOptions::new(subject.weights, subject.kv, options.isa, u64::from(threads), options.context());
    let source = SeededWeights::new(&subject.architecture, options.seed);
    let mut model = Model::load(&subject.architecture, plan, &source)?;
    model.tune(options.tuning.clone())?;
    let mut session = Session::new(&model, &pool)?;
    let vocabulary = subject.architecture.vocabulary_size;
    let peak = PeakSentinel::new(&pool, peak_type(subject.weights), options.isa)?;
    let placement = || match threads {
        1 => Placement::Usual,
        _ => profile.placement_of(threads, barrier_seconds(&pool)),
    };
    let mut token_seconds = Vec::new();
    let rounds = options.rounds;
    for cell in &mut subject.cells {
        let found = cell.runs.len() >= PASSES && !cell.wants_more(rounds);
        if cell.phase == Phase::Memory || found {
            continue;
        }
        // Of the cell's own working set: on the edge of a cache a little more reads at another rate.
        let read = ReadSentinel::new(&pool, cell.working_set_bytes, options.isa)?;
        let sentinel =
            || if cell.phase == Phase::Decode { read.bytes_per_s(&pool) } else { peak.ops_per_s(&pool) };
        let mut runs: Vec<TimedRun> = Vec::new();
        let began = Instant::now();
        // The first run is not counted: pages and caches settle.
        let mut counted = false;
        while !timed::enough(&runs, rounds, began.elapsed()) {
            if observer.cancel.load(Ordering::Relaxed) {
                return Err(WorkflowError::Interrupted);
            }
            let (before, value);
            let lay = placement();
            if cell.phase == Phase::Decode {
                if !counted {
                    session.reset();
                    session.fill_random(cell.tokens, options.seed)?;
                }
                session.resume(cell.tokens);
                let generated = seeded_tokens(vocabulary, options.generated_tokens, options.seed ^ 1);
                before = sentinel();
                // The sentinel pushed the model out of the caches: some tokens bring back what they can hold.
                let settling = read.settling_passes().min(generated.len());
                session.time_decode(cell.tokens, &generated[..settling], &mut token_seconds)?;
                session.resume(cell.tokens);
                token_seconds.clear();
                value = session.time_decode(cell.tokens, &generated, &mut token_seconds)?;
            } else {
                let prompt = seeded_tokens(vocabulary, cell.tokens, options.seed);
                before = sentinel();
                value = session.time_prefill(&prompt)?;
            }
            let sentinels = [before, sentinel()];
            let lay = Some(lay).filter(|lay| *lay == placement());
            if std::mem::replace(&mut counted, true) {
                let token_seconds = std::mem::take(&mut token_seconds);
                runs.push(TimedRun { value, sentinels, placement: lay, token_seconds });
            }
        }
        cell.runs.push(runs);
    }
    Ok(())
}

fn record(
    options: &VerifyOptions,
    subjects: Vec<Subject>,
    mut skipped: Vec<Skipped>,
    predictions_sha256: String,
) -> Verification {
    let (mut rows, mut seconds_by_bytes) = (Vec::new(), Vec::new());
    let engine = subjects.iter().find_map(|subject| subject.engine.clone());
    for subject in subjects {
        if let Some(error) = &subject.stopped {
            skipped.push(Skipped { id: subject.id.clone(), reason: external::reason(error) });
        }
        for cell in &subject.cells {
            let Some(found) = cell.measured(options.rounds) else { continue };
            let said = cell.said(found.placement.unwrap_or(Placement::Usual));
            let value = |Predicted { value, low, high }: Predicted| PredictedValue { value, low, high };
            let runs: Vec<&TimedRun> = cell.runs.iter().flatten().collect();
            let count = |runs: usize| (runs > 0).then_some(runs as u64);
            let (measured, retest) = found.values;
            rows.push(VerificationRow {
                id: subject.id.clone(),
                architecture: subject.architecture.clone(),
                parameters: subject.parameters,
                weights: subject.weights,
                kv: subject.kv,
                threads: subject.threads,
                phase: cell.phase.name().to_owned(),
                prompt_tokens: if cell.phase == Phase::Prefill { cell.tokens } else { 0 },
                depth_tokens: if cell.phase == Phase::Decode { cell.tokens } else { 0 },
                predicted: value(said.predicted),
                measured,
                retest,
                sentinel_ratio: found.sentinel_ratio,
                placement: found
                    .placement
                    .filter(|_| subject.threads > 1)
                    .map(|placement| placement.name().to_owned()),
                predicted_p95: said.predicted_p95.map(value),
                runs: count(runs.len()),
                disturbed_runs: count(runs.len())
                    .map(|_| runs.iter().filter(|run| !run.calm()).count() as u64),
                measured_p95: slimfit_runtime::Tail::of(&found.token_seconds).p95,
                impossible: cell.impossible.clone(),
            });
            seconds_by_bytes.push(said.seconds_by_bytes);
        }
    }
    Verification {
        samples: options.samples as u64,
        predictions_sha256,
        engine,
        summary: phase_errors(&rows, false),
        normalised: phase_errors(&rows, true),
        baselines: baselines(&rows, &seconds_by_bytes),
        rows,
        skipped,
        warnings: Vec::new(),
    }
}
