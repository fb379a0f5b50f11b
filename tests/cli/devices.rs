//! One model for several devices: the front of the worst over them and that of each, what the study keeps of it, and what
//! does not go with several.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::harness::{Finished, Slimfit, validate};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

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
";

/// A folder with the space and two devices: one that is built in, and the same with another bandwidth.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small.yaml"), SPACE).unwrap();
    let built_in = include_str!("../../hardware-profiles/raspberry-pi-5.yaml");
    for (file, bandwidth) in
        [("a.yaml", "17070000000.0"), ("b.yaml", "9000000000.0"), ("c.yaml", "8000000000.0")]
    {
        let text = built_in.replace("17070000000.0", bandwidth).replace("12000000000.0", "7000000000.0");
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn search(folder: &Path, more: &[&str]) -> Finished {
    Slimfit::new(["search", "--space", "small.yaml"].iter().chain(more)).folder(folder).run()
}

fn front(folder: &Path, study: &str) -> Value {
    let front: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join(study).join("front.json")).unwrap())
            .unwrap();
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    front
}

const OBJECTIVES: &str = "loss,tpot_seconds,memory_bytes";

/// A table of a study or of all points, by id.
fn table(file: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: BTreeMap<String, String> =
            names.iter().map(ToString::to_string).zip(line.split(',').map(str::to_owned)).collect();
        (cells["id"].clone(), cells)
    };
    lines.map(row).collect()
}

fn numbers(row: &BTreeMap<String, String>, names: &[&str]) -> Vec<f64> {
    names.iter().map(|name| row[*name].parse().unwrap()).collect()
}

/// Ids of the points that no other one dominates.
fn non_dominated(points: &BTreeMap<String, Vec<f64>>) -> BTreeSet<String> {
    let dominates = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
    let open = points.iter().filter(|(_, point)| !points.values().any(|other| dominates(other, point)));
    open.map(|(id, _)| id.clone()).collect()
}

fn ids(front: &Value) -> BTreeSet<String> {
    let points = front["points"].as_array().unwrap().iter();
    points.map(|point| point["id"].as_str().unwrap().to_owned()).collect()
}

/// What each point takes on each device, by searches of one device.
fn alone(folder: &Path) -> [BTreeMap<String, Vec<f64>>; 2] {
    ["raspberry-pi-4", "a.yaml"].map(|profile| {
        let (out, dump) = (format!("alone-on-{profile}"), format!("{profile}.csv"));
        let more = ["--profile", profile, "--objectives", OBJECTIVES, "--out", &out, "--dump-all", &dump];
        search(folder, &more).done();
        let rows = table(&folder.join(dump));
        let names: Vec<&str> = OBJECTIVES.split(',').collect();
        rows.into_iter().map(|(id, row)| (id, numbers(&row, &names))).collect()
    })
}

#[test]
fn the_front_is_that_of_the_worst_or_of_each_of_what_every_device_takes_alone() {
    let folder = folder();
    let folder = folder.path();
    let alone = alone(folder);
    let two = ["--profile", "raspberry-pi-4", "--profile", "a.yaml", "--objectives", OBJECTIVES, "--json"];

    let object = search(folder, &[&two[..], &["--out", "worst", "--dump-all", "worst.csv"]].concat())
        .done()
        .object("search");
    let worst: BTreeMap<String, Vec<f64>> = alone[0]
        .iter()
        .map(|(id, one)| (id.clone(), one.iter().zip(&alone[1][id]).map(|(a, b)| a.max(*b)).collect()))
        .collect();
    let written = front(folder, "worst");
    assert_eq!(ids(&written), non_dominated(&worst));
    assert_eq!(object["profiles"].as_array().unwrap().len(), 2);
    assert_eq!(object["profiles"][0], object["profile"]);
    assert_ne!(object["profiles"][0]["sha256"], object["profiles"][1]["sha256"]);
    assert_eq!(object["objectives"][1]["name"], "tpot_seconds");
    assert!(object["shortlist"][0]["by_device"][1]["threads"].as_u64().is_some(), "{object}");
    for point in written["points"].as_array().unwrap() {
        let id = point["id"].as_str().unwrap();
        for (place, name) in OBJECTIVES.split(',').enumerate() {
            assert_eq!(point["objectives"][name].as_f64().unwrap(), worst[id][place], "{name} of {id}");
            for device in 0..2 {
                let own = point["by_device"][device]["objectives"][name].as_f64();
                let expected = if name == "loss" { None } else { Some(alone[device][id][place]) };
                assert_eq!(own, expected, "{name} of {id} on {device}");
            }
        }
    }
    for (id, row) in table(&folder.join("worst/front.csv")) {
        assert_eq!(numbers(&row, &["tpot_seconds"]), [worst[&id][1]]);
        let own = numbers(&row, &["tpot_seconds@1", "tpot_seconds@2", "memory_bytes@1", "memory_bytes@2"]);
        assert_eq!(own, [alone[0][&id][1], alone[1][&id][1], alone[0][&id][2], alone[1][&id][2]]);
        assert!(numbers(&row, &["threads@1", "threads@2"]).iter().all(|threads| *threads >= 1.0));
    }
    assert_eq!(table(&folder.join("worst.csv")).len(), worst.len());

    let object = search(
        folder,
        &[&two[..], &["--devices", "each", "--out", "each", "--dump-all", "each.csv"]].concat(),
    )
    .done()
    .object("search");
    let each: BTreeMap<String, Vec<f64>> = alone[0]
        .iter()
        .map(|(id, one)| (id.clone(), vec![one[0], one[1], alone[1][id][1], one[2], alone[1][id][2]]))
        .collect();
    let written = front(folder, "each");
    assert_eq!(ids(&written), non_dominated(&each));
    let names = ["loss", "tpot_seconds@1", "tpot_seconds@2", "memory_bytes@1", "memory_bytes@2"];
    let objectives = object["objectives"].as_array().unwrap();
    assert_eq!(
        objectives.iter().map(|objective| objective["name"].as_str().unwrap()).collect::<Vec<_>>(),
        names
    );
    assert_eq!(objectives[2]["by_device"], serde_json::json!({"objective": "tpot_seconds", "device": 2}));
    for rows in [table(&folder.join("each/front.csv")), table(&folder.join("each.csv"))] {
        assert!(!rows.is_empty());
        for (id, row) in rows {
            assert_eq!(numbers(&row, &names), each[&id]);
        }
    }
    let picks: Vec<&str> = written["points"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|point| point["picks"].as_array().unwrap())
        .map(|pick| pick.as_str().unwrap())
        .collect();
    assert!(picks.contains(&"fastest-on-1") && picks.contains(&"fastest-on-2"), "{picks:?}");
}

