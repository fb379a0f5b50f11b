//! `cargo xtask bench`: the benchmarks of every crate that has some.

use crate::process::{cargo, read, root};
use anyhow::{Context, Result};
use serde_json::Value;

pub fn run(arguments: &[String]) -> Result<()> {
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
