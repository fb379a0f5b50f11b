//! Models of every class, written and read back: the same network with the same values, and the same bytes again.

use super::{SafetensorsOutput, TensorNames};
use crate::config_out::samples::sample;
use crate::config_out::{Class, config_json, standard_class};
use crate::gguf_out::GgufOutput;
use crate::samples::{Knobs, knobs, values, values_from};
use crate::{FormatsError, ModelWeights, TensorSource, builtin, load_model};
use proptest::prelude::*;
use slimfit_arch::{Activation, Architecture, FeedForward, Loops, RopeScaling, Tensor};
use slimfit_quantity::NumberFormat;
use std::path::Path;

fn output(architecture: &Architecture, names: TensorNames, weights: NumberFormat) -> SafetensorsOutput<'_> {
    SafetensorsOutput { architecture, names, weights, shard_bytes: super::SHARD_BYTES }
}

/// Writes the narrowest class's config and weights.
fn emit(
    architecture: &Architecture,
    weights: NumberFormat,
    shard_bytes: u64,
    folder: &Path,
    source: &dyn TensorSource,
) {
    let class = standard_class(architecture).unwrap();
    let config = config_json(architecture, Some(512)).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let output =
        SafetensorsOutput { shard_bytes, ..output(architecture, TensorNames::Class(class), weights) };
    let written = output.write(folder, source).unwrap();
    let files = written.iter().filter(|file| file.kind == "safetensors").map(|file| file.bytes);
    assert_eq!(files.sum::<u64>(), output.bytes().unwrap());
}

fn opened(folder: &Path) -> (Architecture, ModelWeights) {
    let model = load_model(&folder.display().to_string()).unwrap_or_else(|error| panic!("{error}"));
    let weights = ModelWeights::open(&model).unwrap_or_else(|error| panic!("{error}")).unwrap();
    (model.architecture, weights)
}

fn contents(weights: &ModelWeights, tensor: &Tensor) -> Vec<f32> {
    let mut found = vec![f32::NAN; tensor.parameters() as usize];
    weights.read(tensor, 0, &mut found).unwrap();
    found
}

fn check_values(architecture: &Architecture, weights: &ModelWeights) {
    for tensor in architecture.tensors() {
        let (found, wrong) = (contents(weights, &tensor), |(found, value): (&f32, f32)| *found != value);
        assert_eq!(found.iter().zip(values_from(&tensor, 0)).position(wrong), None, "{}", tensor.name());
    }
}

fn check(class: Class, knobs: &Knobs) {
    let architecture = &sample(class, knobs);
    architecture.validate().unwrap();
    standard_class(architecture).unwrap_or_else(|error| panic!("{class:?}: {error}: {architecture:?}"));
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut, again) =
        (folder.path().join("whole"), folder.path().join("cut"), folder.path().join("again"));
    emit(architecture, NumberFormat::F32, u64::MAX, &whole, &values);
    let (read, weights) = opened(&whole);
    assert_eq!(read, architecture.normalised());
    check_values(architecture, &weights);
    let limit = output(architecture, TensorNames::Class(class), NumberFormat::F32).bytes().unwrap() / 3;
    emit(&read, NumberFormat::F32, limit, &cut, &weights);
    let (read, weights) = opened(&cut);
    check_values(architecture, &weights);
    emit(&read, NumberFormat::F32, u64::MAX, &again, &weights);
    for file in ["config.json", "model.safetensors"] {
        assert!(
            std::fs::read(whole.join(file)).unwrap() == std::fs::read(again.join(file)).unwrap(),
            "{file}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_class_is_read_back_as_it_was_and_written_again_byte_for_byte(
        knobs in knobs(),
        class in prop::sample::select(Class::ALL.to_vec()),
    ) {
        check(class, &knobs);
    }

    #[test]
    fn slimfits_own_names_hold_every_model(knobs in knobs(), gpt in any::<bool>()) {
        let mut model = sample(Class::Qwen2Moe, &knobs);
        model.loops = Some(Loops { first: 0, layers: 1, count: 2, immediate: false });
        model.embedding_size = Some(model.hidden_size + 1);
        if gpt {
            model = builtin::find("gpt2").unwrap().architecture.clone();
            (model.hidden_size, model.vocabulary_size) = (knobs.hidden, knobs.vocabulary);
            let FeedForward::Dense(mlp) = &mut model.layers[0].ffn else { panic!("dense") };
            mlp.size = knobs.ffn;
            model.layers[0].attention.head_size = knobs.head_size();
        }
        let folder = tempfile::tempdir().unwrap();
        output(&model, TensorNames::Canonical, NumberFormat::F32).write(folder.path(), &values).unwrap();
        let names = crate::safetensors_header::read_header(&folder.path().join("model.safetensors")).unwrap();
        let mut own: Vec<String> = model.tensors().iter().map(Tensor::name).collect();
        own.sort();
        prop_assert_eq!(names.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>(), own);
        let weights = ModelWeights::open_safetensors(folder.path(), "slimfit", &model).unwrap().unwrap();
        check_values(&model, &weights);
    }
}

