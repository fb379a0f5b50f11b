//! Third-party files that are built into the report: each listed with its checksum.

use crate::process::root;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

const FOLDER: &str = "crates/slimfit-report/vendor";
/// In the form that `sha256sum --check` reads.
const LIST: &str = "SHA256SUMS";

pub fn check() -> Result<Vec<String>> {
    let folder = root().join(FOLDER);
    if !folder.is_dir() {
        return Ok(vec![format!("{FOLDER} does not exist")]);
    }
    problems(&folder)
}

fn problems(folder: &Path) -> Result<Vec<String>> {
    let list = folder.join(LIST);
    let text = std::fs::read_to_string(&list).with_context(|| format!("`{}`", list.display()))?;
    let mut stated: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(digest, name)| (name.trim_start().trim_start_matches('*'), digest))
        .collect();
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == LIST || name == "README.md" || path.is_dir() {
            continue;
        }
        let found: String =
            Sha256::digest(std::fs::read(&path)?).iter().map(|byte| format!("{byte:02x}")).collect();
        match stated.remove(name.as_str()) {
            None => problems.push(format!("{name} is not in {LIST}")),
            Some(digest) if digest != found => {
                problems.push(format!("{name} is not the file that {LIST} states"))
            }
            Some(_) => {}
        }
    }
    problems.extend(stated.keys().map(|name| format!("{name} is in {LIST} but not in the folder")));
    Ok(problems)
}
