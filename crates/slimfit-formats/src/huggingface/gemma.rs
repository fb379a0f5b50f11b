//! Gemma 1 to 3: norm weights stored as offsets from 1, embeddings scaled by √hidden, tanh GELU, later a norm on either
//! side of each branch.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, sliding_layers};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, Norm, NormKind, NormPlacement, QkNorm,
};

const GEMMA2: Defaults = Defaults {
    vocabulary: 256_000,
    hidden: 2304,
    ffn: 9216,
    depth: 26,
    heads: 8,
    kv_heads: Some(4),
    head_size: Some(256),
    context: 8192,
    tied: true,
    ..LLAMA
};

fn norm(fields: &Fields) -> Result<Norm, FormatsError> {
    Ok(Norm { kind: NormKind::Rms, epsilon: fields.number("rms_norm_eps", 1e-6)?, weight_plus_one: true })
}

fn biases(fields: &Fields) -> Result<AttentionBias, FormatsError> {
    let bias = fields.flag("attention_bias", false)?;
    Ok(AttentionBias { qkv: bias, output: bias })
}

fn scaled(mut architecture: Architecture) -> Architecture {
    architecture.scales.embedding = Some((architecture.hidden_size as f64).sqrt());
    architecture
}

/// `gemma`.
pub(super) fn gemma(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { hidden: 3072, ffn: 24_576, depth: 28, heads: 16, kv_heads: Some(16), ..GEMMA2 };
    let sizes = Sizes::read(fields, defaults)?;
    fields.must_be("use_bidirectional_attention", false, "a causal model")?;
    let attention = Attention { bias: biases(fields)?, ..sizes.attention(Some(sizes.rope(fields)?)) };
    // The first configs said `gelu` and meant the approximation that the weights were trained with.
    let newer = fields.value("hidden_activation").is_some();
    let name = if newer { "hidden_activation" } else { "hidden_act" };
    let found = activation(fields, name, "gelu_pytorch_tanh")?;
    fields.ignore(&["hidden_act"]);
    let kind = if !newer && found == Activation::Gelu { Activation::GeluTanh } else { found };
    Ok(sizes.decoded(scaled(sizes.uniform(norm(fields)?, attention, sizes.gated(kind, false)))))
}

/// `gemma2`: every second layer has a window; scores and logits are capped.
pub(super) fn gemma2(fields: &Fields) -> Result<Decoded, FormatsError> {
    second(fields, NormPlacement::Sandwich)
}

/// `vaultgemma`: Gemma 2 without the norms after the branches.
pub(super) fn vaultgemma(fields: &Fields) -> Result<Decoded, FormatsError> {
    second(fields, NormPlacement::Pre)
}

fn second(fields: &Fields, placement: NormPlacement) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, GEMMA2)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let slides = sliding_layers(fields, sizes.depth, |index| index.is_multiple_of(2))?;
    let attention = Attention {
        softcap: fields.optional_number("attn_logit_softcapping", Some(50.0))?,
        ..shared(fields, &sizes)?
    };
    let rope = sizes.rope(fields)?;
    let ffn = sizes.gated(activation(fields, "hidden_activation", "gelu_pytorch_tanh")?, false);
    fields.ignore(&["hidden_act"]);
    let layers = fold(sizes.depth, |index| {
        let window = window.filter(|_| slides[index as usize]);
        Ok((Attention { window, rope: Some(rope.clone()), ..attention.clone() }, ffn.clone()))
    })?;
    let mut architecture = scaled(sizes.model(norm(fields)?, layers));
    architecture.norm_placement = placement;
    architecture.scales.logit_softcap = fields.optional_number("final_logit_softcapping", Some(30.0))?;
    Ok(sizes.decoded(architecture))
}

/// What Gemma 2 and 3 share in the attention.
fn shared(fields: &Fields, sizes: &Sizes) -> Result<Attention, FormatsError> {
    fields.must_be("use_bidirectional_attention", false, "a causal model")?;
    let scalar = fields.number("query_pre_attn_scalar", 256.0)?;
    Ok(Attention { bias: biases(fields)?, scale: Some(1.0 / scalar.sqrt()), ..sizes.attention(None) })
}

/// `gemma3_text`: five layers with a window and a short base, then one without and with a long one.
pub(super) fn gemma3(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { vocabulary: 262_208, context: 131_072, ..GEMMA2 })?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let named = fields.optional_size("sliding_window_pattern", None)?;
    let every = fields.optional_size("_sliding_window_pattern", None)?.or(named).unwrap_or(6);
    if every == 0 {
        return Err(fields.refuse("sliding_window_pattern", 0, "1 or more"));
    }
    let slides = sliding_layers(fields, sizes.depth, |index| !(index + 1).is_multiple_of(every))?;
    let attention = Attention {
        softcap: fields.optional_number("attn_logit_softcapping", None)?,
        qk_norm: QkNorm::PerHead,
        ..shared(fields, &sizes)?
    };
    let long_theta = fields.number("rope_theta", 1_000_000.0)?;
    let short_theta = fields.number("rope_local_base_freq", 10_000.0)?;
    let long = RopeDefaults { theta: long_theta, ..sizes.rope_defaults() };
    let short = RopeDefaults { theta: short_theta, ..long };
    let local = match rope::read_of_kind(fields, "sliding_attention", short)? {
        Some(rope) => rope,
        None => slimfit_arch::Rope { base: short_theta, rotated: None, interleaved: false, scaling: None },
    };
    let global = match rope::read_of_kind(fields, "full_attention", long)? {
        Some(rope) => rope,
        None => rope::read(fields, long)?,
    };
    let ffn = sizes.gated(activation(fields, "hidden_activation", "gelu_pytorch_tanh")?, false);
    fields.ignore(&["hidden_act"]);
    let layers = fold(sizes.depth, |index| {
        let slides = slides[index as usize];
        let rope = Some(if slides { local.clone() } else { global.clone() });
        Ok((Attention { window: window.filter(|_| slides), rope, ..attention.clone() }, ffn.clone()))
    })?;
    let mut architecture = scaled(sizes.model(norm(fields)?, layers));
    architecture.norm_placement = NormPlacement::Sandwich;
    architecture.scales.logit_softcap = fields.optional_number("final_logit_softcapping", None)?;
    Ok(sizes.decoded(architecture))
}
