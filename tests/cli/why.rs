//! Why a model is not on a front: each answer, on a tiny space of a device described from publications.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use crate::candidates::{CONFIG, SPACE};
use crate::harness::Slimfit;
use serde_json::{Value, json};
use slimfit_study::Study;
use std::path::Path;

/// A folder with the study of the tiny space in `study`, with these limits.
fn studied(limits: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.yaml"), SPACE).unwrap();
    let search = ["search", "--space", "tiny.yaml", "--profile", "raspberry-pi-5", "--out", "study"];
    Slimfit::new([&search[..], limits].concat()).folder(folder.path()).run().done();
    folder
}

fn why(folder: &Path, model: &str, more: &[&str]) -> Value {
    let arguments = ["why", "--study", "study", model, "--json"];
    Slimfit::new([&arguments[..], more].concat()).folder(folder).run().done().object("why")
}

fn said(folder: &Path, model: &str) -> String {
    Slimfit::new(["why", "--study", "study", model]).folder(folder).run().done().stdout
}

fn front(folder: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("study/front.json")).unwrap()).unwrap()
}

/// A point of the space as a file, its feed-forward part made wider, so that its cost grows and its place in the space is lost.
fn widened(folder: &Path, file: &str, times: f64) {
    let point = front(folder)["points"][0].clone();
    let mut architecture = point["architecture"].clone();
    let size = architecture["layers"][0]["ffn"]["size"].as_f64().unwrap();
    architecture["layers"][0]["ffn"]["size"] = json!((size * times) as u64);
    architecture["schema"] = "slimfit/architecture/v1".into();
    std::fs::write(folder.join(file), architecture.to_string()).unwrap();
}

#[test]
fn a_dominated_model_is_told_what_dominates_it_and_by_how_much() {
    let folder = studied(&[]);
    let folder = folder.path();
    // Two wide layers under a large table: more bytes for each token than the space's smallest model, and a higher loss.
    let mut wasteful = CONFIG.to_owned();
    for (from, to) in [
        ("\"hidden_size\": 256", "\"hidden_size\": 512"),
        ("\"intermediate_size\": 768", "\"intermediate_size\": 1536"),
        ("\"num_hidden_layers\": 8", "\"num_hidden_layers\": 2"),
        ("\"num_attention_heads\": 4", "\"num_attention_heads\": 8"),
        ("\"num_key_value_heads\": 4", "\"num_key_value_heads\": 8"),
        ("32768", "40960"),
    ] {
        wasteful = wasteful.replace(from, to);
    }
    std::fs::write(folder.join("config.json"), wasteful).unwrap();
    let object = why(folder, "config.json", &[]);
    assert_eq!(object["verdict"], "dominated", "{object}");
    let points = object["points"].as_array().unwrap();
    assert_eq!(points.len() as u64, object["dominated_by"].as_u64().unwrap().min(3));
    let factors: Vec<f64> = points.iter().map(|point| point["factor"].as_f64().unwrap()).collect();
    assert!(
        factors.is_sorted_by(|a, b| a >= b) && factors.iter().all(|factor| *factor >= 1.0),
        "{factors:?}"
    );
    for point in points {
        let known =
            front(folder)["points"].as_array().unwrap().iter().any(|known| known["id"] == point["id"]);
        assert!(known, "{point}");
        for difference in point["differences"].as_array().unwrap() {
            let number = |name: &str| difference[name].as_f64().unwrap();
            assert_ne!(difference["better"], "model", "{difference}");
            assert!(number("model") >= number("point"), "{difference}");
            assert!((number("ratio") - number("model") / number("point")).abs() < 1e-12);
            let middle = number(difference["interval_of"].as_str().unwrap());
            assert!((number("low")..=number("high")).contains(&middle), "{difference}");
        }
        // Tokens of unlike vocabularies are unlike lengths of text.
        let names: Vec<&Value> =
            point["differences"].as_array().unwrap().iter().map(|difference| &difference["name"]).collect();
        assert!(
            names.contains(&&json!("seconds_per_byte")) && !names.contains(&&json!("tpot_seconds")),
            "{names:?}"
        );
    }
    let text = said(folder, "config.json");
    let id = points[0]["id"].as_str().unwrap();
    assert!(text.contains("at least as good in everything") && text.contains(id), "{text}");
    assert!(text.contains("the space does not hold it") && text.contains("vocabulary_size"), "{text}");
    // Asked in one format, it is priced in that.
    let other = why(folder, "config.json", &["--weights", "bf16", "--kv", "f32"]);
    assert_eq!((&other["model"]["weights"], &other["model"]["kv"]), (&json!("bf16"), &json!("f32")));
    assert_eq!(other["model"]["formats_tried"], 1);
    let outside: Vec<&Value> =
        other["outside"].as_array().unwrap().iter().map(|outside| &outside["axis"]).collect();
    assert!(outside.contains(&&json!("weights")) && outside.contains(&&json!("kv")), "{outside:?}");
    assert_eq!(object["model"]["formats_tried"], 2);
}

