//! `slimfit report --compare`: two studies side by side.

use crate::harness::Slimfit;
use serde_json::Value;
use std::path::Path;

fn search(folder: &Path, profile: &str, more: &[&str], out: &str) {
    let arguments = ["search", "--space", "slm-demo", "--profile", profile, "--out", out];
    Slimfit::new(arguments.iter().chain(more)).folder(folder).run().done();
}

fn compared(folder: &Path, first: &str, second: &str) -> Value {
    let arguments = ["report", "--study", first, "--compare", second, "--out", "page", "--json"];
    Slimfit::new(arguments).folder(folder).run().done().object("report")
}

#[test]
fn two_devices_are_compared_in_words_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    search(folder, "raspberry-pi-5", &[], "five");
    search(folder, "raspberry-pi-4", &[], "four");
    let object = compared(folder, "five", "four");
    let comparison = &object["comparison"];
    let device = &comparison["conditions"][0];
    assert_eq!(device["what"], "device");
    assert!(device["first"].as_str().unwrap().contains("Pi 5"), "{device}");
    let fronts = &comparison["fronts"];
    assert!(fronts["on_both"].as_u64().unwrap() > 100, "the same space, and times that differ by a factor");
    let shift = |name: &str| {
        let shifts = fronts["shifts"].as_array().unwrap();
        shifts.iter().find(|shift| shift["objective"] == name).unwrap()["factor"].as_f64().unwrap()
    };
    assert!(shift("tpot_seconds") > 1.1, "the older board is slower");
    assert_eq!(shift("memory_bytes"), 1.0);
    let best = fronts["best"].as_array().unwrap();
    let time = best.iter().find(|change| change["name"] == "tpot_seconds").unwrap();
    assert_eq!(
        time["ratio"].as_f64().unwrap() > 1.0,
        time["second"]["value"].as_f64() > time["first"]["value"].as_f64()
    );

    // The other way round the same figures say the opposite.
    let back = compared(folder, "four", "five");
    let backwards = &back["comparison"]["fronts"];
    assert_eq!(backwards["first_beaten"], fronts["second_beaten"]);
    assert_eq!(backwards["second_beaten"], fronts["first_beaten"]);

    let sentences = back["sentences"].as_array().unwrap();
    let page = std::fs::read_to_string(folder.join("page/report.html")).unwrap();
    assert!(page.contains("id=\"compare-studies\""));
    let words = sentences[0].as_str().unwrap();
    assert!(words.starts_with("`four` and `five` differ in what they were given"), "{words}");
    let text =
        Slimfit::new(["report", "--study", "four", "--compare", "five"]).folder(folder).run().done().stdout;
    for sentence in sentences {
        assert!(text.contains(sentence.as_str().unwrap()), "{sentence}");
    }
}

#[test]
fn what_was_asked_differently_is_said_and_what_means_something_else_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    search(folder, "raspberry-pi-5", &["--objectives", "loss,tpot_seconds"], "long");
    search(folder, "raspberry-pi-5", &["--objectives", "loss,memory_bytes", "--tokens", "50B"], "short");
    let object = compared(folder, "long", "short");
    let fronts = &object["comparison"]["fronts"];
    assert_eq!(fronts["objectives"].as_array().unwrap().len(), 1, "{fronts}");
    assert_eq!(fronts["objectives"][0]["name"], "loss");
    let left_out = fronts["left_out"].as_array().unwrap();
    assert_eq!(
        (&left_out[0]["objective"], &left_out[0]["reason"]),
        (&"tpot_seconds".into(), &"only the first has it".into())
    );
    assert_eq!(
        (&left_out[1]["objective"], &left_out[1]["reason"]),
        (&"memory_bytes".into(), &"only the second has it".into())
    );
    let best = &fronts["best"][0];
    assert_eq!(best["name"], "loss");
    assert!(best["ratio"].as_f64().unwrap() > 1.0, "less training is worse: {best}");
    let given: Vec<&str> = object["comparison"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|given| given["what"].as_str())
        .collect();
    assert_eq!(given, ["training tokens", "objectives"]);

    let same = compared(folder, "long", "long");
    let first = same["sentences"][0].as_str().unwrap();
    assert_eq!(first, "`long (first)` and `long (second)` asked the same of the same device.");
    assert_eq!(
        (
            same["comparison"]["fronts"]["first_beaten"].as_u64(),
            same["comparison"]["fronts"]["second_beaten"].as_u64()
        ),
        (Some(0), Some(0))
    );
}

#[test]
fn a_folder_that_is_no_study_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    search(folder.path(), "raspberry-pi-5", &[], "five");
    let arguments = ["report", "--study", "five", "--compare", "nowhere", "--json"];
    let error = Slimfit::new(arguments).folder(folder.path()).run().refused("study");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!folder.path().join("five/report.html").exists(), "nothing is written");
}
