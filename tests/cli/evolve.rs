//! Points that a command measures: what becomes of its answers, whatever it does wrong, and a run that is killed.

use crate::harness::{Finished, Slimfit, validate};
use crate::measured::machine;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const SPACE: &str = "schema: slimfit/space/v1
name: small
description: A few hundred shapes.
axes:
  layers: [6, 8, 12, 16]
  hidden_size: [256, 320, 384, 512]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: [heads, heads / 2]
  ffn: [2 * hidden_size, 3 * hidden_size, 4 * hidden_size]
  gated: true
  window: none
  vocabulary_size: 32768
  tied_embeddings: [true]
  weights: [bf16, q8_0]
  kv: f16
constraints:
  non_embedding: {min: 5M}
";

/// Measures a loss that deep, narrow models have less of than predicted, fails for one depth, and counts its starts and
/// points in files beside it.
const SUPERNET: &str = r#"
import json, math, os, sys, time
folder = os.path.dirname(os.path.abspath(__file__))
def note(name, text):
    with open(os.path.join(folder, name), "a") as file:
        file.write(text + "\n")
note("starts", "start")
for line in sys.stdin:
    point = json.loads(line)
    axes = point["axes"]
    assert point["measures"] == ["loss"], point["measures"]
    assert point["architecture"]["hidden_size"] == axes["hidden_size"]
    note("points", point["id"])
    time.sleep(float(os.environ.get("SLOW", "0")))
    if axes["layers"] == 8:
        answer = {"error": "layers 8 diverges"}
    else:
        size = axes["layers"] * axes["hidden_size"] ** 2
        shape = 0.1 * math.log(axes["hidden_size"] / axes["layers"] / 30) ** 2
        answer = {"values": {"loss": 2 + 300 / size ** 0.4 + shape}}
    print(json.dumps({"id": point["id"], **answer}), flush=True)
"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("small.yaml"), SPACE).expect("it can be written");
    std::fs::write(folder.path().join("supernet.py"), SUPERNET).expect("it can be written");
    folder
}

const SEARCH: [&str; 9] = [
    "search",
    "--space=small.yaml",
    "--profile=raspberry-pi-5",
    "--objectives=loss,tpot_seconds,memory_bytes",
    "--measures=loss",
    "--evaluations=24",
    "--seed=3",
    "--json",
    "--evaluator",
];

fn command(folder: &Path, evaluator: &str, more: &[&str]) -> Slimfit {
    // What is said again replaces what every search is asked for.
    let flag = |argument: &str| argument.split('=').next().map(str::to_owned);
    let usual = SEARCH.iter().filter(|usual| !more.iter().any(|other| flag(other) == flag(usual)));
    Slimfit::new(usual.chain(&[evaluator]).chain(more)).folder(folder)
}

fn search(folder: &Path, evaluator: &str, more: &[&str]) -> Finished {
    command(folder, evaluator, more).run()
}

fn front(folder: &Path, study: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(study).join("front.json")).expect("a front");
    let front: Value = serde_json::from_str(&text).expect("JSON");
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    front
}

