//! OLMo 1 to 3: norms that store nothing, then norms after the branches with queries and keys normed over all heads.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms, sliding_layers};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, Norm, NormKind, NormPlacement, QkNorm};

const OLMO: Defaults = Defaults { vocabulary: 50_304, epsilon: 1e-5, ..LLAMA };

fn biases(fields: &Fields) -> Result<AttentionBias, FormatsError> {
    let bias = fields.flag("attention_bias", false)?;
    Ok(AttentionBias { qkv: bias, output: bias })
}

/// `olmo`.
pub(super) fn olmo(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, OLMO)?;
    let attention = Attention {
        bias: biases(fields)?,
        qkv_clip: fields.optional_number("clip_qkv", None)?,
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    // The class has no field for it.
    let norm = Norm { kind: NormKind::LayerPlain, epsilon: 1e-5, weight_plus_one: false };
    fields.ignore(&["rms_norm_eps"]);
    Ok(sizes.decoded(sizes.uniform(norm, attention, ffn)))
}

/// `olmo2`.
pub(super) fn olmo2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, OLMO)?;
    let attention = Attention {
        bias: biases(fields)?,
        qk_norm: QkNorm::AllHeads,
        ..sizes.attention(Some(sizes.rope(fields)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let mut architecture = sizes.uniform(rms(fields, 1e-5)?, attention, ffn);
    architecture.norm_placement = NormPlacement::PostBranch;
    Ok(sizes.decoded(architecture))
}

/// `olmo3`: OLMo 2 with a window on three layers of four; scaling is for the layers without.
pub(super) fn olmo3(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Sizes::read(fields, Defaults { theta: 500_000.0, ..OLMO })?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let slides = sliding_layers(fields, sizes.depth, |index| !(index + 1).is_multiple_of(4))?;
    let theta = fields.number("rope_theta", 500_000.0)?;
    let defaults = RopeDefaults { theta, ..sizes.rope_defaults() };
    let unscaled = slimfit_arch::Rope { base: theta, rotated: None, interleaved: false, scaling: None };
    let local = rope::read_of_kind(fields, "sliding_attention", defaults)?.unwrap_or(unscaled);
    let global = match rope::read_of_kind(fields, "full_attention", defaults)? {
        Some(rope) => rope,
        None => rope::read(fields, defaults)?,
    };
    let attention = Attention { bias: biases(fields)?, qk_norm: QkNorm::AllHeads, ..sizes.attention(None) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |index| {
        let slides = slides[index as usize];
        let rope = Some(if slides { local.clone() } else { global.clone() });
        Ok((Attention { window: window.filter(|_| slides), rope, ..attention.clone() }, ffn.clone()))
    })?;
    let mut architecture = sizes.model(rms(fields, 1e-5)?, layers);
    architecture.norm_placement = NormPlacement::PostBranch;
    Ok(sizes.decoded(architecture))
}
