use super::*;
use slimfit_document::Document;
use slimfit_hardware::HardwareProfile;
use slimfit_quality::Recipe;
use slimfit_quantity::{NumberFormat, Source};
use slimfit_search::Workload;

fn described(profile: Option<&str>, tokens: u64) -> Described {
    let text = "{hidden_size: 576, vocabulary_size: 49152, tied_embeddings: true, layers: [{repeat: 30,
      attention: {heads: 9, kv_heads: 3, head_size: 64, rope: {base: 10000}}, ffn: {kind: dense, size: 1536}}]}";
    let architecture: slimfit_arch::Architecture =
        Document::from_str(text, "test.yaml").unwrap().parse().unwrap();
    let profile = profile.map(|name| HardwareProfile::builtin(name).unwrap().unwrap());
    describe_model(&ModelFacts {
        name: "test",
        id: "0123456789ab",
        architecture: &architecture,
        weights: NumberFormat::Q4_0,
        kv: NumberFormat::F16,
        recipe: &Recipe::builtin("gemstones").unwrap(),
        tokens,
        workload: &Workload::load("assistant").unwrap(),
        profile: profile.as_ref(),
        seed: 3,
    })
    .unwrap()
}

fn figure<'a>(described: &'a Described, name: &str) -> &'a slimfit_quantity::Figure {
    let found: Vec<_> = described.facts.predicted.iter().filter(|known| known.name == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    &found[0].figure
}

#[test]
fn without_a_device_only_the_loss_is_predicted_and_the_rest_says_why() {
    let described = described(None, 100_000_000_000);
    let loss = figure(&described, "loss");
    assert_eq!(loss.source, Source::Modelled);
    assert!((2.5..3.5).contains(&loss.value.unwrap()) && loss.low < loss.value, "{loss:?}");
    for name in ["ttft_seconds", "tpot_seconds", "memory_bytes", "joules_per_token"] {
        let missing = figure(&described, name);
        assert_eq!((missing.value, missing.source), (None, Source::Unavailable));
        assert!(missing.reason.as_deref().is_some_and(|reason| reason.contains("--profile")), "{missing:?}");
    }
    assert_eq!(described.training.initialisation.seed.value, 3);
}

#[test]
fn with_a_device_times_and_memory_are_predicted_for_it() {
    let described = described(Some("raspberry-pi-5"), 100_000_000_000);
    for name in ["loss", "tpot_seconds", "memory_bytes"] {
        let found = figure(&described, name);
        assert_eq!(found.source, Source::Modelled, "{name}");
        assert!(found.low <= found.value && found.value <= found.high, "{found:?}");
    }
    // The device was described from publications, which say nothing of prompts.
    assert_eq!(figure(&described, "ttft_seconds").source, Source::Unavailable);
    let device = &described.facts.setting[0];
    assert_eq!(device.0, "Device");
    assert!(device.1.contains("Raspberry Pi 5") && device.1.contains("(board)"), "{device:?}");
}

#[test]
fn what_the_law_refuses_is_said_and_the_recipe_stays() {
    // Fewer than five tokens a parameter.
    let described = described(None, 100_000_000);
    let loss = figure(&described, "loss");
    assert_eq!(loss.source, Source::Unavailable);
    assert!(loss.reason.as_deref().is_some_and(|reason| reason.contains("tokens")), "{loss:?}");
    assert!(described.training.law.extrapolated);
}

#[test]
fn a_cell_of_a_verification_is_a_run_of_one_quantity() {
    let architecture = serde_json::json!({"hidden_size": 64, "vocabulary_size": 96, "layers": [
        {"attention": {"heads": 2, "kv_heads": 1, "head_size": 32}, "ffn": {"kind": "dense", "size": 64}}]});
    let row = |phase: &str, retest: Option<f64>| -> slimfit_study::VerificationRow {
        serde_json::from_value(serde_json::json!({
            "id": "0123456789ab", "architecture": architecture, "parameters": 1, "weights": "q8_0", "kv": "f16",
            "threads": 1, "phase": phase, "prompt_tokens": 128, "depth_tokens": 512,
            "predicted": {"value": 0.5, "low": 0.4, "high": 0.8}, "measured": 0.25, "retest": retest,
            "sentinel_ratio": 1.0,
        }))
        .unwrap()
    };
    let told = |phase: &str, retest| of_study::verified_run(&row(phase, retest), None).unwrap();
    let decode = told("decode", Some(0.25));
    assert_eq!((decode.measured.tpot_seconds.value, decode.measured.tpot_seconds.n), (Some(0.25), 2));
    assert_eq!(decode.measured.tpot_seconds.source, Source::Measured);
    assert_eq!(decode.predicted.tpot_seconds.high, Some(0.8));
    assert!(
        decode.setting.contains("at a depth of 512") && decode.setting.contains("1 thread,"),
        "{decode:?}"
    );
    assert_eq!(decode.measured.ttft_seconds.value, None);
    // A prompt of 128 tokens in a quarter of a second.
    let prefill = told("prefill", None);
    assert_eq!(prefill.measured.prefill_tokens_per_s.value, Some(512.0));
    let predicted = &prefill.predicted.prefill_tokens_per_s;
    assert_eq!((predicted.low, predicted.value, predicted.high), (Some(160.0), Some(256.0), Some(320.0)));
    assert_eq!(told("memory", None).measured.peak_memory_bytes.value, Some(0.25));
    assert!(of_study::verified_run(&row("decode_p95", None), None).is_none());
}
