//! Families with a norm of mean and variance and Llama's names: StableLM, StarCoder 2, Cohere, Nemotron, Persimmon.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, layer_norm, sliding_layers};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, NormKind, NormPlacement, QkNorm};

/// `stablelm`: StableLM 3B and StableLM 2.
pub(super) fn stablelm(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults =
        Defaults { vocabulary: 50_304, hidden: 2560, ffn: 6912, kv_heads: Some(32), context: 4096, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let partial = fields.number("rope_pct", 0.25)?;
    fields.must_be("rotary_scaling_factor", 1.0, "frequencies are not scaled")?;
    fields.must_be("num_heads", sizes.heads, "as `num_attention_heads` says")?;
    let rope = rope::read(fields, RopeDefaults { partial, ..sizes.rope_defaults() })?;
    let attention = Attention {
        bias: AttentionBias { qkv: fields.flag("use_qkv_bias", false)?, output: false },
        qk_norm: if fields.flag("qk_layernorm", false)? { QkNorm::EachHead } else { QkNorm::None },
        ..sizes.attention(Some(rope))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let epsilon = if fields.has("layer_norm_eps") { "layer_norm_eps" } else { "norm_eps" };
    let mut architecture = sizes.uniform(layer_norm(fields, epsilon, 1e-5)?, attention, ffn);
    if fields.flag("use_parallel_residual", false)? {
        architecture.norm_placement = NormPlacement::ParallelOneNorm;
    }
    Ok(sizes.decoded(architecture))
}

/// `starcoder2`.
pub(super) fn starcoder2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 49_152,
        hidden: 3072,
        ffn: 12_288,
        depth: 30,
        heads: 24,
        kv_heads: Some(2),
        context: 4096,
        tied: true,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let bias = fields.flag("use_bias", true)?;
    fields.must_be("mlp_type", "default", "an ungated feed-forward part")?;
    fields.must_be("norm_type", "layer_norm", "mean and variance")?;
    let attention = Attention {
        window: fields.optional_size("sliding_window", None)?,
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.ungated(activation(fields, "hidden_act", "gelu_pytorch_tanh")?, bias);
    Ok(sizes.decoded(sizes.uniform(layer_norm(fields, "norm_epsilon", 1e-5)?, attention, ffn)))
}

/// `cohere`: Command R, Aya.
pub(super) fn cohere(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, COHERE)?;
    let bias = fields.flag("attention_bias", false)?;
    let rope = rope::read(fields, RopeDefaults { interleaved: true, ..sizes.rope_defaults() })?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        qk_norm: if fields.flag("use_qk_norm", false)? { QkNorm::EachHead } else { QkNorm::None },
        ..sizes.attention(Some(rope))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |_| Ok((attention.clone(), ffn.clone())))?;
    finish_cohere(fields, &sizes, layers)
}

const COHERE: Defaults = Defaults {
    vocabulary: 256_000,
    hidden: 8192,
    ffn: 22_528,
    depth: 40,
    heads: 64,
    context: 8192,
    theta: 500_000.0,
    tied: true,
    ..LLAMA
};

/// `cohere2`: Command R7B; the layers without a window have no positions.
pub(super) fn cohere2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let mut sizes = Sizes::read(fields, Defaults { theta: 10_000.0, ..COHERE })?;
    // The class always derives the head size.
    sizes.head_size = super::decoder::head_size(fields, sizes.hidden, sizes.heads)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let every = fields.optional_size("sliding_window_pattern", None)?.unwrap_or(4);
    if every == 0 {
        return Err(fields.refuse("sliding_window_pattern", 0, "1 or more"));
    }
    let slides = sliding_layers(fields, sizes.depth, |index| !(index + 1).is_multiple_of(every))?;
    let bias = fields.flag("attention_bias", false)?;
    fields.must_be("use_parallel_block", true, "branches are parallel")?;
    fields.must_be("use_gated_activation", true, "the feed-forward part is gated")?;
    fields.must_be("use_qk_norm", false, "no norm of queries and keys")?;
    fields.must_be("rotary_pct", 1.0, "all of a head rotates")?;
    fields.must_be("position_embedding_type", "rope_gptj", "neighbouring pairs rotate")?;
    fields.ignore(&[
        "layer_switch",
        "order_of_interleaved_layers",
        "use_embedding_sharing",
        "use_parallel_embedding",
    ]);
    let rope = rope::read(fields, RopeDefaults { interleaved: true, ..sizes.rope_defaults() })?;
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |index| {
        let window = window.filter(|_| slides[index as usize]);
        let attention = Attention {
            window,
            bias: AttentionBias { qkv: bias, output: bias },
            ..sizes.attention(window.map(|_| rope.clone()))
        };
        Ok((attention, ffn.clone()))
    })?;
    finish_cohere(fields, &sizes, layers)
}

fn finish_cohere(
    fields: &Fields,
    sizes: &Sizes,
    layers: Vec<slimfit_arch::LayerRun>,
) -> Result<Decoded, FormatsError> {
    let mut architecture = sizes.model(layer_norm(fields, "layer_norm_eps", 1e-5)?, layers);
    architecture.norm.kind = NormKind::LayerNoBias;
    architecture.norm_placement = NormPlacement::ParallelOneNorm;
    let scale = fields.optional_number("logit_scale", Some(0.0625))?;
    architecture.scales.logits = scale.filter(|&scale| scale != 1.0);
    Ok(sizes.decoded(architecture))
}

/// `nemotron`: Nemotron 4 and Minitron.
pub(super) fn nemotron(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults =
        Defaults { vocabulary: 256_000, hidden: 6144, ffn: 24_576, heads: 48, context: 4096, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let legacy = fields.number("rope_percent", fields.number("rope_percentage", 0.5)?)?;
    let rope = rope::read(fields, RopeDefaults { partial: legacy, ..sizes.rope_defaults() })?;
    let bias = fields.flag("attention_bias", false)?;
    let attention =
        Attention { bias: AttentionBias { qkv: bias, output: bias }, ..sizes.attention(Some(rope)) };
    let ffn = sizes.ungated(activation(fields, "hidden_act", "relu2")?, fields.flag("mlp_bias", false)?);
    let mut norm = layer_norm(fields, "norm_eps", 1e-5)?;
    norm.weight_plus_one = true;
    Ok(sizes.decoded(sizes.uniform(norm, attention, ffn)))
}

/// `persimmon`.
pub(super) fn persimmon(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults =
        Defaults { vocabulary: 262_144, ffn: 16_384, depth: 36, heads: 64, context: 16_384, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let rope = rope::read(fields, RopeDefaults { partial: 0.5, ..sizes.rope_defaults() })?;
    let attention = Attention {
        bias: AttentionBias { qkv: true, output: true },
        qk_norm: if fields.flag("qk_layernorm", true)? { QkNorm::PerHead } else { QkNorm::None },
        ..sizes.attention(Some(rope))
    };
    let ffn = sizes.ungated(activation(fields, "hidden_act", "relu2")?, true);
    Ok(sizes.decoded(sizes.uniform(layer_norm(fields, "layer_norm_eps", 1e-5)?, attention, ffn)))
}
