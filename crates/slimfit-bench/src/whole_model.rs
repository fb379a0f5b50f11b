//! Whole models: prefill and decode between sentinels, and llama.cpp's benchmark between ours.

use crate::disturbance::{Disturbance, Ticks};
use crate::exchange::Exchange;
use crate::options::Options;
use crate::record::{LlamaCell, ModelCell};
use anyhow::{Context, Result};
use slimfit_arch::Architecture;
use slimfit_bench::gguf_files::GgufFiles;
use slimfit_bench::llama_bench::{LlamaBench, LlamaRun};
use slimfit_bench::race::race;
use slimfit_bench::test::{GENERATED, Test};
use slimfit_hardware::PeakType;
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::{PlanOptions, Shape, TokenRows, Traffic, traffic};
use slimfit_probe::{PeakSentinel, ReadSentinel};
use slimfit_quantity::{Bracketed, Cell, CellResult, Measured, NumberFormat, interleave, median};
use slimfit_runtime::{Model, SeededWeights, Session, seeded_tokens};
use std::cell::RefCell;
use std::path::Path;

const SEED: u64 = 1;

/// One model in one format, with everything its tests need.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// The network.
    pub architecture: &'a Architecture,
    /// How its matrices are stored.
    pub weights: NumberFormat,
    /// The cap on the instruction set.
    pub isa: Isa,
}

/// The peer and the files it reads.
pub struct Peer<'a> {
    /// The program.
    pub bench: &'a LlamaBench,
    /// Models written for it.
    pub files: &'a GgufFiles,
}

/// Runs of each kind: enough to see the spread, few enough that large models end.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    repetitions: usize,
}

impl Effort {
    fn of(parameters: u64, options: &Options) -> Self {
        let (rounds, repetitions) = match parameters {
            0..50_000_000 => (3, 5),
            50_000_000..200_000_000 => (2, 3),
            200_000_000..700_000_000 => (2, 2),
            _ => (1, 1),
        };
        Self { rounds: options.rounds.unwrap_or(rounds), repetitions }
    }
}

/// Operations and bytes per second of one thread that the estimate below counts with: a slow machine's.
const SLOW_OPERATIONS: f64 = 60e9;
const SLOW_BYTES: f64 = 12e9;
/// Seconds that a program takes to start and to read a model.
const START_SECONDS: f64 = 0.7;

/// Seconds that [`measure`] may take, roughly: as long as a slow peer on a slow machine.
pub fn estimate(architecture: &Architecture, weights: NumberFormat, options: &Options, beside: bool) -> f64 {
    let parameters = architecture.parameters().total;
    let effort = Effort::of(parameters, options);
    let bytes = parameters as f64 * weights.bits_per_value() / 8.0;
    let prompt =
        |tokens: u64, threads: usize| 2.0 * (tokens * parameters) as f64 / SLOW_OPERATIONS / threads as f64;
    let seconds = |test: Test, threads: usize| {
        let (before, once) = match test {
            Test::Prefill { tokens } => (prompt(tokens, threads), prompt(tokens, threads)),
            Test::Decode { depth } => (prompt(depth, threads), GENERATED as f64 * bytes / SLOW_BYTES),
        };
        let ours = once * effort.repetitions as f64;
        if beside { 4.0 * ours + 2.0 * (before + START_SECONDS) } else { ours }
    };
    let each = |&threads: &usize| -> f64 { options.tests.iter().map(|&test| seconds(test, threads)).sum() };
    let tuning = options.tune * options.threads.len() as f64;
    tuning + 2.0 * effort.rounds as f64 * options.threads.iter().map(each).sum::<f64>()
}

/// Measures every test of `options` on every count of threads; calls `done` with each finished cell and the peer's
/// commit.
///
/// # Errors
/// The model cannot be held or run, or the peer fails.
pub fn measure(
    subject: &Subject<'_>,
    options: &Options,
    peer: Option<&Peer<'_>>,
    mut done: impl FnMut(ModelCell, Option<String>) -> Result<()>,
) -> Result<()> {
    let parameters = subject.architecture.parameters().total;
    let effort = Effort::of(parameters, options);
    let context = options.tests.iter().map(|test| test.context()).max().unwrap_or(1);
    let file =
        peer.map(|peer| peer.files.file(subject.name, subject.architecture, subject.weights)).transpose()?;
    let plan = |threads: usize| {
        PlanOptions::new(subject.weights, NumberFormat::F16, subject.isa, threads as u64, context)
    };
    let mut model = Model::load(
        subject.architecture,
        plan(options.threads[0]),
        &SeededWeights::new(subject.architecture, SEED),
    )
    .with_context(|| format!("{} in {}", subject.name, subject.weights))?;
    for &threads in &options.threads {
        model.replan(plan(threads))?;
        let pool = Pool::new(threads)?;
        if options.tune > 0.0 {
            let mut tuning = Tuning::default();
            race(&model, &pool, options.tune, &mut tuning)?;
            model.tune(tuning)?;
        }
        let mut session = Session::new(&model, &pool)?;
        for &test in &options.tests {
            let beside = peer.zip(file.as_deref());
            let (cells, build) = run_test(subject, &mut session, &pool, test, effort, beside)?;
            let cell = ModelCell {
                tuned_seconds: options.tune,
                ..cell(subject, parameters, threads, test, &session, &cells)?
            };
            done(cell, build)?;
        }
    }
    if let (Some(peer), Some(file)) = (peer, &file) {
        peer.files.done_with(file)?;
    }
    Ok(())
}

