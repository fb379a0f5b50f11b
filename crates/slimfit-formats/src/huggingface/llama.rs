//! Llama and the families that differ from it by a field or two: one pre-norm RMS transformer, gated, rotary.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms, sliding_layers};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, Loops, QkNorm, Scales};

/// `llama`: Llama 1 to 3.2, SmolLM and SmolLM2, TinyLlama, Danube 3, Yi and many more.
pub(super) fn llama(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, LLAMA)?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?);
    Ok(sizes.decoded(sizes.uniform(rms(fields, LLAMA.epsilon)?, attention, ffn)))
}

/// `arcee`: Llama with an ungated squared-ReLU feed-forward part.
pub(super) fn arcee(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { hidden: 2560, ffn: 18_432, context: 4096, ..LLAMA })?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.ungated(activation(fields, "hidden_act", "relu2")?, fields.flag("mlp_bias", false)?);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// `helium`: Llama with neighbouring pairs rotated.
pub(super) fn helium(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 48_000,
        hidden: 2560,
        ffn: 7040,
        depth: 24,
        heads: 20,
        kv_heads: Some(20),
        head_size: Some(128),
        context: 4096,
        theta: 100_000.0,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    if sizes.heads.checked_mul(sizes.head_size) != Some(sizes.hidden) {
        let allowed = format!("{} / {} heads", sizes.hidden, sizes.heads);
        return Err(fields.refuse("head_dim", sizes.head_size, allowed));
    }
    let qkv = fields.flag("attention_bias", false)?;
    let rope = rope::read(fields, RopeDefaults { interleaved: true, ..sizes.rope_defaults() })?;
    let attention = Attention { bias: AttentionBias { qkv, output: false }, ..sizes.attention(Some(rope)) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-8)?, attention, ffn)))
}

/// `seed_oss`: Llama with biases on query, key and value.
pub(super) fn seed_oss(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 155_136,
        ffn: 27_648,
        depth: 64,
        heads: 80,
        kv_heads: Some(8),
        head_size: Some(128),
        context: 524_288,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let bias = AttentionBias {
        qkv: fields.flag("attention_bias", true)?,
        output: fields.flag("attention_out_bias", false)?,
    };
    let attention = Attention { bias, ..sizes.attention(Some(sizes.rope(fields)?)) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-6)?, attention, ffn)))
}

/// `smollm3`: Llama with layers that have no positions.
pub(super) fn smollm3(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 128_256,
        hidden: 2048,
        depth: 36,
        heads: 16,
        kv_heads: Some(4),
        context: 32_768,
        theta: 2_000_000.0,
        tied: true,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let every = fields.size("no_rope_layer_interval", 4)?;
    let rotates: Vec<bool> = match fields.sizes("no_rope_layers")? {
        Some(list) if list.len() as u64 == sizes.depth => {
            list.into_iter().map(|rotates| rotates != 0).collect()
        }
        Some(list) => {
            let found = format!("a list of {}", list.len());
            return Err(fields.refuse(
                "no_rope_layers",
                found,
                format!("{} entries, one for each layer", sizes.depth),
            ));
        }
        None if every == 0 => return Err(fields.refuse("no_rope_layer_interval", 0, "1 or more")),
        None => (0..sizes.depth).map(|index| !(index + 1).is_multiple_of(every)).collect(),
    };
    let use_window = fields.flag("use_sliding_window", false)?;
    let window = fields.optional_size("sliding_window", None)?.filter(|_| use_window);
    let slides = sliding_layers(fields, sizes.depth, |index| window.is_some() && !rotates[index as usize])?;
    let bias = fields.flag("attention_bias", false)?;
    let (rope, ffn) = (
        sizes.rope(fields)?,
        sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?),
    );
    let layers = fold(sizes.depth, |index| {
        let index = index as usize;
        let attention = Attention {
            bias: AttentionBias { qkv: bias, output: bias },
            window: window.filter(|_| slides[index]),
            ..sizes.attention(rotates[index].then(|| rope.clone()))
        };
        Ok((attention, ffn.clone()))
    })?;
    Ok(sizes.decoded(sizes.model(rms(fields, 1e-6)?, layers)))
}

/// `granite`: Llama with constants on embeddings, branches, scores and logits.
pub(super) fn granite(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, LLAMA)?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        scale: Some(fields.number("attention_multiplier", 1.0)?),
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?);
    let mut architecture = sizes.uniform(rms(fields, LLAMA.epsilon)?, attention, ffn);
    architecture.scales = granite_scales(fields)?;
    Ok(sizes.decoded(architecture))
}

/// The constants of the Granite families; a constant of 1 is left out.
pub(super) fn granite_scales(fields: &Fields) -> Result<Scales, FormatsError> {
    let scale = |name| Ok::<_, FormatsError>(Some(fields.number(name, 1.0)?).filter(|&scale| scale != 1.0));
    Ok(Scales {
        embedding: scale("embedding_multiplier")?,
        residual: scale("residual_multiplier")?,
        logits: scale("logits_scaling")?.map(|divisor| 1.0 / divisor),
        logit_softcap: None,
    })
}