/// Lines of a file that the evaluator writes.
fn lines(folder: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn exported(folder: &Path, study: &str, table: &str) -> Vec<Value> {
    let arguments =
        ["study", "export", "--study", study, "--table", table, "--format=json", "--out=table.json"];
    Slimfit::new(arguments).folder(folder).run().done();
    let text = std::fs::read_to_string(folder.join("table.json")).expect("a table");
    let object: Value = serde_json::from_str(&text).expect("JSON");
    let errors = validate("study-table", &object);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    object["rows"].as_array().expect("rows").clone()
}

fn rows(folder: &Path, study: &str) -> Vec<Value> {
    exported(folder, study, "evaluations")
}

const PYTHON: &str = "python3 supernet.py";

#[test]
fn the_front_is_measured_and_every_evaluation_is_kept() {
    let folder = folder();
    let object = search(folder.path(), PYTHON, &["--out=study"]).done().object("search");
    let measured = &object["measured_search"];
    assert_eq!(
        (&measured["evaluator"], &measured["evaluations"], &measured["stopped"], &measured["reused"]),
        (&PYTHON.into(), &24.into(), &"evaluations".into(), &0.into())
    );
    assert_eq!((&object["exact"], &object["evaluated"]), (&false.into(), &24.into()));
    assert!(object["epsilon"].is_null());
    let asked = lines(folder.path(), "points");
    assert_eq!(asked.len(), 24);
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), 24, "no point is measured twice");
    assert_eq!(lines(folder.path(), "starts").len(), 6, "four points a batch");

    let rows = rows(folder.path(), "study");
    let ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, asked);
    let failed: Vec<&Value> = rows.iter().filter(|row| !row["failure"].is_null()).collect();
    assert_eq!(measured["failed"], failed.len());
    assert!(!failed.is_empty() && failed.iter().all(|row| row["failure"] == "layers 8 diverges"));

    let front = front(folder.path(), "study");
    let points = front["points"].as_array().unwrap();
    assert!(!points.is_empty());
    for point in points {
        let row =
            rows.iter().find(|row| row["id"] == point["id"]).expect("only measured points are on the front");
        assert_eq!(point["sources"], serde_json::json!({ "loss": "measured" }));
        assert_eq!(point["objectives"]["loss"], row["loss"]);
        assert_ne!(point["objectives"]["loss"], row["predicted_loss"]);
        assert_eq!(point["objectives"]["tpot_seconds"], row["predicted_tpot_seconds"]);
    }
    // Nothing that was measured dominates a point of it.
    let names = ["loss", "predicted_tpot_seconds", "predicted_memory_bytes"];
    let of = |row: &Value| names.map(|name| row[name].as_f64());
    let on_front = |row: &&Value| points.iter().any(|point| point["id"] == row["id"]);
    for row in rows.iter().filter(|row| row["failure"].is_null() && on_front(row)) {
        let beaten = rows.iter().filter(|other| other["failure"].is_null() && other["id"] != row["id"]);
        for other in beaten {
            assert!(!of(other).iter().zip(of(row)).all(|(a, b)| *a <= b), "{other} dominates {row}");
        }
    }
    let page = Slimfit::new(["report", "--study=study", "--out=page", "--json"]).folder(folder.path()).run();
    page.done();
    let error = Slimfit::new(["why", "--study=study", "smollm2-135m", "--json"]).folder(folder.path()).run();
    let error = error.refused("measured-front");
    assert!(error["found"].as_str().unwrap().contains("loss"), "{error}");
}

#[test]
fn the_same_search_measures_nothing_again_and_a_larger_budget_goes_on() {
    let folder = folder();
    let search = |out: &str, more: &[&str]| {
        search(folder.path(), PYTHON, &[&["--out", out], more].concat()).done().object("search")
    };
    let first = search("study", &[]);
    let again = search("study", &[]);
    assert_eq!(lines(folder.path(), "points").len(), 24);
    assert_eq!(
        (&again["measured_search"]["reused"], &again["front_size"]),
        (&24.into(), &first["front_size"])
    );
    let more = search("study", &["--evaluations=40"]);
    assert_eq!(more["measured_search"]["reused"], 24);
    assert_eq!(lines(folder.path(), "points").len(), 40);
    // Another seed asks about other points, and knows the answers to those that it asks about again.
    let other = search("study", &["--seed=4"]);
    let reused = other["measured_search"]["reused"].as_u64().unwrap();
    assert!((12..24).contains(&reused), "{reused}");
    assert_eq!(lines(folder.path(), "points").len() as u64, 40 + 24 - reused);
}

