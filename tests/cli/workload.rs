//! What models are used for, as a workload by name or as bytes of text on the command line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::SPACE;
use crate::harness::{Finished, Slimfit};
use serde_json::Value;
use std::path::Path;

fn search(folder: &Path, more: &[&str]) -> Finished {
    let arguments = ["search", "--space", "tiny.yaml", "--profile", "raspberry-pi-5", "--json"];
    Slimfit::new([&arguments[..], more].concat()).folder(folder).run()
}

fn front(folder: &Path, study: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(study).join("front.json")).unwrap()).unwrap()
}

#[test]
fn bytes_of_text_stand_for_a_workload() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("tiny.yaml"), SPACE).unwrap();
    search(folder, &["--workload", "assistant", "--out", "named"]).done();
    let bytes = ["--prompt-bytes", "2000", "--generated-bytes", "800"];
    let head = search(folder, &[&bytes[..], &["--out", "bytes"]].concat()).done().object("search");
    assert_eq!(head["workload"], "2000-in-800-out");
    assert_eq!(front(folder, "named")["points"], front(folder, "bytes")["points"]);
    // The study's copy is a workload like any other.
    search(folder, &["--workload", "bytes/workload.yaml", "--out", "copied"]).done();
    assert_eq!(front(folder, "copied")["points"], front(folder, "bytes")["points"]);

    let deep = search(folder, &[&bytes[..], &["--depth-bytes", "16KiB", "--out", "deep"]].concat()).done();
    assert_eq!(deep.object("search")["workload"], "2000-in-800-out-at-16384");
    assert_ne!(front(folder, "deep")["points"], front(folder, "bytes")["points"]);
    let other = search(folder, &[&bytes[..], &["--depth-bytes", "8KiB", "--out", "deep"]].concat());
    let error = other.refused("study");
    assert!(error["message"].as_str().unwrap().contains("2000-in-800-out-at-16384"), "{error}");
}

#[test]
fn half_a_workload_is_refused_by_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("tiny.yaml"), SPACE).unwrap();
    for (more, named) in [
        (&["--prompt-bytes", "2000"][..], "--generated-bytes"),
        (&["--generated-bytes", "2000"], "--prompt-bytes"),
        (&["--depth-bytes", "2000"], "--prompt-bytes"),
        (&["--workload", "summary", "--prompt-bytes", "20", "--generated-bytes", "20"], "--workload"),
    ] {
        let error = search(folder, more).refused("usage");
        assert!(error.to_string().contains(named), "{more:?}: {error}");
    }
    let none = search(folder, &["--prompt-bytes", "0", "--generated-bytes", "20"]).refused("invalid");
    assert_eq!((&none["field"], &none["found"]), (&"prompt_bytes".into(), &"0".into()));
    let rank = ["rank", "smollm2-135m", "--profile", "raspberry-pi-5", "--json", "--prompt-bytes", "5GiB"];
    let much = Slimfit::new([&rank[..], &["--generated-bytes", "20"]].concat()).folder(folder).run();
    assert_eq!(much.refused("invalid")["field"], "prompt_bytes");
}