fn plain() -> Knobs {
    Knobs {
        kv_heads: 2,
        groups: 2,
        half_head: 4,
        hidden: 8,
        vocabulary: 9,
        depth: 3,
        ffn: 12,
        experts: 2,
        shared: 6,
        window: 5,
        every: 2,
        flags: [false; 12],
        scaling: None,
        activation: Activation::Silu,
    }
}

#[test]
fn names_are_those_of_the_classes() {
    let names = |class: Class| {
        let mut knobs = plain();
        knobs.depth = 1;
        let model = sample(class, &knobs);
        let folder = tempfile::tempdir().unwrap();
        let output = output(&model, TensorNames::Class(class), NumberFormat::F32);
        output.write(folder.path(), &values).unwrap();
        let header =
            crate::safetensors_header::read_header(&folder.path().join("model.safetensors")).unwrap();
        header.into_iter().map(|tensor| tensor.name).collect::<Vec<_>>()
    };
    let layer = |stem: &str| format!("model.layers.0.{stem}.weight");
    let all = |stems: &[&str]| {
        let mut names: Vec<String> = stems.iter().map(|stem| layer(stem)).collect();
        names.extend(["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"].map(str::to_owned));
        names.sort();
        names
    };
    let attention = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    let dense = ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
    let two = ["input_layernorm", "post_attention_layernorm"];
    assert_eq!(names(Class::Llama), all(&[&attention[..], &dense, &two].concat()));
    let after = ["post_attention_layernorm", "post_feedforward_layernorm"];
    let norms = ["self_attn.q_norm", "self_attn.k_norm"];
    assert_eq!(names(Class::Olmo2), all(&[&attention[..], &dense, &norms, &after].concat()));
    let both = [
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ];
    assert_eq!(names(Class::Gemma2), all(&[&attention[..], &dense, &both].concat()));
    let mixtral: Vec<String> = (0..2)
        .flat_map(|expert| {
            ["w1", "w2", "w3"].map(|matrix| format!("block_sparse_moe.experts.{expert}.{matrix}"))
        })
        .chain(["block_sparse_moe.gate".to_owned()])
        .collect();
    let mixtral: Vec<&str> = mixtral.iter().map(String::as_str).collect();
    assert_eq!(names(Class::Mixtral), all(&[&attention[..], &mixtral, &two].concat()));
    let qwen: Vec<String> = (0..2)
        .flat_map(|expert| ["gate", "up", "down"].map(|matrix| format!("mlp.experts.{expert}.{matrix}_proj")))
        .chain(["gate", "up", "down"].map(|matrix| format!("mlp.shared_expert.{matrix}_proj")))
        .chain(["mlp.gate", "mlp.shared_expert_gate"].map(str::to_owned))
        .collect();
    let mut qwen: Vec<String> = qwen.iter().chain(&[]).map(|stem| layer(stem)).collect();
    qwen.extend(attention.iter().chain(&two).map(|stem| layer(stem)));
    qwen.extend(["q", "k", "v"].map(|letter| format!("model.layers.0.self_attn.{letter}_proj.bias")));
    qwen.extend(["lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"].map(str::to_owned));
    qwen.sort();
    assert_eq!(names(Class::Qwen2Moe), qwen);
}

#[test]
fn a_single_expert_is_a_matrix_of_its_own() {
    check(Class::Mixtral, &Knobs { experts: 1, ..plain() });
}

#[test]
fn smaller_types_keep_what_they_can_say() {
    let model = sample(Class::Llama, &plain());
    for (weights, kind) in [(NumberFormat::Bf16, "BF16"), (NumberFormat::F16, "F16")] {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        emit(&model, weights, u64::MAX, &first, &values);
        let header = crate::safetensors_header::read_header(&first.join("model.safetensors")).unwrap();
        assert!(header.iter().all(|tensor| tensor.kind == kind));
        let (read, read_back) = opened(&first);
        let bound = if weights == NumberFormat::Bf16 { 1.0 / 256.0 } else { 1.0 / 2048.0 };
        for tensor in model.tensors() {
            for (found, exact) in contents(&read_back, &tensor).into_iter().zip(values_from(&tensor, 0)) {
                assert!((found - exact).abs() <= bound * exact.abs().max(1e-4), "{}", tensor.name());
            }
        }
        emit(&read, weights, u64::MAX, &second, &read_back);
        let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
        assert!(bytes(&first) == bytes(&second));
    }
}

