//! Values that are offered under conditions, as a user meets them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::CONFIG;
use crate::harness::Slimfit;

const SPACE: &str = "\
schema: slimfit/space/v1
name: conditional
description: Values that small models are not offered.
axes:
  layers: [8, 12]
  hidden_size: [256, 320]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: heads
  ffn: [2 * hidden_size, {value: 3 * hidden_size, when: layers >= 12 or weights == q4_0}]
  gated: true
  window: none
  vocabulary_size: [16384, {value: 32768, when: hidden_size >= 320}]
  tied_embeddings: true
  weights: [q8_0, q4_0]
  kv: [f16]
exclude: [weights == q4_0 and vocabulary_size == 32768]
";

#[test]
fn a_space_tells_what_conditions_take_away_and_a_search_counts_the_same() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("space.yaml"), SPACE).unwrap();
    std::fs::write(folder.path().join("config.json"), CONFIG).unwrap();
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run();

    let space = run(&["space", "space.yaml", "--json"]).done().object("space-summary");
    // Of 32 points 8 take the large table at the small width, 4 of the large width are excluded for it, and of the other 20
    // the wide part is not offered at 8 layers in q8_0: at the small width once, at the large one twice.
    assert_eq!((&space["size"], &space["possible"]), (&32.into(), &17.into()), "{space}");
    let reasons = serde_json::json!([
        { "reason": "excluded: weights == q4_0 and vocabulary_size == 32768", "count": 4 },
        { "reason": "ffn 3 * hidden_size is offered only when layers >= 12 or weights == q4_0", "count": 3 },
        { "reason": "vocabulary_size 32768 is offered only when hidden_size >= 320", "count": 8 },
    ]);
    assert_eq!(space["invalid_by"], reasons);
    let text = run(&["space", "space.yaml"]).done().stdout;
    assert!(
        text.contains("refused     8: vocabulary_size 32768 is offered only when hidden_size >= 320"),
        "{text}"
    );

    let search = ["search", "--space", "space.yaml", "--profile", "raspberry-pi-5", "--assume", "vocab"];
    let more = ["--dump-all", "all.csv", "--out", "study", "--json"];
    let found = run(&[&search[..], &more].concat()).done().object("search");
    assert_eq!(found["space_size"], 32);
    // Bounds may rule points out before a rule about their layers is asked.
    for reason in reasons.as_array().unwrap() {
        let mut counted = found["invalid_by"].as_array().unwrap().iter();
        let counted = counted.find(|counted| counted["reason"] == reason["reason"]);
        let count = counted.map_or(0, |counted| counted["count"].as_u64().unwrap());
        let all = reason["count"].as_u64().unwrap();
        assert!(count == all || (count < all && reason["reason"].as_str().unwrap().starts_with("ffn")));
    }
    let dumped = std::fs::read_to_string(folder.path().join("all.csv")).unwrap();
    let mut lines = dumped.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let place = |name: &str| columns.iter().position(|column| *column == name).unwrap();
    let (width, ffn, table) = (place("hidden_size"), place("ffn"), place("vocabulary_size"));
    let (layers, weights) = (place("layers"), place("weights"));
    let mut rows = 0;
    for row in lines {
        let wide = row[ffn] == if row[width] == "256" { "768" } else { "960" };
        assert!(!wide || row[layers] == "12" || row[weights] == "q4_0", "{row:?}");
        assert!(row[table] == "16384" || (row[width] == "320" && row[weights] == "q8_0"), "{row:?}");
        rows += 1;
    }
    assert_eq!(rows, 17, "{dumped}");

    // The model of 256 with the table of 32768.
    let why =
        run(&["why", "--study", "study", "config.json", "--weights", "q8_0", "--json"]).done().object("why");
    let outside = why["outside"].as_array().unwrap();
    let of = |axis: &str| outside.iter().find(|outside| outside["axis"] == axis).unwrap();
    assert_eq!(of("vocabulary_size")["allowed"], "16384; 32768 only when hidden_size >= 320");
    assert_eq!(of("vocabulary_size")["nearest"], "16384");
    assert_eq!(of("ffn")["allowed"], "512; 3 * hidden_size only when layers >= 12 or weights == q4_0");
}

#[test]
fn a_space_of_which_conditions_leave_nothing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Each condition may hold, and never both of them.
    let nothing = SPACE
        .replace("vocabulary_size: [16384, ", "vocabulary_size: [")
        .replace("  kv: [f16]", "  kv: [{value: f16, when: hidden_size < 300}]");
    std::fs::write(folder.path().join("space.yaml"), nothing).unwrap();
    let text = Slimfit::new(["space", "space.yaml"]).folder(folder.path()).run().done().stdout;
    assert!(text.contains("no point of the space is possible"), "{text}");
    assert!(text.contains("kv f16 is offered only when hidden_size < 300"), "{text}");

    let never = SPACE.replace("hidden_size >= 320", "hidden_size >= 400");
    std::fs::write(folder.path().join("space.yaml"), never).unwrap();
    let refused = Slimfit::new(["space", "space.yaml", "--json"]).folder(folder.path()).run();
    let error = refused.refused("never-offered");
    assert_eq!((&error["line"], &error["field"]), (&13.into(), &"axes.vocabulary_size[1].when".into()));
    assert_eq!(error["hint"], "`hidden_size` offers 256, 320");
}
