//! The user's command as evaluator: started for each batch, a line in and a line out for each point, kept as they come.

use super::Halt;
use super::answer::Answers;
use super::keeper::{Measurer, Tell};
use super::question::Asked;
use crate::WorkflowError;
use crate::engine::{Running, finished, last_line};
use slimfit_document::DocumentError;
use slimfit_probe::child;
use slimfit_search::Metric;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// An answer is a few numbers; what is longer is none.
const MOST_BYTES: u64 = 1 << 20;
/// How often it is looked whether time is up or the user wants to stop.
const LOOK: Duration = Duration::from_millis(20);
/// How long a command may take to end once it answered everything.
const PATIENCE: Duration = Duration::from_secs(10);
/// What shells say of a command that is not there, and of one that may not be run.
const NOT_STARTED: [i32; 2] = [127, 126];

/// A command for the system's shell.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) command: &'a str,
    pub(super) measures: &'a [Metric],
    pub(super) halt: Halt<'a>,
}

impl Measurer for Command<'_> {
    /// Runs the command for a batch. Once time is up or the user stops, it is ended and what it answered counts.
    fn measure(&mut self, points: &[Asked], tell: &mut Tell<'_>) -> Result<(), WorkflowError> {
        let lines: Result<Vec<String>, _> = points.iter().map(|point| point.line(self.measures)).collect();
        let lines = lines
            .map_err(|error| self.error("unprintable", format!("a question cannot be written: {error}")))?;
        let mut child = child::shell(self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                self.error("evaluator-not-found", format!("no shell can be started: {error}"))
            })?;
        let (input, output, complaints) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Running::new(child);
        let (sender, answers_in) = channel();
        // A command may answer the first question before it reads the last.
        std::thread::spawn(move || input.map(|input| ask(input, &lines)));
        std::thread::spawn(move || output.map(|output| listen(output, &sender)));
        let complaints = std::thread::spawn(move || complaints.and_then(last_line));
        let mut answers = Answers::to(points.iter().map(|point| point.id.as_str()).collect(), self.measures);
        if !self.hear(&mut answers, &answers_in, tell)? {
            return Ok(());
        }
        let Some(status) = self.ended(&mut running, &answers)? else { return Ok(()) };
        if !status.success() {
            return Err(self.failed(status, finished(complaints)).into());
        }
        match answers.open() {
            None => Ok(()),
            Some(id) => {
                let error =
                    self.error("evaluator-answer", "the evaluator ended without an answer to a point");
                let said = finished(complaints).map(|line| format!("its last message: {line}"));
                Err(error
                    .field("id")
                    .found(format!("`{id}`"))
                    .allowed("a line for each point")
                    .maybe_hint(said)
                    .into())
            }
        }
    }
}

impl Command<'_> {
    /// Reads answers until the output ends, or some time after all points are answered (`true`); or until the search is to
    /// stop (`false`).
    fn hear(
        &self,
        answers: &mut Answers<'_>,
        lines: &Receiver<Vec<u8>>,
        tell: &mut Tell<'_>,
    ) -> Result<bool, WorkflowError> {
        let mut complete: Option<Instant> = None;
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    if line.len() as u64 >= MOST_BYTES {
                        let message =
                            format!("the evaluator printed a line of {} MiB or more", MOST_BYTES >> 20);
                        return Err(self.error("evaluator-answer", message).into());
                    }
                    if let Some((place, answer)) = answers.read(&line)? {
                        tell(place, answer)?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(true),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if answers.open().is_none() && complete.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return Ok(true);
            }
            if self.halt.is_halted() {
                // What has been said already counts, unless it was cut.
                for line in lines.try_iter().filter(|line| line.ends_with(b"\n")) {
                    let Ok(answer) = answers.read(&line) else { break };
                    if let Some((place, answer)) = answer {
                        tell(place, answer)?;
                    }
                }
                return Ok(false);
            }
        }
    }

    /// How the command ended; nothing where it is ended here, since time is up or it has nothing left to say.
    fn ended(
        &self,
        running: &mut Running,
        answers: &Answers<'_>,
    ) -> Result<Option<ExitStatus>, WorkflowError> {
        let since = Instant::now();
        loop {
            match running.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Ok(Some(status)),
                Err(error) => {
                    let message = format!("the system does not tell how the evaluator ended: {error}");
                    return Err(self.error("evaluator-failed", message).into());
                }
            }
            if self.halt.is_halted() || (answers.open().is_none() && since.elapsed() > PATIENCE) {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn error(&self, code: &str, message: impl Into<String>) -> DocumentError {
        DocumentError::new(code, message).field("--evaluator").found(format!("`{}`", self.command))
    }

    fn failed(&self, status: ExitStatus, complaint: Option<String>) -> DocumentError {
        let said = complaint.unwrap_or_else(|| "no message".to_owned());
        if status.code().is_some_and(|code| NOT_STARTED.contains(&code)) {
            return self.error("evaluator-not-found", format!("the evaluator cannot be started: {said}"));
        }
        let error = self.error("evaluator-failed", format!("the evaluator ended with {status}: {said}"));
        error.hint("what it answered is kept: run the same command again to go on")
    }
}

/// Writes the questions, then ends the input. A command that does not read them says by its end what is wrong.
fn ask(mut input: ChildStdin, lines: &[String]) {
    for line in lines {
        if writeln!(input, "{line}").is_err() {
            return;
        }
    }
}

fn listen(output: ChildStdout, sender: &Sender<Vec<u8>>) {
    let mut reader = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if sender.send(line).is_err() => return,
            Ok(_) => {}
        }
    }
}