/// What one interleaved run found; `peers` are flash attention off and on.
struct Interleaved {
    ours: CellResult,
    disturbance: Disturbance,
    exchange: Option<Exchange>,
    peers: Option<[CellResult; 2]>,
}

fn run_test(
    subject: &Subject<'_>,
    session: &mut Session<'_>,
    pool: &Pool,
    test: Test,
    effort: Effort,
    beside: Option<(&Peer<'_>, &Path)>,
) -> Result<(Interleaved, Option<String>)> {
    let sentinel = Sentinel::new(subject, session, pool, test)?;
    let build = RefCell::new(None);
    let ours = Ours::new(session, test, effort.repetitions);
    let mut warm = ours.borrow_mut();
    warm.run()?;
    drop(warm);
    let our_cell = || Cell {
        name: format!("{test} slimfit"),
        run: Box::new(|| ours.borrow_mut().run()),
        sentinel: Box::new(|| Ok(sentinel.per_s(pool))),
    };
    let mut cells: Vec<Cell<'_, anyhow::Error>> = vec![our_cell()];
    if let Some((peer, file)) = beside {
        for flash_attention in [false, true] {
            let build = &build;
            if flash_attention {
                cells.push(our_cell());
            }
            cells.push(Cell {
                name: format!(
                    "{test} llama.cpp, flash attention {}",
                    if flash_attention { "on" } else { "off" }
                ),
                run: Box::new(move || {
                    let (seconds, commit) = peer.bench.run(LlamaRun {
                        model: file,
                        threads: pool.threads(),
                        test,
                        flash_attention,
                        repetitions: effort.repetitions,
                    })?;
                    build.replace(Some(commit));
                    Ok(seconds)
                }),
                sentinel: Box::new(|| Ok(sentinel.per_s(pool))),
            });
        }
    }
    let label = format!("{} {} on {} threads", subject.name, subject.weights, pool.threads());
    let (before, exchange) = (Ticks::now(), Exchange::measure(pool));
    let mut results = interleave(&mut cells, effort.rounds, |run, runs, next| {
        if !next.is_empty() {
            eprintln!("{label}: {next} ({} of {runs})", run + 1);
        }
    })?
    .into_iter();
    drop(cells);
    let disturbance = before.and_then(|before| Ticks::now()?.since(before)).unwrap_or_default();
    let exchange = Exchange::between(exchange, Exchange::measure(pool));
    let mut ours = results.next().context("our own cell is the first")?;
    let peers = match (results.next(), results.next(), results.next()) {
        (Some(off), Some(again), Some(on)) => {
            ours.test.extend(again.test);
            ours.retest.extend(again.retest);
            Some([off, on])
        }
        _ => None,
    };
    Ok((Interleaved { ours, disturbance, exchange, peers }, build.into_inner()))
}

/// Our side of a test.
struct Ours<'s, 'm> {
    session: &'s mut Session<'m>,
    test: Test,
    tokens: Vec<u32>,
    repetitions: usize,
}

impl<'s, 'm> Ours<'s, 'm> {
    fn new(session: &'s mut Session<'m>, test: Test, repetitions: usize) -> RefCell<Self> {
        let vocabulary = session.model().architecture().vocabulary_size;
        let count = match test {
            Test::Prefill { tokens } => tokens,
            Test::Decode { .. } => GENERATED,
        };
        RefCell::new(Self { session, test, tokens: seeded_tokens(vocabulary, count, SEED), repetitions })
    }

    /// Median seconds per token over as many repetitions as the peer makes.
    fn run(&mut self) -> Result<f64> {
        let mut samples = Vec::with_capacity(self.repetitions);
        if let Test::Decode { depth } = self.test {
            self.session.fill_random(depth, SEED)?;
        }
        for _ in 0..self.repetitions {
            samples.push(match self.test {
                Test::Prefill { .. } => self.session.time_prefill(&self.tokens)? / self.tokens.len() as f64,
                Test::Decode { depth } => self.session.time_decode(depth, &self.tokens, &mut Vec::new())?,
            });
        }
        Ok(median(&samples))
    }
}

/// What the machine does at best, and how much of it one token needs.
enum Sentinel {
    Read(ReadSentinel),
    Peak(PeakSentinel),
}

impl Sentinel {
    fn new(subject: &Subject<'_>, session: &Session<'_>, pool: &Pool, test: Test) -> Result<Self> {
        Ok(match test {
            Test::Decode { .. } => {
                Self::Read(ReadSentinel::new(pool, per_token(session, test) as u64, subject.isa)?)
            }
            Test::Prefill { .. } => {
                let number = match subject.weights {
                    NumberFormat::F32 => PeakType::F32,
                    NumberFormat::Bf16 => PeakType::Bf16,
                    _ => PeakType::Int8,
                };
                Self::Peak(PeakSentinel::new(pool, number, subject.isa)?)
            }
        })
    }

    fn per_s(&self, pool: &Pool) -> f64 {
        match self {
            Self::Read(read) => read.bytes_per_s(pool),
            Self::Peak(peak) => peak.ops_per_s(pool),
        }
    }
}

/// Bytes of weights and cache that one decoded token streams, mean over those generated; or operations of one prompt
/// token.
fn per_token(session: &Session<'_>, test: Test) -> f64 {
    let plan = session.model().plan();
    match test {
        Test::Decode { depth } => {
            let of_token = |depth| -> f64 {
                let moved: Traffic = plan.steps.iter().map(|step| traffic(step, Shape::decode(depth))).sum();
                moved.weight_bytes + moved.kv_read_bytes
            };
            (of_token(depth) + of_token(depth + GENERATED - 1)) / 2.0
        }
        Test::Prefill { tokens } => {
            let shapes = Shape::prefill(tokens, plan.options.chunk);
            let of_step = |step: &slimfit_plan::Step| -> f64 {
                let first = if step.rows == TokenRows::All { 0 } else { shapes.len().saturating_sub(1) };
                shapes[first..].iter().map(|&shape| traffic(step, shape).flops).sum()
            };
            plan.steps.iter().map(of_step).sum::<f64>() / tokens as f64
        }
    }
}

fn cell(
    subject: &Subject<'_>,
    parameters: u64,
    threads: usize,
    test: Test,
    session: &Session<'_>,
    found: &Interleaved,
) -> Result<ModelCell> {
    let work = per_token(session, test);
    let share = |run: &Bracketed| work / run.value / run.sentinel_per_s();
    let shares = found.ours.test.iter().chain(&found.ours.retest).map(share).collect();
    let rate = |cell: &CellResult| {
        cell.value().and_then(|seconds| seconds.map(|seconds| 1.0 / seconds)).context("a cell without runs")
    };
    let ours = rate(&found.ours)?;
    let llama = found.peers.as_ref().map(|peers| -> Result<LlamaCell> {
        let rates = [rate(&peers[0])?, rate(&peers[1])?];
        let better = usize::from(rates[1].value() > rates[0].value());
        Ok(LlamaCell {
            flash_attention: better == 1,
            tokens_per_s: rates[better].figure(),
            retest_error: peers[better].retest_error().unwrap_or(f64::NAN),
            other_tokens_per_s: rates[1 - better].value(),
            ratio: ours.value() / rates[better].value(),
        })
    });
    Ok(ModelCell {
        model: subject.name.to_owned(),
        parameters,
        weights: subject.weights,
        threads,
        tuned_seconds: 0.0,
        test,
        tokens_per_s: ours.figure(),
        retest_error: found.ours.retest_error().unwrap_or(f64::NAN),
        share: Measured::new(shares).context("a cell without runs")?.figure(),
        sentinel_per_s: found.ours.sentinel_per_s(),
        disturbance: found.disturbance,
        exchange: found.exchange,
        llama: llama.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use slimfit_bench::models;

    #[test]
    fn larger_models_more_threads_and_a_peer_take_longer() {
        let options = |arguments: &[&str]| {
            let words = ["bench", "--tests", "p512,d0"].iter().chain(arguments);
            Options::parse_from(words).complete().unwrap()
        };
        let seconds = |name: &str, threads: &str, beside| {
            let architecture = models::find(name).unwrap();
            estimate(&architecture, NumberFormat::Q4_0, &options(&["--threads", threads]), beside)
        };
        let small = seconds("smollm2-135m", "1", false);
        assert!(small > 1.0 && small < 300.0, "{small}");
        assert!(seconds("smollm2-135m", "1,2", false) > small);
        assert!(seconds("smollm2-135m", "1", true) > 2.0 * small);
        assert!(seconds("tinyllama-1.1b", "1", false) > small);
    }
}
