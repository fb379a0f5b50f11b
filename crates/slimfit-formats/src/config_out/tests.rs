//! Every written config is read back as the same architecture; every axis that no class holds is named.

use super::{Class, config_json, standard_class};
use crate::{builtin, huggingface};
use proptest::prelude::*;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp, Moe, NormKind,
    NormPlacement, Positions, QkNorm, RopeScaling,
};
use std::collections::BTreeSet;

fn smollm() -> Architecture {
    builtin::find("smollm2-135m").unwrap().architecture.clone()
}

fn check_round_trip(architecture: &Architecture) -> Class {
    let class = standard_class(architecture).unwrap();
    let config = config_json(architecture, Some(4096)).unwrap();
    let read = huggingface::read_config(&config.to_string(), "config.json")
        .unwrap_or_else(|e| panic!("{e}\n{config}"));
    assert_eq!(read.architecture, architecture.normalised(), "{config}");
    assert_eq!((read.family.as_str(), read.context), (class.model_type(), Some(4096)));
    assert_eq!(config.get("pad_token_id"), Some(&serde_json::Value::Null), "a class's own may be too large");
    class
}

/// The layers with a window on all but every `every`th.
fn windowed(mut model: Architecture, window: u64, every: u64) -> Architecture {
    let layers: Vec<_> = model.each_layer().cloned().collect();
    model.layers = (1..)
        .zip(layers)
        .map(|(index, mut run): (u64, LayerRun)| {
            run.repeat = 1;
            run.attention.window = (!index.is_multiple_of(every)).then_some(window);
            run
        })
        .collect();
    model.normalised()
}

fn attention(mut model: Architecture, change: impl Fn(&mut Attention)) -> Architecture {
    model.layers.iter_mut().for_each(|run| change(&mut run.attention));
    model
}

fn ffn(mut model: Architecture, change: impl Fn(&mut Mlp)) -> Architecture {
    for run in &mut model.layers {
        let FeedForward::Dense(mlp) = &mut run.ffn else { panic!("dense") };
        change(mlp);
    }
    model
}

#[test]
fn each_searchable_axis_has_its_narrowest_class() {
    let class = |model: Architecture| check_round_trip(&model);
    let qkv = AttentionBias { qkv: true, output: false };
    assert_eq!(class(smollm()), Class::Llama);
    assert_eq!(
        class(attention(smollm(), |a| a.bias = AttentionBias { qkv: true, output: true })),
        Class::Llama
    );
    assert_eq!(class(attention(smollm(), |a| a.heads = 12)), Class::Llama, "a head size of its own");
    assert_eq!(
        class(attention(smollm(), |a| (a.heads, a.kv_heads) = (10, 2))),
        Class::Mistral,
        "10 does not divide 576"
    );
    assert_eq!(class(attention(smollm(), |a| a.window = Some(512))), Class::Mistral);
    assert_eq!(class(ffn(smollm(), |mlp| mlp.gated = false)), Class::Arcee);
    assert_eq!(class(attention(smollm(), |a| a.bias = qkv)), Class::Qwen2);
    assert_eq!(class(windowed(attention(smollm(), |a| a.bias = qkv), 512, 4)), Class::Qwen2);
    assert_eq!(class(attention(smollm(), |a| a.qk_norm = QkNorm::PerHead)), Class::Qwen3);
    assert_eq!(class(windowed(smollm(), 512, 4)), Class::Ministral);
    let mut gaps = windowed(smollm(), 512, 4);
    gaps.layers
        .iter_mut()
        .filter(|run| run.attention.window.is_none())
        .for_each(|run| run.attention.rope = None);
    assert_eq!(class(gaps), Class::SmolLm3);
    assert_eq!(class(attention(smollm(), |a| a.scale = Some(0.2))), Class::Granite);
}

#[test]
fn every_built_in_model_that_a_class_holds_comes_back_the_same() {
    let mut classes = BTreeSet::new();
    for model in builtin::models() {
        if standard_class(&model.architecture).is_ok() {
            classes.insert(check_round_trip(&model.architecture));
        }
    }
    for class in [
        Class::Llama,
        Class::Mistral,
        Class::Qwen2,
        Class::Qwen3,
        Class::SmolLm3,
        Class::Granite,
        Class::Olmo2,
        Class::Gemma,
        Class::Gemma2,
        Class::Gemma3,
        Class::Mixtral,
        Class::Qwen2Moe,
        Class::Qwen3Moe,
    ] {
        assert!(classes.contains(&class), "{class:?}: {classes:?}");
    }
}

#[test]
fn long_fractions_come_back_to_the_last_bit() {
    // A hasty JSON reader takes this for its upper neighbour.
    let cap = 11.680918977586515;
    let mut model = builtin::find("gemma-2-2b").unwrap().architecture.clone();
    model.scales.logit_softcap = Some(cap);
    assert_eq!(check_round_trip(&attention(model, |a| a.softcap = Some(cap))), Class::Gemma2);
}

