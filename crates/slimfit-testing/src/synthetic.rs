//! Tiny architectures that between them use every option, and seeded values for their tensors.

use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp, Moe, Norm,
    NormKind, NormPlacement, Positions, QkNorm, Rope, RopeScaling, Scales, Tensor, TensorPart, TensorRole,
};

/// Values of a tensor from a seed, a function of seed, name and index alone: matrices uniform with variance 1 / columns,
/// norm weights in 0.8..1.2, the rest in −0.2..0.2.
pub fn values(tensor: &Tensor, seed: u64) -> Vec<f32> {
    let name = tensor.name();
    let start = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let columns = tensor.shape.last().copied().unwrap_or(1) as f32;
    let (middle, reach) = match (tensor.role, tensor.part) {
        (role, TensorPart::Weight) if role.is_norm() => (1.0, 0.2),
        (TensorRole::PositionTable, _) | (_, TensorPart::Bias) => (0.0, 0.2),
        _ => (0.0, (3.0 / columns).sqrt()),
    };
    (0..tensor.parameters()).map(|index| middle + reach * uniform(start.wrapping_add(index))).collect()
}

/// −1..1 from a counter (the finaliser of SplitMix64).
fn uniform(counter: u64) -> f32 {
    let mut bits = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

/// A two-layer Llama of width 64, GQA 4:2, gated SiLU, 61 words, untied.
pub fn plain() -> Architecture {
    Architecture {
        hidden_size: 64,
        vocabulary_size: 61,
        tied_embeddings: false,
        embedding_size: None,
        layers: vec![LayerRun {
            repeat: 2,
            attention: Attention {
                heads: 4,
                kv_heads: 2,
                head_size: 16,
                window: None,
                rope: Some(Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None }),
                bias: AttentionBias::default(),
                qk_norm: QkNorm::None,
                scale: None,
                softcap: None,
                qkv_clip: None,
            },
            ffn: FeedForward::Dense(mlp()),
        }],
        positions: Positions::None,
        norm: Norm::default(),
        norm_placement: NormPlacement::Pre,
        embedding_norm: false,
        final_norm: true,
        head_bias: false,
        scales: Scales::default(),
        loops: None,
    }
}

fn mlp() -> Mlp {
    Mlp { size: 96, gated: true, activation: Activation::Silu, bias: false }
}

/// Models wide enough for rows of 256 values and heads of 64: one in all its matrices, one whose feed-forward part is too
/// narrow for its last, one whose attention is wider than the model, and one with a window.
pub fn wide() -> Vec<(&'static str, Architecture)> {
    let of = |heads: u64, size: u64| {
        with(|architecture| {
            architecture.hidden_size = 256;
            architecture.layers[0].attention.heads = heads;
            architecture.layers[0].attention.head_size = 64;
            architecture.layers[0].ffn = FeedForward::Dense(Mlp { size, ..mlp() });
        })
    };
    let mut tied = of(8, 256);
    tied.tied_embeddings = true;
    let mut window = of(4, 256);
    window.layers[0].attention.window = Some(5);
    vec![
        ("wide", of(4, 512)),
        ("wide, narrow inside", of(4, 160)),
        ("wide heads, tied", tied),
        ("wide, window", window),
    ]
}

/// [`plain`] with one thing changed.
fn with(change: impl FnOnce(&mut Architecture)) -> Architecture {
    let mut architecture = plain();
    change(&mut architecture);
    architecture
}

fn with_attention(change: impl FnOnce(&mut Attention)) -> Architecture {
    with(|architecture| change(&mut architecture.layers[0].attention))
}

fn with_mlp(change: impl FnOnce(&mut Mlp)) -> Architecture {
    with(|architecture| {
        let mut changed = mlp();
        change(&mut changed);
        architecture.layers[0].ffn = FeedForward::Dense(changed);
    })
}

fn with_rope(change: impl FnOnce(&mut Rope)) -> Architecture {
    with_attention(|attention| change(attention.rope.as_mut().expect("`plain` has rotary positions")))
}

fn with_scaling(scaling: RopeScaling) -> Architecture {
    with_rope(|rope| rope.scaling = Some(scaling))
}

fn with_norm(kind: NormKind, placement: NormPlacement) -> Architecture {
    with(|architecture| {
        architecture.norm.kind = kind;
        architecture.norm_placement = placement;
    })
}

