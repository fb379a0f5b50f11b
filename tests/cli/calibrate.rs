//! Factors of a few models in a profile: stored only where they help, seen in predictions, left out where not wanted.

use crate::harness::Slimfit;
use crate::measured::{Machine, machine};
use serde_json::Value;

const FACTORS: &str = "calibration:
  engine: slimfit
  tool: slimfit 0.1.0
  created: 2026-01-31T12:00:00Z
  models: 5
  factors:
  - {phase: decode, regime: cache, term: work, factor: {value: 1.5, low: 1.4, high: 1.6, n: 10, source: modelled}}
  - {phase: decode, regime: cache, term: fixed, factor: {value: 1.5, low: 1.4, high: 1.6, n: 10, source: modelled}}
  - {phase: decode, regime: memory, term: work, factor: {value: 1.5, low: 1.4, high: 1.6, n: 10, source: modelled}}
  - {phase: decode, regime: memory, term: fixed, factor: {value: 1.5, low: 1.4, high: 1.6, n: 10, source: modelled}}
  errors:
  - {phase: decode, n: 10, before: 0.5, after: 0.1, interval_scale: 0.5}
";

/// A machine whose profile has factors of one and a half on all of decoding, changed as `edit` says.
fn calibrated(edit: impl Fn(&str) -> String) -> Machine {
    let machine = machine();
    machine.write_smallest();
    let text = std::fs::read_to_string(&machine.profile_file).expect("the profile");
    std::fs::write(&machine.profile_file, format!("{text}{}", edit(FACTORS)))
        .expect("the profile is written");
    machine
}

fn explain(machine: &Machine, more: &[&str]) -> Value {
    let arguments = ["explain", "smallest.json", "--prompt=32", "--generate=8", "--threads=1", "--json"];
    Slimfit::new(arguments.iter().chain(more)).folder(machine.folder()).run().done().object("explain")
}

#[test]
fn factors_are_in_every_term_and_predictions_say_so() {
    let machine = calibrated(str::to_owned);
    let (with, without) = (explain(&machine, &[]), explain(&machine, &["--no-calibration"]));
    let time = |object: &Value, name: &str| object["predicted"][name]["value"].as_f64().unwrap();
    let ratio = |name: &str| time(&with, name) / time(&without, name);
    assert!((ratio("tpot_seconds") - 1.5).abs() < 1e-9, "{}", ratio("tpot_seconds"));
    assert!(ratio("ttft_seconds") < 1.5, "only decoding, and the prompt's last token, was corrected");
    let decode = |object: &Value| object["phases"][1]["seconds"].as_f64().unwrap();
    assert!((decode(&with) / decode(&without) - 1.5).abs() < 1e-9);
    let width = |object: &Value, name: &str| {
        let end = |end: &str| object["predicted"][name][end].as_f64().unwrap();
        (end("high") / end("value")).ln()
    };
    let narrowed = |name: &str| width(&with, name) / width(&without, name);
    assert!((narrowed("tpot_seconds") - 0.5).abs() < 1e-9 && (narrowed("ttft_seconds") - 1.0).abs() < 1e-9);
    assert_eq!(with["predicted"]["tpot_seconds"]["citation"], "calibrated by 5 models run on 2026-01-31");
    assert_eq!(with["calibration"]["factors"][0]["factor"]["value"], 1.5);
    assert!(without["calibration"].is_null() && without["predicted"]["tpot_seconds"]["citation"].is_null());
    let text = Slimfit::new(["explain", "smallest.json"]).folder(machine.folder()).run().done().stdout;
    assert!(text.contains("calibrated by 5 models") && text.contains("1.500"), "{text}");
    assert!(text.contains("intervals of decode: 0.50 × as wide"), "{text}");
    // Another runtime has no part in it.
    let other = explain(&machine, &["--engine=llama.cpp"]);
    assert!(other["calibration"].is_null());
}

#[test]
fn factors_that_cannot_be_are_refused_with_their_place() {
    let edits: [(&str, &str, &str); 5] = [
        ("interval_scale: 0.5", "interval_scale: -1", "calibration.errors[0].interval_scale"),
        ("value: 1.5", "value: 9", "calibration.factors[0].factor"),
        ("regime: cache, term: fixed", "regime: cache, term: work", "calibration.factors[1]"),
        ("engine: slimfit", "engine: llama.cpp", "calibration.engine"),
        ("phase: decode", "phase: training", "calibration.factors[0].phase"),
    ];
    for (from, to, field) in edits {
        let machine = calibrated(|text| text.replacen(from, to, 1));
        let file = machine.profile_file.to_str().unwrap();
        let finished = Slimfit::new(["explain", "smallest.json", "--json", "--profile", file])
            .folder(machine.folder())
            .run();
        assert_eq!(finished.code, 2, "{to}: {}", finished.stdout);
        let error = finished.object("error")["error"].clone();
        let place = format!("{} {}", error["field"], error["message"]);
        assert!(place.contains(field) || error["line"].is_u64(), "{to}: {error}");
    }
}

