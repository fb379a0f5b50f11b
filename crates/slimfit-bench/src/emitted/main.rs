//! `cargo xtask bench emit`: emitted crates of kernels beside the library that they are made from, and beside llama.cpp.
//!
//! What is compared runs in turn, so that each ratio is of runs that met the same neighbours, and everything is measured
//! twice.

mod beside_library;
mod beside_llama;
mod library;
mod tables;

use anyhow::{Context, Result, anyhow, ensure};
use beside_library::{Cell, Race};
use beside_llama::{Contest, LlamaCell};
use clap::Parser;
use library::{EmittedLibrary, Request, serve};
use slimfit_bench::gguf_files::GgufFiles;
use slimfit_bench::llama_bench::LlamaBench;
use slimfit_bench::models;
use slimfit_bench::race::race;
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::PlanOptions;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{Model, SeededWeights};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::channel;

/// Positions of a text.
const CONTEXT: u64 = 2048;
/// Weights of so many bytes stay in the last cache of any device that the goals are for.
const CACHED_BYTES: u64 = 16 << 20;

/// Measures emitted kernels beside the library's own, and beside llama.cpp where its benchmark is given.
///
/// The cap on the instruction set is `SLIMFIT_ISA`'s; llama.cpp uses what it was built for.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench emit")]
struct Options {
    /// Built-in models, or `slim-10m`, a shape that stays in the cache.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…", default_value = "slim-10m,smollm2-135m")]
    models: Vec<String>,
    /// Weight formats.
    #[arg(long, value_delimiter = ',', value_name = "FORMAT,…", default_value = "q4_0,q8_0,bf16")]
    formats: Vec<NumberFormat>,
    /// Threads, one table row each [default: 1 and all].
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    threads: Vec<usize>,
    /// Tokens of the prompts.
    #[arg(long, value_delimiter = ',', value_name = "N,…", default_value = "8,128")]
    prompts: Vec<usize>,
    /// Rounds beside the library; the second half is the retest. 0 leaves it out.
    #[arg(long, default_value_t = 24)]
    rounds: u64,
    /// A `llama-bench` program to run beside, on the same GGUF files.
    #[arg(long, value_name = "PATH")]
    llama_bench: Option<PathBuf>,
    /// Rounds beside llama.cpp in each of two passes.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    llama_rounds: u64,
    /// Tokens in the cache when decoding is compared with llama.cpp.
    #[arg(long, value_delimiter = ',', value_name = "N,…", default_value = "0")]
    depths: Vec<u64>,
    /// Race kernels for each model's own products so long first, as a profile does; 0 runs the usual ones.
    #[arg(long, value_name = "SECONDS", default_value_t = 8.0)]
    tune: f64,
    /// Keep the models written for llama.cpp in this folder and use those that are there [default: a temporary one].
    #[arg(long, value_name = "FOLDER")]
    gguf_folder: Option<PathBuf>,
    /// One JSON object instead of the tables.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Default)]
struct Found {
    library: Vec<Cell>,
    llama: Vec<LlamaCell>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let isa = Isa::selected()?;
    let all = allowed_cpus().len();
    let threads = if options.threads.is_empty() {
        if all > 1 { vec![1, all] } else { vec![1] }
    } else {
        options.threads.clone()
    };
    ensure!(options.rounds != 1, "`--rounds 1` has no retest; it is 0, or 2 at least");
    let llama = options.llama_bench.as_deref().map(LlamaBench::new).transpose()?;
    ensure!(options.rounds > 0 || llama.is_some(), "`--rounds 0` without `--llama-bench` measures nothing");
    let files = GgufFiles::new(options.gguf_folder.as_deref())?;
    let mut found = Found::default();
    for name in &options.models {
        for &weights in &options.formats {
            let subject = Subject { name, weights, isa, threads: &threads };
            measure(options, &subject, llama.as_ref(), &files, &mut found)?;
        }
    }
    if options.json {
        println!("{}", tables::json(isa, &found));
    } else {
        tables::print(isa, &found);
    }
    Ok(())
}

/// One model in one format.
struct Subject<'a> {
    name: &'a str,
    weights: NumberFormat,
    isa: Isa,
    threads: &'a [usize],
}