/// Every option of a dense model, one or a few at a time, by name.
pub fn architectures() -> Vec<(&'static str, Architecture)> {
    let mut all = vec![("plain", plain())];
    all.extend(shapes());
    all.extend(attentions());
    all.extend(ropes());
    all.extend(norms());
    all.extend(feed_forwards());
    all.extend(edges());
    all
}

fn shapes() -> Vec<(&'static str, Architecture)> {
    vec![
        ("tied", with(|a| a.tied_embeddings = true)),
        ("factorised", with(|a| a.embedding_size = Some(32))),
        (
            "factorised tied",
            with(|a| {
                a.embedding_size = Some(32);
                a.tied_embeddings = true;
            }),
        ),
        ("mha", with_attention(|a| a.kv_heads = 4)),
        ("mqa", with_attention(|a| a.kv_heads = 1)),
        (
            "wide heads",
            with_attention(|a| {
                a.heads = 3;
                a.kv_heads = 1;
                a.head_size = 32;
            }),
        ),
        (
            "layers that differ",
            with(|a| {
                let mut second = a.layers[0].clone();
                a.layers[0].repeat = 1;
                second.repeat = 1;
                second.attention.kv_heads = 1;
                second.attention.window = Some(4);
                second.attention.rope = None;
                second.ffn = FeedForward::Dense(Mlp { size: 160, ..mlp() });
                a.layers.push(second);
            }),
        ),
        (
            "heads that differ",
            with(|a| {
                let run = |heads, kv_heads, head_size, bias, size, gated| LayerRun {
                    repeat: 1,
                    attention: Attention {
                        heads,
                        kv_heads,
                        head_size,
                        bias: AttentionBias { qkv: bias, output: false },
                        ..plain().layers[0].attention.clone()
                    },
                    ffn: FeedForward::Dense(Mlp { size, gated, ..mlp() }),
                };
                a.layers = vec![
                    run(6, 3, 16, false, 96, true),
                    run(2, 1, 32, true, 224, false),
                    run(8, 8, 8, false, 32, true),
                ];
            }),
        ),
        ("loops", with(|a| a.loops = Some(Loops { first: 0, layers: 2, count: 2, immediate: false }))),
        (
            "loops of one layer",
            with(|a| {
                a.layers[0].repeat = 3;
                a.loops = Some(Loops { first: 1, layers: 1, count: 3, immediate: true });
            }),
        ),
    ]
}

fn attentions() -> Vec<(&'static str, Architecture)> {
    vec![
        ("window", with_attention(|a| a.window = Some(5))),
        ("window of one", with_attention(|a| a.window = Some(1))),
        ("qkv bias", with_attention(|a| a.bias.qkv = true)),
        ("all attention biases", with_attention(|a| a.bias = AttentionBias { qkv: true, output: true })),
        ("norm per head", with_attention(|a| a.qk_norm = QkNorm::PerHead)),
        ("norm of each head", with_attention(|a| a.qk_norm = QkNorm::EachHead)),
        ("norm over all heads", with_attention(|a| a.qk_norm = QkNorm::AllHeads)),
        ("norm after rotation", with_attention(|a| a.qk_norm = QkNorm::PerHeadAfterRotation)),
        (
            "layer norm per head",
            with(|a| {
                a.norm.kind = NormKind::Layer;
                a.layers[0].attention.qk_norm = QkNorm::PerHead;
            }),
        ),
        ("attention scale", with_attention(|a| a.scale = Some(0.5))),
        ("score cap", with_attention(|a| a.softcap = Some(0.7))),
        ("qkv clip", with_attention(|a| a.qkv_clip = Some(0.8))),
        (
            "alibi",
            with(|a| {
                a.positions = Positions::Alibi;
                a.layers[0].attention.rope = None;
            }),
        ),
        (
            "alibi of six heads",
            with(|a| {
                a.positions = Positions::Alibi;
                a.layers[0].attention = Attention { heads: 6, rope: None, ..a.layers[0].attention.clone() };
            }),
        ),
        (
            "alibi beside a score cap",
            with(|a| {
                a.positions = Positions::Alibi;
                a.layers[0].attention.rope = None;
                a.layers[0].attention.softcap = Some(0.7);
            }),
        ),
        (
            "scaled alibi",
            with(|a| {
                a.positions = Positions::ScaledAlibi;
                a.layers[0].attention.rope = None;
            }),
        ),
        (
            "learned positions",
            with(|a| {
                a.positions = Positions::Learned { context: 40, offset: 2 };
                a.layers[0].attention.rope = None;
            }),
        ),
        (
            "learned positions, factorised",
            with(|a| {
                a.positions = Positions::Learned { context: 40, offset: 2 };
                a.embedding_size = Some(32);
                a.layers[0].attention.rope = None;
            }),
        ),
        ("no positions", with_attention(|a| a.rope = None)),
    ]
}

