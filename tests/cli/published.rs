//! Devices described from publications, as a user names them.

use crate::harness::Slimfit;

#[test]
fn the_list_names_what_a_profile_may_be() {
    let object = Slimfit::new(["profile", "--list", "--json"]).run().done().object("devices");
    let devices = object["devices"].as_array().unwrap();
    for device in devices {
        assert_eq!(device["theoretical_bytes_per_s"]["source"], "published", "{device}");
    }
    assert!(devices.iter().any(|device| device["name"] == "raspberry-pi-5"));
    let text = Slimfit::new(["profile", "--list"]).run().done().stdout;
    assert_eq!(text.lines().count(), devices.len() + 1);
}

#[test]
fn a_search_of_one_has_no_prefill_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["search", "--space", "slm-demo", "--profile", "raspberry-pi-5", "--out", "study", "--json"];
    let object = Slimfit::new(arguments).folder(folder.path()).run().done().object("search");
    assert_eq!(object["engine"], "llama.cpp");
    assert_eq!(object["exact"], true);
    let objectives = object["objectives"].as_array().unwrap();
    assert!(objectives.iter().all(|objective| objective["name"] != "ttft_seconds"), "{objectives:?}");
    let codes: Vec<&str> = object["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    assert!(codes.contains(&"engine-modelled") && codes.contains(&"prefill-unavailable"), "{codes:?}");

    let same = ["search", "--space", "slm-demo", "--profile", "raspberry-pi-4", "--out", "study", "--json"];
    Slimfit::new(same).folder(folder.path()).run().refused("study");
    let limited = ["search", "--profile", "raspberry-pi-5", "--max-ttft", "1s", "--out", "other", "--json"];
    let error = Slimfit::new(limited).folder(folder.path()).run().refused("cost");
    assert!(error["message"].as_str().unwrap().contains("prefill time is unavailable"), "{error}");
}

#[test]
fn watts_given_for_a_device_make_joules_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let search = |more: &[&str]| {
        let mut arguments = vec!["search", "--profile", "apple-m1", "--json"];
        arguments.extend(more);
        Slimfit::new(arguments).folder(folder.path()).run().done().object("search")
    };
    let has_joules = |object: &serde_json::Value| {
        object["objectives"]
            .as_array()
            .unwrap()
            .iter()
            .any(|objective| objective["name"] == "joules_per_token")
    };
    assert!(!has_joules(&search(&["--out", "plain"])));
    assert!(has_joules(&search(&["--out", "given", "--power-watts", "1,8"])));
}

#[test]
fn explain_shows_the_engine_and_class_prefill_where_it_is_allowed() {
    let explain = |more: &[&str]| {
        let mut arguments = vec!["explain", "smollm2-135m", "--profile", "apple-m2", "--json"];
        arguments.extend(more);
        Slimfit::new(arguments).run().done().object("explain")
    };
    let object = explain(&[]);
    assert_eq!(object["engine"], "llama.cpp");
    assert_eq!(object["predicted"]["ttft_seconds"]["source"], "unavailable");
    assert_eq!(object["predicted"]["tpot_seconds"]["source"], "modelled");
    assert_eq!(object["phases"].as_array().unwrap().len(), 1);
    let object = explain(&["--allow-class-prefill"]);
    let ttft = &object["predicted"]["ttft_seconds"];
    let ratio = ttft["high"].as_f64().unwrap() / ttft["value"].as_f64().unwrap();
    assert!((ratio - 3.0).abs() < 1e-9, "{ttft}");
}

#[test]
fn what_a_device_or_an_engine_is_not_is_refused() {
    let refused =
        |arguments: &[&str], code: &str| Slimfit::new(arguments.iter().copied()).run().refused(code);
    let error =
        refused(&["explain", "smollm2-135m", "--profile", "raspbery-pi-5", "--json"], "unknown-profile");
    assert_eq!(error["hint"], "did you mean `raspberry-pi-5`?");
    let explain = ["explain", "smollm2-135m", "--profile", "apple-m1", "--json"];
    let error = refused(&[&explain[..], &["--engine", "lama.cpp"]].concat(), "usage");
    assert_eq!(
        (&error["allowed"], &error["hint"]),
        (&"slimfit, llama.cpp".into(), &"did you mean `llama.cpp`?".into())
    );
    let error = refused(&[&explain[..], &["--engine", "slimfit"]].concat(), "cost");
    assert!(
        error["message"].as_str().unwrap().contains("holds no times of slimfit's own kernels"),
        "{error}"
    );
    refused(&["profile", "--list", "--budget", "9", "--json"], "usage");
}
