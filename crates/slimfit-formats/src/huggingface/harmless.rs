//! Which unread fields of a `config.json` can be ignored, and which would change the model unseen.

use serde_json::Value;

/// Fields of the general configuration class, and of generation, training and serving, that look like shapes by name.
const HARMLESS: &[&str] = &[
    "chunk_size_feed_forward",
    "num_labels",
    "num_beams",
    "num_beam_groups",
    "num_return_sequences",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "num_logits_to_keep",
    "n_ctx",
    "ep_size",
    "max_batch_size",
    "max_window_layers",
    "scale_attention_softmax_in_fp32",
    "attention_softmax_in_fp32",
    "router_aux_loss_coef",
    "output_router_logits",
    "expert_parallel_size",
    "mlp_chunk_size",
    "attention_probs_dropout_prob",
    "moe_layers_enabled",
    "moe_implementation",
    "rope_validation_ignore_keys",
    "num_experts_offload",
    "scalar_quantization",
    "bias_dropout_fusion",
    "masked_softmax_fusion",
    "n_embed_dropout",
    "rms_norm_kernel",
    "fused_rms_norm",
    "use_fused_rms_norm",
    "layernorm_backend",
];

/// Parts of names that speak of sizes, of tensors that exist or not, or of constants in the arithmetic.
const PARTS: &[&str] = &[
    "bias",
    "expert",
    "vision",
    "audio",
    "layernorm",
    "qk_norm",
    "rope",
    "rotary",
    "window",
    "lora_rank",
    "softcap",
    "multiplier",
    "scaling",
    "alibi",
    "tie_",
    "shared",
    "sharing",
    "conv",
    "ssm",
    "mamba",
    "moe",
    "head_dim",
];
const STARTS: &[&str] = &["num_", "n_", "d_"];
const ENDS: &[&str] =
    &["_size", "_heads", "_dim", "_dims", "_rank", "_layers", "_layer", "_experts", "_factor"];

/// Whether an unread field would change shapes or arithmetic. A value that switches a feature off never does.
pub(super) fn changes_the_model(name: &str, value: &Value) -> bool {
    if HARMLESS.contains(&name) || is_off(value) || name.ends_with("dropout") || name.ends_with("pdrop") {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("init")
        || lower.contains("token_id")
        || lower.contains("loss")
        || lower.contains("quant")
    {
        return false;
    }
    PARTS.iter().any(|part| lower.contains(part))
        || STARTS.iter().any(|start| lower.starts_with(start))
        || ENDS.iter().any(|end| lower.ends_with(end))
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

/// The value as a message can show it.
pub(super) fn short(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".to_owned(),
        scalar => scalar.to_string(),
    }
}
