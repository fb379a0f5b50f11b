//! Phi: Phi 1 to 2 (parallel branches behind one norm, biases everywhere) and Phi 3 and 4 (Llama's shape, LongRoPE).

use super::decoder::{Decoded, Defaults, LLAMA, Sizes, activation, layer_norm, rms};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, NormPlacement, QkNorm};

/// `phi`.
pub(super) fn phi(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { vocabulary: 51_200, hidden: 2048, ffn: 8192, depth: 24, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let rope = rope::read(fields, RopeDefaults { partial: 0.5, ..sizes.rope_defaults() })?;
    let attention = Attention {
        bias: AttentionBias { qkv: true, output: true },
        qk_norm: if fields.flag("qk_layernorm", false)? { QkNorm::PerHead } else { QkNorm::None },
        ..sizes.attention(Some(rope))
    };
    let ffn = sizes.ungated(activation(fields, "hidden_act", "gelu_new")?, true);
    let mut architecture = sizes.uniform(layer_norm(fields, "layer_norm_eps", 1e-5)?, attention, ffn);
    architecture.norm_placement = NormPlacement::ParallelOneNorm;
    architecture.head_bias = true;
    Ok(sizes.decoded(architecture))
}

/// `phi3`: Phi 3, 3.5 and 4 (mini).
pub(super) fn phi3(fields: &Fields) -> Result<Decoded, FormatsError> {
    let defaults = Defaults { vocabulary: 32_064, hidden: 3072, ffn: 8192, context: 4096, ..LLAMA };
    let sizes = Sizes::read(fields, defaults)?;
    let window = fields.optional_size("sliding_window", None)?;
    let attention = Attention { window, ..sizes.attention(Some(phi3_rope(fields, &sizes)?)) };
    let ffn = sizes.gated(activation(fields, "hidden_act", "silu")?, false);
    Ok(sizes.decoded(sizes.uniform(rms(fields, 1e-5)?, attention, ffn)))
}

/// Phi 3 says `su` or `yarn` in its early configs and means LongRoPE; its original context stands outside.
fn phi3_rope(fields: &Fields, sizes: &Sizes) -> Result<slimfit_arch::Rope, FormatsError> {
    let theta = fields.number("rope_theta", 10_000.0)?;
    let partial = fields.number("partial_rotary_factor", 1.0)?;
    let defaults = RopeDefaults { theta, partial, ..sizes.rope_defaults() };
    let original = fields.size("original_max_position_embeddings", 4096)?;
    let scaling = fields.object("rope_scaling")?;
    match fields.object("rope_parameters")?.or(scaling) {
        Some(parameters) if parameters.has("short_factor") => {
            rope::long_rope_of(&parameters, defaults, original)
        }
        Some(parameters) => rope::from_parameters(&parameters, defaults, Some(original)),
        None => rope::read(fields, defaults),
    }
}
