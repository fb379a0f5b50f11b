//! Quality in a search as a user meets it: scores, trainings, measured tables, assumptions and ties.

use crate::harness::{Finished, Slimfit, validate};
use serde_json::Value;
use std::path::Path;

/// A few shapes with one vocabulary on a device that is built in: a search of it takes a moment.
const SPACE: &str = "schema: slimfit/space/v1
name: small
description: One vocabulary, a few shapes.
axes:
  layers: [8, 12, 16, 20]
  hidden_size: [256, 320, 384, 448, 512]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: [2 * hidden_size, 3 * hidden_size, 4 * hidden_size]
  gated: true
  window: none
  vocabulary_size: 32768
  tied_embeddings: [true, false]
  weights: [bf16, q8_0]
  kv: f16
constraints:
  non_embedding: {min: 5M}
assume:
  mqa: {kv_heads: [1]}
  vocab: {vocabulary_size: [8192]}
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("small.yaml"), SPACE).expect("it can be written");
    folder
}

fn search(folder: &Path, more: &[&str]) -> Finished {
    let arguments = ["search", "--space", "small.yaml", "--profile", "raspberry-pi-5"];
    Slimfit::new(arguments.iter().chain(more)).folder(folder).run()
}

fn front(folder: &Path, study: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(study).join("front.json")).expect("a front");
    let front: Value = serde_json::from_str(&text).expect("JSON");
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    front
}

fn warning<'a>(object: &'a Value, code: &str) -> Option<&'a str> {
    let warnings = object["warnings"].as_array().expect("warnings are a list");
    warnings.iter().find(|warning| warning["code"] == code)?["message"].as_str()
}

