//! Qwen 1.5 to 3: biases on query, key and value, later norms on queries and keys instead; dense and mixed.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms, sliding_layers};
use super::fields::Fields;
use super::mixture;
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, FeedForward, Moe, QkNorm};

const QWEN: Defaults =
    Defaults { vocabulary: 151_936, ffn: 22_016, kv_heads: Some(32), context: 32_768, ..LLAMA };

/// `qwen2`: Qwen 1.5, 2 and 2.5.
pub(super) fn qwen2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, QWEN)?;
    let bias = AttentionBias { qkv: true, output: false };
    dense(fields, &sizes, Attention { bias, ..sizes.attention(Some(sizes.rope(fields)?)) })
}

/// `qwen3`.
pub(super) fn qwen3(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { head_size: Some(128), ..QWEN })?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        qk_norm: QkNorm::PerHead,
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    dense(fields, &sizes, attention)
}

/// The layers from `max_window_layers` on have the window, where it is used at all.
fn dense(fields: &Fields, sizes: &Sizes, attention: Attention) -> Result<Decoded, FormatsError> {
    let used = fields.flag("use_sliding_window", false)?;
    let window = fields.optional_size("sliding_window", Some(4096))?.filter(|_| used);
    let first = fields.optional_size("max_window_layers", Some(28))?.unwrap_or(28);
    let slides = sliding_layers(fields, sizes.depth, |index| window.is_some() && index >= first)?;
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |index| {
        let window = window.filter(|_| slides[index as usize]);
        Ok((Attention { window, ..attention.clone() }, ffn.clone()))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, 1e-6)?, layers)))
}

/// `qwen2_moe`: a shared expert behind a learned sigmoid.
pub(super) fn qwen2_moe(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { hidden: 2048, ffn: 5632, depth: 24, heads: 16, kv_heads: Some(16), ..QWEN };
    let sizes = Sizes::read(fields, defaults)?;
    let used = fields.flag("use_sliding_window", false)?;
    let window = fields.optional_size("sliding_window", Some(4096))?.filter(|_| used);
    let before = fields.optional_size("max_window_layers", Some(28))?.unwrap_or(28);
    let slides = sliding_layers(fields, sizes.depth, |index| {
        window.is_some() && index.is_multiple_of(2) && index < before
    })?;
    let activation = activation(fields, "hidden_act", "silu")?;
    let mixture = FeedForward::Moe(Moe {
        experts: fields.size("num_experts", 60)?,
        top_k: fields.size("num_experts_per_tok", 4)?,
        expert_size: fields.size("moe_intermediate_size", 1408)?,
        gated: true,
        activation,
        shared_size: fields.size("shared_expert_intermediate_size", 5632)?,
        shared_gate: true,
        normalise_top_k: fields.flag("norm_topk_prob", false)?,
        router_bias: false,
    });
    let qkv = fields.flag("qkv_bias", true)?;
    let attention = Attention {
        bias: AttentionBias { qkv, output: false },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let sparse = mixture::sparse_layers(fields, sizes.depth)?;
    let layers = fold(sizes.depth, |index| {
        let index = index as usize;
        let ffn = if sparse[index] { mixture.clone() } else { sizes.gated(activation, false) };
        Ok((Attention { window: window.filter(|_| slides[index]), ..attention.clone() }, ffn))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, 1e-6)?, layers)))
}

/// `qwen3_moe`.
pub(super) fn qwen3_moe(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { hidden: 2048, ffn: 6144, depth: 24, kv_heads: Some(4), ..QWEN };
    let sizes = Sizes::read(fields, defaults)?;
    let used = fields.flag("use_sliding_window", false)?;
    let window = fields.optional_size("sliding_window", Some(4096))?.filter(|_| used);
    let activation = activation(fields, "hidden_act", "silu")?;
    let mixture = FeedForward::Moe(Moe {
        experts: mixture::experts(fields, 128)?,
        top_k: fields.size("num_experts_per_tok", 8)?,
        expert_size: fields.size("moe_intermediate_size", 768)?,
        gated: true,
        activation,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: fields.flag("norm_topk_prob", false)?,
        router_bias: false,
    });
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        qk_norm: QkNorm::PerHead,
        window,
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let sparse = mixture::sparse_layers(fields, sizes.depth)?;
    let layers = fold(sizes.depth, |index| {
        let ffn = if sparse[index as usize] { mixture.clone() } else { sizes.gated(activation, false) };
        Ok((attention.clone(), ffn))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, 1e-6)?, layers)))
}
