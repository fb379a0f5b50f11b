//! `--portable` and the file's `portable`: which loaders must hold a point, and that every command agrees.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::SPACE;
use crate::harness::{Finished, Slimfit};
use serde_json::{Value, json};
use std::path::Path;

/// Llamas, and the same with windows on three layers of four, which llama.cpp has no architecture for.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let windowed = SPACE.replace("window: none", "window: [none, {size: 512, full_every: 4}]");
    std::fs::write(folder.path().join("silent.yaml"), &windowed).unwrap();
    std::fs::write(folder.path().join("free.yaml"), format!("{windowed}portable: []\n")).unwrap();
    std::fs::write(folder.path().join("held.yaml"), format!("{windowed}portable: [hf]\n")).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Finished {
    Slimfit::new(arguments).folder(folder).run()
}

fn search(folder: &Path, space: &str, more: &[&str]) -> Value {
    let arguments = ["search", "--space", space, "--profile", "raspberry-pi-5", "--out", "study", "--json"];
    let _ = std::fs::remove_dir_all(folder.join("study"));
    run(folder, &[&arguments[..], more].concat()).done().object("search")
}

const LLAMA_CPP: &str = "portable: llama.cpp has no architecture for it";

/// Points that a loader refused.
fn refused(head: &Value) -> u64 {
    let reasons = head["invalid_by"].as_array().unwrap();
    let of = |reason: &&Value| reason["reason"].as_str().unwrap().starts_with("portable");
    assert!(reasons.iter().filter(of).all(|reason| reason["reason"] == LLAMA_CPP), "{reasons:?}");
    reasons.iter().filter(of).map(|reason| reason["count"].as_u64().unwrap()).sum()
}

#[test]
fn both_loaders_are_asked_unless_the_file_or_the_flag_says_otherwise() {
    let folder = folder();
    let folder = folder.path();
    for (space, flag, asked) in [
        ("silent.yaml", None, json!(["hf", "llama.cpp"])),
        ("free.yaml", None, json!([])),
        ("held.yaml", None, json!(["hf"])),
        ("silent.yaml", Some("none"), json!([])),
        ("free.yaml", Some("llama.cpp"), json!(["llama.cpp"])),
        ("held.yaml", Some("hf,llama.cpp"), json!(["hf", "llama.cpp"])),
    ] {
        let flag: Vec<&str> = flag.into_iter().flat_map(|value| ["--portable", value]).collect();
        let head = search(folder, space, &flag);
        let llama_cpp = asked.as_array().unwrap().contains(&json!("llama.cpp"));
        assert_eq!(head["portable"], asked, "{space} {flag:?}");
        // Half of the points have windows.
        assert_eq!(refused(&head), if llama_cpp { 24 } else { 0 }, "{space} {flag:?}");
        let front: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("study/front.json")).unwrap()).unwrap();
        assert_eq!(front["portable"], asked);
        let windowed = front["points"].as_array().unwrap().iter().any(|point| {
            let layers = point["architecture"]["layers"].as_array().unwrap();
            layers.iter().any(|run| run["attention"].get("window").is_some())
        });
        assert_eq!(windowed, !llama_cpp, "{space} {flag:?}");
        let shown = run(folder, &[&["space", space, "--json"], &flag[..]].concat()).done();
        assert_eq!(shown.object("space-summary")["portable"], asked);
    }
}

#[test]
fn why_holds_a_model_to_the_loaders_of_its_study() {
    let folder = folder();
    let folder = folder.path();
    search(folder, "free.yaml", &[]);
    let front: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("study/front.json")).unwrap()).unwrap();
    let has_window = |point: &&Value| point["architecture"]["layers"][0]["attention"]["window"] == 512;
    let point = front["points"].as_array().unwrap().iter().find(has_window).unwrap();
    let mut architecture = point["architecture"].clone();
    architecture["schema"] = "slimfit/architecture/v1".into();
    std::fs::write(folder.join("windowed.json"), architecture.to_string()).unwrap();
    let why = || {
        let text = run(folder, &["why", "--study", "study", "windowed.json", "--json"]).done();
        text.object("why").to_string()
    };
    assert!(!why().contains("llama.cpp has no architecture"));
    search(folder, "free.yaml", &["--portable", "llama.cpp"]);
    let text = why();
    assert!(text.contains("llama.cpp has no architecture for this model; `llama` comes nearest"), "{text}");
}

#[test]
fn loaders_that_nobody_knows_are_refused_with_the_nearest_name() {
    let folder = folder();
    for (value, found, hint) in [
        ("hf,llama", "`llama`", Some("`llama.cpp`")),
        ("lama.cpp", "`lama.cpp`", Some("`llama.cpp`")),
        ("nothing", "`nothing`", None),
        ("none,hf", "`none,hf`", None),
        ("hf,hf", "`hf`", None),
    ] {
        for command in [
            &["search", "--space", "free.yaml", "--profile", "raspberry-pi-5"][..],
            &["space", "free.yaml"],
            &["verify", "--space", "free.yaml", "--samples", "1"],
        ] {
            let finished = run(folder.path(), &[command, &["--portable", value, "--json"]].concat());
            assert_eq!(finished.code, 2, "{command:?} {value}: {}", finished.stdout);
            let error = finished.object("error")["error"].clone();
            assert_eq!((&error["field"], &error["found"]), (&json!("--portable"), &json!(found)), "{error}");
            let said = error["hint"].as_str().unwrap_or_default();
            assert!(hint.is_none_or(|hint| said.contains(hint)), "{error}");
            if hint.is_some() {
                assert_eq!(error["allowed"], "hf, llama.cpp, none");
            }
        }
    }
}
