//! `slimfit serve --study DIR`.

use crate::failure::Failure;
use crate::output::{Output, note};
use crate::{Outcome, date, interrupt};
use serde_json::json;
use slimfit_report::{LiveReport, ReportInput};
use slimfit_study::Study;
use std::path::PathBuf;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit search --space slm-1b --out study &\n  slimfit serve --study study --open"
)]
pub struct Arguments {
    /// The study's folder.
    #[arg(long)]
    study: PathBuf,
    /// The port on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 7865)]
    port: u16,
    /// Show the page in the browser.
    #[arg(long)]
    open: bool,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let study = Study::open(&arguments.study)?;
    let live = LiveReport::bind(arguments.port)?;
    let url = live.url();
    if output.is_json() {
        output.object("serve", "serve", json!({ "study": arguments.study, "url": url }))?;
    } else {
        output.text(&url)?;
        note(
            "the report is live there until Ctrl-C; nobody but this machine can see it, and it changes nothing",
        );
    }
    if arguments.open
        && let Err(error) = open::that_detached(&url)
    {
        note(&format!("warning: no browser can be started ({error}): open {url} yourself"));
    }
    let describe = |input: &mut ReportInput| {
        env!("CARGO_PKG_VERSION").clone_into(&mut input.tool_version);
        "slimfit serve".clone_into(&mut input.command);
        input.created = date::now();
    };
    live.serve(&study, &describe, interrupt::flag())?;
    // Ctrl-C is how it ends.
    Ok(Outcome::Done)
}
