//! `cargo xtask bench devices`: how well an engine's coefficients predict published devices that they have not seen, and
//! the file of coefficients itself. Runs nothing on this machine: it reads a folder of published tables.

mod choice;
mod csv;
mod data;
mod evaluation;
mod fit;
mod form;
mod point;
mod spread;
mod tables;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use choice::Choice;
use clap::Parser;
use data::Data;
use fit::Fit;
use slimfit_cost::EngineCoefficients;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Fits llama.cpp's class efficiencies on published decode rates, each device judged by a fit that has not seen it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench devices")]
struct Options {
    /// The folder with `devices.csv` and `device-inference.csv`.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write the coefficients, fitted on all devices, into the repository.
    #[arg(long)]
    write: bool,
    /// One line for every device.
    #[arg(long)]
    by_device: bool,
    /// One line for every rate.
    #[arg(long)]
    by_rate: bool,
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
    let data = Data::read(&options.data)?;
    anyhow::ensure!(!data.rates.is_empty(), "`{}` holds no usable decode rate", options.data.display());
    let start = EngineCoefficients::llama_cpp();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let choice = Choice::new(&data, &start, threads);
    let folds = evaluation::leave_each_out(&data, &start, |device| choice.best(Some(device)));
    let judged = evaluation::judge(&data, &folds);
    print!("{}", tables::left_out(&data));
    if options.by_device {
        println!("{}", tables::by_device(&data, &judged));
    }
    if options.by_rate {
        println!("{}", tables::by_rate(&data, &judged));
    }
    print!("{}", tables::choices(&data, &folds, choice.best(None)));
    println!("{}", tables::targets(&data, &judged));
    let mut fitted = Fit::new(&data, &start, choice.best(None)).run(|_| true);
    spread::describe(&mut fitted, &data, &folds, &judged);
    println!("{}", tables::coefficients(&fitted));
    if options.write {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../slimfit-cost/engines/llama.cpp.yaml");
        slimfit_document::write_atomically(&file, spread::file(&fitted).as_bytes())
            .with_context(|| format!("`{}`", file.display()))?;
        println!("written: {}", file.display());
    }
    Ok(())
}
