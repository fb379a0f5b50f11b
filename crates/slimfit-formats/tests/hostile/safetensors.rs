//! Safetensors and their index: false headers, false lengths, false lists of files.

use crate::survey::survey;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// A golden model of one file: its header and the values behind it.
struct Whole {
    header: Map<String, Value>,
    data: Vec<u8>,
}

fn whole() -> Whole {
    let bytes = std::fs::read(golden("llama").join("model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    Whole { header, data: bytes[8 + length..].to_vec() }
}

impl Whole {
    fn bytes(&self) -> Vec<u8> {
        let header = Value::Object(self.header.clone()).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &self.data].concat()
    }

    fn tensor(&mut self, name: &str) -> &mut Value {
        self.header.get_mut(name).unwrap()
    }
}

/// What is wrong with a model whose file has these bytes.
fn refusal(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden("llama").join("config.json"), folder.path().join("config.json")).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    survey(folder.path()).err()
}

const HEAD: &str = "lm_head.weight";
const GATE: &str = "model.layers.0.mlp.gate_proj.weight";
const QUERY: &str = "model.layers.0.self_attn.q_proj.weight";

#[test]
fn the_whole_file_is_read() {
    assert_eq!(refusal(&whole().bytes()), None);
    assert_eq!(survey(&golden("llama-sharded")).err(), None);
}