#[test]
fn a_point_of_the_front_is_said_to_be_one_by_its_id_and_by_its_file() {
    let folder = studied(&[]);
    let point = front(folder.path())["points"][0].clone();
    let id = point["id"].as_str().unwrap();
    let object = why(folder.path(), id, &[]);
    assert_eq!((&object["verdict"], &object["model"]["id"]), (&json!("on-front"), &json!(id)));
    assert_eq!((&object["dominated_by"], &object["outside"]), (&json!(0), &json!([])));
    std::fs::write(folder.path().join("point.json"), point.to_string()).unwrap();
    let same = why(folder.path(), "point.json", &["--kv", "f16"]);
    assert_eq!((&same["verdict"], &same["model"]["id"]), (&json!("on-front"), &json!(id)));
    for (name, value) in point["objectives"].as_object().unwrap() {
        let found = same["model"]["objectives"][name].as_f64().unwrap();
        assert!((found / value.as_f64().unwrap() - 1.0).abs() < 1e-9, "{name}: {found} and {value}");
    }
    assert!(said(folder.path(), id).contains("on the front"));
}

#[test]
fn a_model_outside_the_space_that_nothing_dominates_would_be_on_the_front() {
    let folder = studied(&[]);
    widened(folder.path(), "wide.json", 1.5);
    let object = why(folder.path(), "wide.json", &[]);
    assert_eq!(object["verdict"], "would-be-on-front", "{object}");
    let outside = object["outside"].as_array().unwrap();
    assert_eq!((outside.len(), &outside[0]["axis"]), (1, &json!("ffn")), "{outside:?}");
    let (found, nearest) = (outside[0]["found"].as_str().unwrap(), outside[0]["nearest"].as_str().unwrap());
    assert_eq!(found.parse::<f64>().unwrap(), 1.5 * nearest.parse::<f64>().unwrap());
    assert!(said(folder.path(), "wide.json").contains("it would be on the front"));
    // A shape of endless training has a loss that pushes points out.
    let large = why(folder.path(), "smollm2-135m", &["--as-trained"]);
    assert_eq!(
        (&large["model"]["as_trained"], &large["model"]["tokens"]),
        (&json!(true), &json!(2_000_000_000_000_u64))
    );
    let alike = why(folder.path(), "smollm2-135m", &[]);
    let loss = |object: &Value| object["model"]["objectives"]["loss"].as_f64().unwrap();
    assert!(loss(&large) < loss(&alike), "{} and {}", loss(&large), loss(&alike));
}

#[test]
fn a_broken_limit_is_named_with_its_excess() {
    let folder = studied(&["--max-memory", "24MiB"]);
    let object = why(folder.path(), "smollm2-360m", &[]);
    assert_eq!(object["verdict"], "breaks-limits");
    let excess = &object["breaks"][0];
    assert_eq!((&excess["name"], &excess["limit"]), (&json!("memory_bytes"), &json!(25_165_824.0)));
    let (value, ratio) = (excess["value"].as_f64().unwrap(), excess["ratio"].as_f64().unwrap());
    assert!(ratio > 5.0 && (value / 25_165_824.0 - ratio).abs() < 1e-9, "{excess}");
    let text = said(folder.path(), "smollm2-360m");
    assert!(text.contains("breaks a limit") && text.contains("limit 24.0 MiB"), "{text}");
}

#[test]
fn a_model_beyond_the_law_compares_with_nothing_and_says_why() {
    let folder = studied(&[]);
    let small = CONFIG.replace("\"num_hidden_layers\": 8", "\"num_hidden_layers\": 1");
    std::fs::write(folder.path().join("config.json"), small).unwrap();
    let object = why(folder.path(), "config.json", &[]);
    assert_eq!(object["verdict"], "not-predicted");
    assert!(object["not_predicted"].as_str().unwrap().contains("non-embedding"), "{object}");
    assert!(said(folder.path(), "config.json").contains("compares with nothing"));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let folder = studied(&[]);
    let refused = |arguments: &[&str], code: &str| {
        Slimfit::new([&["why", "--json"], arguments].concat()).folder(folder.path()).run().refused(code)
    };
    let error = refused(&["--study", "nowhere", "smollm2-135m"], "study");
    assert!(error["hint"].as_str().unwrap().contains("slimfit search"), "{error}");
    let error = refused(&["--study", "study", "smollm2-135n"], "unknown-model");
    assert!(error["hint"].as_str().unwrap().contains("smollm2-135m"), "{error}");
    let error = refused(&["--study", "study", "0123456789ab"], "unknown-point");
    assert!(error["hint"].as_str().is_some(), "{error}");
    refused(&["--study", "study", "gpt2", "--as-trained"], "no-training");
    // A study that was started and has no front yet.
    drop(Study::create(&folder.path().join("begun")).unwrap());
    refused(&["--study", "begun", "smollm2-135m"], "no-front");
    // Another version's: SQLite keeps the number that a program gives its files in bytes 60 to 63.
    let store = folder.path().join("begun/study.sqlite");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&store, bytes).unwrap();
    let error = refused(&["--study", "begun", "smollm2-135m"], "study-version");
    assert_eq!((&error["found"], &error["allowed"]), (&"99".into(), &"1 to 2".into()));
    // A copy of an input that was lost.
    std::fs::remove_file(folder.path().join("study/recipe.yaml")).unwrap();
    let error = refused(&["--study", "study", "smollm2-135m"], "file-missing");
    assert!(error["file"].as_str().unwrap().ends_with("recipe.yaml"), "{error}");
}
