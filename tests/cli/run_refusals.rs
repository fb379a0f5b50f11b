//! What commands that predict and run models say of input that cannot be: the place, what was found, what is allowed, and
//! before anything is measured.

use crate::harness::{Finished, Slimfit};
use crate::measured::{Machine, machine};
use serde_json::Value;

fn run(machine: &Machine, arguments: &[&str]) -> Finished {
    Slimfit::new(arguments.iter().chain(&["--json"])).folder(machine.folder()).run()
}

/// A machine with `smallest.json`.
fn with_model() -> Machine {
    let machine = machine();
    machine.write_smallest();
    machine
}

fn says(error: &Value, field: &str, part: &str) {
    let text = error[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {error}"));
    assert!(text.contains(part), "{error}");
}

#[test]
fn counts_of_tokens_that_cannot_be_are_refused_with_the_range() {
    let machine = with_model();
    let commands: [&[&str]; 8] = [
        &["explain", "smallest.json", "--depth", "99999999999999999"],
        &["explain", "smallest.json", "--prompt", "99999999999999"],
        &["explain", "smallest.json", "--generate", "0"],
        &["explain", "smallest.json", "--prompt", "-5"],
        &["measure", "smallest.json", "--depth", "99999999999999"],
        &["verify", "--prompt", "0"],
        &["verify", "--depth", "128,x"],
        &["calibrate", "--depth", "-1"],
    ];
    for command in commands {
        let error = run(&machine, command).refused("usage");
        says(&error, "message", "16777216");
        says(&error, "field", command[command.len() - 2]);
    }
}

#[test]
fn negative_numbers_are_values_that_an_option_refuses_itself() {
    let machine = with_model();
    let commands: [&[&str]; 4] = [
        &["verify", "--samples", "-3"],
        &["calibrate", "--seed", "-1"],
        &["measure", "smallest.json", "--rounds", "-2"],
        &["explain", "smallest.json", "--threads", "-1"],
    ];
    for command in commands {
        let error = run(&machine, command).refused("usage");
        says(&error, "message", &format!("'{}'", command[command.len() - 1]));
        says(&error, "field", command[command.len() - 2]);
    }
}

#[test]
fn a_battery_needs_requests_and_watts() {
    let machine = with_model();
    for requests in ["0", "-2", "nan"] {
        let arguments = ["explain", "smallest.json", "--battery=18Wh", "--requests-per-hour", requests];
        let error = run(&machine, &arguments).refused("usage");
        says(&error, "message", "above 0");
        says(&error, "field", "--requests-per-hour");
    }
    // Where a meter of this machine answers, its watts are there.
    if machine.profile["power"]["idle_watts"]["value"].is_null() {
        let error = run(&machine, &["explain", "smallest.json", "--battery=18Wh"]).refused("cost");
        says(&error, "hint", "--power-watts");
    }
}

#[test]
fn threads_that_no_profile_or_pool_has_are_named_with_those_it_has() {
    let machine = with_model();
    for threads in ["0", "99"] {
        let error = run(&machine, &["explain", "smallest.json", "--threads", threads]).refused("cost");
        assert_eq!((&error["field"], &error["found"]), (&"--threads".into(), &threads.into()));
        says(&error, "allowed", "1");
    }
    let many = ["measure", "smallest.json", "--threads=999", "--prompt=8", "--generate=2"];
    let error = run(&machine, &many).refused("workflow");
    assert_eq!((&error["field"], &error["found"]), (&"--threads".into(), &"999".into()));
    says(&error, "allowed", "1 to ");
}

#[test]
fn a_cache_format_that_no_kernel_has_is_named_with_those_that_they_have() {
    let machine = with_model();
    let commands: [&[&str]; 3] = [
        &["explain", "smallest.json", "--kv=q4_0"],
        &["measure", "smallest.json", "--kv=bf16"],
        &["calibrate", "--models=a,b,c", "--kv=q6_k"],
    ];
    for command in commands {
        let error = run(&machine, command).refused("usage");
        assert_eq!((&error["field"], &error["allowed"]), (&"--kv".into(), &"f32, f16, q8_0".into()));
    }
    // Another engine may keep one.
    run(&machine, &["explain", "smallest.json", "--kv=q4_0", "--engine=llama.cpp"]).done();
}

#[test]
fn an_engine_must_be_a_command_with_some_time() {
    let machine = with_model();
    let error = |engine: &str, timeout: &str| {
        let arguments = ["measure", "smallest.json", "--engine-command", engine, "--engine-timeout", timeout];
        run(&machine, &arguments).refused("usage")
    };
    says(&error(" ", "5"), "message", "nothing to run");
    says(&error("true", "0"), "message", "more than 0");
    says(&error("true", "-1"), "field", "--engine-timeout");
}

#[test]
fn profiles_that_are_not_there_or_of_another_machine_are_told_with_what_to_do() {
    let machine = with_model();
    let missing =
        run(&machine, &["explain", "smallest.json", "--profile=nowhere.yaml"]).refused("file-missing");
    says(&missing, "hint", "slimfit profile --list");
    let published = run(&machine, &["profile", "--check", "raspberry-pi-5"]).refused("other-machine");
    says(&published, "message", "`Raspberry Pi 5` is of another machine, described from publications");
    assert!(!published["hint"].as_str().unwrap().contains("--allow-other-profile"), "it has no such option");
    says(&run(&machine, &["verify", "--profile=raspberry-pi-5"]).refused("other-machine"), "hint", "insist");
    let capped = |cap: &str, code: &str| {
        let call = Slimfit::new(["verify", "--json"]).variable("SLIMFIT_ISA", cap).folder(machine.folder());
        call.run().refused(code)
    };
    says(&capped("scalar", "no-profile"), "message", "SLIMFIT_ISA=scalar");
    assert_eq!(capped("mmx", "workflow")["field"], "SLIMFIT_ISA");
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_runs() {
    let machine = with_model();
    let misspelt = run(&machine, &["verify", "--require=summary.decode.mpae<=1"]).refused("usage");
    assert_eq!(misspelt["field"], "--require");
    std::fs::create_dir(machine.folder().join("folder.yaml")).unwrap();
    let folder = run(&machine, &["calibrate", "--out=folder.yaml"]).refused("write-failed");
    says(&folder, "file", "folder.yaml");
    let below = run(&machine, &["calibrate", "--out=smallest.json/calibrated.yaml"]);
    assert_eq!(below.code, 2, "{}", below.stdout);
    says(&below.object("error")["error"], "file", "smallest.json");
    let error = run(&machine, &["calibrate", "--out=/proc/calibrated.yaml"]).refused("write-failed");
    assert_eq!(error["file"], "/proc/calibrated.yaml", "{error}");
    let same =
        run(&machine, &["calibrate", "--models=smallest.json,smallest.json,smallest.json"]).refused("usage");
    assert_eq!((&same["field"], &same["found"]), (&"--models".into(), &"1".into()));
    let study = run(&machine, &["verify", "--study=smallest.json"]).refused("write-failed");
    says(&study, "message", "a file lies where");
    let left: Vec<_> =
        std::fs::read_dir(machine.folder()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("slimfit-try")), "{left:?}");
}

#[test]
fn nothing_that_fits_is_an_error_and_no_empty_result() {
    let machine = with_model();
    let huge = serde_json::json!({
        "schema": "slimfit/architecture/v1",
        "hidden_size": 65536, "vocabulary_size": 1024, "tied_embeddings": true,
        "layers": [{"repeat": 500, "attention": {"heads": 512, "kv_heads": 8, "head_size": 128, "rope": {"base": 10000.0}},
                    "ffn": {"kind": "dense", "size": 262144}}],
    });
    std::fs::write(machine.folder().join("huge.json"), huge.to_string()).unwrap();
    for layers in [501, 502] {
        let mut other = huge.clone();
        other["layers"][0]["repeat"] = layers.into();
        std::fs::write(machine.folder().join(format!("{layers}.json")), other.to_string()).unwrap();
    }
    let error = run(&machine, &["calibrate", "--models=huge.json,501.json,502.json"]).refused("workflow");
    says(&error, "message", "none of 3 models can be run here");
    says(&error, "message", "memory");
}
