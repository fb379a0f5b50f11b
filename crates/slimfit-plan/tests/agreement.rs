//! A plan agrees with the architecture's own counts: every stored value once, and the same operations.

use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Loops, Mlp, Moe, Norm,
    NormKind, NormPlacement, Positions, QkNorm, Rope, Scales, TensorPart, TensorRole,
};
use slimfit_kernels::{Isa, Operation};
use slimfit_plan::{Plan, PlanError, PlanOptions, Shape, WeightFormats, traffic};
use slimfit_quantity::NumberFormat;

fn llama() -> Architecture {
    Architecture {
        hidden_size: 64,
        vocabulary_size: 96,
        tied_embeddings: true,
        embedding_size: None,
        layers: vec![LayerRun {
            repeat: 3,
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
            ffn: FeedForward::Dense(Mlp {
                size: 160,
                gated: true,
                activation: Activation::Silu,
                bias: false,
            }),
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

/// One architecture for each thing that changes which tensors exist or which operations run.
fn variants() -> Vec<(&'static str, Architecture)> {
    let change = |name, edit: &dyn Fn(&mut Architecture)| {
        let mut architecture = llama();
        edit(&mut architecture);
        (name, architecture)
    };
    let mut list = vec![
        change("llama", &|_| {}),
        change("untied", &|a| a.tied_embeddings = false),
        change("factorised", &|a| a.embedding_size = Some(32)),
        change("learned positions", &|a| a.positions = Positions::Learned { context: 40, offset: 2 }),
        change("embedding norm", &|a| a.embedding_norm = true),
        change("no final norm", &|a| a.final_norm = false),
        change("head bias", &|a| a.head_bias = true),
        change("biases", &|a| {
            a.norm = Norm { kind: NormKind::Layer, ..Norm::default() };
            a.layers[0].attention.bias = AttentionBias { qkv: true, output: true };
            a.layers[0].ffn =
                FeedForward::Dense(Mlp { size: 160, gated: false, activation: Activation::Gelu, bias: true });
        }),
        change("plain norm", &|a| a.norm.kind = NormKind::LayerPlain),
        change("window", &|a| a.layers[0].attention.window = Some(5)),
        change("loops", &|a| a.loops = Some(Loops { first: 1, layers: 2, count: 3, immediate: false })),
        change("moe", &|a| {
            a.layers[0].ffn = FeedForward::Moe(Moe {
                experts: 4,
                top_k: 2,
                expert_size: 32,
                gated: true,
                activation: Activation::Silu,
                shared_size: 64,
                shared_gate: true,
                normalise_top_k: true,
                router_bias: true,
            });
        }),
    ];
    for qk_norm in [QkNorm::PerHead, QkNorm::EachHead, QkNorm::AllHeads] {
        list.push(change("qk norm", &|a| a.layers[0].attention.qk_norm = qk_norm));
    }
    for placement in [
        NormPlacement::Post,
        NormPlacement::PostBranch,
        NormPlacement::Sandwich,
        NormPlacement::ParallelOneNorm,
        NormPlacement::ParallelTwoNorms,
    ] {
        list.push(change("placement", &|a| a.norm_placement = placement));
    }
    list
}

fn plan(architecture: &Architecture) -> Plan {
    let options = PlanOptions::new(NumberFormat::F32, NumberFormat::F16, Isa::Scalar, 2, 64);
    Plan::new(architecture, options).expect("every variant can be planned")
}

#[test]
fn slots_hold_every_stored_tensor_exactly_once() {
    for (name, architecture) in variants() {
        let plan = plan(&architecture);
        let mut planned: Vec<(Option<u64>, slimfit_arch::TensorRole, TensorPart)> = Vec::new();
        let mut values = 0;
        for slot in &plan.matrices {
            planned.extend(slot.parts.iter().map(|&role| (slot.layer, role, TensorPart::Weight)));
            values += slot.rows * slot.columns * slot.count;
        }
        for slot in &plan.vectors {
            planned.extend(slot.parts.iter().map(|&(role, part)| (slot.layer, role, part)));
            values += slot.values;
        }
        planned.sort_unstable();
        let mut stored: Vec<_> =
            architecture.tensors().iter().map(|tensor| (tensor.layer, tensor.role, tensor.part)).collect();
        stored.sort_unstable();
        assert_eq!(planned, stored, "{name}");
        assert_eq!(values, architecture.parameters().total, "{name}");
    }
}

#[test]
fn matrix_products_and_attention_agree_with_the_architectures_own_count() {
    for (name, architecture) in variants() {
        let plan = plan(&architecture);
        let products = |shape| -> f64 {
            plan.steps
                .iter()
                .filter(|step| {
                    use Operation::{Attend, Experts, MatMul, Route};
                    matches!(step.operation, MatMul(_) | Attend(_) | Route(_) | Experts(_))
                })
                .map(|step| traffic(step, shape).flops)
                .sum()
        };
        let decode = architecture.decode_flops(10).expect("small") as f64;
        assert_eq!(products(Shape::decode(9)), decode, "{name}: decode attending to 10 keys");
        let prefill = architecture.prefill_flops(12).expect("small") as f64;
        assert_eq!(products(Shape { tokens: 12, first_position: 0 }), prefill, "{name}: prefill of 12");
    }
}

#[test]
fn a_step_never_reads_a_row_that_nothing_wrote() {
    for (name, architecture) in variants() {
        let plan = plan(&architecture);
        let mut written = std::collections::BTreeSet::new();
        for step in &plan.steps {
            if !matches!(step.operation, Operation::Embed(_)) {
                assert!(written.contains(&step.input), "{name}: `{}` reads {:?}", step.label, step.input);
            }
            let adds = match &step.operation {
                Operation::Norm(norm) => norm.accumulate.is_some(),
                Operation::MatMul(product) => product.accumulate.is_some(),
                Operation::Experts(experts) => experts.accumulate.is_some(),
                Operation::Add(_) => true,
                _ => false,
            };
            assert!(
                !adds || written.contains(&step.output),
                "{name}: `{}` adds to {:?}",
                step.label,
                step.output
            );
            let in_place = matches!(step.operation, Operation::RotateStore(_) | Operation::Embed(_));
            assert!(in_place || step.input != step.output, "{name}: `{}` overwrites its input", step.label);
            assert!(plan.buffer_width(step.output) > 0, "{name}: `{}` has no buffer", step.label);
            written.insert(step.output);
        }
    }
}

#[test]
fn a_row_that_is_no_whole_block_is_refused_by_name() {
    let mut architecture = llama();
    architecture.layers[0].ffn =
        FeedForward::Dense(Mlp { size: 100, gated: true, activation: Activation::Silu, bias: false });
    let options = PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F16, Isa::Scalar, 1, 8);
    let error = Plan::new(&architecture, options).expect_err("100 is no multiple of 32");
    assert!(matches!(error, PlanError::Format { label: "down", columns: 100, .. }), "{error}");
    let mut narrow = llama();
    narrow.layers[0].attention.head_size = 16;
    let options = PlanOptions::new(NumberFormat::F32, NumberFormat::Q8_0, Isa::Scalar, 1, 8);
    let error = Plan::new(&narrow, options).expect_err("16 is no multiple of 32");
    assert!(matches!(error, PlanError::Format { label: "kv_cache", columns: 16, .. }), "{error}");
    narrow.layers[0].attention.head_size = 64;
    let plan = Plan::new(&narrow, options).expect("64 is");
    assert_eq!(
        plan.memory().kv_bytes,
        8 * narrow.kv_bytes_per_token(NumberFormat::Q8_0).expect("whole blocks")
    );
}

#[test]
fn bytes_agree_with_the_architectures_own_count_in_every_format() {
    let mut all = variants();
    // Wide enough for blocks of 256, in every matrix or in some.
    for (name, hidden, size) in
        [("wide", 256, 512), ("wide, narrow inside", 256, 160), ("narrow, wide inside", 64, 256)]
    {
        for (_, mut architecture) in variants() {
            architecture.hidden_size = hidden;
            for run in &mut architecture.layers {
                match &mut run.ffn {
                    FeedForward::Dense(mlp) => mlp.size = size,
                    FeedForward::Moe(moe) => (moe.expert_size, moe.shared_size) = (size, 512),
                }
            }
            all.push((name, architecture));
        }
    }
    let mut mixed = 0;
    for (name, architecture) in all {
        for weights in NumberFormat::ALL {
            let options = PlanOptions::new(weights, NumberFormat::F16, Isa::Scalar, 1, 8);
            let plan = Plan::new(&architecture, options).expect("every variant can be planned");
            let vectors: u64 = plan.vectors.iter().map(|slot| slot.values).sum();
            let expected = architecture.weight_bytes(weights).expect("whole blocks");
            assert_eq!(plan.memory().weight_bytes + 4 * vectors, expected, "{name} in {weights}");
            let holds = |format| plan.matrices.iter().any(|slot| slot.format == format);
            mixed +=
                usize::from(weights != NumberFormat::Q8_0 && holds(weights) && holds(NumberFormat::Q8_0));
        }
    }
    assert!(mixed > 0, "some models mix a k format with q8_0");
}

#[test]
fn memory_grows_with_context_by_the_caches_and_tables_alone() {
    let architecture = llama();
    let memory = |context| {
        let options = PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F16, Isa::Scalar, 1, context);
        Plan::new(&architecture, options).expect("it can be planned").memory()
    };
    let (short, long) = (memory(1000), memory(3000));
    assert_eq!(
        long.kv_bytes - short.kv_bytes,
        2000 * architecture.kv_bytes_per_token(NumberFormat::F16).expect("f16")
    );
    assert_eq!((long.weight_bytes, long.buffer_bytes), (short.weight_bytes, short.buffer_bytes));
}

#[test]
fn a_window_keeps_itself_and_room_for_a_chunk_however_long_the_context() {
    let mut architecture = llama();
    architecture.layers[0].repeat = 1;
    let mut full = architecture.layers[0].clone();
    full.attention.window = None;
    architecture.layers[0].attention.window = Some(100);
    architecture.layers.push(full);
    let per_position = architecture.kv_bytes_per_token(NumberFormat::F16).expect("f16") / 2;
    for (context, chunk, kept) in
        [(5000, 256, 355), (9000, 256, 355), (5000, 8, 163), (200, 256, 200), (1, 1, 1)]
    {
        let options = PlanOptions {
            chunk,
            ..PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F16, Isa::Scalar, 1, context)
        };
        let plan = Plan::new(&architecture, options).expect("it can be planned");
        assert_eq!((plan.kv[0].positions, plan.kv[1].positions), (kept, context), "{context} by {chunk}");
        assert_eq!(plan.memory().kv_bytes, per_position * (kept + context), "{context} by {chunk}");
    }
}

#[test]
fn matrices_keep_the_formats_that_a_file_gives_them() {
    let options = PlanOptions::new(NumberFormat::Q4_0, NumberFormat::F16, Isa::Scalar, 1, 8);
    let mut formats = WeightFormats::default();
    formats.set(TensorRole::Value, Some(1), NumberFormat::Q8_0);
    formats.set(TensorRole::Embedding, None, NumberFormat::Bf16);
    // Rows of 64 values are no blocks of 256.
    formats.set(TensorRole::Up, Some(2), NumberFormat::Q6_K);
    let plan = Plan::with_formats(&llama(), options, formats).unwrap();
    for slot in &plan.matrices {
        let expected = match (slot.label, slot.layer) {
            ("qkv", Some(1)) | ("gate_up", Some(2)) => NumberFormat::Q8_0,
            ("embedding", _) => NumberFormat::Bf16,
            _ => NumberFormat::Q4_0,
        };
        assert_eq!(slot.format, expected, "{} of layer {:?}", slot.label, slot.layer);
    }
    let product = |label, layer| {
        let step = plan.steps.iter().find(|step| step.label == label && step.layer == layer).unwrap();
        let Operation::MatMul(product) = &step.operation else { panic!("`{label}` is a product") };
        product.format
    };
    assert_eq!(product("qkv", Some(1)), NumberFormat::Q8_0);
    assert_eq!(product("head", None), NumberFormat::Bf16);
}