#[test]
fn a_limit_holds_on_every_device() {
    let folder = folder();
    let two = ["--profile", "a.yaml", "--profile", "b.yaml", "--objectives", OBJECTIVES];
    search(folder.path(), &[&two[..], &["--out", "free"]].concat()).done();
    let front_of = |study: &str| front(folder.path(), study)["points"].as_array().unwrap().clone();
    let taken = |point: &Value, device: usize| {
        point["by_device"][device]["objectives"]["tpot_seconds"].as_f64().unwrap()
    };
    // Most points keep it on the faster device.
    let mut slow: Vec<f64> = front_of("free").iter().map(|point| taken(point, 1)).collect();
    slow.sort_by(f64::total_cmp);
    let limit = slow[slow.len() / 2];
    assert!(front_of("free").iter().any(|point| taken(point, 0) <= limit && taken(point, 1) > limit));
    for (devices, study) in [("worst", "limited"), ("each", "limited-each")] {
        let limit_text = format!("{}", limit);
        let more = ["--max-tpot", &limit_text, "--devices", devices, "--out", study];
        search(folder.path(), &[&two[..], &more].concat()).done();
        let points = front_of(study);
        assert!(
            !points.is_empty()
                && points.iter().all(|point| taken(point, 0) <= limit && taken(point, 1) <= limit)
        );
    }
}

#[test]
fn a_study_of_several_devices_is_whole_and_answers() {
    let folder = folder();
    let folder = folder.path();
    for (devices, study) in [("worst", "worst"), ("each", "each")] {
        let two =
            ["--profile", "a.yaml", "--profile", "b.yaml", "--objectives", OBJECTIVES, "--devices", devices];
        let more = ["--candidates", "public", "--out", study];
        let said = search(folder, &[&two[..], &more].concat()).done();
        assert!(said.stdout.contains("@1 Raspberry Pi 5, @2 Raspberry Pi 5"), "{}", said.stdout);
        let file = |name: &str| std::fs::read_to_string(folder.join(study).join(name)).unwrap();
        assert!(
            file("profile.yaml").contains("17070000000") && file("profile-2.yaml").contains("9000000000")
        );
        let again = search(folder, &[&two[..], &["--out", study, "--json"]].concat()).done().object("search");
        let files = again["files"].as_array().unwrap();
        assert!(
            files.iter().any(|file| file["path"].as_str().unwrap().ends_with("profile-2.yaml")),
            "{again}"
        );
        let written = front(folder, study);

        // Other devices belong into another folder.
        for other in [&["--profile", "a.yaml"][..], &["--profile", "raspberry-pi-4", "--profile", "a.yaml"]] {
            let more = [other, &["--objectives", OBJECTIVES, "--out", study, "--json"]].concat();
            let error = search(folder, &more).refused("study");
            let both = "on `Raspberry Pi 5` and `Raspberry Pi 5`";
            assert!(error["message"].as_str().unwrap().contains(both), "{error}");
        }
        assert_eq!(front(folder, study)["points"], written["points"]);

        let point = written["points"][0]["id"].as_str().unwrap();
        let why = |model: &str| {
            let arguments = ["why", "--study", study, model, "--json"];
            Slimfit::new(arguments).folder(folder).run().done().object("why")
        };
        assert_eq!(why(point)["verdict"], "on-front");
        let public = why("smollm2-135m");
        let objectives = public["model"]["objectives"].as_object().unwrap();
        let value = |name: &str| objectives[name].as_f64().unwrap();
        if devices == "each" {
            assert!(value("tpot_seconds@1") < value("tpot_seconds@2"), "{public}");
        } else {
            assert!(value("tpot_seconds") > 0.0 && !objectives.contains_key("tpot_seconds@1"), "{public}");
        }
        let text = Slimfit::new(["why", "--study", study, "smollm2-135m"]).folder(folder).run().done().stdout;
        assert!(text.contains(if devices == "each" { "memory @2" } else { "per byte of text" }), "{text}");

        Slimfit::new(["report", "--study", study]).folder(folder).run().done();
        let page = file("report.html");
        assert!(page.contains("Raspberry Pi 5 (1) and Raspberry Pi 5 (2)"), "both devices are named");
        assert_eq!(page.contains("Time per token, device 2"), devices == "each");
        assert_eq!(page.contains("take less time per token on device 2"), devices == "each");
        assert!(!page.contains("The search gave it this name"), "each pick says why it is one");
        Slimfit::new(["study", "show", study, "--check"]).folder(folder).run().done();
    }
}

