//! `load_model`: every kind of reference, and what is said when nothing is found.

use slimfit_arch::Architecture;
use slimfit_formats::{ARCHITECTURE_SCHEMA, FormatsError, Origin, builtin, load_model, safetensors_header};
use slimfit_quantity::NumberFormat;
use std::path::Path;

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a temporary folder can be written");
    path.display().to_string()
}

const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 96, "vocab_size": 100}"#;

#[test]
fn configs_are_found_by_file_and_by_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("tiny-llama");
    std::fs::create_dir(&folder).unwrap();
    let file = write(&folder, "config.json", CONFIG);
    for reference in [file.as_str(), folder.to_str().unwrap()] {
        let model = load_model(reference).unwrap();
        assert_eq!((model.name.as_str(), model.family.as_str()), ("tiny-llama", "llama"));
        assert!(matches!(model.origin, Origin::HuggingFace(_)));
    }
    let other = write(&folder, "variant.json", CONFIG);
    assert_eq!(load_model(&other).unwrap().name, "variant");
}

#[test]
fn architectures_are_read_from_yaml_and_json_with_and_without_schema() {
    let folder = tempfile::tempdir().unwrap();
    let expected = builtin::find("qwen2.5-0.5b").unwrap().architecture.clone();
    let mut value = serde_json::to_value(&expected).unwrap();
    let bare = write(folder.path(), "point.json", &value.to_string());
    value["schema"] = ARCHITECTURE_SCHEMA.into();
    let whole = write(folder.path(), "whole.json", &value.to_string());
    let yaml = "schema: slimfit/architecture/v1\nhidden_size: 64\nvocabulary_size: 100\nlayers:\n  - repeat: 3\n    \
                attention: {heads: 4, kv_heads: 2, head_size: 16}\n    ffn: {kind: dense, size: 96}\n";
    let small = write(folder.path(), "small.yaml", yaml);
    for reference in [&bare, &whole] {
        let model = load_model(reference).unwrap();
        assert_eq!((model.architecture, model.family.as_str()), (expected.clone(), "slimfit"));
    }
    assert_eq!(load_model(&small).unwrap().architecture.depth(), 3);

    let fails =
        |name: &str, text: &str| load_model(&write(folder.path(), name, text)).unwrap_err().into_document();
    let error = fails("kv.yaml", &yaml.replace("kv_heads: 2", "kv_heads: 3"));
    assert_eq!(error.field.as_deref(), Some("layers[0].attention.kv_heads"));
    assert_eq!((error.line, error.found.as_deref()), (Some(6), Some("3")));
    let error = fails("typo.yaml", &yaml.replace("hidden_size", "hiden_size"));
    assert!(error.to_string().contains("hidden_size"), "{error}");
    let error = fails("later.yaml", &yaml.replace("v1", "v9"));
    assert!(error.to_string().contains("slimfit/architecture/v1"), "{error}");
}

#[test]
fn a_point_of_a_front_is_a_model_and_a_front_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let model = builtin::find("qwen3-0.6b").unwrap();
    let mut point = serde_json::json!({"id": "0123456789ab", "architecture": model.architecture, "weights": "q4_0",
        "kv": "f16", "threads": 2, "objectives": {"loss": 2.5}, "picks": ["knee"]});
    let read = load_model(&write(folder.path(), "knee.json", &point.to_string())).unwrap();
    assert_eq!((&read.architecture, read.name.as_str()), (&model.architecture, "knee"));
    assert_eq!(read.weights_format, Some(NumberFormat::Q4_0));
    point["architecture"]["vocabulary_size"] = 0.into();
    let error =
        load_model(&write(folder.path(), "none.json", &point.to_string())).unwrap_err().into_document();
    assert_eq!(error.field.as_deref(), Some("architecture.vocabulary_size"));
    let front = serde_json::json!({"schema": "slimfit/front/v1", "points": [point]});
    let error =
        load_model(&write(folder.path(), "front.json", &front.to_string())).unwrap_err().into_document();
    assert_eq!(error.field.as_deref(), Some("points"));
    assert!(error.to_string().contains("one point"), "{error}");
}

#[test]
fn built_in_names_are_found_and_others_get_a_hint() {
    let model = load_model("TinyLlama-1.1B").unwrap();
    assert_eq!((model.origin, model.name.as_str()), (Origin::BuiltIn, "tinyllama-1.1b"));
    assert_eq!(model.published.unwrap().parameters.total, 1_100_048_384);
    let error = load_model("tinylama-1.1b").unwrap_err();
    let FormatsError::UnknownModel { reference, hint } = &error else { panic!("{error}") };
    assert!(reference == "tinylama-1.1b" && hint.contains("`tinyllama-1.1b`"), "{hint}");
    assert!(error.into_document().hint.is_some());
    assert!(load_model("./missing/config.json").unwrap_err().to_string().contains("missing"));
    let empty = tempfile::tempdir().unwrap();
    assert!(load_model(empty.path().to_str().unwrap()).unwrap_err().to_string().contains("config.json"));
}

#[test]
fn safetensors_headers_are_read_and_checked_against_the_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let header = r#"{"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 12]);
    std::fs::write(&path, &bytes).unwrap();
    let tensors = safetensors_header::read_header(&path).unwrap();
    assert_eq!((tensors[0].name.as_str(), tensors[0].kind.as_str()), ("w", "BF16"));
    assert_eq!(tensors[0].shape, [2, 3]);
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(safetensors_header::read_header(&path).is_err(), "{length}");
    }
    let mut vast = u64::MAX.to_le_bytes().to_vec();
    vast.extend([0; 8]);
    std::fs::write(&path, vast).unwrap();
    assert!(safetensors_header::read_header(&path).is_err());
}

#[test]
fn an_architecture_is_itself_after_a_round_trip_through_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for model in builtin::models() {
        let text = serde_json::to_string(&model.architecture).unwrap();
        let read: Architecture = load_model(&write(folder.path(), "a.json", &text)).unwrap().architecture;
        assert_eq!(read, model.architecture, "{}", model.name);
    }
}
