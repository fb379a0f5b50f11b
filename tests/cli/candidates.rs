//! Models that exist: ranked alone, and beside the points of a search.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::harness::{Slimfit, validate};
use serde_json::{Value, json};
use slimfit_arch::Tensor;
use slimfit_formats::gguf_out::GgufOutput;
use slimfit_formats::{FormatsError, builtin};
use slimfit_quantity::NumberFormat;
use std::path::Path;

const DEVICE: [&str; 2] = ["--profile", "raspberry-pi-5"];

/// 12M parameters of a Llama.
pub const CONFIG: &str = r#"{
  "model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 8,
  "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 32768,
  "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true
}"#;

/// 24 points, two of them the model of [`CONFIG`].
pub const SPACE: &str = "
schema: slimfit/space/v1
name: tiny
description: A few Llamas for tests.
axes:
  layers: [8, 12, 16]
  hidden_size: [256, 320]
  head_size: 64
  heads: hidden_size / head_size
  kv_heads: heads
  ffn: [3 * hidden_size]
  gated: true
  window: none
  vocabulary_size: 32768
  tied_embeddings: [true, false]
  weights: [q8_0, q4_0]
  kv: [f16]
constraints:
  non_embedding: {min: 5M}
";

fn rank(folder: &Path, more: &[&str]) -> crate::harness::Finished {
    Slimfit::new([&["rank"], &DEVICE[..], more].concat()).folder(folder).run()
}

fn write_config(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), text).unwrap();
}

fn write_gguf(path: &Path, name: &str) {
    let architecture = &builtin::find("smollm2-135m").unwrap().architecture;
    let weights = NumberFormat::Q4_0;
    let file = GgufOutput { name, architecture, weights, context: 2048, tokenizer: None };
    let constant = |_: &Tensor, _: u64, values: &mut [f32]| {
        values.fill(0.5);
        Ok::<(), FormatsError>(())
    };
    file.write(path, &constant).unwrap();
}

