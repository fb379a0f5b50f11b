//! `cargo xtask bench emit`: emitted crates of kernels beside the library that they are made from.
//!
//! Both run the same plan with weights that cost the same, in this process and in turn, so that each ratio is of two runs
//! that met the same neighbours. The second half of the rounds repeats the first.

mod library;

#[path = "../models.rs"]
#[allow(dead_code, reason = "shared with another program of this crate")]
mod models;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use comfy_table::Table;
use library::{EmittedLibrary, Request, serve};
use serde_json::json;
use slimfit_kernels::pool::{Pool, allowed_cpus};
use slimfit_kernels::{Isa, Tuning};
use slimfit_plan::PlanOptions;
use slimfit_quantity::{NumberFormat, median};
use slimfit_runtime::{Model, SeededWeights, Session, seeded_tokens};
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::Instant;

/// Positions of a text.
const CONTEXT: u64 = 2048;
/// Tokens decoded in a round.
const STEPS: usize = 32;

/// Measures emitted kernels beside the library's own.
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
    /// Rounds; the second half is the retest.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(2..))]
    rounds: u64,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// What is run in a round.
#[derive(Debug, Clone, Copy)]
enum Test {
    Decode,
    Prefill(usize),
}

/// One cell of the table.
struct Cell {
    name: String,
    /// Seconds of the library for those of the emitted crate: first half, second half.
    ratios: [f64; 2],
    /// Tokens a second of the emitted crate.
    tokens_per_s: f64,
    /// Whether instructions bind rather than memory: several tokens, or weights in the cache.
    in_instructions: bool,
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
    let mut cells = Vec::new();
    for name in &options.models {
        for &weights in &options.formats {
            cells.extend(measure(options, name, weights, isa, &threads)?);
        }
    }
    let of = |bound: bool| {
        let logs = cells.iter().filter(|cell| cell.in_instructions == bound);
        let logs: Vec<f64> = logs.flat_map(|cell| cell.ratios.map(f64::ln)).collect();
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    let least = cells.iter().flat_map(|cell| cell.ratios).fold(f64::INFINITY, f64::min);
    if options.json {
        let rows: Vec<_> = cells
            .iter()
            .map(|cell| {
                json!({"name": cell.name, "ratio": cell.ratios, "tokens_per_s": cell.tokens_per_s,
                       "bound": if cell.in_instructions { "instructions" } else { "memory" }})
            })
            .collect();
        let text = json!({"isa": isa.name(), "cells": rows, "instructions": of(true), "memory": of(false), "least": least});
        println!("{text}");
        return Ok(());
    }
    println!(
        "slimfit {}, instruction set {isa}: emitted crates beside the library",
        env!("CARGO_PKG_VERSION")
    );
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(["what", "bound by", "emitted / library", "retest", "tokens/s"]);
    for cell in &cells {
        table.add_row([
            cell.name.clone(),
            if cell.in_instructions { "instructions" } else { "memory" }.to_owned(),
            format!("{:.3}", cell.ratios[0]),
            format!("{:.3}", cell.ratios[1]),
            format!("{:.0}", cell.tokens_per_s),
        ]);
    }
    println!("{table}");
    for (what, mean, goal) in [("instructions bind", of(true), 1.05), ("memory binds", of(false), 0.98)] {
        if let Some(mean) = mean {
            println!("geometric mean where {what}: {mean:.3}, goal {goal}");
        }
    }
    println!("least: {least:.3}, goal 0.98");
    Ok(())
}

/// All tests of one model in one format.
fn measure(
    options: &Options,
    name: &str,
    weights: NumberFormat,
    isa: Isa,
    threads: &[usize],
) -> Result<Vec<Cell>> {
    let architecture = models::find(name)?;
    let plan = |threads: usize| PlanOptions::new(weights, NumberFormat::F16, isa, threads as u64, CONTEXT);
    let source = SeededWeights::new(&architecture, 1);
    let mut model = Model::load(&architecture, plan(threads[0]), &source)?;
    let emitted = EmittedLibrary::build(name, &architecture, model.plan(), isa, &Tuning::default())?;
    let in_cache = model.plan().memory().weight_bytes <= 16 << 20;
    let mut cells = Vec::new();
    for &threads in threads {
        model.replan(plan(threads))?;
        let (ask, requests) = channel();
        let (answers, answered) = channel();
        let of_threads = std::thread::scope(|scope| {
            // Before our pool pins this thread.
            let (emitted, answers) = (&emitted, answers);
            let host = scope.spawn(move || serve(emitted, threads, &requests, &answers));
            let asked = |request: Request| -> Result<f64> {
                ask.send(request).ok().context("the emitted crate cannot hold its model")?;
                answered.recv().context("the emitted crate's thread has ended")?
            };
            let cells = race(options, &model, threads, in_cache, (name, weights), &asked);
            drop(ask);
            host.join().map_err(|_| anyhow!("the emitted crate's thread panicked"))??;
            cells
        })?;
        cells.extend(of_threads);
    }
    ensure!(!cells.is_empty(), "nothing was measured");
    Ok(cells)
}

/// All tests on so many threads; `asked` runs the emitted crate.
fn race(
    options: &Options,
    model: &Model,
    threads: usize,
    in_cache: bool,
    (name, weights): (&str, NumberFormat),
    asked: &dyn Fn(Request) -> Result<f64>,
) -> Result<Vec<Cell>> {
    // The emitted crate is ready when it has answered, and its threads lie where they will.
    asked(Request::Decode(vec![0]))?;
    let pool = Pool::new(threads)?;
    let mut session = Session::new(model, &pool)?;
    let mut cells = Vec::new();
    let tests = [Test::Decode].into_iter().chain(options.prompts.iter().map(|&tokens| Test::Prefill(tokens)));
    for test in tests {
        let tokens = seeded_tokens(model.architecture().vocabulary_size, count(test) as u64, 1);
        let mut ours = || -> Result<f64> {
            session.reset();
            let start = Instant::now();
            match test {
                Test::Decode => tokens.iter().try_for_each(|&token| session.decode(token).map(drop))?,
                Test::Prefill(_) => session.prefill(&tokens).map(drop)?,
            }
            Ok(start.elapsed().as_secs_f64())
        };
        let mut theirs = || {
            asked(match test {
                Test::Decode => Request::Decode(tokens.clone()),
                Test::Prefill(_) => Request::Prefill(tokens.clone()),
            })
        };
        let once = ours()?.max(theirs()?);
        // A round is long enough for the clock, and short beside what neighbours do.
        let times = (0.03 / once).ceil().max(1.0) as usize;
        let several = |run: &mut dyn FnMut() -> Result<f64>| -> Result<f64> {
            (0..times).try_fold(0.0, |sum, _| Ok(sum + run()?))
        };
        let (mut ratios, mut rates) = (Vec::new(), Vec::new());
        for round in 0..options.rounds {
            let (library, crate_seconds) = if round % 2 == 0 {
                let library = several(&mut ours)?;
                (library, several(&mut theirs)?)
            } else {
                let emitted = several(&mut theirs)?;
                (several(&mut ours)?, emitted)
            };
            ratios.push(library / crate_seconds);
            rates.push((times * count(test)) as f64 / crate_seconds);
        }
        let half = ratios.len() / 2;
        cells.push(Cell {
            name: format!("{name} {weights}, {threads} threads, {}", spoken(test)),
            ratios: [median(&ratios[..half]), median(&ratios[half..])],
            tokens_per_s: median(&rates),
            in_instructions: in_cache || !matches!(test, Test::Decode),
        });
        eprintln!("{} {:.3}", cells[cells.len() - 1].name, median(&ratios));
    }
    Ok(cells)
}

fn count(test: Test) -> usize {
    match test {
        Test::Decode => STEPS,
        Test::Prefill(tokens) => tokens,
    }
}

fn spoken(test: Test) -> String {
    match test {
        Test::Decode => "decode".to_owned(),
        Test::Prefill(tokens) => format!("prompt of {tokens}"),
    }
}
