//! `cargo xtask check`: what reviewers would otherwise have to look for.

mod layers;
mod size;
mod toolchain;
mod vendor;

use crate::process::{cargo, heading, stream};
use crate::tally::Tally;
use anyhow::Result;
use std::process::Command;

const GROUP: &str = "checks";

pub fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    heading("checks of the source tree");
    report(&mut tally, "layers", layers::check()?);
    report(&mut tally, "file sizes", size::check()?);
    report(&mut tally, "third-party files", vendor::check()?);
    match toolchain::check()? {
        toolchain::Verdict::Checked(problems) => report(&mut tally, "minimum Rust version", problems),
        toolchain::Verdict::Absent(reason) => {
            println!("  skipped  minimum Rust version: {reason}");
            tally.add_skipped(GROUP, "minimum Rust version", &reason);
        }
    }
    program(&mut tally, "formatting", cargo().args(["fmt", "--all", "--check"]))?;
    program(
        &mut tally,
        "clippy",
        cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
    )?;
    program(
        &mut tally,
        "documentation builds",
        cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    Ok(tally)
}

fn report(tally: &mut Tally, name: &str, problems: Vec<String>) {
    if problems.is_empty() {
        println!("  ok       {name}");
        tally.add_check(GROUP, name, None);
        return;
    }
    println!("  FAILED   {name}");
    for problem in &problems {
        println!("           {problem}");
    }
    tally.add_check(GROUP, name, Some(problems.join("; ")));
}

fn program(tally: &mut Tally, name: &str, command: &mut Command) -> Result<()> {
    let success = stream(command)?.success;
    println!("  {}  {name}", if success { "ok     " } else { "FAILED " });
    tally.add_check(GROUP, name, (!success).then(|| "see its output above".to_owned()));
    Ok(())
}
