//! For each family: the architecture of a Hugging Face config, laid out as a GGUF file of that family, comes back the same.

use super::{Entry, file};
use crate::gguf::GgufFile;
use crate::huggingface::read_config;
use serde_json::{Value, json};
use slimfit_arch::{Architecture, FeedForward, NormKind, NormPlacement, TensorPart, TensorRole};
use slimfit_quantity::NumberFormat;

/// What ggml's tools call a tensor of this role.
fn name_of(role: TensorRole) -> &'static str {
    match role {
        TensorRole::Embedding => "token_embd",
        TensorRole::PositionTable => "position_embd",
        TensorRole::EmbeddingNorm => "token_embd_norm",
        TensorRole::AttentionNorm => "attn_norm",
        TensorRole::Query => "attn_q",
        TensorRole::Key => "attn_k",
        TensorRole::Value => "attn_v",
        TensorRole::AttentionOutput => "attn_output",
        TensorRole::QueryNorm => "attn_q_norm",
        TensorRole::KeyNorm => "attn_k_norm",
        TensorRole::AttentionPostNorm => "post_attention_norm",
        TensorRole::FfnNorm => "ffn_norm",
        TensorRole::FfnPostNorm => "post_ffw_norm",
        TensorRole::Gate => "ffn_gate",
        TensorRole::Up => "ffn_up",
        TensorRole::Down => "ffn_down",
        TensorRole::Router => "ffn_gate_inp",
        TensorRole::ExpertGate => "ffn_gate_exps",
        TensorRole::ExpertUp => "ffn_up_exps",
        TensorRole::ExpertDown => "ffn_down_exps",
        TensorRole::SharedGate => "ffn_gate_shexp",
        TensorRole::SharedUp => "ffn_up_shexp",
        TensorRole::SharedDown => "ffn_down_shexp",
        TensorRole::SharedExpertGate => "ffn_gate_inp_shexp",
        TensorRole::FinalNorm => "output_norm",
        TensorRole::Head => "output",
        TensorRole::EmbeddingIn | TensorRole::EmbeddingOut => panic!("no GGUF family factorises embeddings"),
    }
}

/// Families whose files hold query, key and value as one matrix.
const FUSED: &[&str] = &["falcon", "gpt2", "gptneox", "phi2", "phi3"];

/// Names and sizes (columns first), parts fused where the family fuses them.
fn table(model: &Architecture, family: &str) -> Vec<(String, Vec<u64>)> {
    let mut table: Vec<(String, Vec<u64>)> = Vec::new();
    let mut stack = |name: String, mut sizes: Vec<u64>| {
        match table.iter_mut().find(|(known, _)| *known == name) {
            // Rows of a later part lie below those of the first.
            Some((_, first)) => *first.last_mut().unwrap() += sizes.last().unwrap(),
            None => table.push((name, std::mem::take(&mut sizes))),
        }
    };
    let two_norms = model.norm_placement == NormPlacement::ParallelTwoNorms;
    for tensor in model.tensors() {
        let fused = FUSED.contains(&family);
        let stem = match tensor.role {
            TensorRole::Query | TensorRole::Key | TensorRole::Value if fused => "attn_qkv",
            TensorRole::Gate if family == "phi3" => "ffn_up",
            // Where Falcon's files have two norms, the second stands before the attention.
            TensorRole::AttentionNorm if family == "falcon" && two_norms => "attn_norm_2",
            TensorRole::FfnNorm if family == "falcon" => "attn_norm",
            role => name_of(role),
        };
        let part = if tensor.part == TensorPart::Bias { "bias" } else { "weight" };
        let sizes: Vec<u64> = tensor.shape.iter().rev().copied().collect();
        match tensor.layer {
            Some(layer) => stack(format!("blk.{layer}.{stem}.{part}"), sizes),
            None => stack(format!("{stem}.{part}"), sizes),
        }
    }
    table
}

