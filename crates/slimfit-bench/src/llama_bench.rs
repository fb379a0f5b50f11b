//! llama.cpp's own benchmark as a peer: started for one test at a time, its answer read as JSON.
//!
//! Programs are started from a thread of their own that was made before any pool: a pool pins the thread it is made on,
//! and a child inherits its parent's CPUs.

use crate::test::{GENERATED, Test};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use slimfit_quantity::median;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A `llama-bench` program, and the thread that starts it.
pub struct LlamaBench {
    program: PathBuf,
    requests: Sender<Command>,
    answers: Receiver<std::io::Result<Output>>,
}

/// What is run of a model.
#[derive(Debug, Clone, Copy)]
pub struct LlamaRun<'a> {
    /// The GGUF file.
    pub model: &'a Path,
    /// Threads.
    pub threads: usize,
    /// The test.
    pub test: Test,
    /// Whether flash attention is on.
    pub flash_attention: bool,
    /// Repetitions, of which the median counts; the program itself runs once before.
    pub repetitions: usize,
}

/// One test in the program's output.
#[derive(Debug, Deserialize)]
struct Answer {
    build_commit: String,
    n_prompt: u64,
    n_gen: u64,
    n_depth: u64,
    n_threads: usize,
    flash_attn: u8,
    type_k: String,
    type_v: String,
    samples_ns: Vec<f64>,
}

impl LlamaBench {
    /// Finds out that `program` runs. To be called before a pool is made on this thread.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn new(program: &Path) -> Result<Self> {
        let (requests, received) = channel::<Command>();
        let (sent, answers) = channel();
        std::thread::spawn(move || {
            for mut command in received {
                if sent.send(command.output()).is_err() {
                    break;
                }
            }
        });
        let bench = Self { program: program.to_owned(), requests, answers };
        let mut command = Command::new(program);
        command.arg("--help");
        bench.output(command)?;
        Ok(bench)
    }

    fn output(&self, mut command: Command) -> Result<Output> {
        command.stdin(Stdio::null());
        let program = self.program.display();
        self.requests.send(command).ok().context("the thread that starts programs has ended")?;
        let output = self.answers.recv().context("the thread that starts programs has ended")?;
        let output = output.with_context(|| format!("`{program}` cannot be started"))?;
        ensure!(
            output.status.success(),
            "`{program}` ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or("no message")
        );
        Ok(output)
    }

    /// Seconds per token of the prompt or of those generated, and the commit that the program was built from.
    ///
    /// # Errors
    /// The program fails, or reports another test than it was asked for.
    pub fn run(&self, run: LlamaRun<'_>) -> Result<(f64, String)> {
        let (prompt, generate, depth) = match run.test {
            Test::Prefill { tokens } => (tokens, 0, 0),
            Test::Decode { depth } => (0, GENERATED, depth),
        };
        let mut command = Command::new(&self.program);
        command.arg("--model").arg(run.model);
        let settings = [
            ("--threads", run.threads as u64),
            ("--n-prompt", prompt),
            ("--n-gen", generate),
            ("--n-depth", depth),
            ("--flash-attn", u64::from(run.flash_attention)),
            ("--repetitions", run.repetitions as u64),
        ];
        for (name, value) in settings {
            command.arg(name).arg(value.to_string());
        }
        command.args(["--cache-type-k", "f16", "--cache-type-v", "f16", "--output", "json"]);
        let output = self.output(command)?;
        let answer = parse(&output.stdout)?;
        let told = (answer.n_prompt, answer.n_gen, answer.n_depth, answer.n_threads);
        let asked = (prompt, generate, depth, run.threads);
        ensure!(
            told == asked,
            "`llama-bench` ran {told:?} (prompt, generated, depth, threads), not {asked:?}"
        );
        ensure!(
            answer.flash_attn == u8::from(run.flash_attention),
            "`llama-bench` ran with flash attention {}",
            answer.flash_attn
        );
        ensure!(
            (answer.type_k.as_str(), answer.type_v.as_str()) == ("f16", "f16"),
            "`llama-bench` ran with a cache in `{}` and `{}`",
            answer.type_k,
            answer.type_v
        );
        Ok((median(&answer.samples_ns) * 1e-9 / prompt.max(generate) as f64, answer.build_commit))
    }
}

fn parse(output: &[u8]) -> Result<Answer> {
    let mut answers: Vec<Answer> =
        serde_json::from_slice(output).context("`llama-bench` printed something else than its JSON")?;
    ensure!(answers.len() == 1, "`llama-bench` ran {} tests instead of 1", answers.len());
    let answer = answers.remove(0);
    ensure!(!answer.samples_ns.is_empty(), "`llama-bench` reported no sample");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[{"build_commit": "0c1e570", "n_prompt": 0, "n_gen": 32, "n_depth": 1024, "n_threads": 2,
        "flash_attn": 0, "type_k": "f16", "type_v": "f16", "avg_ns": 2, "samples_ns": [3.2e9, 6.4e9, 3.2e9]}]"#;

    #[test]
    fn an_answer_is_read() {
        let answer = parse(ANSWER.as_bytes()).unwrap();
        assert_eq!((answer.n_gen, answer.n_depth, median(&answer.samples_ns)), (32, 1024, 3.2e9));
    }

    #[test]
    fn other_output_is_refused() {
        assert!(parse(b"build: 1").unwrap_err().to_string().contains("something else"));
        assert!(parse(b"[]").unwrap_err().to_string().contains("0 tests"));
        assert!(parse(ANSWER.replace("3.2e9, 6.4e9, 3.2e9", "").as_bytes()).is_err());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = LlamaBench::new(Path::new("/no/such/llama-bench")).err().unwrap();
        assert!(error.to_string().contains("/no/such/llama-bench"), "{error}");
    }
}
