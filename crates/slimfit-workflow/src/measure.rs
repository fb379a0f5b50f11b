//! Runs one model for real and puts what was predicted beside it.

use crate::energy::Energy;
use crate::{Observer, WorkflowError};
use slimfit_arch::Architecture;
use slimfit_cost::{CostError, CostModel, PREFILL_UNAVAILABLE, Prediction, RunShape};
use slimfit_hardware::{PeakType, Placement};
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::{Plan, PlanOptions, WeightFormats};
use slimfit_probe::{PeakSentinel, PowerSource, ReadSentinel, barrier_seconds};
use slimfit_quantity::{CellResult, Figure, Measured, NumberFormat, Predicted, median};
use slimfit_runtime::{
    DepthFill, MeasureOptions, MemoryRequest, Model, OperationSeconds, RunResult,
    Sentinels as RuntimeSentinels, Session, WeightsFrom,
};
use slimfit_study::{
    ExternalEngine, FormatShare, Measurement, OperationTime, Percentiles, PredictedPercentiles,
    PredictedTail, RunFigures, Sentinels, Shares, Tail, WeightsSource,
};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a figure of a run is missing.
pub(crate) const NO_PROMPT: &str = "no prompt was asked for";
pub(crate) const NO_DECODE: &str = "no token was to be generated";

/// What to run.
#[derive(Debug, Clone)]
pub struct MeasureRequest {
    /// A label for tables.
    pub name: Option<String>,
    /// The model.
    pub architecture: Architecture,
    /// Passes through its looped layers; none: as many as the architecture says.
    pub loops: Option<u64>,
    /// How its weights are stored.
    pub weights: NumberFormat,
    /// How its KV cache is stored.
    pub kv: NumberFormat,
    /// Threads; none: the count with the lowest predicted time per token, or all where nothing is predicted.
    pub threads: Option<u32>,
    /// The cap on the instruction set.
    pub isa: Isa,
    /// Tokens of the prompt; 0: no prefill.
    pub prompt_tokens: u64,
    /// Tokens decoded; 0: no decoding.
    pub generated_tokens: u64,
    /// Tokens in the cache before them.
    pub depth_tokens: u64,
    /// Runs of each phase in each of the two passes.
    pub rounds: usize,
    /// Where its weights come from.
    pub source: WeightsFrom,
    /// Seed of the tokens.
    pub seed: u64,
    /// The kernels found fastest on this machine.
    pub tuning: Tuning,
    /// Whether peak memory is measured too, in a child process of this program.
    pub memory: bool,
    /// What measures the energy of decoding.
    pub power: PowerSource,
}

