//! Engines made of shell commands: what they answer, and each way in which they do not.

#![cfg(unix)]

use super::*;
use crate::{MeasureRequest, Observer, Predictor, WorkflowError};
use slimfit_arch::Architecture;
use slimfit_kernels::{Isa, Tuning};
use slimfit_probe::PowerSource;
use slimfit_quantity::{NumberFormat, Source, Warning};
use slimfit_runtime::WeightsFrom;
use slimfit_study::Measurement;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const ANSWER: &str = r#"{"schema": "slimfit/engine-answer/v1", "engine": {"name": "fake", "version": "7"}, "prefill_seconds": [0.5, 0.7], "decode_seconds": [1.0, 2.0]}"#;

fn small(head_size: u64) -> Architecture {
    serde_json::from_value(serde_json::json!({
        "hidden_size": 64, "vocabulary_size": 128, "tied_embeddings": true,
        "layers": [{"repeat": 2, "attention": {"heads": 2, "kv_heads": 1, "head_size": head_size, "rope": {"base": 10000.0}},
                    "ffn": {"kind": "dense", "size": 96}}],
    }))
    .unwrap()
}

fn request(source: WeightsFrom) -> MeasureRequest {
    MeasureRequest {
        name: Some("small".to_owned()),
        architecture: small(32),
        loops: None,
        weights: NumberFormat::Q8_0,
        kv: NumberFormat::F16,
        threads: Some(1),
        isa: Isa::best(),
        prompt_tokens: 8,
        generated_tokens: 4,
        depth_tokens: 16,
        rounds: 2,
        source,
        seed: 1,
        tuning: Tuning::default(),
        memory: false,
        power: PowerSource::System,
    }
}

fn run(
    command: &str,
    timeout: f64,
    cancel: &AtomicBool,
) -> Result<(Measurement, Vec<Warning>), WorkflowError> {
    let engine = EngineCommand { command: command.to_owned(), timeout: Duration::from_secs_f64(timeout) };
    let mut observer = Observer { progress: &mut |_, _| {}, cancel };
    let request = request(WeightsFrom::Seeded { seed: 1 });
    measure_engine(&request, &engine, Predictor::None("nothing predicts it"), &mut observer)
}

fn refused(command: &str) -> (String, String) {
    match run(command, 20.0, &AtomicBool::new(false)).unwrap_err() {
        WorkflowError::Document(error) => (error.code.clone(), error.to_string()),
        other => panic!("{other}"),
    }
}

#[test]
fn what_an_engine_says_is_measured_and_carries_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests");
    let command = format!("cat >> '{}'; echo '{ANSWER}'", log.display());
    let (record, warnings) = run(&command, 20.0, &AtomicBool::new(false)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let engine = record.engine.unwrap();
    assert_eq!((engine.name.as_str(), engine.version.as_str()), ("fake", "7"));
    let ttft = &record.measured.ttft_seconds;
    assert_eq!((ttft.value, ttft.n, ttft.source), (Some(0.6), 4, Source::Measured));
    assert_eq!(record.measured.tpot_seconds.value, Some(0.375));
    assert_eq!(record.measured.peak_memory_bytes.source, Source::Unavailable);
    assert_eq!(record.predicted.tpot_seconds.reason.as_deref(), Some("nothing predicts it"));
    assert!(record.share.decode_of_bandwidth.unwrap() > 0.0);
    assert!(record.percentiles.tpot_seconds.p50.is_none(), "it told no single tokens");
    let text = std::fs::read_to_string(&log).unwrap();
    let asked: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(asked.len(), 2, "test and retest");
    let first = &asked[0];
    assert_eq!(first["schema"], REQUEST_SCHEMA);
    assert_eq!((&first["prompt_tokens"], &first["depth_tokens"]), (&8.into(), &16.into()));
    assert_eq!((&first["repetitions"], &first["context_tokens"]), (&2.into(), &20.into()));
    let gguf = first["model"]["gguf"].as_str().unwrap();
    assert!(!std::path::Path::new(gguf).exists(), "what was written for it is removed");
}

