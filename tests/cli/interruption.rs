//! Ctrl-C in the middle of `run` and `verify`: exit code 130, a second run goes on where the first stopped, and what was
//! timed is printed.

use crate::harness::{Slimfit, validate};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Waits for a file; longer than this, and something is broken.
fn wait_for(file: &Path) {
    let started = Instant::now();
    while !file.is_file() {
        assert!(started.elapsed() < Duration::from_secs(120), "{} never appeared", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", "--budget", "24", "--json"];
    let child = Slimfit::new(arguments).folder(folder.path()).spawn();
    let reports = folder.path().join("reports");
    let started = Instant::now();
    let study = loop {
        if let Some(entry) = std::fs::read_dir(&reports).ok().and_then(|mut entries| entries.next()) {
            break entry.unwrap().path();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the study's folder never appeared");
        std::thread::sleep(Duration::from_millis(20));
    };
    // The search's record follows its last file at once.
    wait_for(&study.join("front.csv"));
    std::thread::sleep(Duration::from_secs(1));
    let front = std::fs::read(study.join("front.json")).unwrap();
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));

    let object = Slimfit::new(arguments).folder(folder.path()).run().done().object("run");
    assert!(std::fs::read(study.join("front.json")).unwrap() == front, "the front was searched for again");
    let resumed: Vec<&str> = object["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["resumed"] == true)
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    assert!(resumed.starts_with(&["profile", "search"]), "{resumed:?}");
    let page = folder.path().join(object["report"].as_str().unwrap());
    assert!(page.is_file(), "{}", page.display());
    let listed =
        |kind: &str| object["files"].as_array().unwrap().iter().filter(|file| file["kind"] == kind).count();
    // Those of the emit step, and beside each a card; with measured figures where the budget was enough to measure it.
    let emitted = std::fs::read_dir(study.join("emitted")).unwrap();
    let cards: Vec<_> = emitted.map(|folder| folder.unwrap().path().join("README.md")).collect();
    assert!(!cards.is_empty() && listed("model-card") == cards.len(), "{cards:?}");
    let measured = |card: &&PathBuf| std::fs::read_to_string(card).unwrap().contains("Quartiles");
    assert!(cards.iter().filter(measured).count() > 0, "{cards:?}");

    // Finished: the next run starts anew, under a name of its own; other inputs never touch it either.
    assert_eq!(std::fs::read_dir(&reports).unwrap().count(), 1);
    let other =
        Slimfit::new(["run", "--budget", "24", "--seed", "2", "--out"]).argument(&study).argument("--json");
    let refused = other.folder(folder.path()).run();
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    assert!(std::fs::read(study.join("front.json")).unwrap() == front, "a refused run changed the study");

    a_stopped_verification_keeps_what_it_timed(folder.path());
}

fn a_stopped_verification_keeps_what_it_timed(folder: &Path) {
    let arguments = ["verify", "--space", "slm-tiny", "--samples", "40", "--prompt", "32", "--json"];
    let mut child = Slimfit::new(arguments).folder(folder).spawn();
    let mut progress = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
    let share = |line: &str| line.strip_prefix("verify: ")?.split(' ').next()?.parse::<u32>().ok();
    let late = progress.find_map(|line| share(&line.expect("UTF-8 on stderr")).filter(|share| *share > 0));
    assert!(late.is_some(), "it ended before it was well begun");
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("`kill` runs");
    // Both pipes are emptied at once: a full one would stop the child.
    let rest = std::thread::spawn(move || progress.map_while(Result::ok).collect::<Vec<String>>());
    let output = child.wait_with_output().expect("it ends");
    let rest = rest.join().expect("stderr was read");
    assert_eq!(output.status.code(), Some(130), "{}", rest.join("\n"));
    let object: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let broken = validate("verify", &object);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let warned = object["warnings"].as_array().expect("warnings are a list");
    assert!(warned.iter().any(|warning| warning["code"] == "interrupted"), "{warned:?}");
    let rows = object["rows"].as_array().expect("rows are a list");
    assert!(
        !rows.is_empty()
            && rows.iter().all(|row| row["measured"].as_f64().is_some_and(|seconds| seconds > 0.0))
    );
}