fn ropes() -> Vec<(&'static str, Architecture)> {
    vec![
        ("partial rope", with_rope(|rope| rope.rotated = Some(6))),
        ("interleaved rope", with_rope(|rope| rope.interleaved = true)),
        (
            "interleaved partial rope",
            with_rope(|rope| {
                rope.interleaved = true;
                rope.rotated = Some(6);
            }),
        ),
        ("linear rope", with_scaling(RopeScaling::Linear { factor: 4.0 })),
        (
            "llama3 rope",
            with_scaling(RopeScaling::Llama3 {
                factor: 8.0,
                low_frequency_factor: 1.0,
                high_frequency_factor: 4.0,
                original_context: 64,
            }),
        ),
        (
            "yarn rope",
            with_scaling(RopeScaling::Yarn {
                factor: 4.0,
                beta_fast: 4.0,
                beta_slow: 1.0,
                original_context: 64,
                attention_factor: None,
            }),
        ),
        (
            "yarn rope with a factor",
            with_scaling(RopeScaling::Yarn {
                factor: 4.0,
                beta_fast: 32.0,
                beta_slow: 1.0,
                original_context: 4096,
                attention_factor: Some(1.3),
            }),
        ),
        ("long rope within", long_rope(4096)),
        ("long rope past", long_rope(8)),
        ("dynamic rope", with_scaling(RopeScaling::Dynamic { factor: 2.0, original_context: 8 })),
    ]
}

fn long_rope(original_context: u64) -> Architecture {
    let factors = |step: f64| (0..8).map(|pair| 1.0 + step * f64::from(pair)).collect();
    with_scaling(RopeScaling::LongRope {
        short_factor: factors(0.1),
        long_factor: factors(1.5),
        original_context,
        attention_factor: 1.19,
    })
}

fn norms() -> Vec<(&'static str, Architecture)> {
    vec![
        ("layer norm", with_norm(NormKind::Layer, NormPlacement::Pre)),
        ("layer norm without bias", with_norm(NormKind::LayerNoBias, NormPlacement::Pre)),
        ("layer norm without weights", with_norm(NormKind::LayerPlain, NormPlacement::Pre)),
        ("weights as offsets", with(|a| a.norm.weight_plus_one = true)),
        ("post", with_norm(NormKind::Layer, NormPlacement::Post)),
        ("post branch", with_norm(NormKind::Rms, NormPlacement::PostBranch)),
        ("sandwich", with_norm(NormKind::Rms, NormPlacement::Sandwich)),
        ("parallel, one norm", with_norm(NormKind::Layer, NormPlacement::ParallelOneNorm)),
        ("parallel, two norms", with_norm(NormKind::Layer, NormPlacement::ParallelTwoNorms)),
        ("no final norm", with(|a| a.final_norm = false)),
        ("embedding norm", with(|a| a.embedding_norm = true)),
    ]
}

fn feed_forwards() -> Vec<(&'static str, Architecture)> {
    vec![
        ("gated gelu", with_mlp(|mlp| mlp.activation = Activation::Gelu)),
        ("gated gelu by tanh", with_mlp(|mlp| mlp.activation = Activation::GeluTanh)),
        ("gated relu", with_mlp(|mlp| mlp.activation = Activation::Relu)),
        ("ungated silu", with_mlp(|mlp| mlp.gated = false)),
        (
            "ungated gelu",
            with_mlp(|mlp| *mlp = Mlp { gated: false, activation: Activation::Gelu, bias: true, ..*mlp }),
        ),
        (
            "ungated gelu by tanh",
            with_mlp(|mlp| *mlp = Mlp { gated: false, activation: Activation::GeluTanh, ..*mlp }),
        ),
        ("ungated relu", with_mlp(|mlp| *mlp = Mlp { gated: false, activation: Activation::Relu, ..*mlp })),
        (
            "ungated squared relu",
            with_mlp(|mlp| *mlp = Mlp { gated: false, activation: Activation::ReluSquared, ..*mlp }),
        ),
        ("ffn biases", with_mlp(|mlp| mlp.bias = true)),
    ]
}