/// Where predictions come from.
#[derive(Debug, Clone, Copy)]
pub enum Predictor<'a> {
    /// The cost model of a profile.
    Model(&'a CostModel),
    /// Nowhere, and why.
    None(&'a str),
}

impl MeasureRequest {
    /// The same request with its choice of passes written into the architecture, which from then on says all.
    ///
    /// # Errors
    /// Passes are asked for of a model without looped layers, or impossibly many.
    pub fn with_loops_applied(&self) -> Result<Self, WorkflowError> {
        let mut request = self.clone();
        if let Some(count) = request.loops.take() {
            request.architecture = request.architecture.with_loop_count(count)?;
        }
        Ok(request)
    }

    /// What it asks for, in tokens.
    pub fn run_shape(&self) -> RunShape {
        RunShape {
            prompt_tokens: self.prompt_tokens,
            generated_tokens: self.generated_tokens,
            depth_tokens: self.depth_tokens,
        }
    }
}

/// The type whose peak bounds products with these weights: int8 for quantised ones, f32 for those that are widened to it.
pub fn peak_type(weights: NumberFormat) -> PeakType {
    match weights {
        NumberFormat::F32 | NumberFormat::F16 => PeakType::F32,
        NumberFormat::Bf16 => PeakType::Bf16,
        NumberFormat::Q8_0 | NumberFormat::Q4_0 | NumberFormat::Q4_K | NumberFormat::Q6_K => PeakType::Int8,
    }
}

/// An error once the user wants to stop.
fn stop(cancel: &AtomicBool) -> Result<(), WorkflowError> {
    if cancel.load(Ordering::Relaxed) { Err(WorkflowError::Interrupted) } else { Ok(()) }
}

/// Prices `request`, then runs it between sentinels, twice.
///
/// # Errors
/// When the model cannot be planned, held or run, or the user wants to stop.
pub fn measure_model(
    request: &MeasureRequest,
    predictor: Predictor<'_>,
    observer: &mut Observer<'_>,
) -> Result<Measurement, WorkflowError> {
    let request = &request.with_loops_applied()?;
    let run = request.run_shape();
    let opened = request.source.open(&request.architecture)?;
    // Predicted before anything runs.
    let (threads, mut predicted) = predict(request, &opened.formats, predictor, run)?;
    let placed = predict_placed(request, &opened.formats, predictor, threads, run)?;
    let mut options = MeasureOptions {
        prompt: request.prompt_tokens,
        generate: request.generated_tokens,
        depth: request.depth_tokens,
        depth_fill: DepthFill::Random,
        rounds: request.rounds,
        settling: 0,
        seed: request.seed,
    };
    let plan =
        PlanOptions::new(request.weights, request.kv, request.isa, u64::from(threads), options.context());
    observer.at("loading", 0.0)?;
    let cancel = observer.cancel;
    let pool = Pool::new(threads as usize)?;
    let mut model = Model::load_with_formats(&request.architecture, plan, opened.formats, &*opened.source)?;
    drop(opened.source);
    let weight_formats = weight_formats(model.plan());
    model.tune(request.tuning.clone())?;
    let working_set = CostModel::working_set_bytes(model.plan(), run.mean_depth()) as u64;
    let read = ReadSentinel::new(&pool, working_set, request.isa)?;
    options.settling = read.settling_passes() as u64;
    let peak = PeakSentinel::new(&pool, peak_type(request.weights), request.isa)?;
    let mut session = Session::new(&model, &pool)?;
    let edges = || (read.bytes_per_s(&pool), peak.ops_per_s(&pool));
    let barrier = || (threads > 1).then(|| barrier_seconds(&pool));
    let (before, first) = (edges(), barrier());
    let barriers = RefCell::new(Vec::new());
    let energy = RefCell::new(Energy::live(&request.power));
    let sentinels = RuntimeSentinels {
        read_bytes_per_s: Box::new(|| {
            stop(cancel)?;
            energy.borrow_mut().sentinel_begins();
            barriers.borrow_mut().extend(barrier());
            let rate = read.bytes_per_s(&pool);
            energy.borrow_mut().sentinel_ended();
            Ok(rate)
        }),
        peak_ops_per_s: Box::new(|| stop(cancel).map(|()| peak.ops_per_s(&pool))),
    };
    let result =
        slimfit_runtime::measure::<WorkflowError>(&mut session, &options, sentinels, |done, total, name| {
            (observer.progress)(name, done as f64 / total.max(1) as f64);
        })?;
    let (after, last) = (edges(), barrier());
    drop(session);
    drop(model);
    // After the model is gone: the child needs the same memory once more.
    observer.at("peak memory", 1.0)?;
    let peak_memory = peak_memory(request, threads)?;
    let mut found = found(&result, weight_formats, peak_memory, before, after);
    if request.generated_tokens > 0 {
        found.measured.joules_per_token = energy.borrow().joules_per_token(request.generated_tokens);
    }
    found.sentinel.barrier_seconds = first.zip(last).map(|(first, last)| [first, last]);
    barriers.borrow_mut().extend(first.into_iter().chain(last));
    let mut placement = None;
    if let Predictor::Model(cost) = predictor
        && !barriers.borrow().is_empty()
    {
        // A thread count that the profile lacks has nothing predicted either.
        let here = cost.placement_of(threads, median(&barriers.borrow())).unwrap_or(Placement::Usual);
        if here == Placement::Unknown {
            placement = Some(here.name().to_owned());
        }
        if let Some((here, figures, percentiles)) = placed.into_iter().find(|said| said.0 == here) {
            placement = Some(here.name().to_owned());
            predicted = (figures, Some(percentiles));
        }
    }
    Ok(Measurement { placement, ..record(request, threads, predicted, found) })
}

/// What is predicted for each placement of the threads alone, where the profile saw two: which of them holds is known once the
/// model has run.
fn predict_placed(
    request: &MeasureRequest,
    formats: &WeightFormats,
    predictor: Predictor<'_>,
    threads: u32,
    run: RunShape,
) -> Result<Vec<(Placement, RunFigures, PredictedPercentiles)>, WorkflowError> {
    let Predictor::Model(cost) = predictor else { return Ok(Vec::new()) };
    let (architecture, weights, kv) = (&request.architecture, (request.weights, formats), request.kv);
    let mut placed = Vec::new();
    if cost.share_elsewhere(threads) > 0.0 {
        for placement in [Placement::Usual, Placement::Other] {
            let Some(model) = cost.in_placement(threads, placement) else { continue };
            let predicted = model.predict_with_formats(architecture, weights, kv, run, Some(threads))?;
            placed.push((placement, predicted_figures(&predicted), predicted_percentiles(&predicted)));
        }
    }
    Ok(placed)
}

/// What was predicted of a run: figures, and percentiles where there are any.
pub(crate) type Foretold = (RunFigures, Option<PredictedPercentiles>);

pub(crate) fn predict(
    request: &MeasureRequest,
    formats: &WeightFormats,
    predictor: Predictor<'_>,
    run: RunShape,
) -> Result<(u32, Foretold), WorkflowError> {
    let all = u32::try_from(allowed_cpus().len()).unwrap_or(u32::MAX);
    let cost = match predictor {
        Predictor::Model(cost) => cost,
        Predictor::None(reason) => return Ok((request.threads.unwrap_or(all), (unavailable(reason), None))),
    };
    let predicted = match cost.predict_with_formats(
        &request.architecture,
        (request.weights, formats),
        request.kv,
        run,
        request.threads,
    ) {
        Ok(predicted) => predicted,
        // A profile that lacks this thread count or kernel still lets the run go on, and says what it lacks.
        Err(error @ (CostError::Threads { .. } | CostError::Missing { .. })) => {
            return Ok((request.threads.unwrap_or(all), (unavailable(&error.to_string()), None)));
        }
        Err(error) => return Err(error.into()),
    };
    let figures = predicted_figures(&predicted);
    Ok((predicted.threads, (figures, Some(predicted_percentiles(&predicted)))))
}

/// What a record says of where weights came from.
pub fn weights_source(from: &WeightsFrom) -> WeightsSource {
    match from {
        WeightsFrom::Seeded { .. } => WeightsSource::Seeded,
        WeightsFrom::File { .. } => WeightsSource::File,
    }
}

/// Which formats the matrices have, most values first.
pub(crate) fn weight_formats(plan: &Plan) -> Vec<FormatShare> {
    let mut shares: Vec<FormatShare> = Vec::new();
    for slot in &plan.matrices {
        let values = slot.rows * slot.columns * slot.count;
        match shares.iter_mut().find(|share| share.format == slot.format) {
            Some(share) => share.parameters += values,
            None => shares.push(FormatShare { format: slot.format, parameters: values }),
        }
    }
    shares.sort_by_key(|share| std::cmp::Reverse(share.parameters));
    shares
}

/// A prediction under the names of a measurement; what the run does not ask for is unavailable.
pub fn predicted_figures(predicted: &Prediction) -> RunFigures {
    let run = predicted.run;
    let time = |time: Predicted| Figure { citation: predicted.calibrated.clone(), ..time.figure() };
    let rate = |seconds: Predicted, tokens: f64| time(seconds.map(|seconds| tokens / seconds));
    let no_prompt = || {
        let asked = run.prompt_tokens > 0;
        Figure::unavailable(if asked { PREFILL_UNAVAILABLE } else { NO_PROMPT })
    };
    let no_decode = || Figure::unavailable(NO_DECODE);
    let prefill = predicted.ttft_seconds.filter(|_| run.prompt_tokens > 0);
    let generate = run.generated_tokens > 0;
    RunFigures {
        prefill_tokens_per_s: prefill
            .map_or_else(no_prompt, |seconds| rate(seconds, run.prompt_tokens as f64)),
        decode_tokens_per_s: if generate { rate(predicted.tpot_seconds, 1.0) } else { no_decode() },
        ttft_seconds: prefill.map_or_else(no_prompt, time),
        tpot_seconds: if generate { time(predicted.tpot_seconds) } else { no_decode() },
        peak_memory_bytes: predicted.memory_bytes.figure(),
        joules_per_token: if generate { predicted.joules_per_token.clone() } else { no_decode() },
    }
}

/// Predicted tails under the names of measured ones; what the run does not ask for is unavailable.
pub fn predicted_percentiles(predicted: &Prediction) -> PredictedPercentiles {
    let tail = |asked: bool, percentiles: &slimfit_cost::Percentiles, reason: &str| {
        let figure = |figure: &Figure| if asked { figure.clone() } else { Figure::unavailable(reason) };
        PredictedTail { p95: figure(&percentiles.p95), p99: figure(&percentiles.p99) }
    };
    let run = predicted.run;
    PredictedPercentiles {
        ttft_seconds: tail(run.prompt_tokens > 0, &predicted.ttft_percentiles, NO_PROMPT),
        tpot_seconds: tail(run.generated_tokens > 0, &predicted.tpot_percentiles, NO_DECODE),
    }
}

fn unavailable(reason: &str) -> RunFigures {
    let figure = || Figure::unavailable(reason);
    RunFigures {
        prefill_tokens_per_s: figure(),
        decode_tokens_per_s: figure(),
        ttft_seconds: figure(),
        tpot_seconds: figure(),
        peak_memory_bytes: figure(),
        joules_per_token: figure(),
    }
}

/// What a child has to run to tell the peak memory of `request`.
pub(crate) fn memory_request(request: &MeasureRequest, threads: u32) -> MemoryRequest {
    MemoryRequest {
        architecture: request.architecture.clone(),
        weights: request.weights,
        kv: request.kv,
        isa: request.isa.name().to_owned(),
        threads: u64::from(threads),
        prompt: request.prompt_tokens,
        generate: request.generated_tokens,
        depth: request.depth_tokens,
        chunk: PlanOptions::CHUNK,
        source: request.source.clone(),
        seed: request.seed,
    }
}

fn peak_memory(request: &MeasureRequest, threads: u32) -> Result<Figure, WorkflowError> {
    if !request.memory {
        return Ok(Figure::unavailable("peak memory was not asked for"));
    }
    let report = slimfit_runtime::measure_memory(&memory_request(request, threads))?;
    let bytes = Measured::new(vec![report.peak_memory_bytes() as f64]);
    Ok(bytes.map_or_else(|| Figure::unavailable("the child reported nothing"), |bytes| bytes.figure()))
}

/// What running told.
pub(crate) struct Found {
    /// What ran, where it was another runtime.
    pub(crate) engine: Option<ExternalEngine>,
    pub(crate) weight_formats: Vec<FormatShare>,
    pub(crate) measured: RunFigures,
    pub(crate) percentiles: Percentiles,
    pub(crate) sentinel: Sentinels,
    pub(crate) share: Shares,
    pub(crate) operations: Vec<OperationTime>,
}

/// What was asked for, predicted and found, as one record.
pub(crate) fn record(
    request: &MeasureRequest,
    threads: u32,
    (predicted, predicted_percentiles): Foretold,
    found: Found,
) -> Measurement {
    let Found { engine, weight_formats, measured, percentiles, sentinel, share, operations } = found;
    Measurement {
        id: request.architecture.id(request.weights, request.kv),
        name: request.name.clone(),
        architecture: request.architecture.clone(),
        weights: request.weights,
        weights_source: weights_source(&request.source),
        weight_formats,
        kv: request.kv,
        threads,
        isa: request.isa.name().to_owned(),
        engine,
        prompt_tokens: request.prompt_tokens,
        generated_tokens: request.generated_tokens,
        depth_tokens: request.depth_tokens,
        measured,
        percentiles,
        predicted,
        predicted_percentiles,
        placement: None,
        sentinel,
        share,
        operations,
    }
}

/// Measured percentiles as a record has them.
pub(crate) fn tail(tail: slimfit_runtime::Tail) -> Tail {
    Tail { p50: tail.p50, p95: tail.p95, p99: tail.p99 }
}

fn found(
    result: &RunResult,
    weight_formats: Vec<FormatShare>,
    peak_memory_bytes: Figure,
    before: (f64, f64),
    after: (f64, f64),
) -> Found {
    let figure = |measured: Option<Measured>, reason: &str| {
        measured.map_or_else(|| Figure::unavailable(reason), |measured| measured.figure())
    };
    let read = [edge(&result.decode, before.0, false), edge(&result.decode, after.0, true)];
    let peak = [edge(&result.prefill, before.1, false), edge(&result.prefill, after.1, true)];
    Found {
        engine: None,
        weight_formats,
        measured: RunFigures {
            prefill_tokens_per_s: figure(result.prefill_tokens_per_s(), NO_PROMPT),
            decode_tokens_per_s: figure(result.decode_tokens_per_s(), NO_DECODE),
            ttft_seconds: figure(result.ttft_seconds(), NO_PROMPT),
            tpot_seconds: figure(result.tpot_seconds(), NO_DECODE),
            peak_memory_bytes,
            joules_per_token: Figure::unavailable(NO_DECODE),
        },
        percentiles: Percentiles {
            ttft_seconds: tail(result.ttft_tail()),
            tpot_seconds: tail(result.tpot_tail()),
        },
        sentinel: Sentinels { read_bytes_per_s: read, peak_ops_per_s: peak, barrier_seconds: None },
        share: Shares {
            decode_of_bandwidth: result.decode_of_bandwidth().map(|share| share.value()),
            prefill_of_peak: result.prefill_of_peak().map(|share| share.value()),
        },
        operations: operations(&result.operations, median(&read), median(&peak)),
    }
}

/// The median of the sentinels on one side of a phase's runs; where the phase did not run, the one sample around it all.
fn edge(cell: &Option<CellResult>, single: f64, after: bool) -> f64 {
    let rates: Vec<f64> = cell
        .iter()
        .flat_map(|cell| cell.test.iter().chain(&cell.retest))
        .map(|run| if after { run.after_per_s } else { run.before_per_s })
        .collect();
    if rates.is_empty() { single } else { median(&rates) }
}

fn operations(seconds: &[OperationSeconds], bytes_per_s: f64, ops_per_s: f64) -> Vec<OperationTime> {
    let total = |phase| -> f64 {
        seconds.iter().filter(|operation| operation.phase == phase).map(|operation| operation.seconds).sum()
    };
    seconds
        .iter()
        .map(|operation| {
            let allowed = (operation.streamed_bytes / bytes_per_s).max(operation.flops / ops_per_s);
            let whole = total(operation.phase);
            OperationTime {
                name: operation.label.to_owned(),
                phase: operation.phase.name().to_owned(),
                variant: operation.variant.to_owned(),
                seconds: operation.seconds,
                share_of_time: if whole > 0.0 { operation.seconds / whole } else { 0.0 },
                share_of_roofline: (operation.seconds > 0.0 && allowed > 0.0)
                    .then(|| allowed / operation.seconds),
            }
        })
        .collect()
}
