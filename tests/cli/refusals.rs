//! Bad input: exit code 2, a message that names the file, the place, what was found and what is allowed, and nothing lost.

use crate::harness::{Slimfit, root};
use crate::measured::machine;
use serde_json::Value;
use std::path::{Path, PathBuf};

const LLAMA: &str = r#"{
  "model_type": "llama", "architectures": ["LlamaForCausalLM"],
  "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
  "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
  "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true
}"#;

/// Writes `text` as a `config.json` and inspects it.
fn inspect(folder: &Path, text: impl AsRef<[u8]>) -> crate::harness::Finished {
    let file = folder.join("config.json");
    std::fs::write(&file, text).expect("the file is written");
    Slimfit::new(["inspect".as_ref(), file.as_os_str(), "--json".as_ref()]).run()
}

/// Refused with exit code 2, the file named; returns the error.
fn refused(folder: &Path, text: impl AsRef<[u8]>) -> Value {
    let finished = inspect(folder, text);
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    let error = finished.object("error")["error"].clone();
    assert!(error["file"].as_str().is_some_and(|file| file.ends_with("config.json")), "{error}");
    error
}

fn contains(error: &Value, field: &str, part: &str) {
    assert!(
        error[field].as_str().is_some_and(|text| text.contains(part)),
        "`{field}` lacks `{part}`: {error}"
    );
}

#[test]
fn an_unknown_model_type_lists_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(folder.path(), LLAMA.replace("\"llama\"", "\"llamma\""));
    contains(&error, "allowed", "llama");
    contains(&error, "found", "llamma");
    contains(&error, "hint", "`llama`");
    assert_eq!(error["line"], 2);
}

#[test]
fn impossible_architectures_name_the_field() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0"),
        ("\"hidden_size\": 64", "\"hidden_size\": -64"),
        ("\"vocab_size\": 100", "\"vocab_size\": 1.5"),
        ("\"hidden_size\": 64", "\"hidden_size\": 9223372036854775807"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 18446744073709551615"),
    ] {
        let finished = inspect(folder.path(), LLAMA.replace(from, to));
        assert_eq!(finished.code, 2, "{to}: {}", finished.stdout);
        let error = finished.object("error")["error"].clone();
        let text = error.to_string();
        // A field that fits no other is named with them; a count past 64 bits names what was counted.
        let parts = [
            "overflow",
            "kv_heads",
            "key_value_heads",
            "layers",
            "hidden_size",
            "num_attention_heads",
            "vocab_size",
        ];
        assert!(parts.iter().any(|part| text.contains(part)), "{to}: {error}");
    }
}

#[test]
fn more_experts_chosen_than_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let moe = LLAMA.replace("\"llama\"", "\"mixtral\"").replace("LlamaFor", "MixtralFor");
    let error = inspect(
        folder.path(),
        moe.replace("\"vocab_size\"", "\"num_local_experts\": 4, \"num_experts_per_tok\": 5, \"vocab_size\""),
    );
    assert_eq!(error.code, 2, "{}", error.stdout);
    let error = error.object("error")["error"].clone();
    assert!(
        error.to_string().contains("top_k") || error.to_string().contains("num_experts_per_tok"),
        "{error}"
    );
}

#[test]
fn nan_and_infinity_are_no_json() {
    let folder = tempfile::tempdir().unwrap();
    for word in ["NaN", "Infinity", "-Infinity"] {
        let error = refused(folder.path(), LLAMA.replace("10000.0", word));
        assert!(error["line"].as_u64().is_some_and(|line| line == 5), "{word}: {error}");
    }
}

#[test]
fn a_byte_order_mark_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let plain = inspect(folder.path(), LLAMA).done().object("inspect");
    let marked = inspect(folder.path(), format!("\u{feff}{LLAMA}")).done().object("inspect");
    assert_eq!(plain["id"], marked["id"]);
}

#[test]
fn a_git_lfs_pointer_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let error = refused(folder.path(), pointer);
    assert_eq!(error["code"], "git-lfs-pointer");
    contains(&error, "hint", "git lfs pull");
}

#[test]
fn truncated_and_binary_files() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), &LLAMA[..LLAMA.len() / 2]);
    refused(folder.path(), b"\xff\xfe\x00\x01");
    refused(folder.path(), "");
}

#[test]
fn a_misspelt_field_of_a_space_names_place_and_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(root().join("search-spaces/slm-demo.yaml")).unwrap();
    let file = folder.path().join("space.yaml");
    std::fs::write(&file, text.replace("kv_heads:", "kv_haeds:")).unwrap();
    let machine = machine();
    let finished = Slimfit::new(["search".as_ref(), "--space".as_ref(), file.as_os_str(), "--json".as_ref()])
        .folder(machine.folder())
        .run();
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    let error = finished.object("error")["error"].clone();
    contains(&error, "hint", "kv_heads");
    let line = text.lines().position(|line| line.contains("kv_heads:")).unwrap() + 1;
    assert_eq!(error["line"], line, "{error}");
}

