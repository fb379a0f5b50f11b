//! What stands beside an emitted model for people: `training.yaml`, `README.md` and its picture.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::SPACE;
use crate::harness::{Finished, Slimfit};
use serde_json::Value;
use std::path::Path;

fn run(folder: &Path, arguments: &[&str]) -> Finished {
    Slimfit::new(arguments).folder(folder).run()
}

/// The file beside the config, which the answer must list as this kind with its size.
fn listed(folder: &Path, object: &Value, name: &str, kind: &str) -> Vec<u8> {
    let files = object["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["path"].as_str().unwrap().ends_with(name));
    let file = file.unwrap_or_else(|| panic!("{name} in {files:?}"));
    assert_eq!(file["kind"], kind, "{name}");
    let bytes = std::fs::read(folder.join(file["path"].as_str().unwrap())).unwrap();
    assert_eq!(file["bytes"], bytes.len(), "{name}");
    bytes
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The cells of the first row of a table that begins with `label`.
fn row<'a>(card: &'a str, label: &str) -> Vec<&'a str> {
    let line = card.lines().find(|line| line.starts_with(&format!("| {label} |")));
    let line = line.unwrap_or_else(|| panic!("{label} in\n{card}"));
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

#[test]
fn a_pick_gets_a_recipe_a_card_and_a_picture_from_its_study() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Windows on three layers of four: a class of transformers holds them, llama.cpp does not.
    let windowed = SPACE.replace("window: none", "window: {size: 512, full_every: 4}");
    std::fs::write(folder.join("windowed.yaml"), format!("{windowed}portable: [hf]\n")).unwrap();
    let search = ["search", "--space", "windowed.yaml", "--profile", "raspberry-pi-5", "--tokens", "20B"];
    let more = ["--max-memory", "1GiB", "--out", "study", "--json"];
    run(folder, &[&search[..], &more].concat()).done();
    let emit = |out| run(folder, &["emit", "--study", "study", "--out", out, "--json"]).done().object("emit");
    let object = emit("knee");
    let card = text(listed(folder, &object, "README.md", "model-card"));
    let recipe = text(listed(folder, &object, "training.yaml", "slimfit-training-recipe"));
    assert_eq!(&listed(folder, &object, "architecture.png", "png")[1..4], b"PNG");

    let front = std::fs::read_to_string(folder.join("study/front.json")).unwrap();
    let front: Value = serde_json::from_str(&front).unwrap();
    let id = object["emitted"][0]["id"].as_str().unwrap();
    let point = front["points"].as_array().unwrap().iter().find(|point| point["id"] == id).unwrap();
    let loss = point["objectives"]["loss"].as_f64().unwrap();
    let cells = row(&card, "Loss");
    assert_eq!((cells[1], cells[3]), (format!("{loss:.4} nats").as_str(), "modelled"));
    assert!(cells[2].contains(" – "), "{cells:?}");
    for part in ["](architecture.png)", "Raspberry Pi 5", "(board)", "Nothing: the study holds no run", id] {
        assert!(card.contains(part), "{part} in\n{card}");
    }
    assert!(card.contains("- Limits: `memory_bytes <= 1073741824`"), "{card}");
    assert!(card.contains("**llama.cpp** cannot run it"), "{card}");
    let private = folder.to_string_lossy();
    assert!(!card.contains(&*private) && !recipe.contains(&*private), "{card}");
    for none in ["NaN", " inf", "None"] {
        assert!(!card.contains(none) && !recipe.contains(none), "{none}");
    }
    assert!(recipe.contains("\nschema: slimfit/training-recipe/v1\n"), "{recipe}");
    assert!(recipe.contains(&format!("  id: {id}\n")), "{recipe}");

    let again = emit("again");
    for (name, kind) in [("README.md", "model-card"), ("training.yaml", "slimfit-training-recipe")] {
        let [one, other] = [&object, &again].map(|object| listed(folder, object, name, kind));
        assert!(one == other, "{name} differs");
    }
}

#[test]
fn a_model_without_a_study_says_what_it_lacks_and_a_profile_fills_it_in() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let emit = |out: &str, more: &[&str]| {
        let arguments = ["emit", "--model", "smollm2-135m", "--out", out, "--json"];
        let object = run(folder, &[&arguments[..], more].concat()).done().object("emit");
        text(listed(folder, &object, "README.md", "model-card"))
    };
    let bare = emit("bare", &[]);
    assert_eq!(row(&bare, "Loss")[3], "modelled");
    for label in ["Time to first token", "Time per token", "Memory", "Energy per token"] {
        let cells = row(&bare, label);
        assert_eq!(cells[1], "unavailable", "{cells:?}");
        assert!(cells[3].contains("no device was named: `--profile`"), "{cells:?}");
    }
    assert!(bare.contains("slimfit emit --model smollm2-135m --tokens 100000000000 --out MODEL"), "{bare}");
    let priced = emit("priced", &["--profile", "raspberry-pi-5", "--workload", "summary", "--tokens", "1T"]);
    for label in ["Loss", "Time per token", "Memory"] {
        assert_eq!(row(&priced, label)[3], "modelled");
    }
    assert!(priced.contains("`summary`") && priced.contains("Raspberry Pi 5"), "{priced}");
    // A trillion tokens are more than the law was fitted on.
    assert!(priced.contains("**extrapolated**"), "{priced}");
}

#[test]
fn what_a_card_cannot_be_made_of_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let refused = |more: &[&str], code: &str| {
        let arguments = ["emit", "--model", "smollm2-135m", "--out", "model", "--json"];
        let error = run(folder, &[&arguments[..], more].concat()).refused(code);
        assert!(!folder.join("model").exists(), "{more:?}");
        error
    };
    let error = refused(&["--tokens", "2000"], "too-few-tokens");
    assert_eq!(error["field"], "--tokens");
    refused(&["--profile", "no-such-device"], "unknown-profile");
    refused(&["--recipe", "no-such-recipe"], "quality");
    for flag in [["--tokens", "1T"], ["--recipe", "published"], ["--profile", "raspberry-pi-5"]] {
        let arguments = ["emit", "--study", "study", "--out", "model", "--json"];
        let finished = run(folder, &[&arguments[..], &flag].concat());
        assert_eq!(finished.code, 2, "{flag:?}: {}", finished.stdout);
    }
    let use_of_its_own = ["emit", "--study", "study", "--workload", "summary", "--out", "model", "--json"];
    assert_eq!(run(folder, &use_of_its_own).refused("usage")["field"], "--workload");
}
