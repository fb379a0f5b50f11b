//! `file_bytes`: the size of a model's file as objective and limit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::SPACE;
use crate::harness::Slimfit;
use serde_json::{Value, json};
use slimfit_arch::Architecture;
use slimfit_formats::gguf::data_bytes;

#[test]
fn the_size_of_the_file_is_an_objective_and_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.yaml"), SPACE).unwrap();
    let search = |more: &[&str]| {
        let arguments = ["search", "--space", "tiny.yaml", "--profile", "raspberry-pi-5", "--json"];
        let asked = ["--objectives", "loss,file_bytes"];
        Slimfit::new([&arguments[..], &asked, more].concat()).folder(folder.path()).run()
    };
    let head = search(&["--out", "study", "--dump-all", "all.csv"]).done().object("search");
    assert_eq!(head["objectives"][1], json!({ "name": "file_bytes", "unit": "B", "direction": "min" }));
    let text = std::fs::read_to_string(folder.path().join("study/front.json")).unwrap();
    let front: Value = serde_json::from_str(&text).unwrap();
    let points = front["points"].as_array().unwrap();
    assert!(points.len() > 1, "{text}");
    let mut sizes = Vec::new();
    for point in points {
        let architecture: Architecture = serde_json::from_value(point["architecture"].clone()).unwrap();
        let bytes = point["objectives"]["file_bytes"].as_f64().unwrap();
        let weights = point["weights"].as_str().unwrap().parse().unwrap();
        assert_eq!(bytes, data_bytes(&architecture, weights) as f64);
        assert_eq!(point["intervals"]["file_bytes"], json!({ "low": bytes, "high": bytes }));
        sizes.push(bytes);
    }
    let smallest = points.iter().find(|point| point["picks"].to_string().contains("smallest-file")).unwrap();
    let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(smallest["objectives"]["file_bytes"].as_f64().unwrap(), least);
    let csv = std::fs::read_to_string(folder.path().join("study/front.csv")).unwrap();
    assert!(csv.lines().next().unwrap().split(',').any(|column| column == "file_bytes"), "{csv}");
    let dumped = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert!(dumped.lines().next().unwrap().split(',').any(|column| column == "file_bytes"), "{dumped}");

    sizes.sort_by(f64::total_cmp);
    let limit = sizes[sizes.len() / 2] as u64;
    let limited =
        search(&["--out", "limited", "--max-file-bytes", &limit.to_string()]).done().object("search");
    assert_eq!(limited["constraints"], json!([{ "name": "file_bytes", "limit": limit as f64 }]));
    assert_eq!(limited["front_size"], sizes.iter().filter(|bytes| **bytes <= limit as f64).count());
    let missed = search(&["--out", "missed", "--max-file-bytes", "1MiB"]).done().object("search");
    assert_eq!(missed["front_size"], 0);
    assert_eq!(missed["nearest_miss"]["breaks"][0]["name"], "file_bytes");
    assert_eq!(missed["nearest_miss"]["breaks"][0]["value"].as_f64().unwrap(), least);
    let refused = search(&["--out", "refused", "--max-file-bytes", "0"]);
    assert_eq!(refused.code, 2);
}

#[test]
fn models_that_exist_are_held_to_the_size_of_their_file() {
    let rank = |more: &[&str]| {
        let arguments = ["rank", "smollm2-135m", "smollm2-360m", "--profile", "raspberry-pi-5", "--json"];
        Slimfit::new([&arguments[..], more].concat()).run().done().object("rank")
    };
    let found = rank(&["--weights", "q8_0", "--max-file-bytes", "200MiB"]);
    let candidates = found["candidates"].as_array().unwrap();
    let keeps = |name: &str| {
        let found = candidates.iter().find(|model| model["name"] == name).unwrap();
        (found["keeps_limits"].as_bool().unwrap(), &found["formats"][0])
    };
    let ((small, format), (large, broken)) = (keeps("smollm2-135m"), keeps("smollm2-360m"));
    assert!(small && !large, "{found}");
    // 134 515 008 values, 35 136 of them in norms.
    let bytes = (134_515_008_u64 - 35_136) / 32 * 34 + 4 * 35_136;
    assert_eq!(format["objectives"]["file_bytes"].as_f64().unwrap(), bytes as f64);
    assert_eq!(broken["breaks"][0]["name"], "file_bytes");
}

#[test]
fn tables_of_models_that_exist_show_the_size_of_the_file_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.yaml"), SPACE).unwrap();
    let device = ["--profile", "raspberry-pi-5"];
    let run =
        |arguments: &[&str]| Slimfit::new([arguments, &device].concat()).folder(folder.path()).run().done();
    let rank = ["rank", "smollm2-135m", "--weights", "q8_0"];
    // 134 515 008 values, 35 136 of them in norms: 136.4 MiB.
    let limited = run(&[&rank[..], &["--max-file-bytes", "200MiB"]].concat()).stdout;
    let has_column =
        |table: &str| table.lines().next().unwrap().split_whitespace().any(|head| head == "file");
    assert!(has_column(&limited), "{limited}");
    assert!(limited.contains("136 MiB"), "{limited}");
    let free = run(&rank).stdout;
    assert!(!has_column(&free) && !free.contains("136 MiB"), "{free}");

    let search = ["search", "--space", "tiny.yaml", "--candidates", "smollm2-135m"];
    let columns = |asked: &[&str], out: &str| {
        run(&[&search[..], asked, &["--out", out]].concat());
        Slimfit::new(["report", "--study", out]).folder(folder.path()).run().done();
        let page = std::fs::read_to_string(folder.path().join(out).join("report.html")).unwrap();
        let table = page.split("id=\"candidates-table\"").nth(1).expect("a table of candidates");
        table.split("</thead>").next().unwrap().matches("File size").count()
    };
    assert_eq!(columns(&["--objectives", "loss,file_bytes"], "objective"), 1);
    assert_eq!(columns(&["--objectives", "loss,tpot_seconds", "--max-file-bytes", "1GiB"], "limit"), 1);
    assert_eq!(columns(&["--objectives", "loss,tpot_seconds"], "neither"), 0);
}