/// `minicpm`: Llama with constants that keep widths comparable.
pub(super) fn minicpm(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { tied: true, ..LLAMA })?;
    fields.must_be("num_experts", 0, "the mixture of MiniCPM is not supported")?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let mut architecture = sizes.uniform(rms(fields, LLAMA.epsilon)?, attention, ffn);
    let needed = |name: &str| {
        fields.optional_number(name, None)?.ok_or_else(|| fields.refuse(name, "nothing", "a number"))
    };
    architecture.scales = Scales {
        embedding: Some(needed("scale_emb")?),
        residual: Some(needed("scale_depth")? / (sizes.depth as f64).sqrt()),
        logits: Some(needed("dim_model_base")? / sizes.hidden as f64),
        logit_softcap: None,
    };
    Ok(sizes.decoded(architecture))
}

/// `mobilellm`: Llama whose head may be the table (`share_embedding`) and whose layers may each run twice
/// (`layer_sharing`).
pub(super) fn mobilellm(fields: &Fields) -> Result<Decoded, FormatsError> {
    let mut decoded = llama(fields)?;
    decoded.architecture.tied_embeddings |= fields.flag("share_embedding", false)?;
    if fields.flag("layer_sharing", false)? {
        let layers = decoded.architecture.depth();
        decoded.architecture.loops = Some(Loops { first: 0, layers, count: 2, immediate: true });
    }
    Ok(decoded)
}

/// `internlm2`: Llama with one flag for the biases of all attention projections.
pub(super) fn internlm2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { vocabulary: 103_168, ..LLAMA })?;
    let bias = fields.flag("bias", true)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    Ok(sizes.decoded(sizes.uniform(rms(fields, LLAMA.epsilon)?, attention, ffn)))
}

/// `ernie4_5`: Llama with neighbouring pairs rotated and one flag for all biases.
pub(super) fn ernie4_5(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 103_424,
        hidden: 1024,
        ffn: 3072,
        depth: 18,
        heads: 16,
        kv_heads: Some(2),
        head_size: Some(128),
        context: 131_072,
        theta: 500_000.0,
        tied: true,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let bias = fields.flag("use_bias", false)?;
    let rope = rope::read(fields, RopeDefaults { interleaved: true, ..sizes.rope_defaults() })?;
    let attention =
        Attention { bias: AttentionBias { qkv: bias, output: bias }, ..sizes.attention(Some(rope)) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, bias);
    fields.must_be("compression_ratio", 1.0, "positions are not compressed")?;
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// `hunyuan_v1_dense`: Llama with a norm on queries and keys after the rotation.
pub(super) fn hunyuan_dense(fields: &Fields) -> Result<Decoded, FormatsError> {
    let mut sizes = Sizes::read(fields, Defaults { vocabulary: 290_943, ..LLAMA })?;
    if !fields.has("head_dim") {
        sizes.head_size = fields.size("attention_head_dim", sizes.head_size)?;
    }
    fields.ignore(&[
        "attention_head_dim",
        "moe_topk",
        "moe_intermediate_size",
        "num_shared_expert",
        "moe_layer_num_skipped",
    ]);
    fields.must_be("use_cla", false, "layers that share keys and values are not supported")?;
    fields.ignore(&["cla_share_factor"]);
    fields.must_be("use_qk_norm", true, "this family always norms queries and keys")?;
    fields.must_be("num_experts", 1, "a dense model")?;
    let bias = fields.flag("attention_bias", false)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        qk_norm: QkNorm::PerHeadAfterRotation,
        ..sizes.attention(Some(hunyuan_rope(fields, &sizes)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, fields.flag("mlp_bias", false)?);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// With `alpha` beside a dynamic scaling, the base is raised once and for all.
fn hunyuan_rope(fields: &Fields, sizes: &Sizes) -> Result<slimfit_arch::Rope, FormatsError> {
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(parameters) = fields.object(name)? else { continue };
        let Some(alpha) = parameters.optional_number("alpha", None)?.filter(|&alpha| alpha != 0.0) else {
            continue;
        };
        let top = fields.number("rope_theta", 10_000.0)?;
        let theta = parameters.number("rope_theta", top)?;
        let size = sizes.head_size as f64;
        let base = theta * alpha.powf(size / (size - 2.0));
        return Ok(slimfit_arch::Rope { base, rotated: None, interleaved: false, scaling: None });
    }
    sizes.rope(fields)
}

/// `exaone`: Llama under names of its own.
pub(super) fn exaone(fields: &Fields) -> Result<Decoded, FormatsError> {
    let depth_name = if fields.has("num_layers") { "num_layers" } else { "num_hidden_layers" };
    let depth = super::decoder::depth(fields, depth_name, 32)?;
    fields.ignore(&["num_hidden_layers"]);
    let mut sizes = Sizes::read(fields, Defaults { vocabulary: 102_400, ffn: 16_384, ..LLAMA })?;
    sizes.depth = depth;
    let attention = sizes.attention(Some(sizes.rope(fields)?));
    let act = if fields.has("activation_function") { "activation_function" } else { "hidden_act" };
    let ffn = sizes.gated(activation(fields, act, "silu")?, false);
    let epsilon = fields.number("layer_norm_epsilon", 1e-5)?;
    let norm = slimfit_arch::Norm { epsilon, ..slimfit_arch::Norm::default() };
    Ok(sizes.decoded(sizes.uniform(norm, attention, ffn)))
}