#[test]
fn a_score_is_maximised_and_may_be_asked_for_at_least() {
    let folder = folder();
    let more = ["--objectives", "score_hellaswag,tpot_seconds,memory_bytes", "--out", "scores", "--json"];
    let object = search(folder.path(), &more).done().object("search");
    assert_eq!(object["objectives"][0]["direction"], "max");
    let front_of_scores = front(folder.path(), "scores");
    let scores: Vec<f64> = front_of_scores["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["objectives"]["score_hellaswag"].as_f64().unwrap())
        .collect();
    assert!(scores.len() > 5 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let least = format!("hellaswag:{}", (scores[0] + scores[scores.len() - 1]) / 2.0);
    let more = ["--min-score", &least, "--out", "limited", "--json"];
    let limited = search(folder.path(), &more).done().object("search");
    assert_eq!(limited["constraints"][0]["name"], "score_hellaswag");
    assert!(limited["front_size"].as_u64().unwrap() > 0);

    let none = search(folder.path(), &["--min-score", "hellaswag:99", "--out", "none", "--json"]).done();
    let broken = none.object("search")["nearest_miss"]["breaks"][0].clone();
    assert_eq!(broken["name"], "score_hellaswag");
    assert!(broken["value"].as_f64().unwrap() < 99.0);

    let error = search(folder.path(), &["--min-score", "mmlu:30", "--json"]).refused("usage");
    assert!(error["hint"].as_str().unwrap().contains("`mmlu` is not predicted"), "{error}");
    for wrong in ["hellaswag", "hellaswag:101", "hellaswag:0", "hellaswg:40"] {
        let error = search(folder.path(), &["--min-score", wrong, "--json"]).refused("usage");
        assert_eq!(error["field"], "--min-score", "{error}");
    }
}

#[test]
fn a_training_is_an_objective_where_rate_and_price_are_given() {
    let folder = folder();
    let rate = ["--training-flops-per-s", "400T", "--training-gpus", "8", "--price-per-gpu-hour", "2.5"];
    let objectives = ["--objectives", "loss,training_cost", "--max-training-seconds", "30d"];
    let more = [&rate[..], &objectives, &["--out", "trained", "--json"]].concat();
    let object = search(folder.path(), &more).done().object("search");
    assert_eq!(object["training"]["gpus"], 8);
    assert_eq!(object["training"]["context_tokens"], 2048);
    assert_eq!(object["constraints"][0]["limit"], 30.0 * 86_400.0);
    let points = front(folder.path(), "trained");
    assert!(points["points"][0]["objectives"]["training_cost"].as_f64().unwrap() > 0.0);

    // Operations need no rate; time and money do.
    search(folder.path(), &["--objectives", "loss,training_flops", "--out", "flops"]).done();
    let error = search(folder.path(), &["--objectives", "loss,training_seconds", "--out", "none", "--json"]);
    let error = error.refused("search");
    assert!(error["hint"].as_str().unwrap().contains("--training-flops-per-s"), "{error}");
    search(folder.path(), &["--price-per-gpu-hour", "2", "--json"]).refused("usage");
    search(folder.path(), &["--training-flops-per-s", "0", "--json"]).refused("usage");
    let negative = ["--training-flops-per-s", "1T", "--price-per-gpu-hour=-2", "--json"];
    search(folder.path(), &negative).refused("usage");
}

#[test]
fn a_table_of_measured_scores_replaces_predictions_and_is_shown_as_measured() {
    let folder = folder();
    search(folder.path(), &["--dump-all", "all.csv", "--out", "plain"]).done();
    let dumped = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
    let ids: Vec<&str> = dumped.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    let table = format!("id,loss,sigma,setting\n{},1.8,0.01,own run\n{},3.9,,own run\n", ids[5], ids[9]);
    std::fs::write(folder.path().join("scores.csv"), table).unwrap();
    let more = ["--quality-table", "scores.csv", "--out", "measured"];
    let json = [&more[..], &["--dump-all", "after.csv", "--json"]].concat();
    let object = search(folder.path(), &json).done().object("search");
    assert_eq!(object["quality_table"]["points"], 2);
    assert_eq!(object["quality_table"]["setting"], "own run");
    assert!(warning(&object, "quality-table").unwrap().contains("2 points are measured"), "{object}");
    let files = object["files"].as_array().unwrap();
    assert!(files.iter().any(|file| file["kind"] == "quality-table"));
    let front = front(folder.path(), "measured");
    let point = front["points"].as_array().unwrap().iter().find(|point| point["id"] == ids[5]).unwrap();
    assert_eq!((&point["objectives"]["loss"], &point["sources"]["loss"]), (&1.8.into(), &"measured".into()));
    let after = std::fs::read_to_string(folder.path().join("after.csv")).unwrap();
    let loss = after.lines().next().unwrap().split(',').position(|name| name == "loss").unwrap();
    assert_eq!(after.lines().nth(6).unwrap().split(',').nth(loss).unwrap(), "1.8");
    let text = search(folder.path(), &more).done().stdout;
    assert!(text.contains("1.800 (measured)"), "{text}");
    // The study belongs to this table now.
    search(folder.path(), &["--out", "measured", "--json"]).refused("study");

    let report = Slimfit::new(["report", "--study", "measured"]).folder(folder.path()).run().done();
    assert!(report.stderr.len() + report.stdout.len() > 0);
    let page = std::fs::read_to_string(folder.path().join("measured/report.html")).unwrap();
    assert!(page.contains("Measured scores of") && page.contains("own run"));

    std::fs::write(folder.path().join("wrong.csv"), format!("id,loss\n{},2.0\n0123456789ab,2.0\n", ids[5]))
        .unwrap();
    let wrong = ["--quality-table", "wrong.csv", "--out", "wrong", "--json"];
    let error = search(folder.path(), &wrong).refused("no-such-point");
    assert_eq!((&error["line"], &error["file"]), (&3.into(), &"wrong.csv".into()));
    let ignored = [&wrong[..], &["--quality-table-extra", "ignore"]].concat();
    assert_eq!(search(folder.path(), &ignored).done().object("search")["quality_table"]["ignored"], 1);

    std::fs::write(folder.path().join("piqa.csv"), format!("id,score_piqa\n{},60\n", ids[5])).unwrap();
    let unasked = ["--quality-table", "piqa.csv", "--out", "piqa", "--json"];
    let error = search(folder.path(), &unasked).refused("quality-table");
    assert_eq!(error["field"], "score_piqa", "{error}");
}

#[test]
fn assumptions_are_told_with_their_source_and_interval() {
    let folder = folder();
    let none = search(folder.path(), &["--out", "none", "--json"]).done().object("search");
    assert_eq!(warning(&none, "assumption-mqa"), None);
    let more = ["--assume", "mqa,vocab,loops", "--out", "all"];
    let object = search(folder.path(), &[&more[..], &["--json"]].concat()).done().object("search");
    assert!(object["space_size"].as_u64() > none["space_size"].as_u64());
    let mqa = warning(&object, "assumption-mqa").unwrap();
    assert!(mqa.contains("nats (") && mqa.contains(" to ") && mqa.contains("source: assumed: "), "{mqa}");
    assert!(warning(&object, "assumption-vocab").unwrap().contains("assumed: "));
    assert!(warning(&object, "assumption-unused").unwrap().contains("loops"));
    let stderr = search(folder.path(), &more).done().stderr;
    assert!(stderr.contains("`--assume mqa`") && stderr.contains("source: "), "{stderr}");

    // With two vocabularies figures per token are refused by name.
    let per_token = ["--assume", "vocab", "--objectives", "loss,memory_bytes", "--json"];
    let error = search(folder.path(), &per_token).refused("search");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("8192") && message.contains("`loss_per_byte`"), "{message}");
}

#[test]
fn an_anchor_moves_the_level_of_its_task() {
    let folder = folder();
    let objectives = ["--objectives", "score_hellaswag,memory_bytes", "--json"];
    let best = |more: &[&str]| {
        let object = search(folder.path(), &[&objectives[..], more].concat()).done().object("search");
        let scores = object["shortlist"].as_array().unwrap().iter();
        let best =
            scores.map(|point| point["objectives"]["score_hellaswag"].as_f64().unwrap()).fold(0.0, f64::max);
        (best, object)
    };
    let (plain, _) = best(&["--out", "plain"]);
    let (moved, object) = best(&["--out", "moved", "--anchor", "smollm2-360m=hellaswag:54.5"]);
    assert_eq!(object["anchors"][0]["task"], "hellaswag");
    let shift = object["anchors"][0]["shift_nats"].as_f64().unwrap();
    assert!((moved - plain) * shift < 0.0, "{plain} {moved} {shift}");
    let error = search(folder.path(), &["--anchor", "smollm2-360m=mmlu:30", "--out", "none", "--json"]);
    assert_eq!(error.code, 2, "{}", error.stdout);
}

#[test]
fn ties_are_marked_and_listed_when_asked_for() {
    let folder = folder();
    let object = search(folder.path(), &["--out", "study", "--json"]).done().object("search");
    let front = front(folder.path(), "study");
    let points = front["points"].as_array().unwrap();
    let group = |point: &Value| point["tie_group"].as_u64().unwrap();
    let representatives = points.iter().filter(|point| point["representative"] == true).count() as u64;
    assert_eq!(object["tie_groups"], representatives);
    assert!(representatives < points.len() as u64, "some points tie");
    let shortlist = object["shortlist"].as_array().unwrap();
    assert!(shortlist.len() <= 20);
    assert_eq!((&shortlist[0]["picks"][0], &shortlist[0]["representative"]), (&"knee".into(), &true.into()));
    for shown in shortlist {
        let members = points.iter().filter(|point| group(point) == group(shown)).count() as u64;
        assert_eq!(shown["ties"].as_u64().unwrap() + 1, members);
        assert!(shown["representative"] == true || !shown["picks"].as_array().unwrap().is_empty(), "{shown}");
    }
    let shown = search(folder.path(), &["--out", "study"]).done().stdout;
    let rows: Vec<&str> = shown.lines().skip(2).filter(|line| ids(line, points)).collect();
    assert_eq!(rows.len(), shortlist.len());
    assert!(rows[0].contains("knee"), "{shown}");
    assert!(rows.iter().any(|row| row.contains('≈')) && shown.contains("--show-ties"), "{shown}");
    let all = search(folder.path(), &["--out", "study", "--show-ties"]).done().stdout;
    let listed = all.lines().skip(2).filter(|line| ids(line, points)).count();
    assert!(listed > rows.len(), "{all}");
}

/// Whether a line ends with the id of a point.
fn ids(line: &str, points: &[Value]) -> bool {
    let last = line.split_whitespace().last().unwrap_or_default();
    points.iter().any(|point| point["id"] == last)
}
