//! Times a model in another runtime, between sentinels, twice, and puts what was predicted for that runtime beside it.

use super::EngineCommand;
use super::files::EngineFiles;
use super::limits::Limits;
use super::protocol::{EngineAnswer, EngineRequest, REQUEST_SCHEMA, Summary};
use crate::measure::{Found, NO_DECODE, NO_PROMPT, predict, record, tail, weight_formats};
use crate::{MeasureRequest, Observer, Predictor, WorkflowError, peak_type};
use slimfit_arch::Architecture;
use slimfit_cost::CostModel;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::{Plan, PlanOptions};
use slimfit_probe::{PeakSentinel, ReadSentinel};
use slimfit_quantity::{Figure, Measured, NumberFormat, Warning, median};
use slimfit_runtime::Tail as Percentile;
use slimfit_study::{ExternalEngine, FormatShare, Measurement, Percentiles, RunFigures, Sentinels, Shares};
use std::sync::atomic::AtomicBool;

/// One thing to time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineCell<'a> {
    pub(crate) architecture: &'a Architecture,
    pub(crate) weights: NumberFormat,
    pub(crate) kv: NumberFormat,
    pub(crate) threads: u32,
    pub(crate) isa: Isa,
    pub(crate) context: u64,
    pub(crate) prompt: u64,
    pub(crate) generated: u64,
    pub(crate) depth: u64,
    pub(crate) repetitions: usize,
    pub(crate) seed: u64,
    /// Bytes that decoding touches again and again.
    pub(crate) working_set_bytes: u64,
}

/// What an engine said in one run, and the machine's speed right before and after.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EngineTimes {
    pub(super) answer: EngineAnswer,
    pub(crate) read_bytes_per_s: [f64; 2],
    pub(crate) peak_ops_per_s: [f64; 2],
    generated: u64,
}

impl EngineTimes {
    /// Seconds per token of each repetition.
    pub(crate) fn tpot_seconds(&self) -> Vec<f64> {
        self.answer.decode_seconds.iter().map(|seconds| seconds / self.generated as f64).collect()
    }

    /// What ran.
    pub(crate) fn engine(&self) -> ExternalEngine {
        ExternalEngine { name: self.answer.name.clone(), version: self.answer.version.clone() }
    }

    /// Seconds of each prompt.
    pub(crate) fn prefill_seconds(&self) -> &[f64] {
        &self.answer.prefill_seconds
    }
}

impl EngineCell<'_> {
    /// Runs the command once.
    ///
    /// # Errors
    /// What the command does wrong, or that the user wants to stop.
    pub(crate) fn time(
        &self,
        engine: &EngineCommand,
        files: &EngineFiles,
        cancel: &AtomicBool,
    ) -> Result<EngineTimes, WorkflowError> {
        let request = EngineRequest {
            schema: REQUEST_SCHEMA,
            slimfit: env!("CARGO_PKG_VERSION"),
            model: files.files.clone(),
            architecture: Summary::of(self.architecture),
            weights: self.weights,
            kv: self.kv,
            threads: self.threads,
            context_tokens: self.context,
            prompt_tokens: self.prompt,
            generated_tokens: self.generated,
            depth_tokens: self.depth,
            repetitions: self.repetitions,
            seed: self.seed,
        };
        let before = self.sentinels()?;
        let answer = engine.exchange(&request, cancel)?;
        let after = self.sentinels()?;
        Ok(EngineTimes {
            answer,
            read_bytes_per_s: [before.0, after.0],
            peak_ops_per_s: [before.1, after.1],
            generated: self.generated,
        })
    }

    /// What was flagged in the runs of this cell: phases that would have been faster than the machine can be.
    pub(crate) fn impossible(&self, runs: &[EngineTimes], plan: &Plan) -> Vec<Warning> {
        Limits::of(plan, self.prompt, self.depth, self.generated).impossible(runs)
    }

    /// Read bandwidth and peak now. The pool is gone afterwards, so that the engine has the memory and every CPU.
    fn sentinels(&self) -> Result<(f64, f64), WorkflowError> {
        let pool = Pool::new(self.threads as usize)?;
        let read = ReadSentinel::new(&pool, self.working_set_bytes, self.isa)?;
        let peak = PeakSentinel::new(&pool, peak_type(self.weights), self.isa)?;
        Ok((read.bytes_per_s(&pool), peak.ops_per_s(&pool)))
    }
}

