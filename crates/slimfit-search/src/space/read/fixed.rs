//! What every point of a space shares.

use serde::Deserialize;
use slimfit_arch::{Activation, AttentionBias, Norm, NormPlacement, QkNorm, Rope};

/// What every point of a space shares.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fixed {
    /// The non-linearity of the feed-forward part.
    pub activation: Activation,
    /// Kind and epsilon of the norms.
    pub norm: Norm,
    /// Where they stand.
    pub norm_placement: NormPlacement,
    /// Rotary positions.
    pub rope: Rope,
    /// Norm of queries and keys.
    pub qk_norm: QkNorm,
    /// Biases of the attention's projections.
    pub attention_bias: AttentionBias,
    /// Biases of the feed-forward part.
    pub ffn_bias: bool,
}

impl Default for Fixed {
    fn default() -> Self {
        Self {
            activation: Activation::default(),
            norm: Norm::default(),
            norm_placement: NormPlacement::default(),
            rope: Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None },
            qk_norm: QkNorm::None,
            attention_bias: AttentionBias::default(),
            ffn_bias: false,
        }
    }
}
