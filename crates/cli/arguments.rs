//! What may stand on the command line. Each command's own arguments lie beside its code.

use crate::{
    calibrate, completions, emit, explain, inspect, measure, models, profile, quality, rank, report, run,
    search, serve, space, study, verify, why,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

/// Measures a device and cuts a small language model to fit it.
#[derive(Debug, Parser)]
#[command(
    name = "slimfit",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 110,
    after_help = "Start with `slimfit run`: it measures this device, searches, runs what it found and writes a report.\n\
                  Exit codes: 0 done, 1 a check failed, 2 bad usage, input or environment, 70 a bug, 130 interrupted."
)]
pub struct Cli {
    /// Print one JSON object on stdout instead of text; errors too.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// Reads a command line. A negative number is a value like any other, so that an option that takes none says so itself.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    fn with_negative_numbers(command: clap::Command) -> clap::Command {
        let command = command.mut_args(|argument| {
            let is_option = argument.get_long().is_some() && argument.get_action().takes_values();
            if is_option { argument.allow_negative_numbers(true) } else { argument }
        });
        command.mut_subcommands(with_negative_numbers)
    }
    let command = Cli::command().mut_subcommands(with_negative_numbers);
    let mut matches = command.try_get_matches_from(arguments)?;
    Cli::from_arg_matches_mut(&mut matches)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure this device, search, run what was found, and write a report: all in one.
    Run(run::Arguments),
    /// Measure this device and write its hardware profile.
    Profile(profile::Arguments),
    /// Count a model exactly: parameters, operations, bytes, tensors.
    Inspect(inspect::Arguments),
    /// List the built-in public models.
    Models(models::Arguments),
    /// Check a search space: its exact size, the range of its models, ten of them.
    Space(space::Arguments),
    /// Say which of the models that exist is best on a device, yours among them.
    Rank(rank::Arguments),
    /// Find the architectures worth their cost on a device.
    Search(Box<search::Arguments>),
    /// Say what keeps a model off the front of a study, and by how much.
    Why(why::Arguments),
    /// Say where the predicted time of a model goes, operation by operation.
    Explain(explain::Arguments),
    /// Say what models are worth, term by term, and how sure that is; make recipes of training runs.
    Quality(quality::Arguments),
    /// Run a model for real, predicted beside measured.
    Measure(measure::Arguments),
    /// Predict models nobody has run, then run them.
    Verify(verify::Arguments),
    /// Run a few models to make a profile's predictions a little better, where that helps.
    Calibrate(calibrate::Arguments),
    /// Write a found architecture as a standard configuration.
    Emit(emit::Arguments),
    /// Draw a study: page, charts, tables.
    Report(report::Arguments),
    /// Show a study in the browser while a search or a measurement goes on.
    Serve(serve::Arguments),
    /// List what lies in a study, and write its tables for other programs.
    Study(study::Arguments),
    /// Print a script that completes commands and options in your shell.
    Completions(completions::Arguments),
}
