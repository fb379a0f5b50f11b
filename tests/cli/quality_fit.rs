//! Recipes of one's own training runs.

use crate::harness::Slimfit;
use std::path::Path;

/// Runs whose loss is a plain law of size and length, of ten shapes at two lengths.
fn table(folder: &Path, shapes: usize) {
    let mut text = String::from("hidden_size,layers,heads,ffn,vocabulary_size,tokens,loss,score_hellaswag\n");
    let all: [(u64, u64); 10] = [
        (256, 4),
        (256, 24),
        (384, 12),
        (512, 6),
        (512, 40),
        (768, 12),
        (768, 24),
        (1024, 6),
        (1024, 48),
        (1536, 16),
    ];
    for (width, layers) in &all[..shapes] {
        for tokens in [1e10, 8e10_f64] {
            let parameters = (16 * width * width * layers) as f64;
            let loss = 1.8 + 1.1 * (parameters / 1e8).powf(-0.2) + 0.5 * (tokens / 1e10).powf(-0.4);
            let score = 25.0 + 75.0 / (1.0 + (3.0 * (loss - 2.5)).exp());
            text += &format!("{width},{layers},{},{},32000,{tokens},{loss},{score}\n", width / 64, 4 * width);
        }
    }
    std::fs::write(folder.join("runs.csv"), text).expect("the table is written");
}

#[test]
fn a_recipe_of_ones_own_runs_is_judged_and_searched_with() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), 10);
    let arguments = [
        "quality",
        "fit",
        "--data",
        "runs.csv",
        "--form",
        "whole",
        "--name",
        "mine",
        "--out",
        "mine.yaml",
        "--json",
    ];
    let object = Slimfit::new(arguments).folder(folder.path()).run().done().object("quality-fit");
    assert_eq!((&object["runs"], &object["groups"]), (&20.into(), &10.into()));
    assert!(object["left_out"]["mean_absolute_nats"].as_f64().unwrap() < 0.05, "{object}");
    assert_eq!(object["predicted_nats"].as_array().unwrap().len(), 20);
    assert_eq!(object["recipe"]["scores"], serde_json::json!(["hellaswag"]));
    assert_eq!(object["files"][0]["path"], "mine.yaml");

    let search =
        ["search", "--profile", "raspberry-pi-5", "--recipe", "mine.yaml", "--out", "study", "--json"];
    let front = Slimfit::new(search).folder(folder.path()).run().done().object("search");
    assert_eq!(front["recipe"]["name"], "mine");

    let text =
        Slimfit::new(["quality", "fit", "--data", "runs.csv"]).folder(folder.path()).run().done().stdout;
    assert!(text.contains("Left out one group at a time") && text.contains("Not written"), "{text}");
}

#[test]
fn a_suite_of_one_length_is_judged_and_makes_no_recipe() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), 10);
    let path = folder.path().join("runs.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let same: Vec<String> = text.lines().map(|line| line.replace("80000000000", "10000000000")).collect();
    std::fs::write(&path, same.join("\n")).unwrap();
    let refused = |more: &[&str]| {
        let arguments = ["quality", "fit", "--data", "runs.csv", "--json", "--form", "log-quadratic"];
        Slimfit::new(arguments.iter().chain(more)).folder(folder.path()).run()
    };
    let error = refused(&["--out", "mine.yaml"]).refused("usage");
    assert!(error["hint"].as_str().unwrap().contains("its own suite"), "{error}");
    // Ten shapes are too few for it.
    let error = refused(&[]).refused("quality");
    assert_eq!((error["found"].as_str(), error["allowed"].as_str()), (Some("10"), Some("12 or more")));
}

#[test]
fn runs_that_are_too_few_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path(), 1);
    let arguments = ["quality", "fit", "--data", "runs.csv", "--out", "mine.yaml", "--json"];
    let error = Slimfit::new(arguments).folder(folder.path()).run().refused("quality");
    assert_eq!((error["found"].as_str(), error["allowed"].as_str()), (Some("2"), Some("3 or more")));
    assert!(error["file"].as_str().unwrap().ends_with("runs.csv") && error["hint"].is_string(), "{error}");
    assert!(!folder.path().join("mine.yaml").exists());
    let missing = ["quality", "fit", "--data", "nowhere.csv", "--json"];
    Slimfit::new(missing).folder(folder.path()).run().refused("read-failed");
    let unknown = ["quality", "fit", "--data", "runs.csv", "--form", "hole", "--json"];
    let error = Slimfit::new(unknown).folder(folder.path()).run().refused("quality");
    assert!(error["hint"].as_str().unwrap().contains("`whole`"), "{error}");
}
