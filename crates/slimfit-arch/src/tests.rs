//! Closed forms against the inventory, validation against everything, identity against every way of writing a model.

use crate::{
    Activation, Architecture, ArchitectureError, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp,
    Moe, Norm, NormKind, NormPlacement, Positions, QkNorm, Rope, RopeScaling, Scales,
};
use proptest::prelude::*;
use slimfit_quantity::NumberFormat;

fn attention(heads: u64, kv_heads: u64, head_size: u64) -> Attention {
    Attention {
        heads,
        kv_heads,
        head_size,
        window: None,
        rope: Some(Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None }),
        bias: AttentionBias::default(),
        qk_norm: QkNorm::None,
        scale: None,
        softcap: None,
        qkv_clip: None,
    }
}

fn mlp(size: u64) -> FeedForward {
    FeedForward::Dense(Mlp { size, gated: true, activation: Activation::Silu, bias: false })
}

fn moe(experts: u64, top_k: u64) -> Moe {
    Moe {
        experts,
        top_k,
        expert_size: 96,
        gated: true,
        activation: Activation::Silu,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: true,
        router_bias: false,
    }
}

fn small() -> Architecture {
    Architecture {
        hidden_size: 64,
        vocabulary_size: 1000,
        tied_embeddings: true,
        embedding_size: None,
        layers: vec![LayerRun { repeat: 4, attention: attention(4, 2, 16), ffn: mlp(128) }],
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

fn with_loops(first: u64, layers: u64, count: u64, immediate: bool) -> Architecture {
    Architecture { loops: Some(Loops { first, layers, count, immediate }), ..small() }
}

prop_compose! {
    fn any_attention()(
        (groups, kv_heads, head_size) in (1_u64..5, 1_u64..5, 1_u64..40),
        window in prop::option::of(1_u64..300),
        qkv in any::<bool>(),
        output in any::<bool>(),
        qk_norm in prop::sample::select(vec![
            QkNorm::None, QkNorm::PerHead, QkNorm::PerHeadAfterRotation, QkNorm::EachHead, QkNorm::AllHeads,
        ]),
    ) -> Attention {
        Attention {
            window,
            rope: None,
            bias: AttentionBias { qkv, output },
            qk_norm,
            ..attention(groups * kv_heads, kv_heads, head_size)
        }
    }
}

prop_compose! {
    fn any_moe()(
        (experts, spare, expert_size, shared_size) in (1_u64..9, 0_u64..9, 1_u64..50, 0_u64..50),
        (gated, shared_gate, router_bias) in any::<(bool, bool, bool)>(),
    ) -> Moe {
        Moe {
            expert_size,
            gated,
            shared_size,
            shared_gate: shared_gate && shared_size > 0,
            router_bias,
            ..moe(experts + spare, experts)
        }
    }
}

fn any_ffn() -> impl Strategy<Value = FeedForward> {
    prop_oneof![
        (1_u64..200, any::<(bool, bool)>()).prop_map(|(size, (gated, bias))| {
            FeedForward::Dense(Mlp { size, gated, activation: Activation::Gelu, bias })
        }),
        any_moe().prop_map(FeedForward::Moe),
    ]
}

fn any_run() -> impl Strategy<Value = LayerRun> {
    (1_u64..4, any_attention(), any_ffn()).prop_map(|(repeat, attention, ffn)| LayerRun {
        repeat,
        attention,
        ffn,
    })
}

prop_compose! {
    fn any_architecture()(
        (hidden_size, vocabulary_size) in (1_u64..100, 1_u64..500),
        embedding_size in prop::option::of(1_u64..50),
        layers in prop::collection::vec(any_run(), 1..5),
        positions in prop_oneof![
            Just(Positions::None),
            Just(Positions::Alibi),
            (1_u64..99, 0_u64..3).prop_map(|(context, offset)| Positions::Learned { context, offset }),
        ],
        kind in prop::sample::select(vec![NormKind::Rms, NormKind::Layer, NormKind::LayerNoBias, NormKind::LayerPlain]),
        norm_placement in prop::sample::select(vec![
            NormPlacement::Pre, NormPlacement::Post, NormPlacement::PostBranch, NormPlacement::Sandwich,
            NormPlacement::ParallelOneNorm, NormPlacement::ParallelTwoNorms,
        ]),
        (tied_embeddings, embedding_norm, final_norm, head_bias) in any::<(bool, bool, bool, bool)>(),
        (start, length, count, immediate) in (0.0_f64..1.0, 0.0_f64..1.0, 1_u64..4, any::<bool>()),
        looped in any::<bool>(),
    ) -> Architecture {
        let depth: u64 = layers.iter().map(|run: &LayerRun| run.repeat).sum();
        let first = ((depth as f64 * start) as u64).min(depth - 1);
        let length = (1 + ((depth - first) as f64 * length) as u64).min(depth - first);
        Architecture {
            hidden_size,
            vocabulary_size,
            tied_embeddings,
            embedding_size,
            layers,
            positions,
            norm: Norm { kind, epsilon: 1e-5, weight_plus_one: false },
            norm_placement,
            embedding_norm,
            final_norm,
            head_bias,
            scales: Scales::default(),
            loops: looped.then_some(Loops { first, layers: length, count, immediate }),
        }
    }
}

proptest! {
    #[test]
    fn closed_forms_equal_the_inventory(architecture in any_architecture()) {
        prop_assert_eq!(architecture.validate(), Ok(()));
        let tensors = architecture.tensors();
        let sum = |keep: &dyn Fn(&crate::Tensor) -> bool| -> u64 {
            tensors.iter().filter(|tensor| keep(tensor)).map(crate::Tensor::parameters).sum()
        };
        let counted = architecture.parameters();
        prop_assert_eq!(counted.total, sum(&|_| true));
        prop_assert_eq!(counted.embedding, sum(&|tensor| tensor.role.is_embedding()));
        prop_assert_eq!(counted.non_embedding, sum(&|tensor| !tensor.role.is_embedding()));
        let runs: Vec<_> = architecture.each_layer().collect();
        let active: u64 = tensors.iter().map(|tensor| match (tensor.layer, tensor.role.is_expert()) {
            (Some(layer), true) => {
                let FeedForward::Moe(moe) = &runs[layer as usize].ffn else { panic!("experts without a mixture") };
                tensor.parameters() / moe.experts * moe.top_k
            }
            _ => tensor.parameters(),
        }).sum();
        prop_assert_eq!(counted.active, active);
        prop_assert_eq!(architecture.weight_bytes(NumberFormat::F32), Ok(4 * counted.total));
        let half: u64 = tensors.iter().map(|t| t.parameters() * if t.is_quantisable() { 2 } else { 4 }).sum();
        prop_assert_eq!(architecture.weight_bytes(NumberFormat::Bf16), Ok(half));
        let names: std::collections::BTreeSet<_> = tensors.iter().map(crate::Tensor::name).collect();
        prop_assert_eq!(names.len(), tensors.len());
    }

    #[test]
    fn operations_and_cache_equal_a_walk_over_every_token(architecture in any_architecture(), context in 1_u64..400) {
        let runs: Vec<_> = architecture.each_layer().collect();
        let order = architecture.execution_order();
        let table = architecture.embedding_size.unwrap_or(architecture.hidden_size);
        let projection = if table == architecture.hidden_size { 0 } else { 2 * table * architecture.hidden_size };
        let head = 2 * architecture.vocabulary_size * table + projection;
        let token = |keys: u64| -> u64 {
            projection + order.iter().map(|&layer| {
                let run = runs[layer as usize];
                let matrices: u64 = architecture.tensors().iter()
                    .filter(|t| t.layer == Some(layer) && t.shape.len() > 1 && !t.role.is_expert())
                    .map(crate::Tensor::parameters).sum();
                let experts = match &run.ffn {
                    FeedForward::Dense(_) => 0,
                    FeedForward::Moe(moe) => {
                        moe.top_k * (2 + u64::from(moe.gated)) * moe.expert_size * architecture.hidden_size
                    }
                };
                let seen = run.attention.window.map_or(keys, |window| window.min(keys));
                2 * (matrices + experts) + 4 * run.attention.query_size() * seen
            }).sum::<u64>()
        };
        prop_assert_eq!(architecture.decode_flops(context), Ok(token(context) + head));
        // The walk is slow, so its prefill is short; windows down to 1 still cut it.
        let prompt = context.div_ceil(8);
        let walked: u64 = (1..=prompt).map(token).sum();
        prop_assert_eq!(architecture.prefill_flops(prompt), Ok(walked + head));
        prop_assert_eq!(architecture.forward_flops(prompt), Ok(walked + prompt * head));
        let cache: u64 = order.iter().map(|&layer| {
            let attention = &runs[layer as usize].attention;
            2 * attention.kv_size() * attention.window.unwrap_or(context).min(context) * 2
        }).sum();
        prop_assert_eq!(architecture.kv_cache_bytes(NumberFormat::F16, context), Ok(cache));
        prop_assert_eq!(architecture.kv_bytes_per_token(NumberFormat::F32), Ok(4 * architecture.kv_values_per_token()));
    }

    #[test]
    fn unfolding_and_spelling_out_defaults_keeps_the_id(architecture in any_architecture()) {
        let (weights, kv) = (NumberFormat::Q8_0, NumberFormat::F16);
        let mut spelt = architecture.clone();
        spelt.layers = architecture.each_layer().map(|run| LayerRun { repeat: 1, ..run.clone() }).collect();
        spelt.embedding_size.get_or_insert(architecture.hidden_size);
        for run in &mut spelt.layers {
            let size = run.attention.head_size as f64;
            run.attention.scale.get_or_insert(1.0 / size.sqrt());
        }
        spelt.scales.residual = Some(1.0);
        prop_assert_eq!(spelt.id(weights, kv), architecture.id(weights, kv));
        prop_assert_ne!(architecture.id(NumberFormat::Q4_0, kv), architecture.id(weights, kv));
        prop_assert_ne!(architecture.id(weights, NumberFormat::F32), architecture.id(weights, kv));
        let wider = Architecture { hidden_size: architecture.hidden_size + 1, ..architecture.clone() };
        prop_assert_ne!(wider.id(weights, kv), architecture.id(weights, kv));
        prop_assert_eq!(spelt.normalised().parameters(), architecture.parameters());
        let text = serde_json::to_string(&architecture).unwrap();
        prop_assert_eq!(serde_json::from_str::<Architecture>(&text).unwrap(), architecture);
    }

    #[test]
    fn validation_and_counting_never_panic(
        sizes in prop::array::uniform8(prop_oneof![
            0_u64..4, Just(u64::MAX), any::<u64>(), (0_u32..64).prop_map(|bit| 1_u64 << bit),
        ]),
        constant in any::<f64>(),
        loops in prop::option::of((any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>())),
        mixture in any::<bool>(),
    ) {
        let [hidden, vocabulary, repeat, heads, kv_heads, head_size, size, context] = sizes;
        let mut attention = attention(heads, kv_heads, head_size);
        attention.window = Some(context);
        attention.scale = Some(constant);
        let ffn = if mixture { FeedForward::Moe(Moe { expert_size: size, ..moe(heads, kv_heads) }) } else { mlp(size) };
        let architecture = Architecture {
            hidden_size: hidden,
            vocabulary_size: vocabulary,
            layers: vec![LayerRun { repeat, attention, ffn }],
            positions: Positions::Learned { context, offset: size },
            loops: loops.map(|(first, layers, count, immediate)| Loops { first, layers, count, immediate }),
            ..small()
        };
        if architecture.validate().is_ok() {
            let counted = architecture.parameters();
            prop_assert_eq!(counted.total, counted.non_embedding + counted.embedding);
            architecture.kv_values_per_token();
        }
        let _ = architecture.checked_parameters();
        let _ = architecture.prefill_flops(context);
        let _ = architecture.decode_flops(context);
        let _ = architecture.kv_cache_bytes(NumberFormat::Q8_0, context);
    }
}

#[test]
fn every_impossible_field_is_named_by_its_path() {
    let edit = |change: &dyn Fn(&mut Architecture)| {
        let mut architecture = small();
        change(&mut architecture);
        match architecture.validate() {
            Err(ArchitectureError::Field { field, .. }) => field,
            other => panic!("no field refused: {other:?}"),
        }
    };
    let rope = |change: &dyn Fn(&mut Rope)| edit(&|a| change(a.layers[0].attention.rope.as_mut().unwrap()));
    let mixture = |change: &dyn Fn(&mut Moe)| {
        edit(&|a| {
            let mut mixture = moe(8, 2);
            change(&mut mixture);
            a.layers[0].ffn = FeedForward::Moe(mixture);
        })
    };
    assert_eq!(edit(&|a| a.hidden_size = 0), "hidden_size");
    assert_eq!(edit(&|a| a.vocabulary_size = 0), "vocabulary_size");
    assert_eq!(edit(&|a| a.embedding_size = Some(0)), "embedding_size");
    assert_eq!(edit(&|a| a.layers.clear()), "layers");
    assert_eq!(edit(&|a| a.layers[0].repeat = 0), "layers[0].repeat");
    assert_eq!(edit(&|a| a.layers[0].repeat = 1 << 40), "layers");
    assert_eq!(edit(&|a| a.layers[0].attention.heads = 0), "layers[0].attention.heads");
    assert_eq!(edit(&|a| a.layers[0].attention.kv_heads = 0), "layers[0].attention.kv_heads");
    assert_eq!(edit(&|a| a.layers[0].attention.kv_heads = 3), "layers[0].attention.kv_heads");
    assert_eq!(edit(&|a| a.layers[0].attention.head_size = 0), "layers[0].attention.head_size");
    assert_eq!(edit(&|a| a.layers[0].attention.head_size = 15), "layers[0].attention.head_size");
    assert_eq!(edit(&|a| a.layers[0].attention.window = Some(0)), "layers[0].attention.window");
    assert_eq!(edit(&|a| a.layers[0].attention.scale = Some(f64::NAN)), "layers[0].attention.scale");
    assert_eq!(edit(&|a| a.layers[0].attention.softcap = Some(0.0)), "layers[0].attention.softcap");
    assert_eq!(edit(&|a| a.layers[0].attention.qkv_clip = Some(-8.0)), "layers[0].attention.qkv_clip");
    assert_eq!(rope(&|r| r.rotated = Some(7)), "layers[0].attention.rope.rotated");
    assert_eq!(rope(&|r| r.rotated = Some(18)), "layers[0].attention.rope.rotated");
    assert_eq!(rope(&|r| r.base = f64::INFINITY), "layers[0].attention.rope.base");
    assert_eq!(
        rope(&|r| r.scaling = Some(RopeScaling::Linear { factor: 0.0 })),
        "layers[0].attention.rope.scaling.factor"
    );
    assert_eq!(
        rope(&|r| {
            let (low_frequency_factor, high_frequency_factor) = (4.0, 1.0);
            let (factor, original_context) = (8.0, 8192);
            let scaling =
                RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context };
            r.scaling = Some(scaling);
        }),
        "layers[0].attention.rope.scaling.high_frequency_factor"
    );
    assert_eq!(
        rope(&|r| {
            let (short_factor, long_factor) = (vec![1.0; 8], vec![1.0; 7]);
            let (original_context, attention_factor) = (4096, 1.0);
            r.scaling =
                Some(RopeScaling::LongRope { short_factor, long_factor, original_context, attention_factor });
        }),
        "layers[0].attention.rope.scaling.long_factor"
    );
    assert_eq!(edit(&|a| a.layers[0].ffn = mlp(0)), "layers[0].ffn.size");
    assert_eq!(mixture(&|m| m.experts = 0), "layers[0].ffn.experts");
    assert_eq!(mixture(&|m| m.top_k = 0), "layers[0].ffn.top_k");
    assert_eq!(mixture(&|m| m.top_k = 9), "layers[0].ffn.top_k");
    assert_eq!(mixture(&|m| m.expert_size = 0), "layers[0].ffn.expert_size");
    assert_eq!(mixture(&|m| m.shared_gate = true), "layers[0].ffn.shared_gate");
    assert_eq!(edit(&|a| a.positions = Positions::Learned { context: 0, offset: 2 }), "positions.context");
    assert_eq!(
        edit(&|a| a.positions = Positions::Learned { context: 1, offset: u64::MAX }),
        "positions.offset"
    );
    assert_eq!(edit(&|a| a.norm.epsilon = -1e-5), "norm.epsilon");
    assert_eq!(edit(&|a| a.scales.embedding = Some(f64::NEG_INFINITY)), "scales.embedding");
    assert_eq!(edit(&|a| a.scales.residual = Some(-1.0)), "scales.residual");
    assert_eq!(edit(&|a| a.scales.logits = Some(0.0)), "scales.logits");
    assert_eq!(edit(&|a| a.scales.logit_softcap = Some(f64::NAN)), "scales.logit_softcap");
    let looped = |first, layers, count| edit(&|a| *a = with_loops(first, layers, count, false));
    assert_eq!(looped(4, 1, 2), "loops.first");
    assert_eq!(looped(2, 3, 2), "loops.layers");
    assert_eq!(looped(2, 0, 2), "loops.layers");
    assert_eq!(looped(2, 2, 0), "loops.count");
    assert_eq!(looped(2, 2, u64::MAX), "loops.count");
}

#[test]
fn counts_past_64_bits_are_refused() {
    let huge = Architecture { hidden_size: 1 << 40, vocabulary_size: 1 << 40, ..small() };
    assert_eq!(huge.validate(), Err(ArchitectureError::Overflow { what: "its parameters" }));
    let message = huge.validate().unwrap_err().to_string();
    assert_eq!(message, "the architecture is too large: its parameters overflow 64 bits");
}

#[test]
fn looped_layers_run_block_by_block_or_one_by_one() {
    assert_eq!(with_loops(1, 2, 2, false).execution_order(), [0, 1, 2, 1, 2, 3]);
    assert_eq!(with_loops(1, 2, 2, true).execution_order(), [0, 1, 1, 2, 2, 3]);
    assert_eq!(with_loops(1, 2, 2, true).kv_values_per_token(), 6 * 2 * 32);
    let (weights, kv) = (NumberFormat::F32, NumberFormat::F32);
    assert_eq!(with_loops(1, 2, 1, false).id(weights, kv), small().id(weights, kv));
    assert_eq!(with_loops(1, 2, 2, false).with_loop_count(5), Ok(with_loops(1, 2, 5, false)));
    assert_eq!(small().with_loop_count(2), Err(ArchitectureError::NotLooped { count: 2 }));
    let never = with_loops(1, 2, 2, false).with_loop_count(0).unwrap_err();
    assert!(matches!(&never, ArchitectureError::Field { field, .. } if field == "loops.count"), "{never}");
    assert_eq!(with_loops(1, 1, 3, true).id(weights, kv), with_loops(1, 1, 3, false).id(weights, kv));
    assert_ne!(with_loops(1, 2, 2, true).id(weights, kv), with_loops(1, 2, 2, false).id(weights, kv));
}

#[test]
fn a_row_that_is_no_whole_number_of_blocks_is_named() {
    let mut odd = small();
    odd.layers.push(LayerRun { repeat: 1, attention: attention(4, 2, 16), ffn: mlp(100) });
    let error = odd.weight_bytes(NumberFormat::Q8_0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`layers.4.ffn.down.weight` cannot be stored as q8_0: its rows have 100 values, no multiple of the block of 32"
    );
    assert!(odd.kv_cache_bytes(NumberFormat::Q8_0, 8).is_err());
    assert_eq!(
        small().weight_bytes(NumberFormat::Q8_0),
        Ok((small().parameters().total - 9 * 64) / 32 * 34 + 9 * 64 * 4)
    );
    // No row of it holds a block of 256, so all of it stays in q8_0.
    assert_eq!(small().weight_bytes(NumberFormat::Q4_K), small().weight_bytes(NumberFormat::Q8_0));
    let mut wide = small();
    wide.layers[0].ffn = mlp(256);
    let down = 4 * 64 * 256;
    assert_eq!(
        wide.weight_bytes(NumberFormat::Q4_K).unwrap(),
        wide.weight_bytes(NumberFormat::Q8_0).unwrap() - down / 32 * 34 + down / 256 * 144
    );
}

#[test]
fn the_id_is_fixed() {
    // A stored id must mean the same architecture in every later version.
    assert_eq!(small().id(NumberFormat::Q8_0, NumberFormat::F16), "2fdb70a8cec4");
    assert_eq!(
        small().canonical(NumberFormat::Q8_0, NumberFormat::F16),
        concat!(
            r#"{"architecture":{"hidden_size":64,"layers":[{"attention":{"head_size":16,"heads":4,"kv_heads":2,"#,
            r#""rope":{"base":10000.0}},"ffn":{"activation":"silu","gated":true,"kind":"dense","size":128},"#,
            r#""repeat":4}],"tied_embeddings":true,"vocabulary_size":1000},"kv":"f16","weights":"q8_0"}"#
        )
    );
}