impl Subject<'_> {
    fn plan(&self, threads: usize) -> PlanOptions {
        PlanOptions::new(self.weights, NumberFormat::F16, self.isa, threads as u64, CONTEXT)
    }
}

/// All tests of one model in one format.
fn measure(
    options: &Options,
    subject: &Subject<'_>,
    llama: Option<&LlamaBench>,
    files: &GgufFiles,
    found: &mut Found,
) -> Result<()> {
    let architecture = models::find(subject.name)?;
    let source = SeededWeights::new(&architecture, 1);
    let mut model = Model::load(&architecture, subject.plan(subject.threads[0]), &source)?;
    let tuning = if options.tune > 0.0 { tuned(options, subject, &mut model)? } else { Tuning::default() };
    model.tune(tuning.clone())?;
    let file = llama.map(|_| files.file(subject.name, &architecture, subject.weights)).transpose()?;
    for &threads in subject.threads {
        model.replan(subject.plan(threads))?;
        // A crate is for so many threads: its kernels are those that won on them.
        let emitted = EmittedLibrary::build(subject.name, &architecture, model.plan(), subject.isa, &tuning)?;
        let (ask, requests) = channel();
        let (answers, answered) = channel();
        std::thread::scope(|scope| {
            // Before our pool pins this thread.
            let (emitted, file) = (&emitted, file.as_deref());
            let host = scope.spawn(move || serve(emitted, file, threads, &requests, &answers));
            let asked = |request: Request| -> Result<f64> {
                ask.send(request).ok().context("the emitted crate cannot hold its model")?;
                answered.recv().context("the emitted crate's thread has ended")?
            };
            let peer = llama.zip(file);
            let measured = on_threads(options, subject, &model, threads, peer, &asked, found);
            drop(ask);
            // What the crate says of itself comes first: the other error follows from it.
            host.join().map_err(|_| anyhow!("the emitted crate's thread panicked"))??;
            measured
        })?;
    }
    file.map_or(Ok(()), |file| files.done_with(&file))
}

/// What the races for the model's products on all counts of threads chose; on a thread of its own, which pools pin.
fn tuned(options: &Options, subject: &Subject<'_>, model: &mut Model) -> Result<Tuning> {
    let raced = std::thread::scope(|scope| {
        let races = scope.spawn(move || {
            let mut tuning = Tuning::default();
            for &threads in subject.threads {
                model.replan(subject.plan(threads))?;
                race(model, &Pool::new(threads)?, options.tune, &mut tuning)?;
            }
            model.replan(subject.plan(subject.threads[0]))?;
            Ok(tuning)
        });
        races.join()
    });
    raced.map_err(|_| anyhow!("a race of kernels panicked"))?
}

/// All tests on so many threads; `asked` runs the emitted crate.
fn on_threads(
    options: &Options,
    subject: &Subject<'_>,
    model: &Model,
    threads: usize,
    peer: Option<(&LlamaBench, &Path)>,
    asked: &dyn Fn(Request) -> Result<f64>,
    found: &mut Found,
) -> Result<()> {
    // The emitted crate is ready when it has answered, and its threads lie where they will.
    asked(Request::Prefill(vec![0]))?;
    let pool = Pool::new(threads)?;
    let name = format!("{} {}, {threads} threads", subject.name, subject.weights);
    let weight_bytes = model.plan().memory().weight_bytes;
    if options.rounds > 0 {
        let in_cache = weight_bytes <= CACHED_BYTES;
        let race =
            Race { name: name.clone(), model, in_cache, prompts: &options.prompts, rounds: options.rounds };
        found.library.extend(beside_library::measure(&race, &pool, asked)?);
    }
    if let Some((bench, file)) = peer {
        let contest = Contest {
            name,
            bench,
            file,
            vocabulary: model.architecture().vocabulary_size,
            weight_bytes,
            isa: subject.isa,
            rounds: usize::try_from(options.llama_rounds)?,
        };
        for &depth in &options.depths {
            found.llama.push(beside_llama::measure(&contest, depth, &pool, asked)?);
        }
    }
    Ok(())
}
