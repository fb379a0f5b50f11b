//! The child process in which the runtime measures the peak memory of one model. No command of the user's.

use slimfit_runtime::{MEMORY_PROBE_ARGUMENT, MemoryRequest, memory_probe};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Whether this process was started as that child.
pub fn is_child(arguments: &[OsString]) -> bool {
    arguments.len() == 2 && arguments[1] == MEMORY_PROBE_ARGUMENT
}

/// Reads a request from stdin, runs it, prints the report on stdout.
pub fn run() -> ExitCode {
    match answer() {
        Ok(report) if writeln!(std::io::stdout().lock(), "{report}").is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(2),
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "{error:#}");
            ExitCode::from(2)
        }
    }
}

fn answer() -> anyhow::Result<String> {
    let request: MemoryRequest = serde_json::from_reader(std::io::stdin().lock())?;
    Ok(serde_json::to_string(&memory_probe(&request)?)?)
}