#[test]
fn the_file_an_engine_gets_holds_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.gguf");
    let config = folder.path().join("config.json");
    let command = format!(
        "read -r line; model=${{line#*\\\"gguf\\\":\\\"}}; cp \"${{model%%\\\"*}}\" '{}'; \
         folder=${{line#*\\\"huggingface\\\":\\\"}}; cp \"${{folder%%\\\"*}}/config.json\" '{}'; echo '{ANSWER}'",
        kept.display(),
        config.display()
    );
    run(&command, 20.0, &AtomicBool::new(false)).unwrap();
    let wanted = small(32).normalised();
    let model = slimfit_formats::load_model(&kept.display().to_string()).unwrap();
    assert_eq!((model.architecture, model.weights_format), (wanted.clone(), Some(NumberFormat::Q8_0)));
    let model = slimfit_formats::load_model(&config.display().to_string()).unwrap();
    assert_eq!(model.architecture, wanted);
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let (code, message) = refused("no-such-engine-anywhere --fast");
    assert_eq!(code, "engine-not-found");
    assert!(message.contains("no-such-engine-anywhere --fast"), "{message}");
}

#[test]
fn an_exit_code_is_told_with_the_last_complaint() {
    let (code, message) = refused("echo first >&2; echo 'out of luck' >&2; exit 3");
    assert_eq!(code, "engine-failed");
    assert!(message.contains("3") && message.contains("out of luck"), "{message}");
    let (code, _) = refused(&format!("echo '{ANSWER}'; exit 1"));
    assert_eq!(code, "engine-failed", "an answer of a command that failed is none");
    let (code, message) = refused("kill -9 $$");
    assert!(code == "engine-failed" && message.contains("9"), "{message}");
}

#[test]
fn what_is_no_answer_is_quoted() {
    let (code, message) = refused("echo 'loading model'");
    assert!(code == "engine-answer" && message.contains("loading model"), "{message}");
    let (code, message) = refused("yes");
    assert!(code == "engine-answer" && message.contains("16 MiB"), "{message}");
    let (code, message) = refused("true");
    assert!(code == "engine-answer" && message.contains("nothing"), "{message}");
}

#[test]
fn an_engine_that_cannot_run_a_model_says_so_itself() {
    let command = r#"echo '{"schema": "slimfit/engine-answer/v1", "error": "no tied tables"}'"#;
    match run(command, 20.0, &AtomicBool::new(false)).unwrap_err() {
        WorkflowError::EngineRefused { reason, .. } => assert_eq!(reason, "no tied tables"),
        other => panic!("{other}"),
    }
}

#[test]
fn times_that_no_machine_reaches_are_flagged() {
    let quick = ANSWER.replace("[0.5, 0.7]", "[1e-12, 1e-12]").replace("[1.0, 2.0]", "[1e-12, 1e-12]");
    let (record, warnings) = run(&format!("echo '{quick}'"), 20.0, &AtomicBool::new(false)).unwrap();
    let codes: Vec<&str> = warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes, ["impossible-decode", "impossible-prefill"]);
    assert_eq!(record.measured.ttft_seconds.value, Some(1e-12), "flagged, not changed");
}

/// Whether a process with this marker in its command line goes on: one that was just killed takes a moment to be gone.
#[cfg(target_os = "linux")]
fn goes_on(marker: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while lives(marker) {
        if Instant::now() > until {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Whether any process has this marker in its command line.
#[cfg(target_os = "linux")]
fn lives(marker: &str) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        entry.file_name() != own.as_str()
            && std::fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(marker))
    })
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
    let started = Instant::now();
    // Two processes, and the sleeping one holds the output.
    let error = run("sleep 47.031 & sleep 47.031; true", 0.3, &AtomicBool::new(false)).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(error.to_string().contains("no answer in 0.3 s"), "{error}");
    assert!(error.to_string().contains("--engine-timeout"), "{error}");
    assert!(!goes_on("47.031"), "what it started goes on");
}

#[test]
#[cfg(target_os = "linux")]
fn ctrl_c_ends_the_command_and_what_it_started() {
    let cancel = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run("sleep 53.017 & sleep 53.017; true", 60.0, &cancel));
        while !lives("53.017") {
            assert!(!running.is_finished(), "it never started");
            std::thread::sleep(Duration::from_millis(5));
        }
        cancel.store(true, Ordering::SeqCst);
        assert!(matches!(running.join().unwrap(), Err(WorkflowError::Interrupted)));
    });
    assert!(!goes_on("53.017"), "what it started goes on");
}
