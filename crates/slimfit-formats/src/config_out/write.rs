//! The fields of each class, from an architecture that it holds.

use super::Class;
use super::classes::{Ffn, Windows, spec};
use super::obstacles::under_root;
use serde_json::{Map, Value, json};
use slimfit_arch::{Activation, Architecture, FeedForward, Mlp, Moe, Rope, RopeScaling};

/// The config of a normalised architecture. Only values that the class lets vary are written, and all of them are.
pub(super) fn config(class: Class, model: &Architecture, context: u64) -> Value {
    let spec = spec(class);
    let first = &model.layers[0].attention;
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    set("architectures", json!([class.class_name()]));
    set("model_type", class.model_type().into());
    set("hidden_size", model.hidden_size.into());
    set("vocab_size", model.vocabulary_size.into());
    set("num_hidden_layers", model.depth().into());
    set("num_attention_heads", first.heads.into());
    set("num_key_value_heads", first.kv_heads.into());
    set("head_dim", first.head_size.into());
    set("tie_word_embeddings", model.tied_embeddings.into());
    set("rms_norm_eps", model.norm.epsilon.into());
    set("max_position_embeddings", context.into());
    // The tokenizer decides these. Left out, a class takes its own, which may lie outside a smaller vocabulary: SmolLM3
    // then cannot be built at all.
    for token in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        set(token, Value::Null);
    }
    let dense = model.layers.iter().find_map(|run| match &run.ffn {
        FeedForward::Dense(mlp) => Some(mlp),
        FeedForward::Moe(_) => None,
    });
    let mixture = model.layers.iter().find_map(|run| match &run.ffn {
        FeedForward::Moe(moe) => Some(moe),
        FeedForward::Dense(_) => None,
    });
    let activation =
        mixture.map_or_else(|| dense.map_or(Activation::Silu, |mlp| mlp.activation), |moe| moe.activation);
    let gemma = matches!(class, Class::Gemma | Class::Gemma2 | Class::Gemma3);
    if gemma {
        set("hidden_activation", activation_name(activation).into());
    }
    if !gemma || class == Class::Gemma {
        set("hidden_act", activation_name(activation).into());
    }
    match class {
        Class::Qwen2 | Class::Mistral | Class::Ministral | Class::Mixtral => {}
        Class::Qwen2Moe => set("qkv_bias", true.into()),
        _ => set("attention_bias", first.bias.output.into()),
    }
    if spec.ffn_bias {
        set("mlp_bias", dense.is_some_and(|mlp| mlp.bias).into());
    }
    map.extend(windows(class, model, spec.windows));
    map.extend(rotation(class, model));
    map.extend(constants(class, model));
    map.extend(feed_forward(class, model, dense, mixture, spec.ffn));
    Value::Object(map)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn windows(class: Class, model: &Architecture, said: Windows) -> Map<String, Value> {
    let window = model.layers.iter().find_map(|run| run.attention.window);
    let mut map = match said {
        Windows::None => return Map::new(),
        Windows::Uniform => object(json!({ "sliding_window": window })),
        Windows::Some => {
            let kind = |has: bool| if has { "sliding_attention" } else { "full_attention" };
            let kinds: Vec<_> = model.each_layer().map(|run| kind(run.attention.window.is_some())).collect();
            object(json!({ "sliding_window": window, "layer_types": kinds }))
        }
    };
    if matches!(class, Class::Qwen2 | Class::Qwen3 | Class::SmolLm3 | Class::Qwen2Moe | Class::Qwen3Moe) {
        map.insert("use_sliding_window".to_owned(), window.is_some().into());
    }
    if matches!(class, Class::Qwen2 | Class::Qwen3 | Class::Qwen2Moe) {
        // `layer_types` decides; readers that do not know it find the first windowed layer here.
        let first = model.each_layer().position(|run| run.attention.window.is_some());
        let first = first.map_or(model.depth(), |first| first as u64);
        map.insert("max_window_layers".to_owned(), first.into());
    }
    map
}

