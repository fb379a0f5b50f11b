//! Whole-model predictions: TTFT, TPOT, memory, energy, each with its interval, and the terms they consist of.

use crate::placement::covering;
use crate::{BusyTime, CostError, CostModel, PREFILL_UNAVAILABLE, Percentiles, RegimeId};
use slimfit_arch::Architecture;
use slimfit_hardware::CalibrationPhase;
use slimfit_kernels::Operation;
use slimfit_plan::{Plan, PlanOptions, Shape, Step, TokenRows, WeightFormats, traffic};
use slimfit_quantity::{Figure, NumberFormat, Predicted};

/// Relative half-width of the 90 % interval of a decode time on a steady machine: the 90 % quantile of normalised errors
/// over 28 cells of models that no one had run, 11M to 422M parameters in four formats, one thread of a Zen 4 virtual
/// machine (0.112; half of it lies on the edge of the last cache). `verify` prints how often it holds elsewhere.
pub const DECODE_HALF_WIDTH: f64 = 0.11;
/// The same for prefill: of 14 cells (0.084), and products of odd shapes on several threads run below the sampled rates.
pub const PREFILL_HALF_WIDTH: f64 = 0.11;
/// The same of decode times on several threads: 90 % quantile over 42 cells of 10M to 424M parameters, behind 128 to 4000
/// tokens, two threads of the same machine, whose processors were moved meanwhile (0.241).
pub const DECODE_HALF_WIDTH_TOGETHER: f64 = 0.24;
/// And of prefill on several threads: over 28 cells of the same models (0.208).
pub const PREFILL_HALF_WIDTH_TOGETHER: f64 = 0.20;
/// Resident bytes that loading a model adds beside what the plan allocates: thread stacks, tables, allocator slack.
pub const PROCESS_BYTES: u64 = 2 << 20;

/// How a model is used: what TTFT and TPOT mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunShape {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens generated after it.
    pub generated_tokens: u64,
    /// Tokens in the cache before the first generated one; the prompt's own length in ordinary use.
    pub depth_tokens: u64,
}

impl RunShape {
    /// A prompt and an answer.
    pub fn new(prompt_tokens: u64, generated_tokens: u64) -> Self {
        Self { prompt_tokens, generated_tokens, depth_tokens: prompt_tokens }
    }

    /// Positions that the KV cache must hold.
    pub fn context(&self) -> u64 {
        self.prompt_tokens.max(self.depth_tokens + self.generated_tokens).max(1)
    }

    /// The depth at which a decode step costs the mean over all generated tokens: cost is linear in depth.
    pub fn mean_depth(&self) -> u64 {
        self.depth_tokens + self.generated_tokens.saturating_sub(1) / 2
    }
}

/// What a model is predicted to cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Threads it was priced with: those asked for, or the count with the lowest TPOT (on a tie the fewer).
    pub threads: u32,
    /// Seconds of prefill, the first token's logits included; nothing where [`CostModel::has_prefill`] is false.
    pub ttft_seconds: Option<Predicted>,
    /// Seconds per generated token.
    pub tpot_seconds: Predicted,
    /// Percentiles of the time to the first token, over requests.
    pub ttft_percentiles: Percentiles,
    /// Percentiles of the time per generated token, over tokens.
    pub tpot_percentiles: Percentiles,
    /// Peak resident bytes.
    pub memory_bytes: Predicted,
    /// Joules per generated token: modelled from measured watts, or unavailable with the reason.
    pub joules_per_token: Figure,
    /// What the seconds of prefill are spent on.
    pub prefill_time: BusyTime,
    /// What the seconds of a generated token are spent on.
    pub decode_time: BusyTime,
    /// The run it was predicted for.
    pub run: RunShape,
    /// What the times were calibrated by, in one sentence; nothing where they were not.
    pub calibrated: Option<String>,
}

impl Prediction {
    /// Seconds of prefill.
    ///
    /// # Errors
    /// [`CostError::Prefill`] where it cannot be predicted.
    pub fn prefill(&self) -> Result<Predicted, CostError> {
        self.ttft_seconds.ok_or(CostError::Prefill)
    }
}

/// Summed times of a run with one thread count, and the bytes that they go with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunTime {
    /// Threads.
    pub threads: u32,
    /// One generated token.
    pub tpot: BusyTime,
    /// The prompt and the first token.
    pub ttft: BusyTime,
    /// Bytes that each token touches again.
    pub working_set_bytes: f64,
    /// Peak resident bytes.
    pub memory_bytes: u64,
}

