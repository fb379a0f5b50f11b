//! Another runtime as the thing measured: the example engine over a fake of its program, and whatever can go wrong.

use crate::harness::{Finished, Slimfit, root};
use crate::measured::{Machine, machine};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// Answers as `llama-bench` does, two repetitions that take so many nanoseconds, if it is given a GGUF file.
const LLAMA_BENCH: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
        --model) model=$2 ;;
        --n-prompt) prompt=$2 ;;
        --n-gen) generated=$2 ;;
        --n-depth) depth=$2 ;;
        --threads) threads=$2 ;;
        --cache-type-k) keys=$2 ;;
        --cache-type-v) values=$2 ;;
        --repetitions) repetitions=$2 ;;
    esac
    shift 2
done
test "$(head -c 4 "$model")" = GGUF || { echo "no model in $model" >&2; exit 9; }
samples=NANOSECONDS
while [ "$repetitions" -gt 1 ]; do samples="$samples, NANOSECONDS"; repetitions=$((repetitions - 1)); done
echo "[{\"build_commit\": \"abc123\", \"build_number\": 77, \"n_prompt\": $prompt, \"n_gen\": $generated,
    \"n_depth\": $depth, \"n_threads\": $threads, \"type_k\": \"$keys\", \"type_v\": \"$values\", \"samples_ns\": [$samples]}]"
"#;

