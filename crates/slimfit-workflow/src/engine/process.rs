//! Runs the user's command for one request: a line in, a line out, within its time.

use super::EngineCommand;
use super::protocol::{EngineAnswer, EngineRequest, NoAnswer};
use crate::WorkflowError;
use slimfit_document::DocumentError;
use slimfit_probe::child;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Answers are a few numbers; what is longer is none.
const MOST_BYTES: u64 = 16 << 20;
/// How often it is looked whether the command ended, is too late, or the user wants to stop: rarely enough to cost the
/// engine nothing.
const LOOK: Duration = Duration::from_millis(10);
/// What shells say of a command that is not there, and of one that may not be run.
const NOT_FOUND: i32 = 127;
const NOT_RUNNABLE: i32 = 126;

/// A child that is ended when nobody waits for it any more.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn new(child: Child) -> Self {
        Self(Some(child))
    }

    /// How it ended, if it did. It is then no longer there to be ended.
    pub(crate) fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.0 else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.0 = None;
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            child::end(child);
        }
    }
}

impl EngineCommand {
    /// Runs the command for `request`. To be called on a thread that no pool has pinned: the command inherits its CPUs.
    ///
    /// # Errors
    /// [`WorkflowError::EngineRefused`] where the engine says that it cannot run this; [`WorkflowError::Document`] where
    /// it cannot be started, ends with another exit code than 0, takes too long, or prints no answer to the request;
    /// [`WorkflowError::Interrupted`].
    pub(super) fn exchange(
        &self,
        request: &EngineRequest,
        cancel: &AtomicBool,
    ) -> Result<EngineAnswer, WorkflowError> {
        let line = serde_json::to_string(request)
            .map_err(|error| self.error("unprintable", format!("the request cannot be written: {error}")))?;
        let (status, output, complaint) = self.run(&line, cancel)?;
        if output.len() as u64 >= MOST_BYTES {
            let error =
                self.error("engine-answer", format!("the engine printed {} MiB or more", MOST_BYTES >> 20));
            return Err(error.allowed("one line with a JSON object").into());
        }
        match EngineAnswer::parse(&output, request) {
            Err(NoAnswer::Refused(reason)) => {
                Err(WorkflowError::EngineRefused { command: self.command.clone(), reason })
            }
            _ if !status.success() => Err(self.failed(status, complaint).into()),
            Err(NoAnswer::Broken(error)) => {
                let said = complaint.map(|line| format!("its last message: {line}"));
                Err(error.maybe_hint(said).into())
            }
            Ok(answer) => Ok(answer),
        }
    }

    fn error(&self, code: &str, message: String) -> DocumentError {
        DocumentError::new(code, message).field("--engine-command").found(format!("`{}`", self.command))
    }

    fn failed(&self, status: ExitStatus, complaint: Option<String>) -> DocumentError {
        let said = complaint.unwrap_or_else(|| "no message".to_owned());
        match status.code() {
            Some(NOT_FOUND) => self.error("engine-not-found", format!("the engine cannot be found: {said}")),
            Some(NOT_RUNNABLE) => {
                self.error("engine-not-found", format!("the engine cannot be started: {said}"))
            }
            _ => self.error("engine-failed", format!("the engine ended with {status}: {said}")),
        }
    }

    /// How it ended, what it printed, and the last line of its complaints.
    fn run(
        &self,
        line: &str,
        cancel: &AtomicBool,
    ) -> Result<(ExitStatus, Vec<u8>, Option<String>), WorkflowError> {
        let started = Instant::now();
        let mut child = child::shell(&self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.error("engine-not-found", format!("no shell can be started: {error}")))?;
        let (input, output, complaints) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Running(Some(child));
        let output = std::thread::spawn(move || output.map_or_else(Vec::new, read_all));
        let complaints = std::thread::spawn(move || complaints.and_then(last_line));
        if let Some(mut input) = input {
            // A command that does not read its request says by its answer, or by its end, what is wrong. A request is
            // shorter than what a pipe holds, so that this cannot wait for it.
            let _ = writeln!(input, "{line}");
        }
        // A process that was waited for has no number any more, so what it printed is waited for first: until then, all
        // that it started can be ended.
        self.wait(started, cancel, &mut || output.is_finished().then_some(()))?;
        let status = self.wait(started, cancel, &mut || match running.0.as_mut()?.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(Ok(status)),
            Err(error) => Some(Err(error)),
        })?;
        running.0 = None;
        let status = status.map_err(|error| {
            self.error("engine-failed", format!("the system does not tell how the engine ended: {error}"))
        })?;
        Ok((status, join(output), finished(complaints)))
    }

    /// Waits until `ready` gives something.
    fn wait<T>(
        &self,
        started: Instant,
        cancel: &AtomicBool,
        ready: &mut dyn FnMut() -> Option<T>,
    ) -> Result<T, WorkflowError> {
        loop {
            if let Some(ready) = ready() {
                return Ok(ready);
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(WorkflowError::Interrupted);
            }
            if started.elapsed() > self.timeout {
                let seconds = self.timeout.as_secs_f64();
                let error = self.error("engine-timeout", format!("the engine gave no answer in {seconds} s"));
                return Err(error.hint("`--engine-timeout` gives it longer").into());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn read_all(output: ChildStdout) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before an error is parsed, and told if it is no answer.
    let _ = output.take(MOST_BYTES).read_to_end(&mut bytes);
    bytes
}

/// The last line that is not empty.
pub(crate) fn last_line(complaints: ChildStderr) -> Option<String> {
    let mut last = None;
    let mut reader = BufReader::new(complaints);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            last = Some(text.trim().chars().take(200).collect());
        }
        line.clear();
    }
    last
}

fn join(output: JoinHandle<Vec<u8>>) -> Vec<u8> {
    output.join().unwrap_or_default()
}

/// What was complained of, unless something that the command left behind still holds its error output open.
pub(crate) fn finished(complaints: JoinHandle<Option<String>>) -> Option<String> {
    let patience = Instant::now();
    while !complaints.is_finished() {
        if patience.elapsed() > Duration::from_secs(1) {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    complaints.join().ok().flatten()
}
