//! `slimfit completions SHELL`.

use crate::Outcome;
use crate::arguments::Cli;
use crate::failure::Failure;
use crate::output::Output;
use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit completions bash > ~/.local/share/bash-completion/completions/slimfit"
)]
pub struct Arguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "slimfit", &mut script);
    let script = String::from_utf8_lossy(&script);
    if output.is_json() {
        output.object(
            "completions",
            "completions",
            json!({ "shell": arguments.shell.to_string(), "script": script }),
        )?;
    } else {
        output.text(&script)?;
    }
    Ok(Outcome::Done)
}
