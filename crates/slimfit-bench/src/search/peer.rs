//! The Python process that runs the peers: one JSON object a line, there and back.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running peer.
pub struct Peer {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Peer {
    /// Starts it; files for it go to `folder`.
    ///
    /// # Errors
    /// When it cannot be started or lacks a package.
    pub fn start(python: &Path, folder: &Path) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/search/peers/peers.py");
        let mut child = Command::new(python)
            .arg(&script)
            // One thread each, as ours: NumPy's products would take all.
            .env("OMP_NUM_THREADS", "1")
            .env("OPENBLAS_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", python.display()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the peer has no standard output")?);
        let mut peer = Self { child, requests, answers, folder: folder.to_owned() };
        peer.versions().context("the peers do not start; do the packages of requirements.txt work there?")?;
        Ok(peer)
    }

    /// Versions of the peers.
    ///
    /// # Errors
    /// When the process ended.
    pub fn versions(&mut self) -> Result<Value> {
        self.ask(&json!({"do": "versions"}))
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the process ended, or what it did failed.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        let requests = self.requests.as_mut().context("the peer was stopped")?;
        writeln!(requests, "{request}").context("the peer ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the peer ended at `{request}`");
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("the peer said `{line}`"))?;
        if let Some(error) = answer["error"].as_str() {
            anyhow::bail!("the peer failed at `{request}`: {error}");
        }
        Ok(answer)
    }

    /// A number of an answer.
    ///
    /// # Errors
    /// As [`Peer::ask`], and when it is missing.
    pub fn number(&mut self, request: &Value, name: &str) -> Result<f64> {
        let answer = self.ask(request)?;
        answer[name].as_f64().with_context(|| format!("`{name}` is missing in `{answer}`"))
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes numbers for it to read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write<const N: usize>(
        &self,
        name: &str,
        numbers: impl Iterator<Item = [u8; N]>,
    ) -> Result<PathBuf> {
        let path = self.file(name);
        let bytes: Vec<u8> = numbers.flatten().collect();
        std::fs::write(&path, bytes).with_context(|| format!("`{}`", path.display()))?;
        Ok(path)
    }

    /// Whole numbers that it wrote.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn places(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.words(name)?.into_iter().map(|word| u64::from_le_bytes(word) as usize).collect())
    }

    /// Numbers that it wrote.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn values(&self, name: &str) -> Result<Vec<f64>> {
        Ok(self.words(name)?.into_iter().map(f64::from_le_bytes).collect())
    }

    fn words(&self, name: &str) -> Result<Vec<[u8; 8]>> {
        let path = self.file(name);
        let bytes = std::fs::read(&path).with_context(|| format!("`{}`", path.display()))?;
        Ok(bytes.as_chunks().0.to_vec())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when there is nothing more to read.
        self.requests = None;
        let _ = self.child.wait();
    }
}
