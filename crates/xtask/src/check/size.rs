//! One concept a file: long files want splitting.

use crate::process::{read, root};
use anyhow::Result;
use std::process::Command;

/// Past this many lines of code a file is named.
const LONG: usize = 500;
/// Past this many it is refused.
const TOO_LONG: usize = 900;

pub fn check() -> Result<Vec<String>> {
    let listed = read(
        Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
            .current_dir(root()),
    )?;
    let mut problems = Vec::new();
    for file in listed.lines() {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        let lines = code_lines(&text);
        if lines > TOO_LONG {
            problems.push(format!("{file}: {lines} lines of code; at most {TOO_LONG}"));
        } else if lines > LONG {
            println!("  note     {file}: {lines} lines of code; past {LONG} a file wants splitting");
        }
    }
    Ok(problems)
}

/// Lines that are neither empty nor comments.
fn code_lines(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn comments_and_empty_lines_do_not_count() {
        assert_eq!(super::code_lines("//! Docs.\n\nfn main() {\n    // why\n}\n"), 2);
    }
}