fn entries(model: &Architecture, family: &'static str) -> Vec<(String, Entry<'static>)> {
    let attention = &model.layers[0].attention;
    let mut entries = vec![("general.architecture".to_owned(), Entry::Text(family))];
    let mut push = |name: &str, entry: Entry<'static>| entries.push((format!("{family}.{name}"), entry));
    let whole = |value: u64| Entry::Whole(u32::try_from(value).unwrap());
    push("embedding_length", whole(model.hidden_size));
    push("block_count", whole(model.depth()));
    push("context_length", whole(512));
    push("attention.head_count", whole(attention.heads));
    push("attention.head_count_kv", whole(attention.kv_heads));
    push("attention.key_length", whole(attention.head_size));
    push("attention.value_length", whole(attention.head_size));
    let norm = if model.norm.kind == NormKind::Rms { "layer_norm_rms_epsilon" } else { "layer_norm_epsilon" };
    push(&format!("attention.{norm}"), Entry::Number(model.norm.epsilon as f32));
    // The layer without a window says the base: those with one may have a fixed one of their own.
    let main = model.each_layer().find(|run| run.attention.window.is_none()).unwrap_or(&model.layers[0]);
    if let Some(rope) = &main.attention.rope {
        push("rope.freq_base", Entry::Number(rope.base as f32));
        push("rope.dimension_count", whole(rope.rotated.unwrap_or(attention.head_size)));
    }
    if let Some(window) = model.layers.iter().find_map(|run| run.attention.window) {
        push("attention.sliding_window", whole(window));
    }
    if let Some(cap) = attention.softcap {
        push("attn_logit_softcapping", Entry::Number(cap as f32));
    }
    if let Some(cap) = model.scales.logit_softcap {
        push("final_logit_softcapping", Entry::Number(cap as f32));
    }
    if let FeedForward::Moe(moe) = &model.layers[0].ffn {
        push("expert_count", whole(moe.experts));
        push("expert_used_count", whole(moe.top_k));
    }
    entries
}

/// A config of two or more small layers.
fn config(model_type: &str, changes: Value) -> Value {
    let mut config = json!({
        "model_type": model_type, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 96, "max_position_embeddings": 512,
    });
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn check(family: &'static str, config: &Value) {
    let expected = read_config(&config.to_string(), "config.json").unwrap().architecture;
    let bytes = file(&entries(&expected, family), &table(&expected, family), NumberFormat::F16);
    let read = GgufFile::from_bytes(bytes, "small.gguf").unwrap().model();
    let read = read.unwrap_or_else(|error| panic!("{family}: {error}"));
    assert_eq!(read.architecture, expected, "{family}");
    assert_eq!((read.family.as_str(), read.context), (family, Some(512)));
    assert_eq!(read.weights_format, Some(NumberFormat::F16));
}

#[test]
fn llama_and_its_kin() {
    check("llama", &config("llama", json!({"tie_word_embeddings": true})));
    check(
        "llama",
        &config("mixtral", json!({"num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": null})),
    );
    check("qwen2", &config("qwen2", json!({})));
    check("qwen3", &config("qwen3", json!({"head_dim": 32})));
    let experts = json!({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32});
    check("qwen3moe", &config("qwen3_moe", with(experts.clone(), json!({"norm_topk_prob": true}))));
    let shared = json!({"shared_expert_intermediate_size": 64, "norm_topk_prob": false});
    check("qwen2moe", &config("qwen2_moe", with(experts, shared)));
    check("olmo2", &config("olmo2", json!({})));
}

#[test]
fn gemma_in_three_generations() {
    check("gemma", &config("gemma", json!({"head_dim": 32})));
    check(
        "gemma2",
        &config("gemma2", json!({"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 128})),
    );
    let third =
        json!({"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 128, "num_hidden_layers": 8});
    check("gemma3", &config("gemma3_text", third.clone()));
    // Known by their depth: scores scaled by 64 / 4 heads, not by the head's size.
    let largest =
        json!({"query_pre_attn_scalar": 16, "num_hidden_layers": 46, "head_dim": 32, "sliding_window": 128});
    check("gemma2", &config("gemma2", largest));
    let largest = json!({"query_pre_attn_scalar": 16, "num_hidden_layers": 62});
    check("gemma3", &config("gemma3_text", with(third, largest)));
}

#[test]
fn gpt_and_its_kin() {
    let gpt2 = json!({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "vocab_size": 96});
    check("gpt2", &gpt2);
    check("gptneox", &config("gpt_neox", json!({"num_key_value_heads": null, "rotary_pct": 0.25})));
    let falcon = json!({"model_type": "falcon", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "vocab_size": 96});
    check("falcon", &falcon);
    let newer = json!({"new_decoder_architecture": true, "num_kv_heads": 2});
    check("falcon", &with(falcon, newer));
    check("starcoder2", &config("starcoder2", json!({})));
    check("stablelm", &config("stablelm", json!({"partial_rotary_factor": 0.25, "use_qkv_bias": true})));
}

#[test]
fn phi_in_two_generations() {
    check("phi2", &config("phi", json!({"num_key_value_heads": null, "partial_rotary_factor": 0.5})));
    check("phi3", &config("phi3", json!({"sliding_window": 128, "pad_token_id": 0})));
}

fn with(mut config: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}