#[test]
fn misspelt_names_suggest_the_nearest() {
    let machine = machine();
    for (arguments, near) in [
        (vec!["inspect", "smollm2-135"], "smollm2-135m"),
        (vec!["search", "--space", "slm-demmo"], "slm-demo"),
        (vec!["search", "--workload", "asistant"], "assistant"),
        (vec!["search", "--recipe", "gemstone"], "gemstones"),
        (vec!["search", "--objectives", "tpot_second"], "tpot_seconds"),
    ] {
        let finished = Slimfit::new(arguments.iter().chain(&["--json"])).folder(machine.folder()).run();
        assert_eq!(finished.code, 2, "{arguments:?}: {}", finished.stdout);
        let error = finished.object("error")["error"].clone();
        contains(&error, "hint", near);
    }
}

#[test]
fn sizes_and_times_say_how_they_are_written() {
    for (flag, value, example) in
        [("--max-memory", "1XB", "1GiB"), ("--max-ttft", "fast", "500ms"), ("--tokens", "many", "100B")]
    {
        let error = Slimfit::new(["search", flag, value, "--json"]).run().refused("usage");
        contains(&error, "message", example);
    }
}

#[test]
fn a_profile_of_another_machine_needs_insisting() {
    let machine = machine();
    machine.write_smallest();
    let text = std::fs::read_to_string(&machine.profile_file).unwrap();
    let other = machine.folder().join("other.yaml");
    let stepping = text.lines().find(|line| line.trim_start().starts_with("stepping:")).unwrap();
    std::fs::write(&other, text.replace(stepping, "  stepping: 250")).unwrap();
    let arguments = [
        "measure",
        "smallest.json",
        "--profile",
        "other.yaml",
        "--prompt=8",
        "--generate=2",
        "--rounds=1",
        "--no-memory",
        "--json",
    ];
    let refused = Slimfit::new(arguments).folder(machine.folder()).run().refused("other-machine");
    contains(&refused, "message", "stepping");
    contains(&refused, "hint", "--allow-other-profile");
    let insisting = Slimfit::new(arguments.iter().chain(&["--allow-other-profile"])).folder(machine.folder());
    insisting.run().done().object("measure");
}

#[test]
fn no_profile_says_how_to_measure_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = Slimfit::new(["search", "--json"]).folder(folder.path()).run().refused("no-profile");
    contains(&error, "hint", "slimfit profile");
    assert!(
        std::fs::read_dir(folder.path()).unwrap().next().is_none(),
        "a refused search left something behind"
    );
}

#[test]
fn a_model_larger_than_memory_is_refused_before_it_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let huge = LLAMA
        .replace("\"hidden_size\": 64", "\"hidden_size\": 65536")
        .replace("\"intermediate_size\": 128", "\"intermediate_size\": 262144")
        .replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 500");
    std::fs::write(folder.path().join("config.json"), huge).unwrap();
    let error = Slimfit::new(["measure", "config.json", "--json"])
        .folder(folder.path())
        .run()
        .refused("out-of-memory");
    contains(&error, "message", "TiB");
}

#[test]
fn a_full_disk_is_said_as_such() {
    let machine = machine();
    machine.write_smallest();
    std::fs::write(machine.folder().join("one-token.txt"), "1").unwrap();
    let arguments =
        ["measure", "smallest.json", "--token-ids", "one-token.txt", "--logits", "/dev/full", "--json"];
    Slimfit::new(arguments).folder(machine.folder()).run().refused("disk-full");
}

#[test]
fn folders_that_cannot_be_written() {
    let machine = machine();
    let file = machine.folder().join("a-file");
    std::fs::write(&file, "kept").unwrap();
    let below: PathBuf = file.join("below");
    let below = below.to_str().unwrap();
    for arguments in [
        vec!["search", "--out", below, "--json"],
        vec!["profile", "--out", below, "--json"],
        vec!["emit", "--study", "study", "--out", below, "--json"],
        vec!["report", "--study", "study", "--out", below, "--json"],
        vec!["run", "--out", below, "--json"],
    ] {
        let finished = Slimfit::new(&arguments).folder(machine.folder()).run();
        assert_eq!(finished.code, 2, "{arguments:?}: {} {}", finished.stdout, finished.stderr);
        finished.object("error");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn a_study_of_other_inputs_is_not_written_over() {
    let machine = machine();
    let before = std::fs::read(machine.folder().join("study/front.json")).unwrap();
    let arguments = ["search", "--workload", "summary", "--out", "study", "--json"];
    let finished = Slimfit::new(arguments).folder(machine.folder()).run();
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    assert!(std::fs::read(machine.folder().join("study/front.json")).unwrap() == before, "the front changed");
}

#[test]
fn an_unknown_instruction_set_is_refused() {
    let finished = Slimfit::new(["measure", "smollm2-135m", "--json"]).variable("SLIMFIT_ISA", "avx3").run();
    assert_eq!(finished.code, 2, "{}", finished.stdout);
    contains(&finished.object("error")["error"], "message", "avx512");
}

#[test]
fn people_get_a_sentence_and_the_hint_on_a_line_of_its_own() {
    let finished = Slimfit::new(["inspect", "smollm2-135"]).run();
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""));
    assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
    assert!(finished.stderr.lines().any(|line| line.starts_with("hint: ")), "{}", finished.stderr);
}
