//! Chromium without a window.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn program() -> PathBuf {
    let named = std::env::var_os("SLIMFIT_CHROMIUM").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).flat_map(|folder| {
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
            .map(|name| folder.join(name))
    });
    named.into_iter().chain(found).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no Chromium on this machine, so the report cannot be tried in a browser\n\
             hint: `cargo xtask test` installs it; or set `SLIMFIT_CHROMIUM` to the program"
        )
    })
}

/// Runs Chromium on a page with `arguments`; standard output, or a panic that says what it printed. No name is looked up, so
/// that nothing but files and this machine can be reached.
pub fn run(address: &str, (width, height): (u32, u32), dark: bool, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = tempfile::NamedTempFile::new().unwrap();
    let errors = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(program())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!dark)))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .args(arguments)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(output.reopen().unwrap())
        .stderr(errors.reopen().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let said = std::fs::read_to_string(errors.path()).unwrap_or_default();
    match status {
        Some(status) if status.success() => {}
        Some(status) => panic!("Chromium ended with {status}:\n{said}"),
        None => panic!("Chromium did not finish within five minutes:\n{said}"),
    }
    std::fs::read_to_string(output.path()).unwrap()
}