#[test]
fn the_axis_that_no_class_holds_is_named() {
    let axis = |model: Architecture| standard_class(&model).unwrap_err().axis();
    let loops = Some(Loops { first: 0, layers: 2, count: 2, immediate: false });
    assert_eq!(axis(Architecture { loops, ..smollm() }), "loops");
    assert_eq!(axis(Architecture { embedding_size: Some(128), ..smollm() }), "embedding_size");
    assert_eq!(axis(Architecture { final_norm: false, ..smollm() }), "final_norm");
    assert_eq!(
        axis(attention(smollm(), |a| a.rope.as_mut().unwrap().rotated = Some(32))),
        "attention.rope.rotated"
    );
    let ungated_windows = windowed(ffn(smollm(), |mlp| mlp.gated = false), 512, 4);
    assert!(standard_class(&ungated_windows).is_err());
    let mut sizes = smollm();
    let mut last = sizes.layers[0].clone();
    (last.repeat, sizes.layers[0].repeat) = (1, 29);
    let FeedForward::Dense(mlp) = &mut last.ffn else { panic!("dense") };
    mlp.size = 1024;
    sizes.layers.push(last);
    assert_eq!(axis(sizes.clone()), "ffn.size");
    assert_eq!(
        standard_class(&sizes).unwrap_err().to_string(),
        "no standard Hugging Face class holds this architecture; LlamaForCausalLM comes nearest: `ffn.size` must be the \
         same in all layers"
    );
}

prop_compose! {
    fn any_layers()(
        (groups, kv_heads, half_head, depth) in (1_u64..4, 1_u64..4, 1_u64..40, 1_u64..8),
        (qkv, output, mlp_bias, gated, gaps) in any::<(bool, bool, bool, bool, bool)>(),
        qk_norm in prop::sample::select(vec![QkNorm::None, QkNorm::PerHead, QkNorm::AllHeads]),
        window in prop::option::of(1_u64..99),
        every in 1_u64..6,
        scale in prop::option::of(0.01_f64..1.0),
        softcap in prop::option::of(1.0_f64..50.0),
        size in 1_u64..99,
        activation in prop::sample::select(vec![
            Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::ReluSquared,
        ]),
        mixture in prop::option::of((1_u64..9, 0_u64..3, 1_u64..99, 0_u64..99, any::<(bool, bool)>())),
        scaling in prop_oneof![
            Just(None),
            Just(Some(RopeScaling::Linear { factor: 2.5 })),
            Just(Some(RopeScaling::Yarn {
                factor: 4.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 512, attention_factor: Some(1.25),
            })),
        ],
        local_base in prop::sample::select(vec![10_000.0, 500_000.0]),
    ) -> Vec<LayerRun> {
        let mut plain = smollm().layers[0].attention.clone();
        (plain.heads, plain.kv_heads, plain.head_size) = (groups * kv_heads, kv_heads, 2 * half_head);
        plain.bias = AttentionBias { qkv, output };
        (plain.qk_norm, plain.scale, plain.softcap) = (qk_norm, scale, softcap);
        let dense = FeedForward::Dense(Mlp { size, gated, activation, bias: mlp_bias });
        let experts = mixture.map(|(experts, spare, expert_size, shared_size, (normalise_top_k, _))| {
            FeedForward::Moe(Moe {
                experts: experts + spare, top_k: experts, expert_size, gated: true, activation, shared_size,
                shared_gate: shared_size > 0, normalise_top_k, router_bias: false,
            })
        });
        let mixed = mixture.is_some_and(|(.., (_, mixed))| mixed);
        (1..=depth).map(|index| {
            let mut attention = plain.clone();
            attention.window = window.filter(|_| !index.is_multiple_of(every));
            let rope = attention.rope.as_mut().unwrap();
            rope.base = if attention.window.is_some() { local_base } else { 500_000.0 };
            rope.scaling = scaling.clone().filter(|_| attention.window.is_none() || local_base == 500_000.0);
            if gaps && index == depth {
                attention.rope = None;
            }
            let sparse = experts.clone().filter(|_| !mixed || index != 2);
            LayerRun { repeat: 1, attention, ffn: sparse.unwrap_or_else(|| dense.clone()) }
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_a_class_holds_survives_the_config(
        layers in any_layers(),
        hidden_size in 1_u64..200,
        tied_embeddings in any::<bool>(),
        placement in prop::sample::select(vec![NormPlacement::Pre, NormPlacement::Sandwich, NormPlacement::PostBranch]),
        gemma in any::<bool>(),
        residual in prop::option::of(0.1_f64..3.0),
        logits in prop::option::of(prop::sample::select(vec![0.125, 0.1, 3.0])),
        cap in prop::option::of(10.0_f64..40.0),
    ) {
        let mut model = Architecture { hidden_size, tied_embeddings, norm_placement: placement, layers, ..smollm() };
        model.norm.weight_plus_one = gemma;
        model.scales.embedding = gemma.then(|| (hidden_size as f64).sqrt());
        (model.scales.residual, model.scales.logits, model.scales.logit_softcap) = (residual, logits, cap);
        if standard_class(&model).is_ok() {
            check_round_trip(&model);
        }
        // The same shapes as a search varies them, where nearly all are held.
        let mut plain = model.clone();
        plain.norm_placement = NormPlacement::Pre;
        plain.norm.weight_plus_one = false;
        plain.scales = slimfit_arch::Scales::default();
        let plain = attention(plain, |a| (a.scale, a.softcap) = (None, None));
        if standard_class(&plain).is_ok() {
            check_round_trip(&plain);
        }
    }
}

#[test]
fn positions_and_norms_of_other_families_are_named() {
    let learned = Architecture { positions: Positions::Learned { context: 512, offset: 0 }, ..smollm() };
    assert_eq!(standard_class(&learned).unwrap_err().axis(), "positions");
    let mut layer_norm = smollm();
    layer_norm.norm.kind = NormKind::Layer;
    assert_eq!(standard_class(&layer_norm).unwrap_err().axis(), "norm.kind");
}
