//! What ran and how it ended, added up over all runners.

use crate::process::Finished;
use std::fmt;

/// Counts of one group of tests or checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

/// All groups, and the reasons for what was skipped or failed.
#[derive(Debug, Default)]
pub struct Tally {
    groups: Vec<(String, Counts)>,
    notes: Vec<String>,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Counts {
    /// Adds up the closing lines of `cargo nextest`, or else of libtest, in `text`; nothing where there are none. Nextest
    /// repeats what a failed test printed, with libtest's closing line for that test alone.
    pub fn of(text: &str) -> Option<Self> {
        let mut found = None;
        let nextest = text.lines().any(|line| line.trim().starts_with("Summary ["));
        for line in text.lines().map(str::trim) {
            let counts = if let Some(rest) = line.strip_prefix("test result: ").filter(|_| !nextest) {
                words(rest)
            } else if let Some((_, rest)) =
                line.strip_prefix("Summary [").and_then(|rest| rest.split_once("run:"))
            {
                words(rest)
            } else {
                continue;
            };
            let sum: &mut Self = found.get_or_insert_default();
            sum.add(counts);
        }
        found
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Reads "5 passed (1 slow), 1 failed, 2 skipped" and "ok. 5 passed; 0 failed; 1 ignored; …".
fn words(text: &str) -> Counts {
    let mut counts = Counts::default();
    let clean: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<&str> = clean.split_whitespace().collect();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<u64>() else { continue };
        match pair[1] {
            "passed" => counts.passed += number,
            "failed" | "timed" | "exec" => counts.failed += number,
            "skipped" | "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

impl Tally {
    /// Adds what a test runner printed. A runner that failed without a failed test (it did not compile, say) counts as
    /// one failure; one that printed no closing line did not test anything, which is a failure too.
    pub fn add_runner(&mut self, group: &str, finished: &Finished) {
        let mut counts = Counts::of(&finished.text).unwrap_or_default();
        if counts.failed == 0 && (!finished.success || counts == Counts::default()) {
            counts.failed = 1;
            self.notes.push(format!("failed: {group}: the runner ended before its tests did"));
        } else if counts.failed > 0 {
            self.notes.push(format!("failed: {group}: {} of its tests", counts.failed));
        }
        self.groups.push((group.to_owned(), counts));
    }

    /// Adds one check that passed or failed.
    pub fn add_check(&mut self, group: &str, name: &str, problem: Option<String>) {
        let counts = self.group(group);
        if let Some(problem) = problem {
            counts.failed += 1;
            self.notes.push(format!("failed: {name}: {problem}"));
        } else {
            counts.passed += 1;
        }
    }

    /// Adds something that could not run here, with the reason.
    pub fn add_skipped(&mut self, group: &str, name: &str, reason: &str) {
        self.group(group).skipped += 1;
        self.notes.push(format!("skipped: {name}: {reason}"));
    }

    /// Adds everything of another tally.
    pub fn extend(&mut self, other: Self) {
        self.groups.extend(other.groups);
        self.notes.extend(other.notes);
    }

    /// How many failed in all.
    pub fn failed(&self) -> u64 {
        self.total().failed
    }

    /// One line a group, then the reasons, then the total alone on the last line.
    pub fn print(&self) {
        println!("\n==> summary");
        let width = self.groups.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, counts) in &self.groups {
            // The counts stand in another order than in the closing line, so that only that one reads as a total.
            println!(
                "  {name:width$}  passed {}, failed {}, skipped {}",
                counts.passed, counts.failed, counts.skipped
            );
        }
        for note in &self.notes {
            println!("  {note}");
        }
        println!("{}", self.total());
    }

    fn group(&mut self, name: &str) -> &mut Counts {
        let index = self.groups.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.groups.push((name.to_owned(), Counts::default()));
            self.groups.len() - 1
        });
        &mut self.groups[index].1
    }

    fn total(&self) -> Counts {
        let mut sum = Counts::default();
        self.groups.iter().for_each(|(_, counts)| sum.add(*counts));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_add_up() {
        let nextest = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0s\n\
                       Summary [   1.234s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 2 skipped\n";
        assert_eq!(Counts::of(nextest), Some(Counts { passed: 10, failed: 2, skipped: 2 }));
        let libtest =
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        assert_eq!(Counts::of(&libtest.repeat(2)), Some(Counts { passed: 10, failed: 0, skipped: 2 }));
        assert_eq!(Counts::of("error: could not compile"), None);
    }

    #[test]
    fn a_runner_that_ran_nothing_is_a_failure() {
        let mut tally = Tally::default();
        tally.add_runner("unit", &Finished { text: "error: could not compile".to_owned(), success: false });
        tally.add_runner("none", &Finished { text: String::new(), success: true });
        assert_eq!(tally.failed(), 2);
    }

    #[test]
    fn the_total_is_spelled_as_runners_close() {
        let mut tally = Tally::default();
        tally.add_check("check", "layers", None);
        tally.add_skipped("isa", "AArch64", "no standard library for it");
        assert_eq!(tally.total().to_string(), "1 passed, 0 failed, 1 skipped");
    }
}
