//! The minimum Rust version is stated once, and the code builds with it.

use crate::process::{find, read, root, stream};
use anyhow::{Context, Result};
use std::process::Command;

/// What could be found out.
pub enum Verdict {
    /// Checked, with the problems found.
    Checked(Vec<String>),
    /// Not to be checked here, and why.
    Absent(String),
}

pub fn check() -> Result<Verdict> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let stated = stated(&manifest).context("`rust-version` is missing in Cargo.toml")?;
    let version = read(Command::new("rustc").arg("--version").current_dir(root()))?;
    let running = version.split_whitespace().nth(1).context("`rustc --version` names no version")?;
    let (minimum, current) = (numbers(stated), numbers(running));
    if current < minimum {
        return Ok(Verdict::Checked(vec![format!(
            "Rust {running} runs here, but Cargo.toml states at least {stated}"
        )]));
    }
    if current[..2] == minimum[..2] {
        println!(
            "  Rust {running} runs here, the stated minimum {stated} itself: every build below tests it"
        );
        return Ok(Verdict::Checked(Vec::new()));
    }
    let toolchain = format!("+{stated}");
    let installed = find(&["rustup"]).is_some()
        && Command::new("cargo")
            .args([&toolchain, "--version"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !installed {
        return Ok(Verdict::Absent(format!("Rust {running} runs here and {stated} is not installed")));
    }
    // A folder of its own: artefacts of two compilers in one would be rebuilt at every turn.
    let mut command = Command::new("cargo");
    command
        .args([&toolchain, "check", "--workspace", "--quiet", "--target-dir"])
        .arg(root().join("target/minimum-rust"))
        .current_dir(root())
        .env_remove("RUSTUP_TOOLCHAIN");
    let success = stream(&mut command)?.success;
    Ok(Verdict::Checked(if success {
        Vec::new()
    } else {
        vec![format!("does not build with Rust {stated}")]
    }))
}

fn stated(manifest: &str) -> Option<&str> {
    manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .map(|value| value.trim().trim_matches('"'))
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(stated("edition = \"2024\"\nrust-version = \"1.95\"\n"), Some("1.95"));
        assert_eq!(numbers("1.95"), [1, 95, 0]);
        assert!(numbers("1.100.0") > numbers("1.95") && numbers("1.96.0-nightly") > numbers("1.95.2"));
    }
}