/// Prices `request` for the engine, then has `engine` run it between sentinels, twice. What the user should know comes
/// with the record.
///
/// # Errors
/// When the model cannot be planned or written, the command does not answer as the protocol says, or the user wants to
/// stop.
pub fn measure_engine(
    request: &MeasureRequest,
    engine: &EngineCommand,
    predictor: Predictor<'_>,
    observer: &mut Observer<'_>,
) -> Result<(Measurement, Vec<Warning>), WorkflowError> {
    let request = &request.with_loops_applied()?;
    let run = request.run_shape();
    if run.prompt_tokens == 0 && run.generated_tokens == 0 {
        return Err(slimfit_runtime::RuntimeError::NothingToMeasure.into());
    }
    let formats = request.source.open(&request.architecture)?.formats;
    let (threads, mut predicted) = predict(request, &formats, predictor, run)?;
    if let Predictor::Model(cost) = predictor {
        predicted.0.peak_memory_bytes =
            Figure::unavailable(format!("nothing predicts what {} keeps in memory", cost.engine()));
    }
    let context = run.context();
    let options = PlanOptions::new(request.weights, request.kv, request.isa, u64::from(threads), context);
    let plan = Plan::with_formats(&request.architecture, options, formats)?;
    let id = request.architecture.id(request.weights, request.kv);
    observer.at("writing the model", 0.0)?;
    let name = request.name.as_deref().unwrap_or(&id);
    let files = EngineFiles::new(
        (name, &request.architecture),
        (request.weights, id.clone()),
        &request.source,
        context,
    )?;
    let cell = EngineCell {
        architecture: &request.architecture,
        weights: request.weights,
        kv: request.kv,
        threads,
        isa: request.isa,
        context,
        prompt: request.prompt_tokens,
        generated: request.generated_tokens,
        depth: request.depth_tokens,
        repetitions: request.rounds,
        seed: request.seed,
        working_set_bytes: CostModel::working_set_bytes(&plan, run.mean_depth()) as u64,
    };
    let mut runs = Vec::new();
    for pass in 0..2 {
        observer.at("engine", f64::from(pass) / 2.0)?;
        runs.push(cell.time(engine, &files, observer.cancel)?);
    }
    let mut warnings = cell.impossible(&runs, &plan);
    warnings.extend(other_name(&runs[0].answer.name, predictor));
    let limits = Limits::of(&plan, cell.prompt, cell.depth, cell.generated);
    let found = found(cell.prompt, &runs, limits, weight_formats(&plan));
    Ok((record(request, threads, predicted, found), warnings))
}

/// The prediction is of an engine by its name; another name is another engine.
fn other_name(name: &str, predictor: Predictor<'_>) -> Option<Warning> {
    let Predictor::Model(cost) = predictor else { return None };
    (cost.engine() != name).then(|| {
        let message =
            format!("the engine calls itself `{name}`, but what was predicted is of `{}`", cost.engine());
        Warning::new("other-engine", message)
    })
}

fn found(prompt: u64, runs: &[EngineTimes], limits: Limits, weight_formats: Vec<FormatShare>) -> Found {
    let prompts: Vec<f64> = runs.iter().flat_map(|run| run.answer.prefill_seconds.clone()).collect();
    let tokens: Vec<f64> = runs.iter().flat_map(EngineTimes::tpot_seconds).collect();
    let single: Vec<f64> = runs.iter().flat_map(|run| run.answer.token_seconds.clone()).collect();
    let memory: Vec<f64> = runs.iter().filter_map(|run| run.answer.peak_memory_bytes).collect();
    let figure = |samples: &[f64], reason: &str, map: &dyn Fn(f64) -> f64| {
        Measured::new(samples.iter().map(|&sample| map(sample)).collect())
            .map_or_else(|| Figure::unavailable(reason), |measured| measured.figure())
    };
    let prompt_tokens = prompt as f64;
    let edges = |rates: fn(&EngineTimes) -> [f64; 2]| {
        let at = |edge: usize| median(&runs.iter().map(|run| rates(run)[edge]).collect::<Vec<_>>());
        [at(0), at(1)]
    };
    let read = edges(|run| run.read_bytes_per_s);
    let peak = edges(|run| run.peak_ops_per_s);
    let share = |work: f64, samples: &[f64], rates: [f64; 2]| {
        (!samples.is_empty()).then(|| work / median(samples) / ((rates[0] + rates[1]) / 2.0))
    };
    let tail = |samples: &[f64]| tail(Percentile::of(samples));
    Found {
        engine: Some(runs[0].engine()),
        weight_formats,
        measured: RunFigures {
            prefill_tokens_per_s: figure(&prompts, NO_PROMPT, &|seconds| prompt_tokens / seconds),
            decode_tokens_per_s: figure(&tokens, NO_DECODE, &|seconds| 1.0 / seconds),
            ttft_seconds: figure(&prompts, NO_PROMPT, &|seconds| seconds),
            tpot_seconds: figure(&tokens, NO_DECODE, &|seconds| seconds),
            peak_memory_bytes: figure(&memory, "the engine did not say", &|bytes| bytes),
            joules_per_token: Figure::unavailable(
                "what an engine draws while decoding cannot be told from what it draws while loading",
            ),
        },
        percentiles: Percentiles { ttft_seconds: tail(&prompts), tpot_seconds: tail(&single) },
        sentinel: Sentinels { read_bytes_per_s: read, peak_ops_per_s: peak, barrier_seconds: None },
        share: Shares {
            decode_of_bandwidth: share(limits.decode_bytes, &tokens, read),
            prefill_of_peak: share(limits.prefill_flops, &prompts, peak),
        },
        operations: Vec::new(),
    }
}
