//! The tests that ask other programs: Python scripts in `tests/python`, each a test of its own.
//!
//! A folder with a `requirements.txt` has an environment of its own, so that what is built for one is kept when another
//! changes: the scripts beside it run there.
//!
//! A script prints one line `ok NAME`, `FAILED NAME: why` or `skipped NAME: why` for each case.

use crate::process::{Finished, cargo, find, heading, root, stream};
use crate::tally::Tally;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const GROUP: &str = "Python";

pub fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    heading("answers of other programs (Python)");
    let build = stream(cargo().args(["build", "--bin", "slimfit"]))?;
    if !build.success {
        tally.add_check(GROUP, "the binary", Some("does not build".to_owned()));
        return Ok(tally);
    }
    for folder in folders(&root().join("tests/python"))? {
        let python = match environment(&folder.join(REQUIREMENTS)) {
            Ok(python) => python,
            Err(error) => {
                // Without the other programs nothing is compared: that is no success.
                let name = format!("environment of {}", name_of(&folder));
                tally.add_check(GROUP, &name, Some(format!("{error:#}")));
                continue;
            }
        };
        for script in scripts(&folder)? {
            let mut command = Command::new(&python);
            command.arg(&script).current_dir(root()).env("SLIMFIT", binary("debug"));
            let finished = stream(command.env("PYTHONUNBUFFERED", "1"))?;
            count(&mut tally, &script, &finished);
        }
    }
    Ok(tally)
}

const REQUIREMENTS: &str = "requirements.txt";

/// The folder of all tests and those in it that have an environment of their own.
fn folders(all: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> =
        entries(all)?.into_iter().filter(|path| path.join(REQUIREMENTS).is_file()).collect();
    folders.insert(0, all.to_owned());
    Ok(folders)
}

fn scripts(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_script = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "py");
    Ok(entries(folder)?.into_iter().filter(is_script).collect())
}

/// What lies in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn count(tally: &mut Tally, script: &Path, finished: &Finished) {
    let name = name_of(script);
    let mut failures = 0;
    let mut cases = 0;
    for line in finished.text.lines() {
        if line.starts_with("ok ") {
            tally.add_check(GROUP, &name, None);
        } else if let Some(problem) = line.strip_prefix("FAILED ") {
            failures += 1;
            tally.add_check(GROUP, &name, Some(problem.to_owned()));
        } else if let Some(case) = line.strip_prefix("skipped ") {
            let (case, reason) = case.split_once(": ").unwrap_or((case, "no reason given"));
            tally.add_skipped(GROUP, &format!("{name}: {case}"), reason);
        } else {
            continue;
        }
        cases += 1;
    }
    if cases == 0 || (!finished.success && failures == 0) {
        tally.add_check(GROUP, &name, Some("the script ended before its last case".to_owned()));
    }
}

/// The built program of a profile: `debug` or `release`.
pub fn binary(profile: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    root().join(target).join(profile).join(format!("slimfit{}", std::env::consts::EXE_SUFFIX))
}

/// The interpreter of an environment with these requirements, made on the first run and kept for later clones.
pub fn environment(requirements: &Path) -> Result<PathBuf> {
    let text = std::fs::read(requirements).with_context(|| format!("`{}`", requirements.display()))?;
    let digest: String = Sha256::digest(&text).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let cache = match std::env::var_os("SLIMFIT_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir().context("no home folder; set SLIMFIT_CACHE")?.join(".cache/slimfit"),
    };
    let folder = cache.join(format!("python-{digest}"));
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.is_file() {
        println!("  using the Python environment in {}", folder.display());
        return Ok(python);
    }
    println!("  making a Python environment in {} (some minutes, once)", folder.display());
    if folder.exists() {
        // Left over from a run that was cut off; pip would trip over half of it.
        std::fs::remove_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    }
    std::fs::create_dir_all(&cache).with_context(|| format!("`{}`", cache.display()))?;
    let system = find(&["python3", "python"]).context("no python3 on this machine")?;
    let made = stream(Command::new(system).args(["-m", "venv"]).arg(&folder))?;
    anyhow::ensure!(made.success, "`python3 -m venv` failed; on Debian install python3-venv");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(requirements);
    anyhow::ensure!(
        stream(&mut pip)?.success,
        "`pip install` failed: is the Python package registry reachable?"
    );
    std::fs::write(&complete, "").with_context(|| format!("`{}`", complete.display()))?;
    Ok(python)
}
