//! `cargo xtask test`: all set-up, then everything.

use crate::process::{cargo, find, heading, stream};
use crate::tally::Tally;
use crate::{check, isa, python, setup};
use anyhow::Result;

pub fn run() -> Result<Tally> {
    heading("set-up");
    let installed = setup::packages();
    for line in &installed.missing {
        println!("  {line}");
    }
    let mut tally = check::run()?;

    heading("tests of every crate and of the binary");
    let mut command = cargo();
    if find(&["cargo-nextest"]).is_some() {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"]);
    } else {
        println!(
            "  cargo-nextest is not installed; plain `cargo test` runs the same tests, one file after another"
        );
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    tally.add_runner("tests", &stream(&mut command)?);

    heading("examples in the documentation");
    tally.add_runner(
        "documentation",
        &stream(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]))?,
    );

    tally.extend(isa::run()?);
    tally.extend(python::run()?);
    Ok(tally)
}
