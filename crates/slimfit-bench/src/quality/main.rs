//! `cargo xtask bench quality`: refits the laws of loss and scores on published runs, each part judged by fits that have not
//! seen it, and prints every protocol beside its goal and its baselines. Runs nothing and measures nothing here.

mod baseline;
mod coefficients;
mod data;
mod experts;
mod goal;
mod losses;
mod ranks;
mod row;
mod scores;
mod surface;
mod tables;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use clap::Parser;
use data::Data;
use row::Row;
use std::path::PathBuf;
use std::process::ExitCode;

/// Scores the quality model on published training runs: leave one shape, size, family or suite out.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench quality")]
struct Options {
    /// The folder with the published runs: `gemstones.csv`, `morph-shape-loss.csv` …
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The folder with `lts-wt103-random.csv`; `lts` beside the data folder unless said.
    #[arg(long, value_name = "DIR")]
    lts: Option<PathBuf>,
    /// Print the coefficients of a fit to all runs, for the shipped recipes.
    #[arg(long)]
    coefficients: bool,
    /// One JSON object instead of tables.
    #[arg(long)]
    json: bool,
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
    let lts = options.lts.clone().unwrap_or_else(|| options.data.join("../lts"));
    let data = Data::read(&options.data, &lts)?;
    let mut rows: Vec<Row> = Vec::new();
    rows.extend(losses::rows(&data).context("losses")?);
    rows.extend(experts::rows(&data).context("experts")?);
    rows.extend(scores::rows(&data).context("scores")?);
    rows.extend(ranks::rows(&data).context("ranks")?);
    rows.extend(surface::rows(&data).context("surface")?);
    let coefficients = if options.coefficients { Some(coefficients::all(&data)?) } else { None };
    if options.json {
        println!("{}", tables::json(&rows, coefficients.as_ref()));
        return Ok(());
    }
    println!("{}", tables::text(&rows));
    if let Some(coefficients) = coefficients {
        println!("{}", coefficients.text());
    }
    Ok(())
}