#[test]
fn a_search_of_two_devices_that_was_killed_goes_on_where_it_was() {
    let folder = folder();
    std::fs::write(folder.path().join("many.yaml"), crate::resume::SPACE).unwrap();
    let search = |out: &str| {
        let two = ["search", "--space", "many.yaml", "--profile", "raspberry-pi-4", "--profile", "a.yaml"];
        let more =
            ["--objectives", "loss_per_byte,seconds_per_byte", "--devices", "each", "--out", out, "--json"];
        Slimfit::new(two.iter().chain(&more)).folder(folder.path())
    };
    search("whole").run().done();
    let mut begun = search("killed").spawn();
    let started = || -> Option<u64> {
        if !folder.path().join("killed/study.sqlite").is_file() {
            return None;
        }
        let show = Slimfit::new(["study", "show", "killed", "--json"]).folder(folder.path()).run().done();
        let show: Value = serde_json::from_str(&show.stdout).unwrap();
        show["searches"][0]["units_done"].as_u64()
    };
    let mut done = 0;
    while done == 0 {
        assert!(begun.try_wait().unwrap().is_none(), "it ended before it could be killed");
        done = started().unwrap_or(0);
        std::thread::sleep(Duration::from_millis(10));
    }
    begun.kill().unwrap();
    begun.wait_with_output().unwrap();
    search("killed").run().done().object("search");
    assert_eq!(front(folder.path(), "killed")["points"], front(folder.path(), "whole")["points"]);
}

#[test]
fn what_does_not_go_with_several_devices_is_refused_by_name() {
    let folder = folder();
    let refused = |more: &[&str], code: &str| -> Value {
        search(folder.path(), &[more, &["--json"]].concat()).refused(code)
    };
    let two = ["--profile", "a.yaml", "--profile", "b.yaml"];
    let with = |more: &[&'static str]| [&two[..], more].concat();

    let error = refused(&["--profile", "a.yaml", "--profile", "./a.yaml"], "usage");
    assert_eq!(error["field"], "--profile");
    assert!(error["found"].as_str().unwrap().contains("`a.yaml` and `./a.yaml`"), "{error}");
    let error = refused(&["--profile", "a.yaml", "--profile", "missing.yaml"], "file-missing");
    assert!(error["file"].as_str().unwrap().ends_with("missing.yaml"), "{error}");
    let error = refused(&["--profile", "a.yaml", "--devices", "each"], "usage");
    assert_eq!(error["field"], "--devices");
    let error = refused(&with(&["--power-watts", "2.7,6.5"]), "usage");
    assert_eq!(error["field"], "--power-watts");
    for more in
        [&["--measure", "3"][..], &["--evaluator", "true", "--measures", "loss", "--evaluations", "5"]]
    {
        let error = refused(&with(more), "several-devices");
        assert!(error["message"].as_str().unwrap().contains(more[0]), "{error}");
    }
    let layers = ["search", "--space", "slm-layers", "--json"];
    let layers = Slimfit::new(layers.iter().chain(&two)).folder(folder.path()).run();
    let error = layers.refused("search");
    assert!(error["message"].as_str().unwrap().contains("several profiles"), "{error}");

    // One of the devices tells no power: it is said which.
    let powered = ["--profile", "a.yaml", "--profile", "apple-m1", "--objectives", "loss,joules_per_token"];
    let error = refused(&powered, "device-objective");
    assert_eq!(error["field"], "joules_per_token");
    assert!(error["found"].as_str().unwrap().contains("`Apple M1`"), "{error}");
    assert!(error["message"].as_str().unwrap().contains("device 2 of 2"), "{error}");

    let crowded = with(&[
        "--profile",
        "c.yaml",
        "--devices",
        "each",
        "--objectives",
        "loss,tpot_seconds,seconds_per_byte,memory_bytes,parameters,tpot_seconds,memory_bytes",
    ]);
    let error = refused(&crowded, "search");
    assert!(error["message"].as_str().unwrap().contains("each on 3 devices"), "{error}");
}
