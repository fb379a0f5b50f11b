//! `cargo xtask dist`: the release binary with its licences, completions and a checksum, as one archive.

use crate::process::{cargo, heading, read, root, stream};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

pub fn run() -> Result<()> {
    heading("release build");
    anyhow::ensure!(
        stream(cargo().args(["build", "--release", "--locked", "--bin", "slimfit"]))?.success,
        "the build failed"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let target = root().join(target);
    let binary = target.join("release").join(format!("slimfit{}", std::env::consts::EXE_SUFFIX));
    let host = read(Command::new("rustc").arg("-vV"))?;
    let host =
        host.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` names no host")?;
    let name = format!("slimfit-{}-{host}", env!("CARGO_PKG_VERSION"));
    let folder = target.join("dist").join(&name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(folder.join("completions"))?;
    std::fs::copy(&binary, folder.join(binary.file_name().context("the binary has a name")?))?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::copy(root().join(file), folder.join(file)).with_context(|| format!("`{file}`"))?;
    }
    for shell in SHELLS {
        let script = read(Command::new(&binary).args(["completions", shell]))?;
        std::fs::write(folder.join("completions").join(format!("slimfit.{shell}")), script)?;
    }
    let archive = target.join("dist").join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(target.join("dist")).arg(&name);
    anyhow::ensure!(stream(&mut tar)?.success, "`tar` failed");
    let digest: String =
        Sha256::digest(std::fs::read(&archive)?).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(
        target.join("dist").join(format!("{name}.tar.gz.sha256")),
        format!("{digest}  {name}.tar.gz\n"),
    )?;
    println!("{}", archive.display());
    Ok(())
}
