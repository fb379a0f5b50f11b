//! `cargo xtask bench`: the benchmarks of every crate that has some; `bench kernels`, `bench devices`, `bench quality` and
//! `bench limits`
//! build and run the programs of `slimfit-bench`.

use crate::process::{cargo, read, root};
use anyhow::{Context, Result};
use serde_json::Value;

pub fn run(arguments: &[String]) -> Result<()> {
    if let [first, rest @ ..] = arguments {
        match first.as_str() {
            "kernels" => return program("slimfit-bench", rest),
            "devices" => return program("slimfit-bench-devices", rest),
            "quality" => return program("slimfit-bench-quality", rest),
            "limits" => return program("slimfit-bench-limits", rest),
            _ => {}
        }
    }
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value =
        serde_json::from_str(&read(&mut command)?).context("`cargo metadata` is no JSON")?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let has_benchmark = |package: &&Value| {
        package["targets"]
            .as_array()
            .is_some_and(|targets| targets.iter().any(|target| target["kind"][0] == "bench"))
    };
    let names: Vec<&str> =
        packages.iter().filter(has_benchmark).filter_map(|package| package["name"].as_str()).collect();
    anyhow::ensure!(!names.is_empty(), "no crate has a `benches` folder yet");
    for name in names {
        println!("==> {name}");
        let status = cargo()
            .args(["bench", "--package", name, "--benches", "--"])
            .args(arguments)
            .current_dir(root())
            .status()
            .context("cannot start cargo")?;
        anyhow::ensure!(status.success(), "the benchmarks of {name} failed");
    }
    Ok(())
}

/// Built first, so that nothing else runs while it measures.
fn program(name: &str, arguments: &[String]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "slimfit-bench", "--bin", name]);
    anyhow::ensure!(build.status().context("cannot start cargo")?.success(), "{name} cannot be built");
    // The caller's folder stays, since paths among the arguments are relative to it.
    let status = cargo()
        .args(["run", "--quiet", "--release", "--package", "slimfit-bench", "--bin", name, "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .current_dir(std::env::current_dir()?)
        .status()
        .context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "the benchmark did not end well");
    Ok(())
}
