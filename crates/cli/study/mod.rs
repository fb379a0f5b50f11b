//! `slimfit study`: what lies in a study, and its tables for other programs.

mod export;
mod show;

use crate::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Arguments of `study`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Example:\n  slimfit study show reports/2026-01-31-run\n  slimfit study export --study reports/2026-01-31-run --format parquet --out front.parquet"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List a study's searches, inputs and records.
    Show(show::Arguments),
    /// Write one of a study's tables as CSV, JSON or Parquet.
    Export(export::Arguments),
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    match &arguments.command {
        Command::Show(arguments) => show::run(arguments, output),
        Command::Export(arguments) => export::run(arguments, output),
    }
}
