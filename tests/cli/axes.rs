//! Mixtures of experts, loops and layers that differ, measured as a user would: none of them is in a built-in space yet.

use crate::harness::Slimfit;
use serde_json::Value;
use std::path::Path;

const ATTENTION: &str = "{heads: 4, kv_heads: 2, head_size: 16, rope: {base: 10000}}";

/// A model file of `layers`, the last looped where `loops` says so.
fn write(folder: &Path, layers: &[String], loops: &str) {
    let layers = layers.join(",\n  ");
    let text = format!(
        "schema: slimfit/architecture/v1\nhidden_size: 64\nvocabulary_size: 97\ntied_embeddings: true\n{loops}layers: [\n  {layers}]\n"
    );
    std::fs::write(folder.join("model.yaml"), text).expect("the file is written");
}

fn layer(attention: &str, ffn: &str) -> String {
    format!("{{attention: {attention}, ffn: {{{ffn}}}}}")
}

fn measure(folder: &Path, more: &[&str]) -> crate::harness::Finished {
    let arguments =
        ["measure", "model.yaml", "--prompt", "8", "--generate", "3", "--rounds", "1", "--no-memory"];
    let arguments = arguments.iter().chain(more).chain(&["--json"]);
    Slimfit::new(arguments).folder(folder).run()
}

fn labels(measurement: &Value, phase: &str) -> Vec<String> {
    let operations = measurement["operations"].as_array().expect("operations");
    let of_phase = operations.iter().filter(|operation| operation["phase"] == phase);
    of_phase.map(|operation| operation["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_mixture_with_a_shared_part_and_a_dense_layer_of_other_heads_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let moe = "kind: moe, experts: 8, top_k: 2, expert_size: 32, shared_size: 64, shared_gate: true";
    let other = "{heads: 2, kv_heads: 1, head_size: 32, window: 4}";
    let layers = [layer(ATTENTION, moe), layer(other, "kind: dense, size: 96")];
    write(folder.path(), &layers, "");
    for weights in ["q8_0", "bf16"] {
        let object = measure(folder.path(), &["--weights", weights]).done().object("measure");
        for phase in ["prefill", "decode"] {
            let labels = labels(&object, phase);
            for label in ["router", "experts", "shared_scale", "shared_activation", "gate_up"] {
                assert!(labels.iter().any(|found| found == label), "`{label}` is not among {labels:?}");
            }
        }
        assert_eq!(object["measured"]["decode_tokens_per_s"]["source"], "measured");
    }
}

#[test]
fn loops_sets_how_often_a_looped_model_runs_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let layers = [layer(ATTENTION, "kind: dense, size: 96"), layer(ATTENTION, "kind: dense, size: 96")];
    write(folder.path(), &layers, "loops: {first: 1, layers: 1, count: 2}\n");
    let count = |more: &[&str]| {
        let object = measure(folder.path(), more).done().object("measure");
        (object["architecture"]["loops"]["count"].as_u64().expect("a count"), object["id"].clone())
    };
    let (own, id) = count(&[]);
    let (longer, other) = count(&["--loops", "5"]);
    assert_eq!((own, longer), (2, 5));
    assert_ne!(id, other, "another number of passes is another model");
    assert_eq!(count(&["--loops", "2"]).1, id);

    std::fs::write(folder.path().join("tokens.txt"), "1 2 3").unwrap();
    let logits = |file: &str, more: &[&str]| {
        let arguments = ["measure", "model.yaml", "--token-ids", "tokens.txt", "--logits", file];
        Slimfit::new(arguments.iter().chain(more)).folder(folder.path()).run().done();
        std::fs::read(folder.path().join(file)).expect("the logits")
    };
    let twice = logits("own.npy", &[]);
    assert_eq!(twice, logits("two.npy", &["--loops", "2"]));
    assert_ne!(twice, logits("three.npy", &["--loops", "3"]));
}

#[test]
fn loops_of_a_model_without_looped_layers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[layer(ATTENTION, "kind: dense, size: 96")], "");
    let finished = measure(folder.path(), &["--loops", "3"]);
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    let error = finished.object("error")["error"].clone();
    assert!(error["message"].as_str().is_some_and(|text| text.contains("`loops`")), "{error}");
    assert_eq!(measure(folder.path(), &["--loops", "0"]).code, 2);
}
