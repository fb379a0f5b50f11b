//! The committed example under `reports/example/`: what `write_report` makes of fixed records.
//!
//! After a change of the page, `SLIMFIT_UPDATE_EXAMPLE=1 cargo test -p slimfit-report --test example` writes it anew from
//! the same records; `SLIMFIT_EXAMPLE_STUDY=DIR` takes the records of another study first.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use slimfit_report::{ReportInput, write_report};
use slimfit_study::Study;
use std::path::{Path, PathBuf};

/// Holds what `tables/front.csv` does in twice the bytes.
const LEFT_OUT: &str = "tables/front.json";
/// Dominated points that the example keeps.
const CLOUD: usize = 3000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../reports/example")
}

fn records() -> PathBuf {
    folder().join("records.json")
}

/// Replaces the records by those of a real study, without the maker's folders and with a cloud that stays small.
fn take_from(study: &str) {
    let study = Study::open(Path::new(study)).unwrap();
    let mut input = ReportInput::from_study(&study).unwrap().without_private_parts();
    let stride = input.cloud.len().div_ceil(CLOUD).max(1);
    input.cloud = input.cloud.into_iter().step_by(stride).collect();
    "slimfit run".clone_into(&mut input.command);
    if let Some(profile) = &input.profile {
        input.created.clone_from(&profile.provenance.created);
    }
    std::fs::create_dir_all(folder()).unwrap();
    std::fs::write(records(), serde_json::to_vec(&input).unwrap()).unwrap();
}

#[test]
fn the_committed_example_is_what_its_records_give() {
    let study = std::env::var("SLIMFIT_EXAMPLE_STUDY").ok();
    if let Some(study) = &study {
        take_from(study);
    }
    let text = std::fs::read_to_string(records())
        .unwrap_or_else(|error| panic!("`{}`: {error}", records().display()));
    let input: ReportInput = serde_json::from_str(&text).unwrap();
    if study.is_some() || std::env::var_os("SLIMFIT_UPDATE_EXAMPLE").is_some() {
        write_report(&input, &folder()).unwrap();
        std::fs::remove_file(folder().join(LEFT_OUT)).unwrap();
    }
    let fresh = tempfile::tempdir().unwrap();
    for file in write_report(&input, fresh.path()).unwrap() {
        let name = Path::new(&file.path).strip_prefix(fresh.path()).unwrap();
        if name == Path::new(LEFT_OUT) {
            continue;
        }
        let committed = std::fs::read(folder().join(name)).unwrap_or_default();
        assert!(
            committed == std::fs::read(&file.path).unwrap(),
            "`reports/example/{}` is not what `records.json` gives; `SLIMFIT_UPDATE_EXAMPLE=1` writes it anew",
            name.display()
        );
    }
}
