//! A command of the user that prints power or energy: wall meters, phones, other systems.

mod readings;
#[cfg(all(test, unix))]
mod tests;

use super::{MeterError, PowerMeter};
use crate::child::{end, shell};
use readings::{Readings, parse};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const METER: &str = "power command";
/// How long a command may take to print its first two lines.
const START_SECONDS: f64 = 15.0;

/// A running command. It is ended when the meter is dropped.
///
/// It prints a line for each reading: `3.2 W` (the power from now on; a number alone is watts) or `120 J` (energy counted
/// since any moment; also `Wh`, `kWh`), with the prefixes `u`, `m` and `k`. Empty lines and lines that begin with `#` say
/// nothing. A line counts from its arrival, so its output must not be held back.
#[derive(Debug)]
pub struct CommandMeter {
    name: String,
    started: Instant,
    shared: Arc<Mutex<Shared>>,
    child: Child,
}

#[derive(Debug, Default)]
struct Shared {
    readings: Readings,
    /// Why it tells no more.
    failed: Option<MeterError>,
    /// The last line of its error output.
    complaint: Option<String>,
}

/// No reader leaves the record half-written, so that one may go on after another panicked.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CommandMeter {
    /// Starts `command` in the system's shell and waits for its first two lines.
    ///
    /// # Errors
    /// It cannot be started, ends, prints something else, or nothing in time.
    pub fn start(command: &str) -> Result<Self, MeterError> {
        Self::start_within(command, START_SECONDS)
    }

    fn start_within(command: &str, seconds: f64) -> Result<Self, MeterError> {
        let ended = |reason: String| MeterError::Ended { meter: METER, reason };
        let mut child = shell(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| ended(format!("`{command}` cannot be started: {error}")))?;
        let started = Instant::now();
        let shared = Arc::new(Mutex::new(Shared::default()));
        if let Some(output) = child.stderr.take() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if !line.trim().is_empty() {
                        lock(&shared).complaint = Some(line.trim().chars().take(120).collect());
                    }
                }
            });
        }
        if let Some(output) = child.stdout.take() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || listen(output, started, &shared));
        }
        let meter = Self { name: format!("command `{command}`"), started, shared, child };
        while lock(&meter.shared).readings.lines() < 2 {
            meter.joules_now()?;
            if started.elapsed().as_secs_f64() > seconds {
                return Err(ended(format!("it printed fewer than two lines in {seconds} s")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(meter)
    }

    /// Joules now; 0 before the first line.
    fn joules_now(&self) -> Result<f64, MeterError> {
        let shared = lock(&self.shared);
        match &shared.failed {
            Some(MeterError::Ended { meter, reason }) => Err(MeterError::Ended {
                meter,
                reason: match &shared.complaint {
                    Some(complaint) => format!("{reason}; its last complaint: `{complaint}`"),
                    None => reason.clone(),
                },
            }),
            Some(error) => Err(error.clone()),
            None if shared.readings.lines() == 0 => Ok(0.0),
            None => shared.readings.joules(self.started.elapsed().as_secs_f64()),
        }
    }
}

/// Takes in lines until the command ends or prints something that is no reading.
fn listen(output: ChildStdout, started: Instant, shared: &Mutex<Shared>) {
    let mut lines = BufReader::new(output).lines();
    let failed = loop {
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => {
                break MeterError::Ended { meter: METER, reason: format!("its output is no text: {error}") };
            }
            None => break MeterError::Ended { meter: METER, reason: "it ended".to_owned() },
        };
        let at = started.elapsed().as_secs_f64();
        let taken = parse(&line).and_then(|reading| match reading {
            Some(reading) => lock(shared).readings.add(at, reading),
            None => Ok(()),
        });
        if let Err(error) = taken {
            break error;
        }
    };
    lock(shared).failed = Some(failed);
}

impl Drop for CommandMeter {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl PowerMeter for CommandMeter {
    fn name(&self) -> &str {
        &self.name
    }

    /// By its own clock: lines are counted from their arrival.
    fn joules(&mut self, _seconds: f64) -> Result<f64, MeterError> {
        self.joules_now()
    }

    fn interval_seconds(&self) -> f64 {
        lock(&self.shared).readings.interval_seconds()
    }

    /// Its lines are taken in as they come, whoever reads meanwhile.
    fn tells_watts(&self) -> bool {
        false
    }
}