/// A machine with `smallest.json`, and the command of an engine whose runs take so many nanoseconds.
fn engine(nanoseconds: &str) -> (Machine, String) {
    let machine = machine();
    machine.write_smallest();
    let program = machine.folder().join("llama-bench");
    std::fs::write(&program, LLAMA_BENCH.replace("NANOSECONDS", nanoseconds)).expect("the fake is written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    let script = root().join("crates/slimfit-workflow/engines/llama_bench.py");
    let command = format!("python3 '{}' '{}'", script.display(), program.display());
    (machine, command)
}

fn run(machine: &Machine, arguments: &[&str]) -> Finished {
    Slimfit::new(arguments.iter().chain(&["--json"])).folder(machine.folder()).run()
}

const MEASURE: [&str; 7] = [
    "measure",
    "smallest.json",
    "--prompt=16",
    "--generate=8",
    "--depth=32",
    "--rounds=2",
    "--engine-command",
];

#[test]
fn the_example_engine_is_measured_beside_its_own_prediction() {
    let (machine, command) = engine("400000000");
    let finished = run(&machine, &[&MEASURE[..], &[&command, "--engine=llama.cpp", "--study=kept"]].concat());
    let object = finished.done().object("measure");
    assert_eq!(object["engine"], serde_json::json!({ "name": "llama.cpp", "version": "77 (abc123)" }));
    let (measured, predicted) = (&object["measured"], &object["predicted"]);
    assert_eq!(measured["tpot_seconds"]["value"], 0.05);
    assert_eq!(
        (&measured["ttft_seconds"]["value"], &measured["ttft_seconds"]["n"]),
        (&0.4.into(), &4.into())
    );
    assert_eq!(measured["peak_memory_bytes"]["source"], "measured");
    assert_eq!(predicted["tpot_seconds"]["source"], "modelled");
    for name in ["ttft_seconds", "peak_memory_bytes"] {
        assert_eq!(predicted[name]["source"], "unavailable", "{}", predicted[name]);
    }
    assert!(object["warnings"].as_array().unwrap().is_empty(), "{}", object["warnings"]);
}

#[test]
fn without_coefficients_nothing_is_predicted_and_times_beyond_the_machine_are_flagged() {
    let (machine, command) = engine("20");
    let object = run(&machine, &[&MEASURE[..], &[&command]].concat()).done().object("measure");
    let predicted = &object["predicted"]["tpot_seconds"];
    assert!(predicted["reason"].as_str().unwrap().contains("--engine llama.cpp"), "{predicted}");
    let codes: Vec<&str> = object["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["impossible-decode", "impossible-prefill"]);
}

#[test]
fn verify_keeps_an_engine_to_its_predictions() {
    let (machine, command) = engine("400000000");
    let arguments =
        ["verify", "--samples=2", "--depth=32", "--engine=llama.cpp", "--engine-command", &command];
    let object = run(&machine, &arguments).done().object("verify");
    assert_eq!(object["engine"]["name"], "llama.cpp");
    assert_eq!(object["summary"]["decode"]["n"], 2, "{object}");
    assert!(object["summary"]["prefill"].is_null() && object["summary"]["memory"].is_null());
    assert!(object["rows"].as_array().unwrap().iter().all(|row| row["measured"] == 0.025));
    let (machine, command) = engine("20");
    let arguments =
        ["verify", "--samples=2", "--depth=32", "--engine=llama.cpp", "--engine-command", &command];
    let object = run(&machine, &arguments).done().object("verify");
    assert!(object["summary"]["decode"].is_null(), "impossible rows count in no error");
    assert_eq!(object["rows"].as_array().unwrap().len(), 2, "but they are shown");
    assert!(object["rows"][0]["impossible"].as_str().unwrap().contains("GB/s"), "{}", object["rows"][0]);
}

#[test]
fn each_failure_of_a_command_has_its_code() {
    let (machine, command) = engine("400000000");
    let error = |engine: &str, more: &[&str], code: &str| {
        run(&machine, &[&MEASURE[..], &[engine], more].concat()).refused(code)
    };
    let missing = error("no-such-engine --now", &[], "engine-not-found");
    assert!(missing["found"].as_str().unwrap().contains("no-such-engine --now"), "{missing}");
    let failed = error(&command.replace("llama-bench'", "no-llama-bench'"), &[], "engine-failed");
    assert!(failed["message"].as_str().unwrap().contains("no-llama-bench"), "{failed}");
    let late = error("sleep 30", &["--engine-timeout=0.2"], "engine-timeout");
    assert!(late["hint"].as_str().unwrap().contains("--engine-timeout"), "{late}");
    let text = error("echo hello", &[], "engine-answer");
    assert_eq!(text["found"], "`hello`");
    let refused = error(&command, &["--kv=q8_0", "--weights=f32", "--engine=slimfit"], "usage");
    assert_eq!(refused["field"], "--engine");
    let unnamed = run(&machine, &["verify", "--engine-command", &command]).refused("usage");
    assert_eq!(unnamed["field"], "--engine");
}

#[test]
fn what_an_engine_refuses_is_told_in_its_words() {
    let (machine, command) = engine("400000000");
    // A window is in no file that this engine reads, but Mistral's config holds it.
    let mut model = machine.json("smallest.json");
    model["layers"][0]["attention"]["window"] = 8.into();
    std::fs::write(machine.folder().join("smallest.json"), model.to_string()).unwrap();
    let refused = run(&machine, &[&MEASURE[..], &[&command]].concat()).refused("engine-refused");
    assert!(refused["message"].as_str().unwrap().contains("GGUF"), "{refused}");
}

#[test]
fn ctrl_c_ends_the_engine_and_keeps_what_was_written() {
    let (machine, command) = engine("400000000");
    let kept = [&MEASURE[..], &[&command, "--study=kept"]].concat();
    run(&machine, &kept).done();
    let study = machine.folder().join("kept/study.sqlite");
    let before = std::fs::metadata(&study).unwrap().len();
    let slow = format!("touch started; {}", "sleep 61.5");
    let arguments = [&MEASURE[..], &[&slow, "--study=kept", "--json"]].concat();
    let child = Slimfit::new(arguments).folder(machine.folder()).spawn();
    let (since, started) = (Instant::now(), machine.folder().join("started"));
    while !started.is_file() {
        assert!(since.elapsed() < Duration::from_secs(60), "the engine never started");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(since.elapsed() < Duration::from_secs(60), "it waited for the engine");
    assert_eq!(std::fs::metadata(&study).unwrap().len(), before);
}

/// A machine, and the command of an engine that does `ill` from its `good`-th request on, and answers until then.
fn failing(good: u32, ill: &str) -> (Machine, String) {
    let machine = machine();
    let answer = r#"{"schema": "slimfit/engine-answer/v1", "engine": {"name": "llama.cpp", "version": "1"}, "decode_seconds": [0.4, 0.5, 0.6]}"#;
    let script = format!(
        "#!/bin/sh\necho asked >> requests\nif [ \"$(wc -l < requests)\" -le {good} ]; then echo '{answer}'; else {ill}; fi\n"
    );
    std::fs::write(machine.folder().join("engine.sh"), script).expect("the fake is written");
    (machine, "sh ./engine.sh".to_owned())
}

/// `verify` of three models at two depths each: six requests a pass.
fn verify_failing(good: u32, ill: &str) -> (Machine, Finished) {
    let (machine, command) = failing(good, ill);
    let arguments =
        ["verify", "--samples=3", "--depth=16,32", "--engine=llama.cpp", "--engine-command", &command];
    let finished = run(&machine, &[&arguments[..], &["--engine-timeout=2", "--study=kept"]].concat());
    (machine, finished)
}

#[test]
fn an_engine_that_breaks_midway_takes_nothing_of_what_was_measured() {
    let crash = "echo 'out of luck' >&2; exit 3";
    // The second model at its second depth, in the first pass.
    let (machine, finished) = verify_failing(3, crash);
    let object = finished.done().object("verify");
    let rows = object["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["retest"].is_null() && row["measured"].as_f64().is_some()));
    assert_eq!((&object["summary"]["decode"]["n"], &object["samples"]), (&3.into(), &3.into()));
    assert!(object["summary"]["decode"]["retest_mape"].is_null());
    let skipped = object["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 3, "all three were stopped: {skipped:?}");
    let reason = skipped[0]["reason"].as_str().unwrap();
    assert!(reason.contains("out of luck") && reason.contains('3') && !reason.contains('\n'), "{reason}");
    assert!(machine.folder().join("kept/study.sqlite").is_file());
    // Three models of two cells, and of the second pass the last model alone.
    let (_, finished) = verify_failing(8, crash);
    let object = finished.done().object("verify");
    let rows = object["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["retest"].is_number()).count(), 2);
    assert_eq!(object["summary"]["decode"]["retest_mape"], 0.0);
    assert_eq!(object["skipped"].as_array().unwrap().len(), 2);
}

#[test]
fn an_engine_that_hangs_midway_is_told_with_the_models_that_it_stopped() {
    let (machine, finished) = verify_failing(4, "sleep 30");
    let object = finished.done().object("verify");
    assert_eq!(object["rows"].as_array().unwrap().len(), 4);
    let skipped = object["skipped"].as_array().unwrap();
    assert!(skipped.iter().all(|skipped| skipped["reason"].as_str().unwrap().contains("no answer in 2 s")));
    assert_eq!(skipped.len(), 3);
    let asked = std::fs::read_to_string(machine.folder().join("requests")).unwrap().lines().count();
    assert_eq!(asked, 7, "what one pass did not reach, the next does not try again");
}

#[test]
fn an_engine_that_never_answers_is_an_error_of_its_own_kind() {
    for (ill, code) in
        [("exit 4", "engine-failed"), ("sleep 30", "engine-timeout"), ("echo no", "engine-answer")]
    {
        let (machine, finished) = verify_failing(0, ill);
        let error = finished.refused(code);
        assert_eq!(error["field"], "--engine-command", "{error}");
        let asked = std::fs::read_to_string(machine.folder().join("requests")).unwrap().lines().count();
        assert_eq!(asked, 3, "each model once");
    }
}
