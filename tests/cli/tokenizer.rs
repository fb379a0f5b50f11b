//! The tokenizer of a model that `slimfit emit` writes: found, named, left out, refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use crate::harness::Slimfit;
use serde_json::{Value, json};
use std::path::Path;

/// A model of 300 rows in `trained`, without weights, and its tokenizer of the 256 bytes and two more tokens.
fn trained(folder: &Path) {
    let vocabulary = (0..256_u32).map(|byte| {
        let printable = |byte: &u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let hidden = (0..byte).filter(|byte| !printable(byte)).count() as u32;
        let letter = if printable(&byte) { byte } else { 256 + hidden };
        (char::from_u32(letter).unwrap().to_string(), json!(byte))
    });
    let tokenizer = json!({
        "added_tokens": [{"id": 257, "content": "<|end|>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary.chain([("ab".to_owned(), json!(256))]).collect::<Value>(),
            "merges": [["a", "b"]]}
    });
    let config = json!({"model_type": "llama", "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "vocab_size": 300, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true});
    std::fs::create_dir(folder.join("trained")).unwrap();
    write(folder, "trained/config.json", &config);
    write(folder, "trained/tokenizer.json", &tokenizer);
    write(folder, "trained/tokenizer_config.json", &json!({"eos_token": "<|end|>"}));
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

fn emit<'a>(what: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["emit", "--model", "trained", "--what", what, "--weights", "f16", "--out", out], more].concat()
}

#[test]
fn a_tokenizer_beside_a_config_is_written_and_copied() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run().done();
    let object = run(&emit("hf,gguf", "whole", &["--json"])).object("emit");
    assert_eq!(object["emitted"][0]["tokenizer"], json!({"model": "gpt2", "pre": "gpt-2", "tokens": 258}));
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        assert!(read(&format!("whole/{file}")) == read(&format!("trained/{file}")), "{file}");
    }
    let files = object["files"].as_array().unwrap();
    assert_eq!(files.iter().filter(|file| file["kind"] == "huggingface-tokenizer").count(), 2);
    // The way back: the same bytes, and no file that was not there.
    let back = [
        "emit",
        "--model",
        "whole/model-f16.gguf",
        "--what",
        "hf,gguf",
        "--weights",
        "f16",
        "--out",
        "back",
        "--json",
    ];
    let object = run(&back).object("emit");
    assert_eq!(object["emitted"][0]["tokenizer"]["tokens"], 300);
    assert!(read("back/model-f16.gguf") == read("whole/model-f16.gguf"));
    assert!(!folder.path().join("back/tokenizer.json").exists());
}

#[test]
fn a_tokenizer_can_be_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run().done();
    let object = run(&emit("hf,gguf", "without", &["--tokenizer", "none", "--json"])).object("emit");
    assert_eq!(object["emitted"][0]["tokenizer"], Value::Null);
    assert!(!folder.path().join("without/tokenizer.json").exists());
    let text = run(&emit("gguf", "said", &["--tokenizer", "none"])).stdout;
    assert!(text.contains("no tokenizer in the GGUF file") && text.contains("--tokenizer FILE"), "{text}");
    let card = std::fs::read_to_string(folder.path().join("said/README.md")).unwrap();
    assert!(card.contains("--tokenizer none") && card.contains("no tokenizer"), "{card}");
    // A point without files of its own, and a folder in place of the file.
    std::fs::copy(folder.path().join("said/architecture.json"), folder.path().join("point.json")).unwrap();
    let point = [
        "emit",
        "--model",
        "point.json",
        "--context",
        "64",
        "--what",
        "gguf",
        "--tokenizer",
        "trained",
        "--out",
        "named",
    ];
    let text = run(&point).stdout;
    assert!(text.contains("tokenizer `gpt2`, `gpt-2`: 258 tokens of 300 rows"), "{text}");
}

#[test]
fn a_tokenizer_that_llama_cpp_would_misread_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    trained(folder.path());
    let path = folder.path().join("trained/tokenizer.json");
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let refused = |pointer: &str, value: Value| {
        let mut tokenizer = whole.clone();
        *tokenizer.pointer_mut(pointer).unwrap() = value;
        std::fs::write(&path, tokenizer.to_string()).unwrap();
        let run = Slimfit::new(emit("gguf", "out", &["--json"])).folder(folder.path()).run();
        let error = run.refused("unsupported-tokenizer");
        assert!(!folder.path().join("out").exists());
        error
    };
    let split =
        json!({"type": "Split", "pattern": {"Regex": "[a-z]+"}, "behavior": "Isolated", "invert": false});
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
    let error = refused("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": [split, bytes]}));
    assert_eq!(error["field"], "pre_tokenizer");
    assert!(error["found"].as_str().unwrap().contains("[a-z]+"), "{error}");
    assert!(error["allowed"].as_str().unwrap().contains("qwen2"), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--tokenizer none"), "{error}");
    let error = refused("/added_tokens/0/id", json!(300));
    assert_eq!((error["found"].as_str(), error["allowed"].as_str()), (Some("301 tokens"), Some("up to 300")));
    assert_eq!(refused("/model/type", json!("WordPiece"))["field"], "model.type");
    std::fs::write(&path, whole.to_string()).unwrap();
    let missing = emit("gguf", "out", &["--tokenizer", "trained/tokeniser.json", "--json"]);
    let error = Slimfit::new(missing).folder(folder.path()).run().refused("file-missing");
    assert!(error["hint"].as_str().unwrap().contains("tokenizer.json"), "{error}");
}