impl CostModel {
    /// Plans `architecture` for this device.
    ///
    /// # Errors
    /// When it cannot be planned.
    pub fn plan(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
        threads: u32,
        run: RunShape,
    ) -> Result<Plan, CostError> {
        self.plan_with_formats(architecture, (weights, &WeightFormats::default()), kv, threads, run)
    }

    /// Plans `architecture` with some matrices in formats of their own.
    ///
    /// # Errors
    /// When it cannot be planned.
    pub fn plan_with_formats(
        &self,
        architecture: &Architecture,
        (weights, formats): (NumberFormat, &WeightFormats),
        kv: NumberFormat,
        threads: u32,
        run: RunShape,
    ) -> Result<Plan, CostError> {
        let options = PlanOptions::new(weights, kv, self.isa(), u64::from(threads), run.context());
        Ok(Plan::with_formats(architecture, options, formats.clone())?)
    }

    /// Bytes that decoding touches again and again: all weights, looped layers' once, every expert's since tokens choose
    /// others, and the cache at `depth`. They decide the regime.
    pub fn working_set_bytes(plan: &Plan, depth: u64) -> f64 {
        let shape = Shape::decode(depth);
        let mut seen = vec![false; plan.matrices.len()];
        plan.steps
            .iter()
            .map(|step| {
                // A tied table is a gather of one row first and a product at the end: no loop.
                let looped = step.matrix.filter(|_| step.layer.is_some());
                let again = looped.is_some_and(|matrix| std::mem::replace(&mut seen[matrix], true));
                if again { traffic(step, shape).kv_read_bytes } else { Self::touched_bytes(step, shape) }
            })
            .sum()
    }

    /// What a step adds to the working set: the weights it reads, its idle experts', and the cache.
    pub fn touched_bytes(step: &Step, shape: Shape) -> f64 {
        let moved = traffic(step, shape);
        let idle = match &step.operation {
            Operation::Experts(experts) => experts.experts as f64 / experts.top_k as f64,
            _ => 1.0,
        };
        moved.kv_read_bytes + idle * moved.weight_bytes
    }

    /// Predicts a run. `threads`: a count that the profile measured, or none for the best.
    ///
    /// # Errors
    /// When the model cannot be planned or the profile lacks a kernel.
    pub fn predict(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
        run: RunShape,
        threads: Option<u32>,
    ) -> Result<Prediction, CostError> {
        self.predict_with_formats(architecture, (weights, &WeightFormats::default()), kv, run, threads)
    }

