//! Running other programs: announced, shown as they print, and kept for counting.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What a program printed, both streams in the order of their lines, and how it ended.
pub struct Finished {
    pub text: String,
    pub success: bool,
}

/// The workspace's root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).expect("xtask lies two folders below the root").to_owned()
}

/// Cargo, run in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Prints a heading that stands out in a long log.
pub fn heading(text: &str) {
    println!("\n==> {text}");
}

/// Runs `command`, showing its lines as they come and keeping them.
pub fn stream(command: &mut Command) -> Result<Finished> {
    println!("  $ {}", spelled(command));
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().to_string_lossy()))?;
    let text = Arc::new(Mutex::new(String::new()));
    let standard = follow(child.stdout.take().expect("stdout is piped"), &text);
    let errors = follow(child.stderr.take().expect("stderr is piped"), &text);
    let status = child.wait()?;
    for thread in [standard, errors] {
        thread.join().expect("the thread that copies lines does not panic");
    }
    println!("  ({:.0} s)", started.elapsed().as_secs_f64());
    let text = std::mem::take(&mut *text.lock().expect("no thread panicked with the lock"));
    Ok(Finished { text, success: status.success() })
}

/// The standard output of a command that should succeed, unseen by the user.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", command.get_program().to_string_lossy()))?;
    anyhow::ensure!(
        output.status.success(),
        "`{}` failed: {}",
        spelled(command),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first of these programs that the search path has.
pub fn find(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    programs
        .iter()
        .find_map(|program| folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file()))
}

fn spelled(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), value?.to_string_lossy())));
    let program =
        Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    variables.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn follow(stream: impl Read + Send + 'static, text: &Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(read) if read > 0) {
            let shown = String::from_utf8_lossy(&line).into_owned();
            let mut text = text.lock().expect("no thread panicked with the lock");
            // A reader that closed our output must not stop the tests half-way.
            let _ = std::io::stdout().write_all(shown.as_bytes());
            text.push_str(&shown);
            line.clear();
        }
    })
}
