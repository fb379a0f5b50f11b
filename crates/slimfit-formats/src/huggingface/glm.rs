//! GLM 4 and EXAONE 4: norms after the branches, part of each head rotated or some layers not at all.

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, fold, rms, sliding_layers};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, NormPlacement, QkNorm};

/// `glm`: GLM 4 9B, Edge.
pub(super) fn glm(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults {
        vocabulary: 151_552,
        ffn: 13_696,
        depth: 40,
        kv_heads: Some(2),
        head_size: Some(128),
        context: 131_072,
        ..LLAMA
    };
    let sizes = Sizes::read(fields, defaults)?;
    let partial = RopeDefaults { partial: 0.5, interleaved: true, ..sizes.rope_defaults() };
    let attention = Attention {
        bias: AttentionBias { qkv: fields.flag("attention_bias", true)?, output: false },
        ..sizes.attention(Some(rope::read(fields, partial)?))
    };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1.5625e-7)?, attention, ffn)))
}

/// `glm4`: GLM with norms on both sides of each branch.
pub(super) fn glm4(fields: &Fields) -> Result<Decoded, FormatsError> {
    let mut decoded = glm(fields)?;
    decoded.architecture.norm_placement = NormPlacement::Sandwich;
    Ok(decoded)
}

/// `exaone4`: where some layers have a window, the others have no positions.
pub(super) fn exaone4(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { vocabulary: 102_400, ffn: 16_384, kv_heads: Some(32), ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let window = fields.optional_size("sliding_window", Some(4096))?;
    let slides = exaone_layers(fields, sizes.depth, window.is_some())?;
    let rope = sizes.rope(fields)?;
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    let layers = fold(sizes.depth, |index| {
        let slides = slides[index as usize];
        let attention = Attention {
            window: window.filter(|_| slides),
            qk_norm: QkNorm::PerHead,
            ..sizes.attention((window.is_none() || slides).then(|| rope.clone()))
        };
        Ok((attention, ffn.clone()))
    })?;
    let mut architecture = sizes.model(rms(fields, 1e-5)?, layers);
    architecture.norm_placement = NormPlacement::PostBranch;
    Ok(sizes.decoded(architecture))
}

/// The pattern is a count (a full layer every k) or a text such as `LLLG`.
fn exaone_layers(fields: &Fields, depth: u64, windowed: bool) -> Result<Vec<bool>, FormatsError> {
    let pattern: Vec<bool> = match fields.value("sliding_window_pattern") {
        Some(serde_json::Value::String(text)) => text.chars().map(|kind| kind == 'L').collect(),
        _ => {
            let every = fields.optional_size("sliding_window_pattern", Some(4))?.unwrap_or(0);
            if every > depth {
                return Err(fields.refuse(
                    "sliding_window_pattern",
                    every,
                    format!("at most the {depth} layers"),
                ));
            }
            (1..=every).map(|index| index != every).collect()
        }
    };
    sliding_layers(fields, depth, |index| {
        windowed && !pattern.is_empty() && pattern[index as usize % pattern.len()]
    })
}
