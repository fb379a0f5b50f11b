//! The `slimfit` command: arguments, wiring, progress and exit codes.
//!
//! Not here: any domain logic. Each command lies in the file of its name and calls the crates that know.

mod arguments;
mod calibrate;
mod candidates_text;
mod companions;
mod completions;
mod date;
mod device;
mod devices;
mod dump;
mod emit;
mod emit_kernels;
mod emit_tokenizer;
mod emit_weights;
mod engine;
mod evolve;
mod explain;
mod failure;
mod front_text;
mod inspect;
mod interrupt;
mod layers_text;
mod logits;
mod measure;
mod memory_child;
mod models;
mod output;
mod portable;
mod profile;
mod profile_check;
mod profile_text;
mod progress;
mod quality;
mod rank;
mod refinement_text;
mod report;
mod run;
mod search;
mod serve;
mod space;
mod study;
mod table;
mod timed;
mod verify;
mod what;
mod why;
mod workload;

use arguments::Command;
use failure::Failure;
use output::Output;
use std::ffi::OsString;
use std::process::ExitCode;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// What was asked for is done.
    Done,
    /// Everything ran, and a check that the user asked for does not hold.
    CheckFailed,
    /// The user asked to stop, and what there was by then is printed.
    Interrupted,
    /// Some rows of a table were refused, each with its reason where it stands; the others are printed.
    RowsRefused,
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if memory_child::is_child(&arguments) {
        return memory_child::run();
    }
    // Known before parsing, so that a wrong argument is reported in the form that was asked for.
    let json = arguments.iter().any(|argument| argument == "--json");
    failure::install_panic_hook(json);
    let cli = match arguments::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error, json),
    };
    if let Err(error) = interrupt::install() {
        return failure::report(&error, json);
    }
    let output = Output::new(cli.json);
    match dispatch(cli.command, &output) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::CheckFailed) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => ExitCode::from(interrupt::EXIT_CODE),
        Ok(Outcome::RowsRefused) => ExitCode::from(2),
        Err(error) => failure::report(&error, json),
    }
}

fn dispatch(command: Command, output: &Output) -> Result<Outcome, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments, output),
        Command::Profile(arguments) => profile::run(&arguments, output),
        Command::Inspect(arguments) => inspect::run(&arguments, output),
        Command::Models(arguments) => models::run(&arguments, output),
        Command::Space(arguments) => space::run(&arguments, output),
        Command::Rank(arguments) => rank::run(&arguments, output),
        Command::Search(arguments) => search::run(&arguments, output),
        Command::Why(arguments) => why::run(&arguments, output),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::Quality(arguments) => quality::run(&arguments, output),
        Command::Measure(arguments) => measure::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Calibrate(arguments) => calibrate::run(&arguments, output),
        Command::Emit(arguments) => emit::run(&arguments, output),
        Command::Report(arguments) => report::run(&arguments, output),
        Command::Serve(arguments) => serve::run(&arguments, output),
        Command::Study(arguments) => study::run(&arguments, output),
        Command::Completions(arguments) => completions::run(&arguments, output),
    }
}