fn rotation(class: Class, model: &Architecture) -> Map<String, Value> {
    let of_kind = |windowed: bool| {
        model
            .layers
            .iter()
            .filter(|run| run.attention.window.is_some() == windowed)
            .find_map(|run| run.attention.rope.as_ref())
    };
    let local = of_kind(true);
    let main = of_kind(false).or(local);
    let mut map = Map::new();
    let Some(rope) = main else { return map };
    map.insert("rope_theta".to_owned(), rope.base.into());
    map.insert("rope_scaling".to_owned(), scaling(rope));
    if class == Class::Gemma3 {
        map.insert("rope_local_base_freq".to_owned(), local.unwrap_or(rope).base.into());
    }
    if class == Class::SmolLm3 {
        let rotates: Vec<u64> =
            model.each_layer().map(|run| u64::from(run.attention.rope.is_some())).collect();
        map.insert("no_rope_layers".to_owned(), rotates.into());
    }
    map
}

fn scaling(rope: &Rope) -> Value {
    match &rope.scaling {
        None => Value::Null,
        Some(RopeScaling::Linear { factor }) => json!({ "rope_type": "linear", "factor": factor }),
        Some(RopeScaling::Llama3 {
            factor,
            low_frequency_factor,
            high_frequency_factor,
            original_context,
        }) => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_frequency_factor,
            "high_freq_factor": high_frequency_factor,
            "original_max_position_embeddings": original_context,
        }),
        Some(RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, attention_factor }) => {
            let mut map = object(json!({
                "rope_type": "yarn",
                "factor": factor,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "original_max_position_embeddings": original_context,
            }));
            if let Some(attention_factor) = attention_factor {
                map.insert("attention_factor".to_owned(), (*attention_factor).into());
            }
            Value::Object(map)
        }
        Some(RopeScaling::LongRope { .. } | RopeScaling::Dynamic { .. }) => {
            unreachable!("no class that is written here holds LongRoPE or dynamic scaling")
        }
    }
}

fn constants(class: Class, model: &Architecture) -> Map<String, Value> {
    let attention = &model.layers[0].attention;
    let scale = attention.scale.unwrap_or_else(|| 1.0 / (attention.head_size as f64).sqrt());
    match class {
        Class::Granite => object(json!({
            "embedding_multiplier": model.scales.embedding.unwrap_or(1.0),
            "residual_multiplier": model.scales.residual.unwrap_or(1.0),
            "attention_multiplier": scale,
            "logits_scaling": model.scales.logits.map_or(1.0, |factor| 1.0 / factor),
        })),
        Class::Gemma2 | Class::Gemma3 => object(json!({
            "query_pre_attn_scalar": query_scalar(scale),
            "attn_logit_softcapping": attention.softcap,
            "final_logit_softcapping": model.scales.logit_softcap,
        })),
        _ => Map::new(),
    }
}

/// Whole numbers are written as such.
fn query_scalar(scale: f64) -> Value {
    let number = under_root(scale);
    if number.fract() == 0.0 && number < 9e15 { Value::from(number as u64) } else { Value::from(number) }
}

fn feed_forward(
    class: Class,
    model: &Architecture,
    dense: Option<&Mlp>,
    mixture: Option<&Moe>,
    said: Ffn,
) -> Map<String, Value> {
    let Some(moe) = mixture else {
        return object(json!({ "intermediate_size": dense.map(|mlp| mlp.size) }));
    };
    if said == Ffn::Experts {
        return object(json!({
            "intermediate_size": moe.expert_size,
            "num_local_experts": moe.experts,
            "num_experts_per_tok": moe.top_k,
        }));
    }
    let only_dense: Vec<u64> = (0..)
        .zip(model.each_layer())
        .filter(|(_, run)| matches!(run.ffn, FeedForward::Dense(_)))
        .map(|(index, _)| index)
        .collect();
    let mut map = object(json!({
        "intermediate_size": dense.map_or(moe.expert_size, |mlp| mlp.size),
        "moe_intermediate_size": moe.expert_size,
        "num_experts": moe.experts,
        "num_experts_per_tok": moe.top_k,
        "norm_topk_prob": moe.normalise_top_k,
        "decoder_sparse_step": 1,
        "mlp_only_layers": only_dense,
    }));
    if class == Class::Qwen2Moe {
        map.insert("shared_expert_intermediate_size".to_owned(), moe.shared_size.into());
    }
    map
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::Relu => "relu",
        Activation::ReluSquared => "relu2",
    }
}
