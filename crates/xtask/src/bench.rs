//! `cargo xtask bench`: the benchmarks of every crate that has some; `bench kernels`, `bench devices`, `bench quality`,
//! `bench emit`, `bench limits` and `bench search` build and run the programs of `slimfit-bench`.

use crate::process::{cargo, read, root};
use crate::python;
use anyhow::{Context, Result};
use serde_json::Value;

pub fn run(arguments: &[String]) -> Result<()> {
    if let [first, rest @ ..] = arguments {
        match first.as_str() {
            "kernels" => return program("slimfit-bench", rest),
            "devices" => return program("slimfit-bench-devices", rest),
            "quality" => return program("slimfit-bench-quality", rest),
            "emit" => return program("slimfit-bench-emit", rest),
            "limits" => return program("slimfit-bench-limits", rest),
            "search" => return search(rest),
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

/// Its peers are Python packages, and whole searches are run by the program itself.
fn search(arguments: &[String]) -> Result<()> {
    let asks_for = |names: &[&str]| arguments.iter().any(|argument| names.contains(&argument.as_str()));
    let mut all = arguments.to_vec();
    if !asks_for(&["--help", "-h"]) {
        if !asks_for(&["--python"]) {
            let requirements = root().join("crates/slimfit-bench/src/search/peers/requirements.txt");
            all.extend(["--python".to_owned(), python::environment(&requirements)?.display().to_string()]);
        }
        if !asks_for(&["--slimfit"]) {
            let built = cargo().args(["build", "--release", "--bin", "slimfit"]).status();
            anyhow::ensure!(built.context("cannot start cargo")?.success(), "slimfit cannot be built");
            all.extend(["--slimfit".to_owned(), python::binary("release").display().to_string()]);
        }
    }
    program("slimfit-bench-search", &all)
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
