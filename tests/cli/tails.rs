//! Percentiles of times: in the profile, in what is predicted from it, and beside what was measured.

use crate::harness::Slimfit;
use crate::measured::machine;

#[test]
fn a_profile_tells_how_steps_scatter_and_predictions_follow() {
    let machine = machine();
    machine.write_smallest();
    let tails = machine.profile["noise"]["tails"].as_array().unwrap();
    assert!(tails.iter().any(|tail| tail["threads"] == 1), "{tails:?}");
    for tail in tails {
        let median = tail["seconds"]["value"].as_f64().unwrap();
        assert!(tail["p95_seconds"].as_f64().unwrap() >= median, "{tail}");
        assert!(tail["seconds"]["n"].as_u64().unwrap() >= 20, "{tail}");
    }
    let arguments = ["explain", "smallest.json", "--prompt", "64", "--json"];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("explain");
    for name in ["ttft_seconds", "tpot_seconds"] {
        let (central, tail) = (&object["predicted"][name], &object["predicted_percentiles"][name]);
        let value = |figure: &serde_json::Value| figure["value"].as_f64().unwrap();
        assert!(value(&tail["p95"]) >= value(central), "{object}");
        assert!(value(&tail["p99"]) >= value(&tail["p95"]), "{object}");
        assert_eq!(tail["p95"]["source"], "modelled");
    }
    let text = Slimfit::new(&arguments[..4]).folder(machine.folder()).run().done().stdout;
    assert!(text.contains("per token, 95 of 100"), "{text}");
}

#[test]
fn a_search_keeps_a_limit_on_the_95th_percentile_and_may_minimise_it() {
    let machine = machine();
    let search = |arguments: &[&str]| {
        let all = ["search", "--json"].iter().chain(arguments);
        Slimfit::new(all).folder(machine.folder()).run().done().object("search")
    };
    let objectives = ["--objectives", "loss,tpot_p95_seconds"];
    search(&[&objectives[..], &["--out", "free"]].concat());
    let free = machine.json("free/front.json");
    let slowest = |front: &serde_json::Value| {
        let points = front["points"].as_array().unwrap().iter();
        points.map(|point| point["objectives"]["tpot_p95_seconds"].as_f64().unwrap()).fold(0.0, f64::max)
    };
    let limit = slowest(&free) / 2.0;
    let flag = format!("--max-tpot-p95={limit}s");
    let head = search(&[&objectives[..], &["--out", "limited", &flag]].concat());
    assert_eq!(head["constraints"][0]["name"], "tpot_p95_seconds");
    let limited = machine.json("limited/front.json");
    assert!(limited["front_size"].as_u64().unwrap() > 0 && slowest(&limited) <= limit, "{limited}");
    let csv = std::fs::read_to_string(machine.folder().join("free/front.csv")).unwrap();
    assert!(csv.lines().next().unwrap().contains("tpot_p95_seconds"), "{csv}");
}

#[test]
fn a_published_device_has_no_percentiles_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let device = ["--profile", "raspberry-pi-5", "--json"];
    let explain = ["explain", "smollm2-135m"].iter().chain(&device);
    let object = Slimfit::new(explain).folder(folder.path()).run().done().object("explain");
    let p95 = &object["predicted_percentiles"]["tpot_seconds"]["p95"];
    assert_eq!(p95["source"], "unavailable");
    assert!(p95["reason"].as_str().unwrap().contains("publication"), "{p95}");
    let search = ["search", "--max-tpot-p95", "50ms", "--out", "study"].iter().chain(&device);
    let error = Slimfit::new(search).folder(folder.path()).run().refused("search");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`tpot_p95_seconds`") || error["found"] == "tpot_p95_seconds", "{error}");
}

#[test]
fn a_measurement_has_predicted_beside_measured_percentiles() {
    let machine = machine();
    machine.write_smallest();
    let arguments =
        ["measure", "smallest.json", "--prompt=8", "--generate=40", "--rounds=2", "--no-memory", "--json"];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("measure");
    assert!(object["percentiles"]["tpot_seconds"]["p99"].as_f64().unwrap() > 0.0);
    assert!(object["predicted_percentiles"]["tpot_seconds"]["p99"]["value"].as_f64().unwrap() > 0.0);
    let text = Slimfit::new(&arguments[..6]).folder(machine.folder()).run().done().stdout;
    assert!(text.contains("per token, 99 of 100"), "{text}");
}