fn edges() -> Vec<(&'static str, Architecture)> {
    vec![
        ("head bias", with(|a| a.head_bias = true)),
        ("embedding scale", with(|a| a.scales.embedding = Some(8.0))),
        ("residual scale", with(|a| a.scales.residual = Some(0.4))),
        (
            "residual scale in a sandwich",
            with(|a| {
                a.scales.residual = Some(0.4);
                a.norm_placement = NormPlacement::Sandwich;
            }),
        ),
        ("logit scale", with(|a| a.scales.logits = Some(0.25))),
        (
            "logit scale with head bias",
            with(|a| {
                a.scales.logits = Some(0.25);
                a.head_bias = true;
            }),
        ),
        ("logit cap", with(|a| a.scales.logit_softcap = Some(1.5))),
    ]
}

/// Mixtures of experts, by name.
pub fn mixtures() -> Vec<(&'static str, Architecture)> {
    let moe = Moe {
        experts: 4,
        top_k: 2,
        expert_size: 32,
        gated: true,
        activation: Activation::Silu,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: true,
        router_bias: false,
    };
    let with_moe = |change: fn(&mut Moe)| {
        let mut changed = moe.clone();
        change(&mut changed);
        with(|architecture| architecture.layers[0].ffn = FeedForward::Moe(changed))
    };
    let placed = |placement| {
        let mut architecture = with_moe(|moe| {
            moe.shared_size = 64;
            moe.shared_gate = true;
        });
        architecture.norm_placement = placement;
        architecture.scales.residual = Some(0.6);
        architecture
    };
    vec![
        ("moe", with_moe(|_| {})),
        ("moe, shares not normalised", with_moe(|moe| moe.normalise_top_k = false)),
        ("moe with a shared part", with_moe(|moe| moe.shared_size = 64)),
        (
            "moe with a scaled shared part",
            with_moe(|moe| {
                moe.shared_size = 64;
                moe.shared_gate = true;
            }),
        ),
        (
            "moe, ungated",
            with_moe(|moe| {
                moe.gated = false;
                moe.router_bias = true;
            }),
        ),
        (
            "moe of many experts",
            with_moe(|moe| {
                moe.experts = 12;
                moe.top_k = 5;
                moe.normalise_top_k = false;
            }),
        ),
        ("moe of one expert", with_moe(|moe| (moe.experts, moe.top_k) = (1, 1))),
        ("moe between norms", placed(NormPlacement::Sandwich)),
        ("moe before its norm", placed(NormPlacement::Post)),
        ("moe beside the attention", placed(NormPlacement::ParallelTwoNorms)),
        (
            "moe in every other layer, looped",
            with(|architecture| {
                let mut second = architecture.layers[0].clone();
                architecture.layers[0].repeat = 1;
                second.repeat = 1;
                second.ffn = FeedForward::Moe(Moe { shared_size: 32, ..moe.clone() });
                architecture.layers.push(second);
                architecture.loops = Some(Loops { first: 0, layers: 2, count: 2, immediate: false });
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn every_architecture_is_valid_and_the_reference_runs_it() {
        let plain = reference::forward(&plain(), &|tensor| values(tensor, 1), &[5, 9, 2, 60, 0, 9, 9, 1, 30]);
        for (name, architecture) in architectures().into_iter().chain(mixtures()) {
            architecture.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
            let logits = reference::forward_in_context(
                &architecture,
                &|tensor| values(tensor, 1),
                &[5, 9, 2, 60, 0, 9, 9, 1, 30],
                16,
            );
            assert_eq!((logits.len(), logits[0].len()), (9, 61), "{name}");
            assert!(logits.iter().flatten().all(|logit| logit.is_finite()), "{name}");
            assert_eq!(name == "plain", logits == plain, "`{name}` changes nothing");
        }
    }

    #[test]
    fn a_prefix_has_the_logits_of_the_whole() {
        for (name, architecture) in architectures().into_iter().chain(wide()) {
            let run = |tokens: &[u32]| {
                reference::forward_in_context(&architecture, &|tensor| values(tensor, 2), tokens, 16)
            };
            let (whole, prefix) = (run(&[1, 2, 3, 4, 5, 6, 7]), run(&[1, 2, 3, 4]));
            assert_eq!(whole[..4], prefix[..], "`{name}` looks ahead");
        }
    }
}