#[test]
fn a_killed_search_goes_on_and_ends_where_an_undisturbed_one_does() {
    let folder = folder();
    search(folder.path(), PYTHON, &["--out=whole"]).done();
    let before = lines(folder.path(), "points").len();
    for wanted in [2, 9, 17] {
        let mut child = command(folder.path(), PYTHON, &["--out=killed"]).variable("SLOW", "0.1").spawn();
        let began = Instant::now();
        while lines(folder.path(), "points").len() - before < wanted {
            assert!(began.elapsed() < Duration::from_secs(120), "the evaluator is not asked");
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it has ended");
    }
    search(folder.path(), PYTHON, &["--out=killed"]).done();
    let asked = lines(folder.path(), "points")[before..].to_vec();
    let different: BTreeSet<&String> = asked.iter().collect();
    assert_eq!(different.len(), 24);
    // At most the batch that each kill fell into was lost.
    assert!(asked.len() <= 24 + 3 * 4, "{}", asked.len());
    let (whole, killed) = (front(folder.path(), "whole"), front(folder.path(), "killed"));
    assert_eq!(whole["points"], killed["points"]);
    assert_eq!(whole["measured_search"]["hypervolume"], killed["measured_search"]["hypervolume"]);
}

#[test]
fn time_and_patience_end_a_search() {
    let folder = folder();
    let more = ["--out=late", "--max-seconds=4s", "--evaluations=200"];
    let began = Instant::now();
    let late = command(folder.path(), PYTHON, &more).variable("SLOW", "0.2").run().done().object("search");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(late["measured_search"]["stopped"], "deadline");
    let made = late["measured_search"]["evaluations"].as_u64().unwrap();
    assert_eq!(rows(folder.path(), "late").len() as u64, made);
    assert!(made < 60, "{made}");
    let more = ["--out=stalled", "--patience=10", "--least-gain=0.2", "--evaluations=200"];
    let stalled = search(folder.path(), PYTHON, &more).done().object("search");
    assert_eq!(stalled["measured_search"]["stopped"], "stalled");
}

#[test]
fn each_fault_of_a_command_is_told_by_line_and_field_and_costs_no_answer() {
    let folder = folder();
    // Answers the first point of a batch well, and the second with this.
    let bad = |name: &str, line: &str| {
        let script = format!(
            "import json, sys\npoints = [json.loads(line) for line in sys.stdin]\n\
             print(json.dumps({{'id': points[0]['id'], 'values': {{'loss': 3.5}}}}), flush=True)\nid = points[1]['id']\n{line}\n"
        );
        std::fs::write(folder.path().join(format!("{name}.py")), script).expect("it can be written");
        let out = format!("--out={name}");
        let finished = search(folder.path(), &format!("python3 {name}.py"), &[&out]);
        assert_eq!(rows(folder.path(), name).len(), 1, "the first answer is kept");
        finished
    };
    for (name, line, field, said) in [
        ("garbage", "print('loss: 2.3')", None, "loss: 2.3"),
        ("no_id", "print(json.dumps({'values': {'loss': 2.3}}))", Some("id"), "nothing"),
        ("other_id", "print(json.dumps({'id': 'abc', 'values': {'loss': 2.3}}))", Some("id"), "abc"),
        ("metric", "print(json.dumps({'id': id, 'values': {'los': 2.3}}))", Some("values.los"), "los"),
        ("missing", "print(json.dumps({'id': id, 'values': {}}))", Some("values.loss"), "nothing"),
        ("negative", "print(json.dumps({'id': id, 'values': {'loss': -1}}))", Some("values.loss"), "-1"),
        ("twice", "print(json.dumps({'id': points[0]['id'], 'error': 'no'}))", Some("id"), "`"),
    ] {
        let error = bad(name, line).refused("evaluator-answer");
        assert_eq!(error["line"], 2, "{error}");
        assert_eq!(error["field"].as_str(), field, "{error}");
        assert!(error["found"].as_str().unwrap().contains(said), "{error}");
    }
    let silent = bad("silent", "").refused("evaluator-answer");
    assert!(silent["message"].as_str().unwrap().contains("without an answer"), "{silent}");
    let dead = bad("dead", "sys.exit('no GPU left')").refused("evaluator-failed");
    assert!(dead["message"].as_str().unwrap().contains("no GPU left"), "{dead}");
    assert!(dead["hint"].as_str().unwrap().contains("is kept"), "{dead}");
    let error =
        search(folder.path(), "no-such-program --now", &["--out=none"]).refused("evaluator-not-found");
    assert!(error["found"].as_str().unwrap().contains("no-such-program"), "{error}");
}

#[test]
fn what_cannot_be_asked_for_is_refused_before_anything_is_measured() {
    let folder = folder();
    let refused = |evaluator: &str, more: &[&str], code: &str, said: &str| {
        let error = search(folder.path(), evaluator, more).refused(code);
        assert!(error.to_string().contains(said), "{error}");
    };
    refused(" ", &[], "usage", "without a command");
    refused(PYTHON, &["--measures=los"], "usage", "did you mean `loss`");
    refused(PYTHON, &["--measures=ttft_seconds"], "search", "allowed: an objective or a limit");
    refused(PYTHON, &["--quality-table=x.csv"], "usage", "--quality-table");
    refused("device", &["--measures=tpot_seconds"], "other-machine", "another machine");
    assert!(lines(folder.path(), "starts").is_empty());
    let arguments = ["search", "--space=small.yaml", "--evaluator=true", "--json"];
    let error = Slimfit::new(arguments).folder(folder.path()).run().refused("usage");
    assert!(error["message"].as_str().unwrap().contains("required"), "{error}");
}

#[test]
fn limits_on_measured_values_hold_for_what_was_measured() {
    let folder = folder();
    let object = search(folder.path(), PYTHON, &["--out=limited", "--max-loss=3.4"]).done().object("search");
    assert!(object["front_size"].as_u64().unwrap() > 0, "{object}");
    let front = front(folder.path(), "limited");
    let losses =
        front["points"].as_array().unwrap().iter().map(|point| point["objectives"]["loss"].as_f64().unwrap());
    assert!(losses.into_iter().all(|loss| loss <= 3.4));
    let object = search(folder.path(), PYTHON, &["--out=none", "--max-loss=2.1"]).done().object("search");
    assert_eq!(object["front_size"], 0);
    assert_eq!(object["nearest_miss"]["breaks"][0]["name"], "loss");
}

#[test]
fn this_device_measures_points_itself() {
    let machine = machine();
    std::fs::write(machine.folder().join("small.yaml"), SPACE).expect("it can be written");
    let workload = "schema: slimfit/workload/v1\nname: short\ndescription: A few bytes.\nprompt_bytes: 64\ngenerated_bytes: 32\n";
    std::fs::write(machine.folder().join("short.yaml"), workload).expect("it can be written");
    let arguments = [
        "search",
        "--space=small.yaml",
        "--workload=short.yaml",
        "--objectives=loss,tpot_seconds",
        "--evaluator=device",
        "--measures=tpot_seconds",
        "--evaluations=4",
        "--out=device",
        "--json",
    ];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("search");
    assert_eq!(object["measured_search"]["evaluator"], "device");
    assert_eq!(object["measured_search"]["failed"], 0, "{object}");
    let front = machine.json("device/front.json");
    for point in front["points"].as_array().unwrap() {
        assert_eq!(point["sources"], serde_json::json!({ "tpot_seconds": "measured" }));
    }
    let runs = exported(machine.folder(), "device", "measurements");
    assert_eq!(runs.len(), 4, "each run is kept beside its prediction");
    let again = Slimfit::new([
        "search",
        "--space=small.yaml",
        "--workload=short.yaml",
        "--objectives=loss,tpot_seconds",
        "--evaluator=device",
        "--measures=loss",
        "--evaluations=4",
        "--out=device",
        "--json",
    ]);
    let error = again.folder(machine.folder()).run().refused("usage");
    assert!(error["allowed"].as_str().unwrap().contains("tpot_seconds"), "{error}");
}