#[test]
fn each_false_statement_is_refused_with_its_reason() {
    type Change = fn(&mut Whole);
    let cases: &[(&str, Change, &[&str])] = &[
        ("a tensor too few", |whole| drop(whole.header.remove(HEAD)), &["safetensors"]),
        ("values too few", |whole| whole.data.truncate(100), &["the header describes"]),
        ("values too many", |whole| whole.data.extend([0; 64]), &["the header describes"]),
        (
            "an end past the file",
            |whole| whole.tensor(HEAD)["data_offsets"][1] = json!(1_u64 << 40),
            &["byte 8"],
        ),
        ("an end past 64 bits", |whole| whole.tensor(HEAD)["data_offsets"][1] = json!(1e300), &["byte 8"]),
        ("a beginning below nothing", |whole| whole.tensor(HEAD)["data_offsets"][0] = json!(-1), &["byte 8"]),
        ("a place within another", |whole| whole.tensor(GATE)["data_offsets"][0] = json!(0), &["byte 8"]),
        ("a vast shape", |whole| whole.tensor(HEAD)["shape"] = json!([u64::MAX, u64::MAX]), &["byte 8"]),
        ("a shape that holds less", |whole| whole.tensor(HEAD)["shape"] = json!([63, 32]), &["byte 8"]),
        ("a type of other bytes", |whole| whole.tensor(HEAD)["dtype"] = json!("F32"), &["byte 8"]),
        ("a type that no one knows", |whole| whole.tensor(HEAD)["dtype"] = json!("F17"), &["byte 8"]),
        ("a type that holds no weights", |whole| whole.tensor(HEAD)["dtype"] = json!("I16"), &[HEAD, "i16"]),
        ("no object", |whole| *whole.tensor(HEAD) = json!(5), &["byte 8"]),
        (
            "a shape that holds as many",
            |whole| whole.tensor(QUERY)["shape"] = json!([16, 64]),
            &[QUERY, "shape"],
        ),
        (
            "a shape the other way round",
            |whole| whole.tensor(GATE)["shape"] = json!([32, 48]),
            &[GATE, "shape"],
        ),
        (
            "another name",
            |whole| {
                let tensor = whole.header.remove(HEAD).unwrap();
                whole.header.insert("lm_hat.weight".to_owned(), tensor);
            },
            &["head.weight", "is missing"],
        ),
        (
            "a tensor that nothing reads",
            |whole| {
                let start = whole.data.len();
                whole.data.extend([0; 64]);
                let tensor = json!({"dtype": "BF16", "shape": [32], "data_offsets": [start, start + 64]});
                whole.header.insert("model.layers.0.extra.weight".to_owned(), tensor);
            },
            &["`model.layers.0.extra.weight`"],
        ),
        (
            "a tensor under two names",
            |whole| {
                let start = whole.data.len();
                whole.data.extend(vec![0; 64 * 32 * 2]);
                let tensor =
                    json!({"dtype": "BF16", "shape": [64, 32], "data_offsets": [start, start + 64 * 32 * 2]});
                whole.header.insert("embed_tokens.weight".to_owned(), tensor);
            },
            &["embed_tokens.weight", "twice"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, change, expected) in cases {
        let mut whole = whole();
        change(&mut whole);
        let message = refusal(&whole.bytes()).unwrap_or_else(|| "read as if nothing were wrong".to_owned());
        if let Some(part) = expected.iter().find(|part| !message.contains(**part)) {
            wrong.push(format!("{name}: no `{part}` in `{message}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn false_lengths_of_the_header_are_refused_and_nothing_is_reserved_for_them() {
    let bytes = whole().bytes();
    for length in [0, 1, 7, bytes.len() as u64 - 7, 100_000_000, 100_000_001, 1 << 40, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        assert!(refusal(&bytes).is_some(), "a header of {length} bytes");
    }
    for length in [0, 1, 7, 8, 9, 500, bytes.len() - 1] {
        assert!(refusal(&bytes[..length]).is_some(), "cut to {length} bytes");
    }
}

#[test]
fn a_header_of_brackets_does_not_exhaust_the_stack() {
    let header = "[".repeat(1 << 20);
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    assert!(refusal(&bytes).is_some());
}

/// The golden model of two files, with another index.
fn indexed(change: impl Fn(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden("llama-sharded")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("model.safetensors.index.json");
    let mut index = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut index);
    std::fs::write(&path, index.to_string()).unwrap();
    folder
}

#[test]
fn an_index_names_files_beside_it_and_all_of_them() {
    assert_eq!(survey(indexed(|_| ()).path()).err(), None);
    type Change = fn(&mut Value);
    let cases: &[(Change, &str)] = &[
        (|index| *index = json!([]), "weight_map"),
        (|index| index["weight_map"] = json!("model.safetensors"), "weight_map"),
        (|index| index["weight_map"][HEAD] = json!(5), HEAD),
        (|index| index["weight_map"][HEAD] = json!("../elsewhere.safetensors"), "folder"),
        (|index| index["weight_map"][HEAD] = json!("/etc/passwd"), "folder"),
        (|index| index["weight_map"][HEAD] = json!(".."), "folder"),
        (|index| index["weight_map"][HEAD] = json!("missing.safetensors"), "missing.safetensors"),
        (|index| index["weight_map"][HEAD] = json!("config.json"), "config.json"),
        (
            |index| {
                for file in index["weight_map"].as_object_mut().unwrap().values_mut() {
                    *file = json!("model-00001-of-00002.safetensors");
                }
            },
            "is missing",
        ),
    ];
    for (change, expected) in cases {
        let message = survey(indexed(change).path()).expect_err("a false index");
        assert!(message.contains(expected), "no `{expected}` in `{message}`");
    }
}

/// Numbers at which something may turn over.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..5000_u64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn field() -> impl Strategy<Value = (&'static str, Value)> {
    prop_oneof![
        prop::collection::vec(number(), 0..4).prop_map(|shape| ("shape", Value::from(shape))),
        prop::collection::vec(number(), 0..3).prop_map(|offsets| ("data_offsets", Value::from(offsets))),
        prop::sample::select(vec!["F64", "F32", "F16", "BF16", "I8", "BOOL", "F8_E4M3", "?"])
            .prop_map(|kind| ("dtype", kind.into())),
    ]
}

proptest! {
    #[test]
    fn no_false_header_breaks_a_promise(changes in prop::collection::vec((any::<Index>(), field()), 1..3)) {
        let mut whole = whole();
        let names: Vec<String> = whole.header.keys().filter(|name| *name != "__metadata__").cloned().collect();
        for (which, (field, value)) in changes {
            let name: &String = which.get(&names);
            whole.tensor(name)[field] = value;
        }
        refusal(&whole.bytes());
    }

    #[test]
    fn no_damage_of_the_header_breaks_a_promise(damage in prop::collection::vec((0..2600_usize, any::<u8>()), 1..4)) {
        let mut bytes = whole().bytes();
        for (at, value) in damage {
            bytes[at] = value;
        }
        refusal(&bytes);
    }
}
