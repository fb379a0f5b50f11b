//! `slimfit emit`, as a user meets it: kernels, and a folder that appears whole or not at all.

use crate::harness::Slimfit;
use std::path::Path;

/// What lies in a folder, hidden files included.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn kernels_of_a_model_are_a_crate_that_says_how_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["emit", "--model", "smollm2-135m", "--what", "hf,kernels", "--weights", "q4_0"];
    let more = ["--threads", "2", "--out", "emitted", "--json"];
    let object =
        Slimfit::new(arguments.iter().chain(&more)).folder(folder.path()).run().done().object("emit");
    let files = object["files"].as_array().unwrap();
    for file in ["config.json", "kernels/Cargo.toml", "kernels/src/model.rs", "kernels/README.md"] {
        let path = format!("emitted/{file}");
        assert!(files.iter().any(|written| written["path"] == path.as_str()), "{file} is not listed");
        assert!(folder.path().join(&path).is_file(), "{file}");
    }
    assert_eq!(entries(folder.path()), ["emitted"]);
    let read =
        |file: &str| std::fs::read_to_string(folder.path().join("emitted/kernels").join(file)).unwrap();
    assert!(read("src/model.rs").contains("Matrix<960, 576>"));
    assert!(read("include/kernels_smollm2_135m.h").contains("kernels_smollm2_135m_decode_step"));
    let about = read("README.md");
    assert!(about.contains("2 threads, weights in q4_0") && about.contains("--weights q4_0"), "{about}");
    assert!(!read("Cargo.toml").contains("slimfit-"), "a dependency on slimfit");
}

#[test]
fn what_cannot_be_emitted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    // A table of positions beside factorised embeddings: no kernel gathers both.
    let architecture = r#"{"schema": "slimfit/architecture/v1", "hidden_size": 64, "vocabulary_size": 96, "embedding_size": 32,
        "positions": {"kind": "learned", "context": 64},
        "layers": [{"attention": {"heads": 2, "kv_heads": 2, "head_size": 32}, "ffn": {"kind": "dense", "size": 64}}]}"#;
    std::fs::write(folder.path().join("model.json"), architecture).unwrap();
    let arguments = ["emit", "--model", "model.json", "--context", "64", "--what", "kernels", "--json"];
    let run = |more: &[&str]| Slimfit::new(arguments.iter().chain(more)).folder(folder.path()).run();
    let error = run(&["--out", "emitted"]).refused("no-kernels");
    assert!(error["message"].as_str().unwrap().contains("learned position table"), "{error}");
    assert_eq!(entries(folder.path()), ["model.json"]);
    std::fs::create_dir(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/mine"), "kept").unwrap();
    run(&["--out", "full"]).refused("not-empty");
    assert_eq!(entries(&folder.path().join("full")), ["mine"]);
    run(&["--out", "emitted", "--threads", "0"]).refused("usage");
}

/// A Raspberry Pi's study where this program runs on x86-64, or a PC's where it runs on AArch64.
#[test]
fn kernels_of_a_device_of_another_architecture_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = if cfg!(target_arch = "aarch64") { "intel-n100" } else { "raspberry-pi-5" };
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run();
    run(&["search", "--space", "slm-tiny", "--profile", foreign, "--out", "study", "--json"]).done();
    let emit = ["emit", "--study", "study", "--out", "emitted", "--what"];
    let error = run(&[&emit[..], &["hf,kernels", "--json"]].concat()).refused("foreign-device");
    assert!(error["hint"].as_str().unwrap().contains("kernels"), "{error}");
    assert_eq!(entries(folder.path()), ["study"]);
    run(&[&emit[..], &["hf"]].concat()).done();
    assert!(folder.path().join("emitted/config.json").is_file());
}

/// Two layers, looped: no architecture of llama.cpp runs it.
const LOOPED: &str = r#"{"schema": "slimfit/architecture/v1", "hidden_size": 64, "vocabulary_size": 96,
    "loops": {"first": 0, "layers": 2, "count": 2},
    "layers": [{"repeat": 2, "attention": {"heads": 2, "kv_heads": 1, "head_size": 32, "rope": {"base": 10000.0}},
                "ffn": {"kind": "dense", "size": 64}}]}"#;

