//! Installs what the tests need from the system's package manager, and says what it does.

use crate::process::{find, stream};
use std::process::Command;

/// A program and the Debian packages that bring it.
const NEEDED: [(&[&str], &[&str], &str); 4] = [
    (
        &["chromium", "chromium-browser", "google-chrome"],
        &["chromium"],
        "to look at the report in a real browser",
    ),
    (
        &["aarch64-linux-gnu-gcc"],
        &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        "to link the AArch64 tests",
    ),
    (&["qemu-aarch64", "qemu-aarch64-static"], &["qemu-user"], "to run the AArch64 tests"),
    (&["python3"], &["python3", "python3-venv"], "to compare with other programs' answers"),
];

/// What is still missing after the attempt, one sentence each.
pub struct Installed {
    pub missing: Vec<String>,
}

/// Looks for each needed program and installs what is missing, as root, or through `sudo` where that asks nothing.
pub fn packages() -> Installed {
    let absent = || NEEDED.iter().filter(|(programs, ..)| find(programs).is_none()).collect::<Vec<_>>();
    let before = absent();
    if before.is_empty() {
        println!("  every program that the tests use is installed");
        return Installed { missing: Vec::new() };
    }
    for (_, packages, purpose) in &before {
        println!("  missing: {} ({purpose})", packages.join(", "));
    }
    if let Err(reason) =
        install(&before.iter().flat_map(|(_, packages, _)| packages.iter().copied()).collect::<Vec<_>>())
    {
        println!("  not installed: {reason}");
    }
    let missing = absent()
        .iter()
        .map(|(_, packages, purpose)| format!("still missing: {} ({purpose})", packages.join(", ")))
        .collect();
    Installed { missing }
}

fn install(packages: &[&str]) -> Result<(), String> {
    if find(&["apt-get"]).is_none() {
        return Err(
            "this is no Debian or Ubuntu; install the programs above with your package manager".to_owned()
        );
    }
    let prefix: &[&str] = if is_root() {
        &[]
    } else if quiet(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        return Err(format!("that needs an administrator: sudo apt-get install {}", packages.join(" ")));
    };
    let apt = |arguments: &[&str]| {
        let words: Vec<&str> = prefix.iter().chain(&["apt-get"]).chain(arguments).copied().collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        match stream(&mut command) {
            Ok(finished) if finished.success => Ok(()),
            Ok(_) => Err(format!("`{}` failed", words.join(" "))),
            Err(error) => Err(error.to_string()),
        }
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn quiet(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
