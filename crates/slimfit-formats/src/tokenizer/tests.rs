//! Small tokenizers, each with one thing that llama.cpp does not do, and what their entries say.

use super::*;
use crate::gguf::{GgufFile, GgufValue};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A tokenizer of bytes with three merges, its end token added.
fn bytes() -> Value {
    let mut vocabulary: Vec<String> = (0..=255).map(|byte| byte_level::letter(byte).to_string()).collect();
    vocabulary.sort();
    vocabulary.extend(["ab", "abc", "Ġab"].map(str::to_owned));
    let vocab: Value = vocabulary.iter().zip(0..).map(|(text, id)| (text.clone(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": {"type": "ByteLevel"},
        "added_tokens": [{"id": 259, "content": "<|end|>", "special": true, "normalized": false}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": [["a", "b"], "ab c", ["Ġ", "ab"]]}
    })
}

/// A tokenizer like Llama 2's.
fn fallback() -> Value {
    let mut texts: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).to_vec();
    texts.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    texts.extend(["▁a", "ab", "▁ab", "▁", "a", "b"].map(str::to_owned));
    let vocab: Value = texts.iter().zip(0..).map(|(text, id)| (text.clone(), json!(id))).collect();
    let special = |id, content: &str| json!({"id": id, "content": content, "special": true});
    json!({
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}}], "pair": []},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ a", "a b", "▁a b", "▁ ab"]}
    })
}

const CONFIG: &str = r#"{"eos_token": {"content": "<|end|>"}, "bos_token": null}"#;
const LLAMA: &str = r#"{"eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}"#;

/// Reads a tokenizer with these files beside it.
fn read(tokenizer: &Value, beside: &[(&str, &str)]) -> Result<HuggingFaceTokenizer, DocumentError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in beside {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    HuggingFaceTokenizer::read(&path).map_err(FormatsError::into_document)
}

fn changed(mut tokenizer: Value, pointer: &str, value: Value) -> Value {
    *tokenizer.pointer_mut(pointer).unwrap() = value;
    tokenizer
}

/// The metadata of a file that has nothing but the tokenizer.
fn metadata(tokenizer: &HuggingFaceTokenizer, rows: u64) -> (GgufFile, Vec<u8>) {
    let entries = tokenizer.to_gguf(rows).unwrap();
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(entries.entry_count().to_le_bytes());
    bytes.extend(entries.entries());
    (GgufFile::from_bytes(bytes, "tokenizer.gguf").unwrap(), entries.entries().to_vec())
}

fn integers(file: &GgufFile, key: &str) -> Vec<u64> {
    let Some(GgufValue::List(values)) = file.metadata.get(key) else { panic!("{key}") };
    values.iter().map(|value| value.as_size().unwrap()).collect()
}