#[test]
fn what_llama_cpp_cannot_run_has_a_container_that_slimfit_and_its_kernels_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("model.json"), LOOPED).unwrap();
    let run = |arguments: &[&str]| Slimfit::new(arguments).folder(folder.path()).run();
    let emit = |model: &str, what: &str, more: &[&str]| {
        let arguments = ["emit", "--model", model, "--what", what, "--context", "64", "--weights", "q8_0"];
        run(&[&arguments[..], more].concat())
    };
    // What is asked for llama.cpp stays refused, whatever else is asked for.
    for what in ["gguf", "hf,kernels,gguf", "gguf,container"] {
        let error = emit("model.json", what, &["--out", "refused", "--json"]).refused("no-gguf");
        assert!(error["message"].as_str().unwrap().contains("`loops` must be"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("--what container"), "{error}");
    }
    assert_eq!(entries(folder.path()), ["model.json"]);
    let object =
        emit("model.json", "kernels,container", &["--out", "emitted", "--json"]).done().object("emit");
    let container = object["files"].as_array().unwrap().iter().find(|file| file["kind"] == "slimfit-gguf");
    assert_eq!(container.unwrap()["path"], "emitted/slimfit-q8_0.gguf");
    assert!(object["emitted"][0]["no_gguf"].as_str().unwrap().contains("`loops`"), "{object}");
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(read("emitted/kernels/src/model.rs").contains("family: \"slimfit\""));
    assert!(read("emitted/kernels/README.md").contains("which llama.cpp does not load"));
    let card = read("emitted/README.md");
    for words in ["slimfit-q8_0.gguf", "**llama.cpp cannot load it**", "`loops` must be", "- gguf"] {
        assert!(card.contains(words), "no {words} in {card}");
    }
    let text = emit("model.json", "container", &["--out", "again"]).done().stdout;
    assert!(text.contains("llama.cpp cannot load it") && text.contains("`loops`"), "{text}");
    // And back: the same model, and the same file from it.
    let inspect =
        |model: &str| run(&["inspect", model, "--weights", "q8_0", "--json"]).done().object("inspect");
    let (own, back) = (inspect("model.json"), inspect("emitted/slimfit-q8_0.gguf"));
    assert_eq!((&own["id"], &own["architecture"]), (&back["id"], &back["architecture"]));
    assert_eq!(back["family"], "slimfit");
    emit("emitted/slimfit-q8_0.gguf", "container", &["--out", "third"]).done();
    let bytes = |of: &str| std::fs::read(folder.path().join(of).join("slimfit-q8_0.gguf")).unwrap();
    assert!(bytes("emitted") == bytes("again") && bytes("emitted") == bytes("third"));
    let measure =
        ["measure", "emitted/slimfit-q8_0.gguf", "--prompt", "8", "--generate", "3", "--rounds", "1"];
    let object = run(&[&measure[..], &["--no-memory", "--json"]].concat()).done().object("measure");
    assert_eq!((&object["id"], &object["weights_source"]), (&back["id"], &"file".into()));
    // Kernels of a file read that very file.
    emit("emitted/slimfit-q8_0.gguf", "kernels", &["--out", "kernels-alone"]).done();
    assert!(read("kernels-alone/kernels/src/model.rs").contains("family: \"slimfit\""));
}

#[test]
fn a_container_of_a_model_that_llama_cpp_runs_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let plain = LOOPED.replace(r#""loops": {"first": 0, "layers": 2, "count": 2},"#, "");
    std::fs::write(folder.path().join("model.json"), plain).unwrap();
    let arguments = ["emit", "--model", "model.json", "--what", "kernels,gguf,container", "--context", "64"];
    let text = Slimfit::new(arguments.iter().chain(&["--out", "emitted"])).folder(folder.path()).run().done();
    assert!(text.stdout.contains("that it runs as `llama`"), "{}", text.stdout);
    let files = entries(&folder.path().join("emitted"));
    for file in ["model-q8_0.gguf", "slimfit-q8_0.gguf"] {
        assert!(files.iter().any(|found| found == file), "no {file} in {files:?}");
    }
}
