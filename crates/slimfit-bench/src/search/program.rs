//! Whole searches by the program itself.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `slimfit` on one device.
pub struct Program {
    path: PathBuf,
    /// The device's profile.
    pub profile: PathBuf,
    folder: PathBuf,
}

/// What a search left.
pub struct Searched {
    /// The JSON object that it printed.
    pub head: Value,
    /// The study's folder.
    pub study: PathBuf,
}

impl Program {
    /// Finds the device: `profile`, or the newest local one; else this machine is measured.
    ///
    /// # Errors
    /// When the program does not run, or the profile cannot be used.
    pub fn new(path: &Path, profile: Option<&str>, folder: &Path) -> Result<Self> {
        let mut program = Self { path: path.to_owned(), profile: PathBuf::new(), folder: folder.to_owned() };
        let study = folder.join("device");
        let mut arguments = vec!["search", "--json", "--space", "slm-demo", "--out", text(&study)?];
        arguments.extend(profile.into_iter().flat_map(|profile| ["--profile", profile]));
        let mut answer = program.answer(&arguments)?;
        if answer["error"]["code"] == "no-profile" {
            let measured = folder.join("measured.yaml");
            eprintln!("no hardware profile of this machine: measuring for a minute");
            checked(program.answer(&["profile", "--json", "--budget", "60", "--out", text(&measured)?])?)?;
            arguments.extend(["--profile", text(&measured)?]);
            answer = program.answer(&arguments)?;
        }
        checked(answer)?;
        // The study's own copy, so that every run has the same.
        program.profile = study.join("profile.yaml");
        Ok(program)
    }

    /// Searches a space, for so many seconds where it may stop before it is exact.
    ///
    /// # Errors
    /// What the program says.
    pub fn search(
        &self,
        space: &str,
        objectives: &[&str],
        dump: Option<&Path>,
        most_seconds: Option<f64>,
    ) -> Result<Searched> {
        let study = self.folder.join(format!("study-{space}"));
        if study.exists() {
            std::fs::remove_dir_all(&study).with_context(|| format!("`{}`", study.display()))?;
        }
        let (joined, limit) = (objectives.join(","), most_seconds.map(|seconds| format!("{seconds}s")));
        let mut arguments = vec![
            "search",
            "--json",
            "--space",
            space,
            "--profile",
            text(&self.profile)?,
            "--out",
            text(&study)?,
        ];
        if !objectives.is_empty() {
            arguments.extend(["--objectives", &joined]);
        }
        if let Some(limit) = &limit {
            arguments.extend(["--max-seconds", limit]);
        }
        if let Some(dump) = dump {
            arguments.extend(["--dump-all", text(dump)?]);
        }
        let head = checked(self.answer(&arguments)?)?;
        Ok(Searched { head, study })
    }

    fn answer(&self, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(&self.path)
            .args(arguments)
            .stderr(std::process::Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", self.path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .with_context(|| format!("`slimfit {}` printed `{text}`", arguments.join(" ")))
    }
}

fn checked(answer: Value) -> Result<Value> {
    if let Some(message) = answer["error"]["message"].as_str() {
        anyhow::bail!("slimfit: {message}");
    }
    Ok(answer)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("`{}` is no text", path.display()))
}

impl Searched {
    /// A number of the head; integers past 2⁵³ stand there as text.
    ///
    /// # Errors
    /// When it is missing.
    pub fn number(&self, name: &str) -> Result<f64> {
        let value = &self.head[name];
        value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .with_context(|| format!("`{name}` is missing in what the search printed"))
    }

    /// Names of its objectives.
    ///
    /// # Errors
    /// When there is one that is maximised: hypervolumes are of logarithms.
    pub fn objectives(&self) -> Result<Vec<String>> {
        let objectives = self.head["objectives"].as_array().context("the search names no objectives")?;
        let name = |objective: &Value| {
            anyhow::ensure!(objective["direction"] == "min", "{objective} is no objective to minimise");
            Ok(objective["name"].as_str().context("an objective has no name")?.to_owned())
        };
        objectives.iter().map(name).collect()
    }

    /// Ids of the points on its front.
    ///
    /// # Errors
    /// When `front.json` is not what it should be.
    pub fn front_ids(&self) -> Result<Vec<String>> {
        let path = self.study.join("front.json");
        let text = std::fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
        let front: Value = serde_json::from_slice(&text).with_context(|| format!("`{}`", path.display()))?;
        let points = front["points"].as_array().context("the front has no points")?;
        points.iter().map(|point| Ok(point["id"].as_str().context("a point has no id")?.to_owned())).collect()
    }
}
