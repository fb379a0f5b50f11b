//! The config of slimfit's own model type, for architectures that no standard class holds: the architecture itself under
//! `architecture`, and beside it the sizes that tools look for, which follow from it.

#[cfg(test)]
mod tests;

use crate::architecture_json;
use serde_json::{Map, Value, json};
use slimfit_arch::{Architecture, FeedForward, LayerRun};

/// The `model_type` of configs that hold an architecture as it is.
pub const CUSTOM_MODEL_TYPE: &str = "slimfit";
/// The class in `architectures`; the model's folder holds its code.
pub const CUSTOM_CLASS: &str = "SlimfitForCausalLM";
/// The file that defines the class, without `.py`.
pub const CUSTOM_MODULE: &str = "modeling_slimfit";

/// The `config.json` of [`CUSTOM_CLASS`] for any (validated) architecture. `context` becomes `max_position_embeddings`;
/// absent: 2048, or what a learned table has room for.
pub fn custom_config_json(architecture: &Architecture, context: Option<u64>) -> Value {
    let model = architecture.normalised();
    let learned = match model.positions {
        slimfit_arch::Positions::Learned { context, .. } => Some(context),
        _ => None,
    };
    let mut map = Map::new();
    map.insert("architectures".to_owned(), json!([CUSTOM_CLASS]));
    map.insert("model_type".to_owned(), CUSTOM_MODEL_TYPE.into());
    let class = |name: &str| format!("{CUSTOM_MODULE}.{name}");
    let classes =
        json!({ "AutoConfig": class("SlimfitConfig"), "AutoModelForCausalLM": class(CUSTOM_CLASS) });
    map.insert("auto_map".to_owned(), classes);
    for (name, value) in summary(&model) {
        map.insert(name.to_owned(), value);
    }
    let context = context.or(learned).unwrap_or(2048);
    map.insert("max_position_embeddings".to_owned(), context.into());
    // The tokenizer decides these.
    for token in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        map.insert(token.to_owned(), Value::Null);
    }
    map.insert("architecture".to_owned(), architecture_json(&model));
    Value::Object(map)
}

/// The `generation_config.json` beside any config: tokens that start, end and fill a text are the tokenizer's to say, and
/// a text ends where the context does.
pub fn generation_config_json(context: u64) -> Value {
    json!({
        "bos_token_id": null,
        "eos_token_id": null,
        "pad_token_id": null,
        "max_length": context,
        "use_cache": true,
    })
}

/// The usual fields and their values; of layers that differ, the largest. A reader holds them against the architecture.
pub(crate) fn summary(model: &Architecture) -> Vec<(&'static str, Value)> {
    let largest = |of: &dyn Fn(&LayerRun) -> Option<u64>| model.layers.iter().filter_map(of).max();
    let dense = largest(&|run| match &run.ffn {
        FeedForward::Dense(mlp) => Some(mlp.size),
        FeedForward::Moe(_) => None,
    });
    let experts = |of: fn(&slimfit_arch::Moe) -> u64| {
        largest(&|run| match &run.ffn {
            FeedForward::Dense(_) => None,
            FeedForward::Moe(moe) => Some(of(moe)),
        })
    };
    let expert_size = experts(|moe| moe.expert_size);
    let mut fields = vec![
        ("hidden_size", model.hidden_size.into()),
        ("vocab_size", model.vocabulary_size.into()),
        ("num_hidden_layers", model.depth().into()),
        ("num_attention_heads", largest(&|run| Some(run.attention.heads)).into()),
        ("num_key_value_heads", largest(&|run| Some(run.attention.kv_heads)).into()),
        ("head_dim", largest(&|run| Some(run.attention.head_size)).into()),
        ("intermediate_size", dense.or(expert_size).into()),
        ("tie_word_embeddings", model.tied_embeddings.into()),
    ];
    if expert_size.is_some() {
        fields.extend([
            ("num_experts", experts(|moe| moe.experts).into()),
            ("num_experts_per_tok", experts(|moe| moe.top_k).into()),
            ("moe_intermediate_size", expert_size.into()),
        ]);
    }
    fields
}
