//! Searches that are killed at any moment, and searches of several processes: the front, the table and the counters are those
//! of one that nothing disturbed.

use crate::harness::{Slimfit, validate};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Output};
use std::sync::OnceLock;
use std::time::Duration;

/// Over a hundred units, so that a process is met in the middle of things.
pub(crate) const SPACE: &str = "schema: slimfit/space/v1
name: many
description: Shapes enough for a search of some seconds.
axes:
  layers: {from: 6, to: 30, step: 1}
  hidden_size: {from: 256, to: 1280, step: 64}
  head_size: [32, 64]
  heads: [hidden_size / head_size, 0.75 * hidden_size / head_size, 0.5 * hidden_size / head_size]
  kv_heads: [heads, heads / 2, heads / 3, heads / 4]
  ffn: {from: 1, to: 8, step: 0.0625, times: hidden_size, round: 32}
  gated: [true, false]
  window: [none, {size: 512, full_every: 4}, {size: 1024, full_every: 6}]
  vocabulary_size: [32768, 49152]
  tied_embeddings: [true, false]
  weights: [f32, bf16, q8_0, q4_0]
  kv: [f32, f16]
constraints:
  non_embedding: {min: 5M}
";

/// What a search without any disturbance leaves.
struct Undisturbed {
    points: Value,
    table: String,
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("many.yaml"), SPACE).expect("it can be written");
    folder
}

fn search(folder: &Path) -> Slimfit {
    let arguments =
        ["search", "--space", "many.yaml", "--profile", "raspberry-pi-5", "--out", "study", "--json"];
    Slimfit::new(arguments).folder(folder)
}

fn read(folder: &Path) -> Undisturbed {
    let text = std::fs::read_to_string(folder.join("study/front.json")).expect("a front");
    let mut front: Value = serde_json::from_str(&text).expect("JSON");
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let table = std::fs::read_to_string(folder.join("study/front.csv")).expect("a table");
    Undisturbed { points: front["points"].take(), table }
}

fn undisturbed() -> &'static Undisturbed {
    static FRONT: OnceLock<Undisturbed> = OnceLock::new();
    FRONT.get_or_init(|| {
        let folder = folder();
        let object = search(folder.path()).run().done().object("search");
        assert!(object["front_size"].as_u64() > Some(50), "{object}");
        read(folder.path())
    })
}

/// What a process printed that ended by itself: every point of the space is counted once.
fn whole(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let errors = validate("search", &object);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let count = |field: &str| object[field].as_u64().expect("a count");
    let pruned = object["pruned"].as_array().expect("a list").iter();
    let pruned: u64 = pruned.map(|bound| bound["count"].as_u64().expect("a count")).sum();
    assert_eq!(count("space_size"), count("invalid") + count("evaluated") + pruned, "{object}");
    assert_eq!((&object["unvisited"], &object["exact"]), (&0.into(), &true.into()));
    object
}

/// The front lies in the folder as if nothing had happened.
fn check(folder: &Path) {
    let (found, expected) = (read(folder), undisturbed());
    assert!(found.points == expected.points, "another front");
    assert!(found.table == expected.table, "another table");
    let show = Slimfit::new(["study", "show", "study", "--check", "--json"]).folder(folder).run().done();
    let show: Value = serde_json::from_str(&show.stdout).expect("one object");
    let searches = show["searches"].as_array().expect("a list");
    assert_eq!(searches.len(), 1, "every process took up the same search: {show}");
    assert_eq!((&searches[0]["state"], &searches[0]["units_done"]), (&"finished".into(), &0.into()));
    // A front has all of it: nobody is left to be waited for.
    let left = std::fs::read_dir(folder.join("study")).expect("a folder");
    let left = left.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let left: Vec<String> = left.filter(|name| name.starts_with(".front-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Units that are done of a search that is not finished.
fn units_done(folder: &Path) -> u64 {
    if !folder.join("study/study.sqlite").is_file() {
        return 0;
    }
    let show = Slimfit::new(["study", "show", "study", "--check", "--json"]).folder(folder).run().done();
    let show: Value = serde_json::from_str(&show.stdout).expect("one object");
    show["searches"][0]["units_done"].as_u64().unwrap_or(0)
}

fn draw(state: &mut u64, most: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % most
}

#[test]
fn a_search_killed_again_and_again_ends_as_if_nothing_had_happened() {
    let (folder, seed) = (folder(), 20_261_127);
    println!("seed {seed}");
    let (mut state, mut kills, mut done, mut advances, mut idle) = (seed, 0, 0, 0, 0);
    let output = loop {
        let mut child = search(folder.path()).spawn();
        // Lives are short, and on a slow machine longer until one gets on.
        std::thread::sleep(Duration::from_millis(draw(&mut state, 600 + 400 * idle)));
        if kills < 12 {
            child.kill().expect("it can be killed");
        }
        let output = child.wait_with_output().expect("it ends");
        if output.status.success() {
            break output;
        }
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        kills += 1;
        let now = units_done(folder.path());
        assert!(now >= done, "{now} units are done where {done} were");
        (advances, idle) = if now > done { (advances + 1, 0) } else { (advances, idle + 1) };
        done = now;
    };
    println!("killed {kills} times, of which {advances} lives got on");
    assert!(kills >= 3 && advances >= 2, "killed {kills} times, of which {advances} lives got on");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let share = said.split("resuming: ").nth(1).and_then(|rest| rest.split(' ').next());
    let share: u32 = share.and_then(|share| share.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    assert!(share > 0 && share <= 100 && said.contains("the space is done"), "{said}");
    whole(&output);
    check(folder.path());
    // Finished: the same question is searched anew.
    let again = search(folder.path()).run().done();
    assert!(!again.stderr.contains("resuming"), "{}", again.stderr);
}

/// Lets two processes search in one folder, and does something to the first of them.
fn pair(folder: &Path, disturb: impl FnOnce(&mut Child)) -> [Output; 2] {
    let mut first = search(folder).spawn();
    let second = search(folder).spawn();
    disturb(&mut first);
    [first, second].map(|child| child.wait_with_output().expect("it ends"))
}

#[test]
fn two_processes_share_a_search_and_both_end_with_its_front() {
    let folder = folder();
    let ends = pair(folder.path(), |_| {});
    let objects = ends.each_ref().map(whole);
    assert_eq!(objects[0]["front_size"], objects[1]["front_size"]);
    check(folder.path());
    let joined = ends.iter().filter(|end| String::from_utf8_lossy(&end.stderr).contains("joining another"));
    assert!(joined.count() >= 1, "neither heard of the other");
}

#[test]
fn of_two_processes_one_goes_on_when_the_other_is_killed() {
    let folder = folder();
    let [killed, other] = pair(folder.path(), |first| {
        while units_done(folder.path()) == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        first.kill().expect("it can be killed");
    });
    assert_eq!(killed.status.code(), None, "it ended before it was killed");
    whole(&other);
    check(folder.path());
}

#[test]
fn an_unfinished_search_of_another_space_is_left_alone() {
    let folder = folder();
    let mut child = search(folder.path()).spawn();
    while units_done(folder.path()) == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let done = units_done(folder.path());
    let other = ["search", "--profile", "raspberry-pi-5", "--out", "study", "--json"];
    let error = Slimfit::new(other).folder(folder.path()).run().refused("study");
    let message = error["message"].as_str().expect("a sentence");
    assert!(message.contains("`many`") && message.contains("is not finished"), "{message}");
    assert_eq!(units_done(folder.path()), done);
}
