//! `cargo xtask bench search`: the filter, hypervolumes and exact fronts beside moocore, pymoo and Optuna, and how long
//! the fronts of the shipped spaces take.
//!
//! What is compared alternates in one run, and every figure is measured twice: what differs between the two passes is noise.

mod clouds;
mod filter;
mod formula;
mod fronts;
mod hypervolumes;
mod peer;
mod program;
mod rates;
mod row;
mod spaces;
mod table;
mod timing;

use anyhow::{Context, Result};
use clap::Parser;
use peer::Peer;
use program::Program;
use row::Row;
use std::path::PathBuf;
use std::process::ExitCode;
use tempfile::TempDir;

/// Measures the search beside its peers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench search")]
struct Options {
    /// What is measured [default: all].
    #[arg(long, value_delimiter = ',')]
    sections: Vec<Section>,
    /// The device: a profile's file or the name of a published one; the newest local one of this machine unless said, and
    /// where there is none this machine is measured for a minute.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Built-in spaces whose fronts are timed [default: all of those with goals].
    #[arg(long, value_delimiter = ',', value_name = "SPACE,…")]
    spaces: Vec<String>,
    /// The space that peers search by look-up: small enough to write out.
    #[arg(long, value_name = "SPACE", default_value = "slm-demo")]
    small_space: String,
    /// The space whose points the search settles are counted by the second.
    #[arg(long, value_name = "SPACE", default_value = "slm-edge")]
    rate_space: String,
    /// Seconds that a peer's optimiser gets at least; ten times ours where that is more.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    peer_seconds: f64,
    /// A Python with the packages of `requirements.txt`; `cargo xtask` makes one.
    #[arg(long, value_name = "PATH")]
    python: PathBuf,
    /// The program `slimfit`; `cargo xtask` builds it.
    #[arg(long, value_name = "PATH")]
    slimfit: PathBuf,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// The non-dominated filter.
    Filter,
    /// Hypervolumes.
    Hypervolume,
    /// Fronts of small spaces.
    Fronts,
    /// Points priced a second.
    Rates,
    /// Exact fronts of the shipped spaces.
    Spaces,
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
    let folder = TempDir::new().context("no temporary folder")?;
    let mut peer = Peer::start(&options.python, folder.path())?;
    let wanted = |section| options.sections.is_empty() || options.sections.contains(&section);
    let mut rows: Vec<Row> = Vec::new();
    if wanted(Section::Filter) {
        rows.extend(filter::rows(&mut peer).context("filter")?);
    }
    if wanted(Section::Hypervolume) {
        rows.extend(hypervolumes::rows(&mut peer).context("hypervolume")?);
    }
    if wanted(Section::Fronts) {
        rows.extend(fronts::of_formula(&mut peer, options.peer_seconds).context("front of the formula")?);
    }
    if [Section::Fronts, Section::Rates, Section::Spaces].into_iter().any(wanted) {
        let program = Program::new(&options.slimfit, options.profile.as_deref(), folder.path())?;
        let (small, peer_seconds) = (&options.small_space, options.peer_seconds);
        if wanted(Section::Fronts) {
            let found = fronts::of_space(&mut peer, &program, small, peer_seconds);
            rows.extend(found.with_context(|| format!("front of {small}"))?);
        }
        if wanted(Section::Rates) {
            rows.extend(rates::rows(&program, &options.rate_space, &options.small_space).context("rates")?);
        }
        if wanted(Section::Spaces) {
            rows.extend(spaces::rows(&program, &options.spaces).context("spaces")?);
        }
    }
    let versions = peer.versions()?;
    if options.json {
        println!("{}", row::json(&rows, &versions));
    } else {
        println!("{}", row::text(&rows, &versions));
    }
    Ok(())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0.1 to 3600".to_owned()),
    }
}