fn has_text(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_tokenizer_of_bytes_says_merges_kinds_and_the_name_of_its_pre_tokenizer() {
    let tokenizer = read(&bytes(), &[("tokenizer_config.json", CONFIG)]).unwrap();
    assert_eq!((tokenizer.names(), tokenizer.size()), (("gpt2", "gpt-2"), 260));
    let (file, entries) = metadata(&tokenizer, 262);
    let value = |key: &str| file.metadata.get(&format!("tokenizer.ggml.{key}"));
    assert_eq!(value("tokens"), Some(&GgufValue::Skipped(262)));
    assert_eq!(value("merges"), Some(&GgufValue::Skipped(3)));
    assert_eq!(value("eos_token_id"), Some(&GgufValue::Unsigned(259)));
    // llama.cpp takes token 11 for either where a file says none.
    assert_eq!(value("bos_token_id"), Some(&GgufValue::Unsigned(259)));
    assert_eq!(value("add_bos_token"), Some(&GgufValue::Bool(false)));
    let kinds = integers(&file, "tokenizer.ggml.token_type");
    assert_eq!(kinds[..259], [1; 259]);
    assert_eq!(kinds[259..], [3, 5, 5]);
    assert!(has_text(&entries, "[PAD261]") && has_text(&entries, "ab c"));
}

#[test]
fn a_tokenizer_with_byte_fallback_says_its_merges_as_scores() {
    let tokenizer = read(&fallback(), &[("tokenizer_config.json", LLAMA)]).unwrap();
    assert_eq!(tokenizer.names(), ("llama", "default"));
    assert!(tokenizer.add_bos && !tokenizer.add_eos);
    let Algorithm::ByteFallback { scores, space_prefix } = &tokenizer.algorithm else { panic!("a list") };
    assert!(space_prefix);
    // `▁a`, `ab`, `▁ab` in the order of their merges, letters after them, and what is never merged.
    assert_eq!(scores[259..], [0.0, -1.0, -2.0, -3.0, -3.0, -3.0]);
    assert_eq!(scores[..259], [0.0; 259]);
    let kinds = integers(&metadata(&tokenizer, 265).0, "tokenizer.ggml.token_type");
    assert_eq!((kinds[..4].to_vec(), kinds[258], kinds[259]), (vec![2, 3, 3, 6], 6, 1));
}

#[test]
fn more_tokens_than_rows_are_refused() {
    let tokenizer = read(&bytes(), &[("tokenizer_config.json", CONFIG)]).unwrap();
    let error = tokenizer.to_gguf(259).unwrap_err().into_document();
    assert_eq!((error.found.as_deref(), error.allowed.as_deref()), (Some("260 tokens"), Some("up to 259")));
}

#[test]
fn what_llama_cpp_does_not_do_is_refused_by_its_field() {
    let of_bytes = |pointer: &str, value: Value| changed(bytes(), pointer, value);
    let split = |regex: &str, behavior: &str| {
        json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})
    };
    let no_space = json!({"type": "ByteLevel", "add_prefix_space": true});
    let cases = [
        ("model.type", of_bytes("/model/type", json!("Unigram"))),
        ("model.dropout", of_bytes("/model/dropout", json!(0.1))),
        ("pre_tokenizer", of_bytes("/pre_tokenizer", split(r"\p{L}+|\s+", "Isolated"))),
        ("pre_tokenizer.pretokenizers[0].behavior", of_bytes("/pre_tokenizer", split(r"\p{L}+", "Removed"))),
        ("pre_tokenizer.add_prefix_space", of_bytes("/pre_tokenizer", no_space)),
        ("model.byte_fallback", of_bytes("/pre_tokenizer", json!({"type": "Whitespace"}))),
        ("model.ignore_merges", of_bytes("/model/ignore_merges", json!(true))),
        ("normalizer", of_bytes("/normalizer", json!({"type": "Lowercase"}))),
        (
            "post_processor.single",
            of_bytes("/post_processor", json!({"type": "TemplateProcessing", "single": []})),
        ),
        ("model.merges", changed(fallback(), "/model/merges", json!(["▁ a", "a b", "▁a b"]))),
        ("model.merges", changed(fallback(), "/model/merges", json!(["▁a b", "▁ a", "▁ ab", "a b"]))),
        ("normalizer", changed(fallback(), "/normalizer", json!(null))),
    ];
    for (field, tokenizer) in cases {
        let config = if tokenizer["model"]["byte_fallback"] == true { LLAMA } else { CONFIG };
        let error = read(&tokenizer, &[("tokenizer_config.json", config)]).unwrap_err();
        assert_eq!((error.code.as_str(), error.field.as_deref()), ("unsupported-tokenizer", Some(field)));
        assert!(error.line.is_some() && error.found.is_some() && error.allowed.is_some(), "{error:?}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (field, pointer, value) in [
        ("added_tokens[0]", "/added_tokens/0/id", json!(7)),
        ("added_tokens[0]", "/added_tokens/0/id", json!(u32::MAX)),
        ("added_tokens[0]", "/added_tokens/0/content", json!("a")),
        ("added_tokens[0]", "/added_tokens/0/content", json!("a\0")),
        ("model.merges[1]", "/model/merges/1", json!("ab d")),
        ("model.merges[0]", "/model/merges/0", json!(["a", "b", "c"])),
        ("model.merges[0]", "/model/merges/0", json!("a b c")),
        ("model.vocab", "/model/vocab", json!({"a": 0})),
    ] {
        let error = read(&changed(bytes(), pointer, value.clone()), &[]).unwrap_err();
        let found = error.field.as_deref().unwrap_or_default();
        assert!(found.starts_with(field) || pointer == "/model/vocab", "{value}: {error:?}");
    }
    let unknown = read(&bytes(), &[("tokenizer_config.json", r#"{"eos_token": "<end>"}"#)]).unwrap_err();
    assert_eq!((unknown.field.as_deref(), unknown.found.as_deref()), (Some("eos_token"), Some("`<end>`")));
    assert!(read(&bytes(), &[]).unwrap_err().message.contains("no token ends a text"));
    let begins = r#"{"eos_token": "<|end|>", "add_bos_token": true}"#;
    assert!(read(&bytes(), &[("tokenizer_config.json", begins)]).unwrap_err().message.contains("not said"));
}

#[test]
fn meanings_and_chats_come_from_the_files_beside_it() {
    let ends = |files: &[(&str, &str)]| read(&bytes(), files).unwrap().special;
    assert_eq!(ends(&[("special_tokens_map.json", CONFIG)]).eos, Some(259));
    let generation = ("generation_config.json", r#"{"eos_token_id": [259]}"#);
    assert_eq!(ends(&[generation]).eos, Some(259));
    // A class's default, which is no special token here.
    let config = ("config.json", r#"{"eos_token_id": 2, "bos_token_id": 1}"#);
    assert_eq!(
        ends(&[config, generation]),
        SpecialTokens { bos: Some(259), eos: Some(259), ..Default::default() }
    );
    let named = r#"{"eos_token": "<|end|>", "chat_template": [{"name": "Tool use", "template": "T"},
        {"name": "default", "template": "D"}]}"#;
    let templates = read(&bytes(), &[("tokenizer_config.json", named)]).unwrap();
    let (file, _) = metadata(&templates, 260);
    let text = |key: &str| file.metadata.get(&format!("tokenizer.{key}")).cloned();
    assert_eq!(text("chat_template"), Some(GgufValue::Text("D".to_owned())));
    assert_eq!(text("chat_template.tool_use"), Some(GgufValue::Text("T".to_owned())));
    assert_eq!(text("chat_templates"), Some(GgufValue::Skipped(1)));
    let newer = [("tokenizer_config.json", CONFIG), ("chat_template.jinja", "J")];
    assert_eq!(read(&bytes(), &newer).unwrap().chat_templates, [("default".to_owned(), "J".to_owned())]);
}

#[test]
fn what_differs_a_little_is_warned_of() {
    let composed = changed(bytes(), "/normalizer", json!({"type": "NFC"}));
    let strips =
        changed(bytes(), "/added_tokens/0", json!({"id": 259, "content": "<|end|>", "rstrip": true}));
    for tokenizer in [composed, strips] {
        let warnings = read(&tokenizer, &[("tokenizer_config.json", CONFIG)]).unwrap().warnings;
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].code, "tokenizer-differs");
    }
    let scheme = |scheme: &str| {
        let steps =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
        let tokenizer = changed(changed(fallback(), "/normalizer", json!(null)), "/pre_tokenizer", steps);
        let read = read(&tokenizer, &[("tokenizer_config.json", LLAMA)]).unwrap();
        let Algorithm::ByteFallback { space_prefix, .. } = read.algorithm else { panic!("a list") };
        (space_prefix, read.warnings.len())
    };
    assert_eq!([scheme("always"), scheme("first"), scheme("never")], [(true, 1), (true, 2), (false, 0)]);
}

proptest! {
    #[test]
    fn no_change_of_a_file_makes_it_panic(
        fallback_kind: bool,
        pointer in 0_usize..64,
        value in prop_oneof![
            Just(Value::Null), Just(json!([])), Just(json!({})), Just(json!("▁")), Just(json!("a b")), Just(json!(1e300)),
            any::<i64>().prop_map(Value::from), ".{0,6}".prop_map(Value::from), any::<bool>().prop_map(Value::from),
            Just(json!({"type": "Sequence"})), Just(json!([{"Sequence": {}}, {"SpecialToken": {"id": "x"}}])),
        ],
    ) {
        let tokenizer = if fallback_kind { fallback() } else { bytes() };
        let mut places = Vec::new();
        pointers(&tokenizer, String::new(), &mut places);
        places.retain(|place| !place.starts_with("/model/vocab/") || place.len() < 16);
        let place = &places[pointer % places.len()];
        if let Ok(read) = read(&changed(tokenizer, place, value.clone()), &[("tokenizer_config.json", &value.to_string())]) {
            prop_assert!(read.to_gguf(read.size()).is_ok());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\":,a-z0-9 ]{0,60}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, text).unwrap();
        prop_assert!(HuggingFaceTokenizer::read(&path).is_err());
    }
}

/// The places of all values of a tree.
fn pointers(value: &Value, here: String, places: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (name, value) in parts {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        pointers(value, format!("{here}/{escaped}"), places);
    }
    places.push(here);
}
