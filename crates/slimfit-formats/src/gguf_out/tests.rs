//! Each family holds what it should, and every rule refuses by the name of its axis.

use super::obstacles::obstacles;
use super::{Family, gguf_family, gguf_family_in};
use crate::builtin;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp, Moe, NormKind,
    NormPlacement, Positions, QkNorm, Rope, RopeScaling,
};
use slimfit_quantity::NumberFormat;

fn model(name: &str) -> Architecture {
    builtin::find(name).unwrap().architecture.clone()
}

fn smollm() -> Architecture {
    model("smollm2-135m")
}

fn with(mut model: Architecture, change: impl FnOnce(&mut Architecture)) -> Architecture {
    change(&mut model);
    model
}

fn attention(mut model: Architecture, change: impl Fn(&mut Attention)) -> Architecture {
    model.layers.iter_mut().for_each(|run| change(&mut run.attention));
    model
}

fn mlp(mut model: Architecture, change: impl Fn(&mut Mlp)) -> Architecture {
    for run in &mut model.layers {
        let FeedForward::Dense(mlp) = &mut run.ffn else { panic!("dense") };
        change(mlp);
    }
    model
}

fn moe(mut model: Architecture, change: impl Fn(&mut Moe)) -> Architecture {
    for run in &mut model.layers {
        let FeedForward::Moe(moe) = &mut run.ffn else { panic!("experts") };
        change(moe);
    }
    model
}

fn rope(model: Architecture, change: impl Fn(&mut Rope)) -> Architecture {
    attention(model, |attention| change(attention.rope.as_mut().unwrap()))
}

/// Layers one by one, each changed by its number from 1.
fn each(mut model: Architecture, change: impl Fn(u64, &mut LayerRun)) -> Architecture {
    let layers: Vec<_> = model.each_layer().cloned().collect();
    model.layers = layers;
    for (number, run) in (1..).zip(&mut model.layers) {
        run.repeat = 1;
        change(number, run);
    }
    model.normalised()
}

fn windowed(model: Architecture, window: u64, every: u64) -> Architecture {
    each(model, |number, run| run.attention.window = (!number.is_multiple_of(every)).then_some(window))
}