#[test]
fn shards_are_listed_with_their_tensors_and_cut_between_them() {
    let model = sample(Class::Llama, &plain());
    let folder = tempfile::tempdir().unwrap();
    emit(&model, NumberFormat::F32, 4000, folder.path(), &values);
    let index = std::fs::read_to_string(folder.path().join("model.safetensors.index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    assert_eq!(index["metadata"]["total_size"], 4 * model.parameters().total);
    let map = index["weight_map"].as_object().unwrap();
    assert_eq!(map.len(), model.tensors().len());
    let mut files: Vec<&str> = map.values().map(|file| file.as_str().unwrap()).collect();
    files.sort_unstable();
    files.dedup();
    let count = files.len();
    assert!(count > 2, "{files:?}");
    for (number, file) in (1..).zip(files) {
        assert_eq!(file, format!("model-{number:05}-of-{count:05}.safetensors"));
        let tensors = crate::safetensors_header::read_header(&folder.path().join(file)).unwrap();
        let values: u64 = tensors.iter().map(|tensor| tensor.shape.iter().product::<u64>()).sum();
        assert!(values * 4 <= 4000 || tensors.len() == 1, "{file}");
        assert!(tensors.iter().all(|tensor| map[&tensor.name] == file));
    }
    assert!(!folder.path().join("model.safetensors").exists());
}

/// From safetensors to GGUF and back: the same class, the same bytes.
fn check_through_gguf(class: Class, model: &Architecture, dtype: NumberFormat) {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    emit(model, dtype, u64::MAX, &first, &values);
    let (architecture, weights) = opened(&first);
    let path = folder.path().join("model.gguf");
    let gguf = GgufOutput {
        name: "through",
        architecture: &architecture,
        weights: dtype,
        context: 512,
        tokenizer: None,
    };
    gguf.write(&path, &weights).unwrap();
    let (architecture, weights) = opened(&path);
    assert_eq!(standard_class(&architecture), Ok(class));
    emit(&architecture, dtype, u64::MAX, &second, &weights);
    for file in ["config.json", "model.safetensors"] {
        assert!(
            std::fs::read(first.join(file)).unwrap() == std::fs::read(second.join(file)).unwrap(),
            "{file} of {class:?} in {dtype}"
        );
    }
}

#[test]
fn a_model_goes_through_gguf_and_comes_back_the_same() {
    check_through_gguf(Class::Llama, &sample(Class::Llama, &plain()), NumberFormat::F32);
}

/// Its norms are offsets from 1 here and sums there.
#[test]
fn gemma_of_every_generation_goes_through_gguf_and_comes_back_as_its_own_class() {
    let scaled = Some(RopeScaling::Linear { factor: 8.0 });
    for (class, every, scaling) in [
        (Class::Gemma, 1, None),
        (Class::Gemma2, 2, None),
        (Class::Gemma3, 6, None),
        (Class::Gemma3, 6, scaled),
    ] {
        let mut knobs = Knobs { depth: 7, every, scaling, activation: Activation::GeluTanh, ..plain() };
        // Tied, with windows; its caps are Gemma 2's alone, which llama.cpp always applies.
        (knobs.flags[1], knobs.flags[9]) = (true, true);
        (knobs.flags[4], knobs.flags[10]) = (class == Class::Gemma2, class == Class::Gemma2);
        let model = sample(class, &knobs);
        for dtype in [NumberFormat::F32, NumberFormat::Bf16] {
            check_through_gguf(class, &model, dtype);
        }
    }
}

#[test]
fn formats_without_a_type_and_folders_with_weights_are_refused() {
    let model = sample(Class::Llama, &plain());
    let folder = tempfile::tempdir().unwrap();
    let names = TensorNames::Class(Class::Llama);
    let error =
        output(&model, names, NumberFormat::Q4_0).write(folder.path(), &values).unwrap_err().to_string();
    assert!(error.contains("`q4_0`") && error.contains("f32, bf16, f16"), "{error}");
    std::fs::write(folder.path().join("model-00001-of-00002.safetensors"), "").unwrap();
    let error =
        output(&model, names, NumberFormat::F32).write(folder.path(), &values).unwrap_err().to_string();
    assert!(error.contains("has weights already") && error.contains("model-00001-of-00002"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_fails_midway_leaves_no_file() {
    let model = sample(Class::Llama, &plain());
    let folder = tempfile::tempdir().unwrap();
    let broken = |tensor: &Tensor, first: u64, slots: &mut [f32]| {
        if tensor.name() == "layers.2.ffn.down.weight" {
            return Err(FormatsError::Tensor { tensor: tensor.name(), reason: "cut short".to_owned() });
        }
        values(tensor, first, slots)
    };
    for shard_bytes in [1000, u64::MAX] {
        let output = SafetensorsOutput {
            shard_bytes,
            ..output(&model, TensorNames::Class(Class::Llama), NumberFormat::F32)
        };
        let error = output.write(folder.path(), &broken).unwrap_err();
        assert_eq!(error.to_string(), "tensor `layers.2.ffn.down.weight`: cut short");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let mut vast = model;
    (vast.vocabulary_size, vast.hidden_size) = (1 << 30, 1 << 27);
    let output = output(&vast, TensorNames::Class(Class::Llama), NumberFormat::F32);
    let error = output.write(folder.path(), &broken).unwrap_err().into_document();
    assert_eq!(error.code, "disk-full");
    assert!(error.message.starts_with("too big for the disk: needs "), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
