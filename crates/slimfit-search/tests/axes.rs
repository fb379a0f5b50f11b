//! Loops and mixtures of experts priced on a made-up device.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod profile;

use slimfit_arch::{Architecture, FeedForward, Loops, Mlp, Moe};
use slimfit_cost::{CostModel, Prediction, RunShape};
use slimfit_plan::Phase;
use slimfit_quantity::NumberFormat;
use slimfit_testing::synthetic;

const RUN: RunShape = RunShape { prompt_tokens: 128, generated_tokens: 1, depth_tokens: 128 };

fn cost() -> CostModel {
    CostModel::new(&profile::synthetic(false)).unwrap()
}

/// 24 layers of about 7 million weights each: 250 MB in q8_0, far past the caches.
fn large() -> Architecture {
    let mut architecture = synthetic::plain();
    architecture.hidden_size = 1024;
    architecture.vocabulary_size = 16_384;
    architecture.layers[0].repeat = 24;
    architecture.layers[0].attention.heads = 64;
    architecture.layers[0].attention.kv_heads = 16;
    architecture.layers[0].ffn = dense(2048);
    architecture
}

fn dense(size: u64) -> FeedForward {
    FeedForward::Dense(Mlp { size, gated: true, activation: slimfit_arch::Activation::Silu, bias: false })
}

fn mixture(experts: u64, top_k: u64, expert_size: u64) -> FeedForward {
    FeedForward::Moe(Moe {
        experts,
        top_k,
        expert_size,
        gated: true,
        activation: slimfit_arch::Activation::Silu,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: true,
        router_bias: false,
    })
}

fn predict(cost: &CostModel, architecture: &Architecture) -> Prediction {
    cost.predict(architecture, NumberFormat::Q8_0, NumberFormat::F16, RUN, Some(1)).unwrap()
}

#[test]
fn a_looped_layer_is_read_again_from_the_cache_that_still_holds_it() {
    let cost = cost();
    let passes = |layers, count| {
        let mut architecture = large();
        architecture.loops = Some(Loops { first: 0, layers, count, immediate: false });
        predict(&cost, &architecture).tpot_seconds.value
    };
    // What each further layer costs: of a block of one, 7 MB, and of a block of all, 180 MB.
    let near = (passes(1, 25) - passes(1, 1)) / 24.0;
    let far = (passes(24, 2) - passes(24, 1)) / 24.0;
    println!("a layer from near {near:.2e} s, from far {far:.2e} s");
    // 70 GB/s beside 25 GB/s in this profile; arithmetic adds the same to both.
    assert!(near < 0.75 * far, "{near} and {far}");
}

#[test]
fn the_terms_of_a_looped_model_add_up_to_its_price() {
    let cost = cost();
    let mut architecture = large();
    architecture.loops = Some(Loops { first: 3, layers: 2, count: 6, immediate: false });
    let plan = cost.plan(&architecture, NumberFormat::Q8_0, NumberFormat::F16, 1, RUN).unwrap();
    let priced = predict(&cost, &architecture);
    for (phase, seconds) in
        [(Phase::Decode, priced.tpot_seconds), (Phase::Prefill, priced.prefill().unwrap())]
    {
        let explained = cost.explain("looped", phase, &plan, RUN, 1).unwrap();
        let (sum, seconds) = (explained.seconds, seconds.value);
        assert!((sum - seconds).abs() < 1e-12 * seconds, "{phase:?}: {sum} and {seconds}");
        assert!(explained.operations.iter().all(|operation| operation.seconds > 0.0));
    }
}

#[test]
fn the_working_set_counts_looped_weights_once_and_idle_experts_too() {
    let cost = cost();
    let working_set = |architecture: &Architecture| {
        let plan = cost.plan(architecture, NumberFormat::Q8_0, NumberFormat::F16, 1, RUN).unwrap();
        let kv: u64 = plan.kv.iter().map(|slot| slot.bytes_per_position() * 129).sum();
        CostModel::working_set_bytes(&plan, 128) - kv as f64
    };
    let mut looped = large();
    let once = working_set(&looped);
    looped.loops = Some(Loops { first: 0, layers: 24, count: 3, immediate: false });
    // Norm weights and the like are read in each pass.
    assert!((working_set(&looped) / once - 1.0).abs() < 0.01);

    let (mut many, mut few) = (large(), large());
    (many.layers[0].ffn, few.layers[0].ffn) = (mixture(32, 2, 256), mixture(8, 2, 256));
    let idle = 24.0 * 3.0 * 24.0 * 256.0 * 1024.0 * 34.0 / 32.0;
    let routers = 24.0 * 24.0 * 1024.0 * 4.0;
    let difference = working_set(&many) - working_set(&few);
    assert!((difference / (idle + routers) - 1.0).abs() < 1e-6, "{difference}");
}

#[test]
fn a_token_pays_for_the_experts_it_visits_and_a_prompt_for_those_it_meets() {
    let cost = cost();
    let of = |ffn| {
        let mut architecture = large();
        architecture.layers[0].ffn = ffn;
        predict(&cost, &architecture)
    };
    let (all, some, plain) = (of(mixture(8, 8, 256)), of(mixture(8, 2, 256)), of(dense(2048)));
    // Every expert visited: a dense part of their sizes together, but for the router and its hand-overs.
    let ratio = all.tpot_seconds.value / plain.tpot_seconds.value;
    assert!((0.97..1.10).contains(&ratio), "{ratio}");
    assert!(some.tpot_seconds.value < 0.75 * all.tpot_seconds.value);
    assert!(some.prefill().unwrap().value < 0.75 * all.prefill().unwrap().value);
    // A prompt meets all experts, so its weights are not fewer; only its arithmetic is.
    assert!(some.prefill().unwrap().value > 0.3 * all.prefill().unwrap().value);
}
