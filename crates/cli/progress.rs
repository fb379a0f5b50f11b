//! Progress on stderr: a bar that names the step and the time left on a terminal, a few plain lines elsewhere.

use crate::output::{is_live, note};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Without a terminal, a step says again that it is alive after this long.
const PLAIN_INTERVAL: Duration = Duration::from_secs(20);

/// The progress of one step. Dropped, it leaves one line that says how long the step took.
pub struct Progress {
    name: String,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Starts a step: "search", or "2/6 search" within a longer way.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let started = Instant::now();
        let bar = is_live().then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(8));
            bar.set_style(
                ProgressStyle::with_template("{prefix:<22} {bar:28} {percent:>3} %  {msg}")
                    .expect("the template is fixed and valid")
                    .progress_chars("━╸ "),
            );
            bar.set_prefix(name.clone());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        if bar.is_none() {
            note(&format!("{name} …"));
        }
        Self { name, started, bar, last_line: Mutex::new(started) }
    }

    /// The share done, from 0 to 1, and what is being done. The time left is the time taken so far over the share.
    pub fn set(&self, share: f64, what: &str) {
        let share = share.clamp(0.0, 1.0);
        let taken = self.started.elapsed().as_secs_f64();
        let left = if share > 0.02 && taken > 0.5 {
            format!("{} left", duration(taken * (1.0 - share) / share))
        } else {
            String::new()
        };
        if let Some(bar) = &self.bar {
            bar.set_position((share * 1000.0) as u64);
            bar.set_message(format!("{left:<12} {what}"));
            return;
        }
        let mut last = self.last_line.lock().expect("no thread panics with this lock");
        if last.elapsed() >= PLAIN_INTERVAL {
            *last = Instant::now();
            note(format!("{}: {:.0} %, {left} {what}", self.name, share * 100.0).trim_end());
        }
    }

    /// The same from counts.
    pub fn count(&self, done: u64, total: u64, what: &str) {
        self.set(if total == 0 { 0.0 } else { done as f64 / total as f64 }, what);
    }

    /// Says something on a line of its own.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Ends the step with a line that stays.
    pub fn finish(self, summary: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let taken = duration(self.started.elapsed().as_secs_f64());
        note(&format!("{:<22} {summary} ({taken})", self.name));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `45 s`, `2 min 05 s`.
pub fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 120 { format!("{whole} s") } else { format!("{} min {:02} s", whole / 60, whole % 60) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_well() {
        assert_eq!(super::duration(0.25), "0.2 s");
        assert_eq!(super::duration(45.4), "45 s");
        assert_eq!(super::duration(125.0), "2 min 05 s");
    }
}
