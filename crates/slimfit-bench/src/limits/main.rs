//! `cargo xtask bench limits`: the loops that find what this machine can do at best, beside `likwid-bench` and beside what
//! the core's ports allow.
//!
//! Every ratio comes from neighbouring runs: each run of the peer stands between two of ours, of equal length, on the same
//! threads, the same bytes and pages of the same kind.

mod cells;
mod likwid;
mod ports;
mod record;

use anyhow::{Context, Result};
use cells::{Bench, What};
use clap::Parser;
use likwid::Likwid;
use record::Record;
use slimfit_kernels::Isa;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures read bandwidth and peaks beside likwid-bench and beside the limits of the core's ports.
///
/// The cap on the instruction set is `SLIMFIT_ISA`'s; it does not bind likwid-bench.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench limits")]
struct Options {
    /// The program to run beside.
    #[arg(long, value_name = "PATH", default_value = "likwid-bench")]
    likwid: PathBuf,
    /// Measure beside the ports' limits only.
    #[arg(long, conflicts_with = "likwid")]
    without_likwid: bool,
    /// Threads [default: 1 and all].
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    threads: Vec<usize>,
    /// What is measured [default: all].
    #[arg(long, value_delimiter = ',')]
    cells: Vec<What>,
    /// Pairs of runs for every cell, at least.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(2..=999))]
    pairs: u16,
    /// Seconds of one run.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.15, value_parser = seconds)]
    seconds: f64,
    /// Write the record as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the table of records measured before, merged, and measure nothing.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    from: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(mut options: Options) -> Result<()> {
    if !options.from.is_empty() {
        print!("{}", Record::merged(&options.from)?);
        return Ok(());
    }
    if options.threads.is_empty() {
        let all = slimfit_kernels::pool::allowed_cpus().len();
        options.threads = if all > 1 { vec![1, all] } else { vec![1] };
    }
    if options.cells.is_empty() {
        options.cells = What::ALL.to_vec();
    }
    let likwid = if options.without_likwid { None } else { Some(Likwid::new(&options.likwid)?) };
    let bench = Bench::new(Isa::selected()?, likwid, options.seconds)?;
    let record = bench.measure(&options.cells, &options.threads, usize::from(options.pairs).div_ceil(2))?;
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&record).context("a record can be written")?;
        slimfit_document::write_atomically(path, &text)?;
    }
    print!("{record}");
    Ok(())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=10.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0.01 to 10".to_owned()),
    }
}