    /// The same with some matrices in formats of their own.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_with_formats(
        &self,
        architecture: &Architecture,
        weights: (NumberFormat, &WeightFormats),
        kv: NumberFormat,
        run: RunShape,
        threads: Option<u32>,
    ) -> Result<Prediction, CostError> {
        let counts = threads.map_or_else(|| self.thread_counts().collect(), |count| vec![count]);
        let mut best: Option<Prediction> = None;
        for count in counts {
            let plan = self.plan_with_formats(architecture, weights, kv, count, run)?;
            let candidate = self.predict_plan(&plan, run, count)?;
            if best.as_ref().is_none_or(|best| candidate.tpot_seconds.value < best.tpot_seconds.value) {
                best = Some(candidate);
            }
        }
        best.ok_or_else(|| CostError::Missing { what: "measured thread count".to_owned() })
    }

    fn predict_plan(&self, plan: &Plan, run: RunShape, threads: u32) -> Result<Prediction, CostError> {
        let elsewhere = match self.often_elsewhere(threads) {
            Some(model) => Some(model.run_time(plan, run, threads)?),
            None => None,
        };
        self.predict_time(self.run_time(plan, run, threads)?, elsewhere, run)
    }

    /// What a run of `plan` takes.
    fn run_time(&self, plan: &Plan, run: RunShape, threads: u32) -> Result<RunTime, CostError> {
        let depth = run.mean_depth();
        let working_set_bytes = Self::working_set_bytes(plan, depth);
        let regime = self.regime(threads, working_set_bytes)?;
        Ok(RunTime {
            threads,
            tpot: self.sum(plan, Shape::decode(depth), regime, |_| true)?,
            ttft: self.prefill_time(plan, run.prompt_tokens, regime)?,
            working_set_bytes,
            memory_bytes: plan.memory().total_bytes() + PROCESS_BYTES,
        })
    }

    /// The prediction that follows from summed times: intervals, percentiles, joules. `elsewhere`: the time in the other
    /// placement of the threads, by [`CostModel::often_elsewhere`], which intervals cover, too.
    ///
    /// # Errors
    /// When the profile was not measured with that many threads.
    pub fn predict_time(
        &self,
        time: RunTime,
        elsewhere: Option<RunTime>,
        run: RunShape,
    ) -> Result<Prediction, CostError> {
        let RunTime { threads, tpot, ttft, working_set_bytes, memory_bytes } = time;
        let other = match (elsewhere, self.often_elsewhere(threads)) {
            (Some(time), Some(model)) => Some(model.predict_time(time, None, run)?),
            _ => None,
        };
        let scatter = self.scatter(threads)?;
        let tpot_seconds = match &self.engine {
            Some(engine) => engine.decode_interval(tpot.seconds),
            None => {
                self.interval(tpot, CalibrationPhase::Decode, threads, scatter.of_reads(working_set_bytes))
            }
        };
        let tpot_seconds =
            other.as_ref().map_or(tpot_seconds, |other| covering(tpot_seconds, other.tpot_seconds));
        let ttft_seconds = self.has_prefill().then(|| match &self.engine {
            Some(engine) => engine.prefill_interval(ttft.seconds),
            None => self.interval(ttft, CalibrationPhase::Prefill, threads, scatter.of_products()),
        });
        let ttft_seconds = ttft_seconds.map(|usual| {
            let other = other.as_ref().and_then(|other| other.ttft_seconds);
            other.map_or(usual, |other| covering(usual, other))
        });
        let percentiles = |time, seconds: Option<Predicted>| match (seconds, self.tails()) {
            (None, _) => Percentiles::unavailable(PREFILL_UNAVAILABLE),
            (_, Err(CostError::NoTails { reason })) => Percentiles::unavailable(reason),
            (_, Err(error)) => Percentiles::unavailable(error.to_string()),
            (Some(seconds), Ok(tails)) => tails.percentiles(time, seconds, threads, working_set_bytes),
        };
        Ok(Prediction {
            threads,
            ttft_seconds,
            tpot_seconds,
            ttft_percentiles: percentiles(ttft, ttft_seconds),
            tpot_percentiles: percentiles(tpot, Some(tpot_seconds)),
            memory_bytes: memory_interval(memory_bytes),
            joules_per_token: match self.energy() {
                Ok(energy) => energy.figure(tpot, tpot_seconds, threads),
                Err(CostError::NoPower { reason }) => Figure::unavailable(reason),
                Err(error) => Figure::unavailable(error.to_string()),
            },
            prefill_time: ttft,
            decode_time: tpot,
            run,
            calibrated: self.calibration().map(slimfit_hardware::Calibration::sentence),
        })
    }

    /// The 90 % interval of a time: the model's own half-width and how unsteady the machine was, joined in quadrature; as
    /// many times as wide as calibration found it to be.
    fn interval(&self, time: BusyTime, phase: CalibrationPhase, threads: u32, scatter: f64) -> Predicted {
        let half_width = match (phase, threads) {
            (CalibrationPhase::Decode, 1) => DECODE_HALF_WIDTH,
            (CalibrationPhase::Decode, _) => DECODE_HALF_WIDTH_TOGETHER,
            (CalibrationPhase::Prefill, 1) => PREFILL_HALF_WIDTH,
            (CalibrationPhase::Prefill, _) => PREFILL_HALF_WIDTH_TOGETHER,
        };
        let factor = 1.0 + half_width.hypot(scatter);
        Predicted::within_factor(time.seconds, factor.powf(self.factors.interval_scale(phase)))
    }

    /// Time of a whole prompt, the last token's logits included.
    ///
    /// # Errors
    /// As [`CostModel::step`].
    pub fn prefill_time(&self, plan: &Plan, tokens: u64, regime: RegimeId) -> Result<BusyTime, CostError> {
        let shapes = Shape::prefill(tokens, plan.options.chunk);
        let mut time = BusyTime::default();
        for (chunk, &shape) in shapes.iter().enumerate() {
            let last = chunk + 1 == shapes.len();
            time = time + self.sum(plan, shape, regime, |step| last || step.rows == TokenRows::All)?;
        }
        Ok(time)
    }
}

/// Memory is counted, not modelled; what the system rounds and the allocator keeps is within max(1 %, 2 MiB).
fn memory_interval(bytes: u64) -> Predicted {
    let value = bytes as f64;
    let half = (value * 0.01).max((2 << 20) as f64);
    Predicted { value, low: value - half, high: value + half }
}
