//! `cargo xtask …`: everything a contributor runs besides plain cargo.
//!
//! Not here: anything a user of the binary needs. Each subcommand lies in the file of its name.

mod bench;
mod check;
mod dist;
mod isa;
mod process;
mod python;
mod setup;
mod tally;
mod test;

use std::process::ExitCode;
use tally::Tally;

const USAGE: &str = "\
usage: cargo xtask <command>

  test    all set-up, then all checks and tests; what CI runs
  check   formatting, clippy, documentation, layers, file sizes, third-party files, minimum Rust version
  isa     the kernel and runtime tests once for every instruction-set tier, then AArch64 under qemu
  bench   kernels: kernels and runtime beside their yardsticks and peers (`bench kernels --help`);
          devices: predicted beside published decode rates, devices left out (`bench devices --help`);
          limits: bandwidth and peaks beside likwid-bench and the core's ports (`bench limits --help`);
          search: filter, hypervolumes and exact fronts beside moocore, pymoo and Optuna (`bench search --help`);
          otherwise the benchmarks of every crate that has some, with the arguments given to cargo bench
  dist    a release archive under target/dist

environment
  SLIMFIT_CACHE   where the Python environments of tests and peers are kept (default ~/.cache/slimfit)";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let tally = match command.as_deref() {
        Some("test") => test::run(),
        Some("check") => check::run(),
        Some("isa") => isa::run(),
        Some("bench") => return finish(bench::run(&rest)),
        Some("dist") => return finish(dist::run()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("error: unknown command `{other}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    close(tally)
}

fn close(tally: anyhow::Result<Tally>) -> ExitCode {
    match tally {
        Ok(tally) => {
            tally.print();
            if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => finish(Err(error)),
    }
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