fn named<'a>(object: &'a Value, name: &str) -> &'a Value {
    let candidates = object["candidates"].as_array().unwrap();
    candidates.iter().find(|candidate| candidate["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn public_models_are_ranked_on_any_device_those_that_keep_the_limits_first() {
    let folder = tempfile::tempdir().unwrap();
    let object = rank(folder.path(), &["--max-memory", "512MiB", "--json"]).done().object("rank");
    let candidates = object["candidates"].as_array().unwrap();
    assert!(candidates.len() > 70, "{}", candidates.len());
    assert_eq!(object["candidates_ranked_by"]["name"], "score_hellaswag");
    let keepers = candidates.iter().take_while(|candidate| candidate["keeps_limits"] == true).count();
    assert!(keepers > 10, "{keepers}");
    for (place, candidate) in candidates.iter().enumerate() {
        let best = &candidate["formats"][0];
        let memory = best["objectives"]["memory_bytes"].as_f64().unwrap();
        assert_eq!(place < keepers, memory <= 536_870_912.0, "{}", candidate["name"]);
        assert_eq!(best["breaks"].is_array(), place >= keepers, "{}", candidate["name"]);
    }
    let values: Vec<f64> =
        candidates[..keepers].iter().filter_map(|candidate| candidate["quality"]["value"].as_f64()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
    let text = rank(folder.path(), &["--max-memory", "512MiB"]).done().stdout;
    let first = text.lines().nth(1).unwrap();
    assert!(
        first.trim_start().starts_with("1 ") && first.contains(candidates[0]["name"].as_str().unwrap()),
        "{first}"
    );
    assert!(text.contains("left out") && text.contains("Open LLM Leaderboard"), "{text}");
    let all = rank(folder.path(), &["--max-memory", "512MiB", "--all"]).done().stdout;
    assert!(all.contains("limit 512 MiB") && !all.contains("left out"), "{all}");
}

#[test]
fn files_of_a_folder_are_ranked_and_what_cannot_be_read_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    write_config(&models.join("mine"), CONFIG);
    write_config(&models.join("strange"), &CONFIG.replace("\"llama\"", "\"llamma\""));
    write_gguf(&models.join("smollm2.gguf"), "SmolLM2 135M Instruct");
    std::fs::write(models.join("broken.gguf"), b"GGUF\x03\0\0\0").unwrap();
    std::fs::write(models.join("notes.txt"), "no model").unwrap();
    let object = rank(folder.path(), &["models", "--json"]).done().object("rank");
    assert_eq!(object["candidates"].as_array().unwrap().len(), 2);
    let skipped = object["candidates_skipped"].as_array().unwrap();
    let reason = |file: &str| {
        let found = skipped.iter().find(|skipped| skipped["candidate"].as_str().unwrap().contains(file));
        found.unwrap_or_else(|| panic!("{file} is not listed: {skipped:?}"))["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(reason("strange").contains("llamma"), "{}", reason("strange"));
    assert!(reason("broken.gguf").contains("ends"), "{}", reason("broken.gguf"));

    // A GGUF runs in its own format, and is known by its name and sizes.
    let gguf = named(&object, "SmolLM2 135M Instruct");
    assert_eq!(gguf["formats"].as_array().unwrap().len(), 1);
    // What its tensors take, and no more than the file has.
    let bytes = gguf["formats"][0]["objectives"]["file_bytes"].as_f64().unwrap() as u64;
    let file = std::fs::metadata(models.join("smollm2.gguf")).unwrap().len();
    assert!(bytes < file && file < bytes + 100_000, "{bytes} of {file}");
    assert_eq!(
        (&gguf["formats"][0]["weights"], &gguf["formats"][0]["as_stored"]),
        (&json!("q4_0"), &json!(true))
    );
    assert_eq!(gguf["training"], json!({ "tokens": 2_000_000_000_000_u64, "assumed": false }));
    assert_eq!(gguf["scores"], json!([]), "an instruct model has no score of its base");
    assert!(gguf["flags"].as_array().unwrap().contains(&json!("variant")));
    // Nothing is known of the other's training, so nothing of its quality.
    let mine = named(&object, "mine");
    assert_eq!(mine["quality"]["source"], "unavailable");
    assert!(mine["formats"].as_array().unwrap().len() > 1);
    let told = rank(folder.path(), &["models", "--tokens", "100B", "--json"]).done().object("rank");
    assert_eq!(named(&told, "mine")["quality"]["source"], "modelled");
    assert_eq!(named(&told, "mine")["training"]["assumed"], true);

    let text = rank(folder.path(), &["models"]).done().stdout;
    assert!(text.contains("skipped `models/broken.gguf`"), "{text}");
}

#[test]
fn folders_and_files_without_a_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |what: &str, code: &str| rank(folder.path(), &[what, "--json"]).refused(code);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let error = refused("empty", "no-models");
    assert!(error["allowed"].as_str().unwrap().contains(".gguf"), "{error}");
    write_config(&folder.path().join("strange/one"), &CONFIG.replace("\"llama\"", "\"llamma\""));
    let error = refused("strange", "no-models");
    assert!(error["found"].as_str().unwrap().contains("llamma"), "{error}");
    let error = refused("smollm2-135n", "unknown-model");
    assert!(error["hint"].as_str().unwrap().contains("smollm2-135m"), "{error}");
    // A file that is named itself is an error of its own.
    let error = refused("strange/one/config.json", "model-type");
    assert!(error["file"].as_str().unwrap().ends_with("config.json"), "{error}");
    let error = rank(folder.path(), &["smollm2-135m", "--max-ttft", "1s", "--json"]).refused("cost");
    assert!(error["message"].as_str().unwrap().contains("prefill"), "{error}");
}

#[test]
fn a_search_ranks_candidates_beside_its_points_and_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.yaml"), SPACE).unwrap();
    write_config(&folder.path().join("models/mine"), CONFIG);
    let arguments = [
        "search",
        "--space",
        "tiny.yaml",
        "--candidates",
        "public",
        "--candidates",
        "models",
        "--max-tpot",
        "60ms",
        "--out",
        "study",
    ];
    let search =
        |more: &[&str]| Slimfit::new([&arguments[..], &DEVICE, more].concat()).folder(folder.path()).run();
    let object = search(&["--json"]).done().object("search");
    let mine = named(&object, "mine");
    // The tiny space has this very model, which its own front cannot dominate by much; a public one of the same speed it can.
    assert_eq!(mine["training"], json!({ "tokens": 100_000_000_000_u64, "assumed": true }));
    let formats: Vec<&Value> =
        mine["formats"].as_array().unwrap().iter().map(|format| &format["weights"]).collect();
    assert!(formats.iter().all(|format| ["q8_0", "q4_0"].contains(&format.as_str().unwrap())), "{formats:?}");
    let large = named(&object, "qwen2.5-1.5b");
    assert_eq!(
        (&large["keeps_limits"], &large["formats"][0]["breaks"][0]["name"]),
        (&json!(false), &json!("tpot_seconds"))
    );
    let front: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("study/front.json")).unwrap())
            .unwrap();
    let errors = validate("front", &front);
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    assert_eq!(front["candidates"], object["candidates"]);
    // What a point beats by its costs and its predicted loss, it is said to beat.
    let point_of = |candidate: &Value| {
        let by =
            candidate["dominated_by"].as_array().unwrap().iter().find(|by| by["kind"] == "point").cloned();
        by.map(|by| by["id"].as_str().unwrap().to_owned())
    };
    for candidate in object["candidates"].as_array().unwrap() {
        let Some(id) = point_of(candidate) else { continue };
        let points = front["points"].as_array().unwrap();
        let point = points.iter().find(|point| point["id"] == id.as_str()).unwrap();
        let (ours, theirs) = (&candidate["formats"][0]["objectives"], &point["objectives"]);
        for name in ["loss", "memory_bytes"] {
            assert!(theirs[name].as_f64().unwrap() <= ours[name].as_f64().unwrap(), "{name}: {candidate}");
        }
    }
    let text = search(&[]).done().stdout;
    assert!(text.contains("models that exist") && text.contains("\n"), "{text}");
    assert!(text.lines().any(|line| line.contains(" mine ")), "the user's own are always shown:\n{text}");

    // Without candidates nothing of them is printed.
    let plain = ["search", "--space", "tiny.yaml", "--out", "plain", "--json"];
    let object =
        Slimfit::new([&plain[..], &DEVICE].concat()).folder(folder.path()).run().done().object("search");
    assert_eq!(object.get("candidates"), None);
}
