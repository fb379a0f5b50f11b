//! Times prefill and decode of a session between sentinels, twice.

use crate::seeded::seeded_tokens;
use crate::{OperationSeconds, RuntimeError, Session};
use slimfit_plan::{Plan, Shape, TokenRows, traffic};
use slimfit_quantity::{Bracketed, Cell, CellResult, Measured, interleave, quantile};
use std::cell::RefCell;

/// How the cache gets its tokens before decoding is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthFill {
    /// Random keys and values: attending to them costs the same, and filling them nothing.
    Random,
    /// A prompt that is really computed.
    Prefill,
}

impl DepthFill {
    /// The name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Prefill => "prefill",
        }
    }
}

/// What to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Tokens of the prompt, computed from an empty cache; 0: prefill is not timed.
    pub prompt: u64,
    /// Tokens decoded in each run; 0: decoding is not timed.
    pub generate: u64,
    /// Tokens in the cache before the first decoded one.
    pub depth: u64,
    /// Where those come from.
    pub depth_fill: DepthFill,
    /// Runs of each phase in each of the two passes.
    pub rounds: usize,
    /// Tokens decoded untimed before each timed run, at most as many as are timed: sentinels and prompts push a model out
    /// of the caches that it decodes from.
    pub settling: u64,
    /// Seed of the tokens and of a random cache.
    pub seed: u64,
}

impl MeasureOptions {
    /// Tokens that a session's cache must hold.
    pub fn context(&self) -> u64 {
        self.prompt.max(self.depth + self.generate).max(1)
    }
}

/// The machine's own speed, measured right before and after each run; each returns a rate per second.
pub struct Sentinels<'a, E> {
    /// Bytes read per second at the model's working set and thread count.
    pub read_bytes_per_s: Box<dyn FnMut() -> Result<f64, E> + 'a>,
    /// Peak operations per second of the weight format's type at the thread count.
    pub peak_ops_per_s: Box<dyn FnMut() -> Result<f64, E> + 'a>,
}

/// What was timed. Sampling is not part of any time: tokens are drawn before.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// What was asked for.
    pub options: MeasureOptions,
    /// Seconds of the whole prompt, between peak sentinels.
    pub prefill: Option<CellResult>,
    /// Mean seconds per decoded token of each run, between read sentinels.
    pub decode: Option<CellResult>,
    /// Seconds of each decoded token.
    pub token_seconds: Vec<f64>,
    /// Bytes of weights and cache that must come from memory for one decoded token, on average over the generated ones:
    /// each matrix once, however often a looped block reads it again, since a cache may hold it. Less than what
    /// `operations` sums up, where each pass counts.
    pub decode_streamed_bytes: f64,
    /// Operations of the whole prefill.
    pub prefill_flops: f64,
    /// Where the time went, from runs of their own.
    pub operations: Vec<OperationSeconds>,
}

/// Tail latencies, absent where there are too few samples to speak of one (20 for p95, 100 for p99).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tail {
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Tail {
    /// Of samples.
    pub fn of(samples: &[f64]) -> Self {
        let percentile =
            |least: usize, fraction| (samples.len() >= least).then(|| quantile(samples, fraction));
        Self { p50: percentile(1, 0.5), p95: percentile(20, 0.95), p99: percentile(100, 0.99) }
    }
}

impl RunResult {
    /// Prompt tokens per second.
    pub fn prefill_tokens_per_s(&self) -> Option<Measured> {
        self.ttft_seconds()?.map(|seconds| self.options.prompt as f64 / seconds)
    }

    /// Decoded tokens per second.
    pub fn decode_tokens_per_s(&self) -> Option<Measured> {
        self.tpot_seconds()?.map(|seconds| 1.0 / seconds)
    }

    /// Seconds of the prompt and of the logits that choose the first token, one sample a run.
    pub fn ttft_seconds(&self) -> Option<Measured> {
        self.prefill.as_ref()?.value()
    }

    /// Mean seconds per decoded token, one sample a run.
    pub fn tpot_seconds(&self) -> Option<Measured> {
        self.decode.as_ref()?.value()
    }

    /// Tail of the time to the first token, over runs.
    pub fn ttft_tail(&self) -> Tail {
        self.ttft_seconds().map_or(Tail::default(), |measured| Tail::of(&measured.samples))
    }

