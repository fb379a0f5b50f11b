//! Mixtures of experts: Mixtral, OLMoE, Granite's and DeepSeek's first.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms};
use super::fields::Fields;
use super::llama::granite_scales;
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, FeedForward, Moe, QkNorm};

/// The number of experts under either of its names.
pub(super) fn experts(fields: &Fields, default: u64) -> Result<u64, FormatsError> {
    let local = fields.has("num_local_experts");
    if local && fields.has("num_experts") {
        let (first, second) =
            (fields.size("num_local_experts", default)?, fields.size("num_experts", default)?);
        if first != second {
            return Err(fields.refuse(
                "num_experts",
                second,
                format!("{first}, as `num_local_experts` says"),
            ));
        }
    }
    fields.size(if local { "num_local_experts" } else { "num_experts" }, default)
}

/// Which layers have experts, by `decoder_sparse_step` and `mlp_only_layers`.
pub(super) fn sparse_layers(fields: &Fields, depth: u64) -> Result<Vec<bool>, FormatsError> {
    let step = fields.size("decoder_sparse_step", 1)?;
    if step == 0 {
        return Err(fields.refuse("decoder_sparse_step", 0, "1 or more"));
    }
    let dense = fields.sizes("mlp_only_layers")?.unwrap_or_default();
    if let Some(beyond) = dense.iter().find(|&&layer| layer >= depth) {
        return Err(fields.refuse("mlp_only_layers", beyond, format!("0 to {}", depth.saturating_sub(1))));
    }
    Ok((0..depth).map(|index| !dense.contains(&index) && (index + 1).is_multiple_of(step)).collect())
}

/// `mixtral`.
pub(super) fn mixtral(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { ffn: 14_336, kv_heads: Some(8), context: 131_072, theta: 1_000_000.0, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let window = fields.optional_size("sliding_window", None)?;
    let attention = Attention { window, ..sizes.attention(Some(sizes.rope(fields)?)) };
    let ffn = FeedForward::Moe(Moe {
        experts: experts(fields, 8)?,
        top_k: fields.size("num_experts_per_tok", 2)?,
        expert_size: sizes.ffn,
        gated: true,
        activation: activation(fields, "hidden_act", "silu")?,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: true,
        router_bias: false,
    });
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// `olmoe`.
pub(super) fn olmoe(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 50_304,
        hidden: 2048,
        ffn: 2048,
        depth: 16,
        heads: 16,
        context: 4096,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        qk_norm: QkNorm::AllHeads,
        qkv_clip: fields.optional_number("clip_qkv", None)?,
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = FeedForward::Moe(Moe {
        experts: experts(fields, 64)?,
        top_k: fields.size("num_experts_per_tok", 8)?,
        expert_size: sizes.ffn,
        gated: true,
        activation: activation(fields, "hidden_act", "silu")?,
        shared_size: 0,
        shared_gate: false,
        normalise_top_k: fields.flag("norm_topk_prob", false)?,
        router_bias: false,
    });
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// `granitemoe` and `granitemoeshared`: the router's softmax is over the chosen experts.
pub(super) fn granitemoe(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, LLAMA)?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        scale: Some(fields.number("attention_multiplier", 1.0)?),
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = FeedForward::Moe(Moe {
        experts: experts(fields, 8)?,
        top_k: fields.size("num_experts_per_tok", 2)?,
        expert_size: sizes.ffn,
        gated: true,
        activation: activation(fields, "hidden_act", "silu")?,
        shared_size: fields.optional_size("shared_intermediate_size", None)?.unwrap_or(0),
        shared_gate: false,
        normalise_top_k: true,
        router_bias: false,
    });
    let mut architecture = sizes.uniform(rms(fields, LLAMA.epsilon)?, attention, ffn);
    architecture.scales = granite_scales(fields)?;
    Ok(sizes.decoded(architecture))
}

/// `deepseek`: DeepSeek LLM and DeepSeek-MoE, before latent attention.
pub(super) fn deepseek(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { vocabulary: 102_400, ..LLAMA })?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let activation = activation(fields, "hidden_act", "silu")?;
    fields.must_be("scoring_func", "softmax", "the only router of this family")?;
    fields.must_be("routed_scaling_factor", 1.0, "expert weights are not scaled")?;
    let expert_size = fields.size("moe_intermediate_size", 1407)?;
    let shared = fields.optional_size("n_shared_experts", None)?.unwrap_or(0);
    let top_k = fields.optional_size("num_experts_per_tok", None)?;
    let dense_first = fields.size("first_k_dense_replace", 0)?;
    let every = fields.size("moe_layer_freq", 1)?;
    if every == 0 {
        return Err(fields.refuse("moe_layer_freq", 0, "1 or more"));
    }
    let normalise_top_k = fields.flag("norm_topk_prob", false)?;
    let mixture = match (fields.optional_size("n_routed_experts", None)?, top_k) {
        (None, _) => None,
        (Some(_), None) => return Err(fields.refuse("num_experts_per_tok", "nothing", "a whole number")),
        (Some(experts), Some(top_k)) => Some(FeedForward::Moe(Moe {
            experts,
            top_k,
            expert_size,
            gated: true,
            activation,
            shared_size: shared.saturating_mul(expert_size),
            shared_gate: false,
            normalise_top_k,
            router_bias: false,
        })),
    };
    let layers = fold(sizes.depth, |index| {
        let sparse = index >= dense_first && index.is_multiple_of(every);
        let ffn = mixture.clone().filter(|_| sparse).unwrap_or_else(|| sizes.gated(activation, false));
        Ok((attention.clone(), ffn))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, LLAMA.epsilon)?, layers)))
}
