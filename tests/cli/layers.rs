//! Spaces whose layers choose for themselves, as a user meets them.

use crate::harness::Slimfit;
use serde_json::Value;

const SPACE: &str = "\
schema: slimfit/space/v1
name: small-layers
description: Six layers that need not be alike.
axes:
  layers: [6, 70]
  hidden_size: 512
  head_size: 64
  heads: 8
  kv_heads: [heads, heads / 2]
  ffn: [1024, 1536, 2048, 3072]
  gated: true
  window: [none, 512]
  vocabulary_size: 32768
  tied_embeddings: true
  weights: [q8_0, q4_0]
  kv: f16
per_layer: [kv_heads, ffn, window]
constraints:
  parameters: {max: 200M}
portable: []
";

/// A count that may be past 2^53; none of these is past 2^128 but the whole, which is asked for by its text.
fn digits(count: &Value) -> String {
    count.as_str().map_or_else(|| count.to_string(), str::to_owned)
}

/// The sum of decimal numbers of any length.
fn sum(numbers: &[String]) -> String {
    let longest = numbers.iter().map(String::len).max().unwrap_or(0);
    let (mut total, mut carry) = (Vec::new(), 0);
    for place in 0..=longest + 1 {
        let of = |number: &String| {
            let digit = number.len().checked_sub(place + 1).map(|index| number.as_bytes()[index] - b'0');
            u32::from(digit.unwrap_or(0))
        };
        carry += numbers.iter().map(of).sum::<u32>();
        total.push(char::from(b'0' + (carry % 10) as u8));
        carry /= 10;
    }
    let text: String = total.into_iter().rev().collect();
    let text = text.trim_start_matches('0');
    if text.is_empty() { "0".to_owned() } else { text.to_owned() }
}

#[test]
fn the_front_of_a_space_of_ten_to_the_84_is_exact_and_its_models_run() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("layers.yaml"), SPACE).unwrap();
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run();

    let space = run(&["space", "layers.yaml", "--json"]).done().object("space-summary");
    assert_eq!(space["per_layer"], serde_json::json!(["kv_heads", "ffn", "window"]));
    let size = digits(&space["size"]);
    // 2 formats of 16 kinds to the 70th power and to the 6th.
    assert_eq!(size.len(), 85, "{size}");
    assert_eq!(space["examples"].as_array().unwrap().len(), 10);

    let search = ["search", "--space", "layers.yaml", "--profile", "raspberry-pi-5", "--objectives"];
    let more = ["loss,tpot_seconds,memory_bytes", "--out", "study", "--json"];
    let object = run(&[&search[..], &more[..]].concat()).done().object("search");
    assert_eq!((&object["exact"], &object["epsilon"]), (&Value::from(true), &Value::from(0.0)));
    assert_eq!(digits(&object["space_size"]), size);
    let mut parts =
        vec![digits(&object["invalid"]), digits(&object["evaluated"]), digits(&object["unvisited"])];
    parts.extend(object["pruned"].as_array().unwrap().iter().map(|bound| digits(&bound["count"])));
    assert_eq!(sum(&parts), size, "{parts:?}");
    let reasons = object["invalid_by"].as_array().unwrap();
    assert_eq!(sum(&reasons.iter().map(|reason| digits(&reason["count"])).collect::<Vec<_>>()), parts[0]);
    assert!(
        reasons.iter().any(|reason| reason["reason"].as_str().unwrap().contains("window")),
        "{reasons:?}"
    );

    let front = std::fs::read_to_string(folder.path().join("study/front.json")).unwrap();
    let front: Value = serde_json::from_str(&front).unwrap();
    let points = front["points"].as_array().unwrap();
    let unlike = points.iter().find(|point| {
        let layers = point["architecture"]["layers"].as_array().unwrap();
        layers.len() > 1 && layers[0]["ffn"] != layers[layers.len() - 1]["ffn"]
    });
    let point = unlike.expect("a model whose layers differ");
    std::fs::write(folder.path().join("model.json"), point["architecture"].to_string()).unwrap();
    let weights = point["weights"].as_str().unwrap();
    let measured = ["measure", "model.json", "--weights", weights, "--kv", "f16", "--prompt", "8"];
    let more = ["--generate", "2", "--rounds", "1", "--no-memory", "--json"];
    let measured = run(&[&measured[..], &more[..]].concat()).done().object("measure");
    assert_eq!(measured["id"], point["id"]);

    let id = point["id"].as_str().unwrap();
    let emit = ["emit", "--study", "study", "--pick", id, "--out", "emitted", "--json"];
    let refused = run(&[&emit[..], &["--standard-only"]].concat());
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    let error: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(error["error"]["code"], "no-standard-class");
    let (found, depth) = (error["error"]["found"].as_str().unwrap(), &point["architecture"]["layers"]);
    let depth: u64 = depth.as_array().unwrap().iter().map(|run| run["repeat"].as_u64().unwrap_or(1)).sum();
    assert!(found.starts_with(&format!("`{id}` with {depth} layers of ")), "{found}");
    assert!(found.contains(" kinds: ") && found.contains(" heads of 64, FFN of "), "{found}");
    assert!(!folder.path().join("emitted").exists());
    let object = run(&emit).done().object("emit");
    assert_eq!(object["emitted"][0]["class"], "SlimfitForCausalLM");
    assert!(object["emitted"][0]["why"].as_str().unwrap().contains("must be the same in all layers"));
    let names = [
        "config.json",
        "generation_config.json",
        "modeling_slimfit.py",
        "architecture.json",
        "architecture.png",
        "training.yaml",
        "README.md",
    ];
    assert_eq!(object["files"].as_array().unwrap().len(), names.len(), "{}", object["files"]);
    for name in names {
        assert!(folder.path().join("emitted").join(name).is_file(), "{name}");
    }
    let text = run(&["emit", "--study", "study", "--pick", id, "--out", "again"]).done().stdout;
    assert!(text.contains("SlimfitForCausalLM") && text.contains("trust_remote_code"), "{text}");

    let text = run(&["report", "--study", "study"]).done();
    assert!(text.stdout.contains("report.html") || text.stderr.contains("report.html"));
    let why = run(&["why", "smollm2-135m", "--study", "study", "--json"]).done().object("why");
    assert!(why["outside"].as_array().is_some_and(|outside| !outside.is_empty()), "{why}");
}

#[test]
fn what_is_no_sum_over_layers_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("layers.yaml"), SPACE).unwrap();
    std::fs::write(folder.path().join("held.yaml"), SPACE.replace("portable: []", "portable: [hf]")).unwrap();
    let refused = |arguments: &[&str], part: &str| {
        let all =
            [&["search", "--profile", "raspberry-pi-5", "--json", "--out", "study"], arguments].concat();
        let finished = Slimfit::new(all).folder(folder.path()).run();
        assert_eq!(finished.code, 2, "{}", finished.stdout);
        assert!(finished.stdout.contains(part), "{}", finished.stdout);
    };
    refused(
        &["--space", "layers.yaml", "--dump-all", "all.csv"],
        "whose layers differ in kv_heads, ffn, window",
    );
    refused(&["--space", "held.yaml"], "no loader holds layers that differ");
}