    /// Tail of the time per token, over tokens.
    pub fn tpot_tail(&self) -> Tail {
        Tail::of(&self.token_seconds)
    }

    /// Bytes that must come from memory, per second, over the bracketing read bandwidth, one sample a run. Above 1 where
    /// part of the weights stays in a cache from token to token.
    pub fn decode_of_bandwidth(&self) -> Option<Measured> {
        let share = |run: &Bracketed| self.decode_streamed_bytes / run.value / run.sentinel_per_s();
        Measured::new(runs(self.decode.as_ref()?).map(share).collect())
    }

    /// Operations per second of prefill over the bracketing peak, one sample a run.
    pub fn prefill_of_peak(&self) -> Option<Measured> {
        let share = |run: &Bracketed| self.prefill_flops / run.value / run.sentinel_per_s();
        Measured::new(runs(self.prefill.as_ref()?).map(share).collect())
    }
}

/// All runs of a cell, test and retest.
fn runs(cell: &CellResult) -> impl Iterator<Item = &Bracketed> {
    cell.test.iter().chain(&cell.retest)
}

/// Measures a session: each phase `rounds` times in each of two passes, the phases interleaved, each run between its
/// sentinels, after one untimed run of each. The session's text is lost. `progress` is told the runs done, the runs in
/// all and the name of the next phase.
///
/// # Errors
/// Nothing to measure, a context that is too small, or what a sentinel reports.
pub fn measure<E: From<RuntimeError>>(
    session: &mut Session<'_>,
    options: &MeasureOptions,
    mut sentinels: Sentinels<'_, E>,
    progress: impl FnMut(usize, usize, &str),
) -> Result<RunResult, E> {
    if options.prompt == 0 && options.generate == 0 {
        return Err(RuntimeError::NothingToMeasure.into());
    }
    let vocabulary = session.model().architecture().vocabulary_size;
    let prompt = seeded_tokens(vocabulary, options.prompt, options.seed);
    let generated = seeded_tokens(vocabulary, options.generate, options.seed ^ 1);
    let before = seeded_tokens(vocabulary, options.depth, options.seed ^ 2);
    let fill = |session: &mut Session<'_>| -> Result<(), RuntimeError> {
        session.reset();
        match options.depth_fill {
            DepthFill::Random => session.fill_random(options.depth, options.seed),
            DepthFill::Prefill if before.is_empty() => Ok(()),
            DepthFill::Prefill => session.prefill(&before).map(drop),
        }
    };
    // A prompt in between overwrites the cache: with values that cost the same, but not with those of these tokens.
    let refill = |session: &mut Session<'_>| match options.depth_fill {
        DepthFill::Random => {
            session.resume(options.depth);
            Ok(())
        }
        DepthFill::Prefill if options.prompt == 0 && session.rewind(options.depth).is_ok() => Ok(()),
        DepthFill::Prefill => fill(session),
    };

    // Untimed: pages, caches and branch predictors settle.
    let mut warm_up = Vec::new();
    if options.prompt > 0 {
        session.time_prefill(&prompt[..prompt.len().min(64)])?;
    }
    if options.generate > 0 {
        fill(session)?;
        session.time_decode(options.depth, &generated[..generated.len().min(2)], &mut warm_up)?;
    }

    let mut token_seconds = Vec::with_capacity(2 * options.rounds * generated.len());
    let (prefill, decode) = {
        let session = RefCell::new(&mut *session);
        let token_seconds = RefCell::new(&mut token_seconds);
        let mut cells: Vec<Cell<'_, E>> = Vec::new();
        if options.prompt > 0 {
            let (session, prompt) = (&session, &prompt);
            cells.push(Cell {
                name: "prefill".to_owned(),
                run: Box::new(move || Ok(session.borrow_mut().time_prefill(prompt)?)),
                sentinel: sentinels.peak_ops_per_s,
            });
        }
        if options.generate > 0 {
            let (session, generated, token_seconds, refill) = (&session, &generated, &token_seconds, &refill);
            cells.push(Cell {
                name: "decode".to_owned(),
                run: Box::new(move || {
                    let mut session = session.borrow_mut();
                    refill(&mut session)?;
                    settle(&mut session, generated, options, refill)?;
                    Ok(session.time_decode(options.depth, generated, &mut token_seconds.borrow_mut())?)
                }),
                sentinel: Box::new(|| (sentinels.read_bytes_per_s)()),
            });
        }
        let mut results = interleave(&mut cells, options.rounds, progress)?.into_iter();
        let prefill = (options.prompt > 0).then(|| results.next()).flatten();
        (prefill, results.next())
    };

    let operations = profile(session, &prompt, &generated, options, refill)?;
    Ok(RunResult {
        options: *options,
        prefill,
        decode,
        token_seconds,
        decode_streamed_bytes: decode_streamed_bytes(session.model().plan(), options.depth, options.generate),
        prefill_flops: prefill_flops(session.model().plan(), options.prompt),
        operations,
    })
}

