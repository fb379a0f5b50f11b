//! `likwid-bench` as a peer: started for one kernel at a time, its answer read line by line.
//!
//! It needs no counters: times come from the time-stamp counter, whose rate it measures anew at every start. A start that was
//! disturbed measures a wrong rate, so callers put the median rate of all starts in its place.

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program and the kernels it has.
pub struct Likwid {
    program: PathBuf,
    kernels: BTreeSet<String>,
}

/// What one run told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Bytes it went through in each iteration, all threads together: those asked for, less what fills no turn of its loop.
    pub bytes: u64,
    /// Bytes read per second.
    pub bytes_per_s: f64,
    /// Operations per second; 0 for kernels that only load.
    pub ops_per_s: f64,
    /// The rate of the time-stamp counter that it reckoned with.
    pub clock_hz: f64,
}

impl Likwid {
    /// Finds out that `program` runs, and what it has.
    ///
    /// # Errors
    /// It is not installed, or is another program.
    pub fn new(program: &Path) -> Result<Self> {
        let output = Command::new(program).arg("-a").stdin(Stdio::null()).output();
        let output = output.with_context(|| {
            format!(
                "`{}` cannot be started: install likwid (`sudo apt install likwid` on Debian and Ubuntu), name the \
                 program with `--likwid PATH`, or leave it out with `--without-likwid`",
                program.display()
            )
        })?;
        let kernels: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| Some(line.split_once(" - ")?.0.trim().to_owned()))
            .collect();
        ensure!(
            kernels.contains("load"),
            "`{} -a` lists no kernel `load`: is it likwid-bench?",
            program.display()
        );
        Ok(Self { program: program.to_owned(), kernels })
    }

    /// Whether it has a kernel.
    pub fn has(&self, kernel: &str) -> bool {
        self.kernels.contains(kernel)
    }

    /// Runs a kernel over `bytes` of all `threads` together, `iterations` times.
    ///
    /// # Errors
    /// It fails or answers something else.
    pub fn run(&self, kernel: &str, bytes: u64, threads: usize, iterations: u64) -> Result<Answer> {
        // Its kB are 1000 bytes.
        let group = format!("N:{}kB:{threads}", bytes / 1000);
        let output = Command::new(&self.program)
            .args(["-t", kernel, "-w", &group, "-i", &iterations.max(1).to_string()])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("`{}` cannot be started", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let last = told.trim().lines().last().unwrap_or("no message").to_owned();
            bail!("likwid-bench `{kernel}` on `{group}` ended with {}: {last}", output.status);
        }
        parse(&text).with_context(|| format!("likwid-bench `{kernel}` on `{group}`"))
    }
}

fn parse(text: &str) -> Result<Answer> {
    let field = |name: &str| -> Result<f64> {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        let value = value.with_context(|| format!("it tells no `{name}`"))?;
        value.parse().with_context(|| format!("`{name}` is `{value}`"))
    };
    let answer = Answer {
        bytes: field("Size (Byte):")? as u64,
        bytes_per_s: field("MByte/s:")? * 1e6,
        ops_per_s: field("MFlops/s:")? * 1e6,
        clock_hz: field("Cycle Clock:")?,
    };
    ensure!(answer.bytes_per_s > 0.0 && answer.clock_hz > 0.0, "it measured nothing: {answer:?}");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "LIKWID MICRO BENCHMARK\nTest: load_avx\nCycles:\t\t\t600\nCPU Clock:\t\t2000000000\n\
         Cycle Clock:\t\t2000000000\nTime:\t\t\t3.0e-07 sec\nSize (Byte):\t\t15872\nSize per thread:\t15872\n\
         Number of Flops:\t0\nMFlops/s:\t\t0.00\nData volume (Byte):\t31744\nMByte/s:\t\t105813.33\n";

    #[test]
    fn its_lines_are_read() {
        let answer = parse(ANSWER).unwrap();
        let expected =
            Answer { bytes: 15872, bytes_per_s: 105_813.33e6, ops_per_s: 0.0, clock_hz: 2_000_000_000.0 };
        assert_eq!(answer, expected);
    }

    #[test]
    fn another_answer_is_named() {
        let without = ANSWER.replace("MByte/s", "GByte/s");
        assert!(parse(&without).unwrap_err().to_string().contains("`MByte/s:`"));
        let nothing = ANSWER.replace("105813.33", "0.00");
        assert!(parse(&nothing).is_err());
        let wrong = ANSWER.replace("15872", "many");
        assert!(parse(&wrong).unwrap_err().to_string().contains("`many`"));
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let error = Likwid::new(Path::new("/nowhere/likwid-bench")).err().unwrap().to_string();
        assert!(error.contains("/nowhere/likwid-bench") && error.contains("apt install likwid"), "{error}");
    }
}
