//! A crate imports only from lower layers, never up or sideways.

use crate::process::{cargo, read};
use anyhow::{Context, Result};
use serde_json::Value;

/// Each crate's layer. `testing`, `bench` and `xtask` never ship: `testing` may be a dev-dependency anywhere.
const LAYERS: [(&str, u32); 21] = [
    ("slimfit-quantity", 0),
    ("slimfit-document", 0),
    ("slimfit-arch", 1),
    ("slimfit-kernels", 1),
    ("slimfit-plan", 2),
    ("slimfit-hardware", 2),
    ("slimfit-formats", 2),
    ("slimfit-study", 2),
    ("slimfit-probe", 3),
    ("slimfit-cost", 3),
    ("slimfit-quality", 3),
    ("slimfit-runtime", 3),
    ("slimfit-search", 4),
    ("slimfit-emit", 4),
    ("slimfit-workflow", 5),
    ("slimfit-report", 5),
    ("slimfit", 6),
    ("slimfit-testing", DEVELOPMENT),
    ("slimfit-bench", DEVELOPMENT),
    ("xtask", DEVELOPMENT),
    ("slimfit-fuzz", DEVELOPMENT),
];
const DEVELOPMENT: u32 = 7;

pub fn check() -> Result<Vec<String>> {
    let text = read(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("`cargo metadata` is no JSON")?;
    problems(&metadata)
}

fn problems(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let Some(layer) = layer(name) else {
            problems.push(format!("`{name}` has no layer in {}", file!()));
            continue;
        };
        let dependencies = package["dependencies"].as_array().context("a package without dependencies")?;
        for dependency in dependencies {
            let Some(other) = dependency["name"].as_str() else { continue };
            let Some(below) = self::layer(other) else { continue };
            let development = dependency["kind"] == "dev";
            if below == DEVELOPMENT && development && other == "slimfit-testing" {
                continue;
            }
            if below >= layer {
                problems.push(format!("`{name}` (layer {layer}) imports `{other}` (layer {below})"));
            }
        }
    }
    Ok(problems)
}

fn layer(name: &str) -> Option<u32> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tree(name: &str, dependency: &str, kind: Value) -> Value {
        json!({ "packages": [{ "name": name, "dependencies": [{ "name": dependency, "kind": kind }] }] })
    }

    #[test]
    fn edges_up_and_sideways_are_found() {
        let found = |name, dependency, kind| problems(&tree(name, dependency, kind)).unwrap().len();
        assert_eq!(found("slimfit-search", "slimfit-cost", Value::Null), 0);
        assert_eq!(found("slimfit-cost", "slimfit-search", Value::Null), 1);
        assert_eq!(found("slimfit-plan", "slimfit-hardware", Value::Null), 1);
        assert_eq!(found("slimfit-plan", "slimfit-testing", Value::Null), 1);
        assert_eq!(found("slimfit-plan", "slimfit-testing", json!("dev")), 0);
        assert_eq!(found("slimfit-novel", "serde", Value::Null), 1);
    }
}