/// Decodes the first tokens untimed and takes them back.
fn settle(
    session: &mut Session<'_>,
    generated: &[u32],
    options: &MeasureOptions,
    refill: impl Fn(&mut Session<'_>) -> Result<(), RuntimeError>,
) -> Result<(), RuntimeError> {
    let settling = generated.len().min(options.settling as usize);
    if settling == 0 {
        return Ok(());
    }
    session.time_decode(options.depth, &generated[..settling], &mut Vec::new())?;
    refill(session)
}

/// One timed prefill and up to eight timed tokens; a token's operations are the mean over them.
fn profile(
    session: &mut Session<'_>,
    prompt: &[u32],
    generated: &[u32],
    options: &MeasureOptions,
    refill: impl Fn(&mut Session<'_>) -> Result<(), RuntimeError>,
) -> Result<Vec<OperationSeconds>, RuntimeError> {
    let mut operations = Vec::new();
    if !prompt.is_empty() {
        session.reset();
        operations = session.profile_step(prompt)?;
    }
    if generated.is_empty() {
        return Ok(operations);
    }
    refill(session)?;
    settle(session, generated, options, &refill)?;
    session.rewind(options.depth)?;
    let tokens = &generated[..generated.len().min(8)];
    let mut decode: Vec<OperationSeconds> = Vec::new();
    for token in tokens {
        let step = session.profile_step(std::slice::from_ref(token))?;
        if decode.is_empty() {
            decode = step;
        } else {
            for (sum, one) in decode.iter_mut().zip(step) {
                sum.seconds += one.seconds;
                sum.streamed_bytes += one.streamed_bytes;
                sum.bytes += one.bytes;
                sum.flops += one.flops;
            }
        }
    }
    for operation in &mut decode {
        let count = tokens.len() as f64;
        operation.seconds /= count;
        operation.streamed_bytes /= count;
        operation.bytes /= count;
        operation.flops /= count;
    }
    operations.append(&mut decode);
    Ok(operations)
}

/// Bytes of weights and cache that must come from memory for one decoded token, on average over `generate` of them after
/// `depth` others: see [`RunResult::decode_streamed_bytes`].
pub fn decode_streamed_bytes(plan: &Plan, depth: u64, generate: u64) -> f64 {
    if generate == 0 {
        return 0.0;
    }
    let of_token = |depth| -> f64 {
        let mut matrices = vec![0_f64; plan.matrices.len()];
        let mut rest = 0.0;
        for step in &plan.steps {
            let moved = traffic(step, Shape::decode(depth));
            rest += moved.kv_read_bytes;
            match step.matrix {
                // Steps of one matrix read the same of it, but for a tied table, of which the embedding reads a row.
                Some(slot) => matrices[slot] = matrices[slot].max(moved.weight_bytes),
                None => rest += moved.weight_bytes,
            }
        }
        rest + matrices.iter().sum::<f64>()
    };
    // Keys read grow by one a token or, past a window, not at all, so the ends tell the mean but for the bend.
    (of_token(depth) + of_token(depth + generate - 1)) / 2.0
}

/// Operations of the prefill of a whole prompt; a multiply-add counts 2.
pub fn prefill_flops(plan: &Plan, prompt: u64) -> f64 {
    let shapes = Shape::prefill(prompt, plan.options.chunk);
    let of_step = |step: &slimfit_plan::Step| -> f64 {
        let first = if step.rows == TokenRows::All { 0 } else { shapes.len().saturating_sub(1) };
        shapes[first..].iter().map(|&shape| traffic(step, shape).flops).sum()
    };
    plan.steps.iter().map(of_step).sum()
}