#[test]
fn what_is_found_is_stored_if_it_helps_and_only_then() {
    let machine = machine();
    let before = std::fs::read_to_string(&machine.profile_file).unwrap();
    let arguments =
        ["calibrate", "--samples=3", "--depth=16", "--prompt=8", "--out=calibrated.yaml", "--json"];
    let finished = Slimfit::new(arguments).folder(machine.folder()).run();
    let object = finished.object("calibrate");
    let helps = object["errors"].as_array().unwrap().iter().any(|error| error["helps"] == true);
    assert_eq!(object["stored"], helps);
    assert_eq!(finished.code, if helps { 0 } else { 1 }, "{}", finished.stderr);
    assert_eq!(machine.folder().join("calibrated.yaml").is_file(), helps);
    assert_eq!(object["errors"].as_array().unwrap().len(), 2, "decode and prefill");
    assert!(object["errors"].as_array().unwrap().iter().all(|error| error["interval_scale"].is_number()));
    assert_eq!(object["rows"].as_array().unwrap().len(), 6);
    assert_eq!(std::fs::read_to_string(&machine.profile_file).unwrap(), before, "`--out` is another file");
}

#[test]
fn profiles_and_models_that_cannot_be_calibrated_are_refused() {
    let machine = machine();
    let run = |arguments: &[&str]| {
        Slimfit::new([&["calibrate", "--json"], arguments].concat()).folder(machine.folder()).run()
    };
    let published = run(&["--profile=raspberry-pi-5"]).refused("cost");
    assert!(published["message"].as_str().unwrap().contains("publications"), "{published}");
    let few = run(&["--models=smollm2-135m,pythia-70m"]).refused("usage");
    assert_eq!((&few["field"], &few["found"]), (&"--models".into(), &"2".into()));
    assert!(run(&["--profile=search-spaces/none.yaml"]).code == 2);
    std::fs::write(machine.folder().join("other.yaml"), "schema: slimfit/space/v1\n").unwrap();
    assert!(run(&["--profile=other.yaml"]).stdout.contains("slimfit/profile/v1"));
}

#[test]
fn a_search_runs_the_most_telling_points_and_says_what_moved() {
    let machine = machine();
    let run = |arguments: &[&str]| {
        let all = [&["search", "--space", "slm-demo", "--max-memory", "40MiB", "--json"], arguments].concat();
        Slimfit::new(all).folder(machine.folder()).run()
    };
    let object =
        run(&["--workload", "control-loop", "--measure", "3", "--out", "refined"]).done().object("search");
    let refinement = &object["refinement"];
    let chosen = refinement["chosen"].as_array().unwrap();
    assert_eq!(chosen.len(), 3);
    let rows = refinement["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| chosen.contains(&row["id"])), "{rows:?}");
    assert_eq!(rows.len(), 6, "decoding and a prompt of each");
    let helps = refinement["errors"].as_array().unwrap().iter().any(|error| error["helps"] == true);
    assert_eq!(refinement["corrected"], helps);
    let moved = &refinement["moved"];
    assert_eq!(moved.is_null(), !helps);
    if helps {
        assert_eq!(moved["front_after"], object["front_size"]);
        let knee = moved["picks"].as_array().unwrap().iter().find(|pick| pick["pick"] == "knee").unwrap();
        assert_eq!(knee["moved"], knee["before"]["id"] != knee["after"]["id"]);
    }
    // What is learnt is kept in the study; the profile stays as it is.
    let stored = std::fs::read_to_string(machine.folder().join("refined/profile.yaml")).unwrap();
    assert_eq!(stored.contains("calibration"), helps);
    assert!(!std::fs::read_to_string(&machine.profile_file).unwrap().contains("calibration"));

    let engine = run(&["--measure", "3", "--engine", "llama.cpp", "--out", "other"]);
    assert_eq!(engine.refused("usage")["field"], "--measure");
    let device = run(&["--measure", "3", "--profile", "raspberry-pi-5", "--out", "other"]);
    assert_eq!(device.code, 2, "{}", device.stdout);
    assert_eq!(run(&["--measure", "2", "--out", "other"]).code, 2);
}