fn family(model: &Architecture) -> Family {
    model.validate().unwrap();
    gguf_family(model).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn published_models_have_the_families_of_their_published_files() {
    for (name, expected) in [
        ("smollm2-135m", Family::Llama),
        ("llama-3.2-1b", Family::Llama),
        ("mixtral-8x7b", Family::Llama),
        ("qwen2.5-0.5b", Family::Qwen2),
        ("qwen3-0.6b", Family::Qwen3),
        ("smollm3-3b", Family::SmolLm3),
        ("gemma-2b", Family::Gemma),
        ("gemma-2-2b", Family::Gemma2),
        ("gemma-3-270m", Family::Gemma3),
        ("olmo-2-1b", Family::Olmo2),
        ("granite-3.0-2b", Family::Granite),
        ("gpt2", Family::Gpt2),
        ("stablelm-2-1.6b", Family::StableLm),
        ("phi-2", Family::Phi2),
        ("qwen1.5-moe-a2.7b", Family::Qwen2Moe),
        ("qwen3-30b-a3b", Family::Qwen3Moe),
    ] {
        assert_eq!(family(&model(name)), expected, "{name}");
    }
}

#[test]
fn what_llama_cpp_computes_otherwise_than_the_model_is_not_held() {
    // It reads StarCoder 2 and Mistral without their windows.
    let starcoder = model("starcoder2-3b");
    assert_eq!(gguf_family(&starcoder).unwrap_err().axis(), "attention.window");
    assert_eq!(family(&attention(starcoder, |a| a.window = None)), Family::StarCoder2);
    assert_eq!(gguf_family(&model("mistral-7b")).unwrap_err().axis(), "attention.window");
    // And Pythia with an approximate GELU.
    assert_eq!(gguf_family(&model("pythia-160m")).unwrap_err().axis(), "ffn.activation");
}

#[test]
fn each_axis_that_llama_cpp_follows_has_its_family() {
    let bias = |qkv, output| attention(smollm(), move |a| a.bias = AttentionBias { qkv, output });
    assert_eq!(family(&bias(true, true)), Family::Llama);
    assert_eq!(family(&bias(true, false)), Family::Qwen2);
    // Qwen 2's projections are square.
    let wide = attention(bias(true, false), |a| a.head_size = 128);
    assert_eq!(family(&wide), Family::Llama);
    assert_eq!(family(&attention(smollm(), |a| (a.heads, a.kv_heads) = (10, 2))), Family::Llama);
    assert_eq!(family(&mlp(smollm(), |mlp| mlp.bias = true)), Family::Llama);
    assert_eq!(family(&attention(smollm(), |a| a.qk_norm = QkNorm::PerHead)), Family::Qwen3);
    let squared = |mlp: &mut Mlp| (mlp.gated, mlp.activation) = (false, Activation::ReluSquared);
    assert_eq!(family(&mlp(smollm(), squared)), Family::Arcee);
    assert_eq!(family(&attention(smollm(), |a| a.scale = Some(0.2))), Family::Granite);
    assert_eq!(family(&with(smollm(), |model| model.scales.residual = Some(0.22))), Family::Granite);
    assert_eq!(family(&rope(smollm(), |rope| rope.rotated = Some(32))), Family::Phi3);
    assert_eq!(family(&with(smollm(), |model| model.norm.weight_plus_one = true)), Family::Llama);
    assert_eq!(family(&with(smollm(), |model| model.tied_embeddings = false)), Family::Llama);
    let layer_norm = with(model("stablelm-2-1.6b"), |model| model.tied_embeddings = false);
    let ungated = attention(mlp(layer_norm, squared), |a| a.bias.output = true);
    assert_eq!(family(&ungated), Family::Nemotron);
    let neox = mlp(model("pythia-160m"), |mlp| mlp.activation = Activation::GeluTanh);
    assert_eq!(family(&neox), Family::GptNeoX);
    let serial = with(neox, |model| model.norm_placement = NormPlacement::Pre);
    assert_eq!(family(&serial), Family::GptNeoX);
}

#[test]
fn windows_are_held_where_the_graph_puts_them() {
    let olmo = model("olmo-2-1b");
    assert_eq!(family(&windowed(olmo.clone(), 1024, 4)), Family::Olmo2);
    let refused = |model: &Architecture| {
        let error = gguf_family(model).unwrap_err();
        (error.nearest, error.axis(), error.obstacles.len())
    };
    for every in [1, 2, 3, 5, 6] {
        let model = windowed(olmo.clone(), 1024, every);
        if every == 1 {
            assert_eq!(family(&model), Family::Olmo2, "no layer is cut");
        } else {
            assert_eq!(refused(&model), (Family::Olmo2, "attention.window", 1), "{every}");
        }
    }
    // A window on every layer but those that are full in Gemma 3; full ones first are another model.
    let gemma = model("gemma-3-270m");
    let first = each(gemma.clone(), |number, run| {
        run.attention.window = (number % 6 != 1).then_some(512);
        if let Some(rope) = &mut run.attention.rope {
            rope.base = if number % 6 == 1 { 1_000_000.0 } else { 10_000.0 };
        }
    });
    assert_eq!(refused(&first), (Family::Gemma3, "attention.window", 1));
    let mixed = each(gemma.clone(), |number, run| {
        run.attention.window = run.attention.window.map(|window| if number == 1 { 256 } else { window });
    });
    assert_eq!(refused(&mixed), (Family::Gemma3, "attention.window", 1));
    let shallow = with(each(gemma, |_, _| ()), |model| model.layers.truncate(1));
    assert_eq!(family(&shallow), Family::Gemma3, "the 6th layer would be the first full one");
    // Mistral's and Qwen 3's windows have no graph.
    assert_eq!(
        refused(&attention(smollm(), |a| a.window = Some(512))),
        (Family::Llama, "attention.window", 1)
    );
    let qwen = windowed(attention(smollm(), |a| a.qk_norm = QkNorm::PerHead), 512, 4);
    assert_eq!(refused(&qwen), (Family::Qwen3, "attention.window", 1));
}

#[test]
fn what_no_family_computes_is_refused_by_the_name_of_its_axis() {
    let yarn = |beta_fast, attention_factor| RopeScaling::Yarn {
        factor: 4.0,
        beta_fast,
        beta_slow: 1.0,
        original_context: 2048,
        attention_factor,
    };
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_frequency_factor: 1.0,
        high_frequency_factor: 4.0,
        original_context: 8192,
    };
    let long = RopeScaling::LongRope {
        short_factor: vec![1.0; 32],
        long_factor: vec![2.0; 32],
        original_context: 4096,
        attention_factor: 1.2,
    };
    let scaled =
        |base: Architecture, scaling: &RopeScaling| rope(base, |rope| rope.scaling = Some(scaling.clone()));
    let qwen3 = || model("qwen3-0.6b");
    assert_eq!(family(&scaled(smollm(), &llama3)), Family::Llama);
    assert_eq!(family(&scaled(smollm(), &yarn(32.0, None))), Family::Llama);
    assert_eq!(family(&scaled(qwen3(), &yarn(32.0, None))), Family::Qwen3);
    assert_eq!(family(&scaled(qwen3(), &RopeScaling::Linear { factor: 2.0 })), Family::Qwen3);
    let dynamic = RopeScaling::Dynamic { factor: 2.0, original_context: 2048 };
    let cases: Vec<(Family, Architecture, &str)> = vec![
        (
            Family::Llama,
            with(smollm(), |m| m.loops = Some(Loops { first: 0, layers: 2, count: 2, immediate: false })),
            "loops",
        ),
        (Family::Llama, with(smollm(), |m| m.embedding_size = Some(256)), "embedding_size"),
        (Family::Llama, with(smollm(), |m| m.layers[0].repeat = 513), "layers"),
        (Family::Llama, with(smollm(), |m| m.norm.kind = NormKind::LayerPlain), "norm.kind"),
        (Family::Llama, with(smollm(), |m| m.norm.kind = NormKind::LayerNoBias), "norm.kind"),
        (Family::Llama, with(smollm(), |m| m.norm_placement = NormPlacement::Post), "norm_placement"),
        (
            Family::Llama,
            with(smollm(), |m| m.norm_placement = NormPlacement::ParallelOneNorm),
            "norm_placement",
        ),
        (Family::Llama, with(smollm(), |m| m.embedding_norm = true), "embedding_norm"),
        (Family::Llama, with(smollm(), |m| m.final_norm = false), "final_norm"),
        (Family::Llama, with(smollm(), |m| m.head_bias = true), "head_bias"),
        (Family::Llama, with(smollm(), |m| m.scales.embedding = Some(0.0)), "scales.embedding"),
        (Family::Llama, with(smollm(), |m| m.scales.logit_softcap = Some(30.0)), "scales.logit_softcap"),
        (Family::Llama, with(smollm(), |m| m.positions = Positions::Alibi), "positions"),
        (Family::Gemma, with(model("gemma-2b"), |m| m.tied_embeddings = false), "tied_embeddings"),
        (Family::Olmo2, with(model("olmo-2-1b"), |m| m.tied_embeddings = true), "tied_embeddings"),
        (
            Family::Gemma2,
            with(model("gemma-2-2b"), |m| m.scales.logit_softcap = None),
            "scales.logit_softcap",
        ),
        (Family::Gemma2, attention(model("gemma-2-2b"), |a| a.softcap = None), "attention.softcap"),
        (Family::Gemma2, attention(model("gemma-2-2b"), |a| a.scale = Some(0.1)), "attention.scale"),
        (
            Family::Gpt2,
            with(model("gpt2"), |m| m.positions = Positions::Learned { context: 64, offset: 2 }),
            "positions",
        ),
        (Family::Gpt2, attention(model("gpt2"), |a| a.kv_heads = 4), "attention.kv_heads"),
        (Family::Llama, attention(smollm(), |a| a.softcap = Some(50.0)), "attention.softcap"),
        (Family::Llama, attention(smollm(), |a| a.qkv_clip = Some(8.0)), "attention.qkv_clip"),
        (
            Family::Llama,
            attention(smollm(), |a| a.qk_norm = QkNorm::PerHeadAfterRotation),
            "attention.qk_norm",
        ),
        (Family::Qwen3, attention(qwen3(), |a| a.bias.qkv = true), "attention.bias.qkv"),
        (Family::Qwen3, attention(qwen3(), |a| a.bias.output = true), "attention.bias.output"),
        (Family::Olmo2, attention(model("olmo-2-1b"), |a| a.heads = 8), "attention.heads"),
        (
            Family::Llama,
            each(smollm(), |n, run| run.attention.kv_heads = if n == 1 { 9 } else { 3 }),
            "attention.kv_heads",
        ),
        (
            Family::Llama,
            each(smollm(), |n, run| run.attention.rope = run.attention.rope.clone().filter(|_| n != 2)),
            "attention.rope",
        ),
        (Family::Llama, rope(smollm(), |rope| rope.interleaved = true), "attention.rope.interleaved"),
        (Family::Qwen3, rope(qwen3(), |rope| rope.rotated = Some(64)), "attention.rope.rotated"),
        (Family::Llama, scaled(smollm(), &yarn(24.0, None)), "attention.rope.scaling"),
        (Family::Llama, scaled(smollm(), &yarn(32.0, Some(1.3))), "attention.rope.scaling"),
        (Family::Qwen3, scaled(qwen3(), &llama3), "attention.rope.scaling"),
        (Family::Llama, scaled(smollm(), &long), "attention.rope.scaling"),
        (Family::Llama, scaled(smollm(), &dynamic), "attention.rope.scaling"),
        (
            Family::Olmo2,
            windowed(scaled(model("olmo-2-1b"), &yarn(32.0, None)), 1024, 4),
            "attention.rope.scaling",
        ),
        (Family::Llama, mlp(smollm(), |mlp| mlp.activation = Activation::Gelu), "ffn.activation"),
        (Family::Llama, mlp(smollm(), |mlp| mlp.gated = false), "ffn.gated"),
        (Family::Qwen3, mlp(qwen3(), |mlp| mlp.bias = true), "ffn.bias"),
        (
            Family::Llama,
            each(smollm(), |n, run| {
                run.ffn = FeedForward::Dense(Mlp {
                    size: 512 + n,
                    gated: true,
                    activation: Activation::Silu,
                    bias: false,
                })
            }),
            "ffn",
        ),
        (Family::Llama, moe(model("mixtral-8x7b"), |moe| moe.normalise_top_k = false), "ffn.normalise_top_k"),
        (Family::Llama, moe(model("mixtral-8x7b"), |moe| moe.router_bias = true), "ffn.router_bias"),
        (Family::Llama, moe(model("mixtral-8x7b"), |moe| moe.shared_size = 64), "ffn.shared_size"),
        (Family::Llama, moe(model("mixtral-8x7b"), |moe| moe.experts = 513), "ffn.experts"),
        (Family::Qwen2Moe, moe(model("qwen1.5-moe-a2.7b"), |moe| moe.shared_gate = false), "ffn.shared_gate"),
    ];
    for (family, model, axis) in cases {
        let found = obstacles(family, &model);
        assert_eq!(found[0].axis, axis, "{family:?}: {found:?}");
        let error = gguf_family(&model).expect_err(axis);
        assert!(error.obstacles.len() <= found.len(), "{axis}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("llama.cpp has no architecture for this model; `"), "{text}");
        assert!(text.contains(&format!("`{}` must be ", error.axis())), "{text}");
    }
}

#[test]
fn a_factor_of_the_hidden_size_is_the_largest_gemmas_alone() {
    let usual = attention(model("gemma-2-2b"), |a| a.scale = None);
    assert_eq!(family(&usual), Family::Gemma2);
    let pairs = usual.layers.iter().cycle().take(46).cloned().collect();
    let large = with(usual, |model| model.layers = pairs);
    assert_eq!(obstacles(Family::Gemma2, &large)[0].axis, "attention.scale");
    let (hidden, heads) = (large.hidden_size, large.layers[0].attention.heads);
    let scaled = attention(large, |a| a.scale = Some(1.0 / ((hidden / heads) as f64).sqrt()));
    assert_eq!(family(&scaled), Family::Gemma2);
}

#[test]
fn rows_must_be_whole_blocks_of_what_they_are_stored_in() {
    for weights in NumberFormat::ALL {
        // Rows of 576 values are no blocks of 256, and kept in q8_0.
        assert_eq!(gguf_family_in(&smollm(), weights), Ok(Family::Llama), "{weights}");
    }
    let odd = mlp(smollm(), |mlp| mlp.size = 1000);
    for (weights, holds) in [
        (NumberFormat::F32, true),
        (NumberFormat::Bf16, true),
        (NumberFormat::Q8_0, false),
        (NumberFormat::Q4_0, false),
        (NumberFormat::Q4_K, false),
    ] {
        let found = gguf_family_in(&odd, weights);
        assert_eq!(found.is_ok(), holds, "{weights}");
        if let Err(error) = found {
            assert_eq!((error.nearest, error.axis()), (Family::Llama, "weights"));
        }
    }
}

#[test]
fn names_are_those_of_the_files() {
    let names: std::collections::BTreeSet<_> = Family::ALL.into_iter().map(Family::name).collect();
    assert_eq!(names.len(), Family::ALL.len());
    assert!(names.iter().all(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric())));
}
