//! OPT: learned positions with two spare rows; the 350M model norms after the sums and has a narrower table.

use super::decoder::{Decoded, activation, depth, head_size, model, plain_attention};
use super::fields::Fields;
use crate::FormatsError;
use slimfit_arch::{
    Attention, AttentionBias, FeedForward, LayerRun, Mlp, Norm, NormKind, NormPlacement, Positions,
};

/// `opt`.
pub(super) fn opt(fields: &Fields) -> Result<Decoded, FormatsError> {
    let hidden = fields.size("hidden_size", 768)?;
    let heads = fields.size("num_attention_heads", 12)?;
    let depth = depth(fields, "num_hidden_layers", 12)?;
    let context = fields.size("max_position_embeddings", 2048)?;
    let bias = fields.flag("enable_bias", true)?;
    let attention = Attention {
        bias: AttentionBias { qkv: bias, output: bias },
        ..plain_attention(heads, heads, head_size(fields, hidden, heads)?)
    };
    let activation = activation(fields, "activation_function", "relu")?;
    let ffn = FeedForward::Dense(Mlp { size: fields.size("ffn_dim", 3072)?, gated: false, activation, bias });
    let layers = vec![LayerRun { repeat: depth, attention, ffn }];
    let mut architecture = model(hidden, fields.size("vocab_size", 50_272)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    let table = fields.optional_size("word_embed_proj_dim", Some(hidden))?.unwrap_or(hidden);
    architecture.embedding_size = (table != hidden).then_some(table);
    architecture.positions = Positions::Learned { context, offset: 2 };
    let stored = fields.flag("layer_norm_elementwise_affine", true)?;
    let kind = if stored { NormKind::Layer } else { NormKind::LayerPlain };
    architecture.norm = Norm { kind, epsilon: 1e-5, weight_plus_one: false };
    let before = fields.flag("do_layer_norm_before", true)?;
    architecture.norm_placement = if before { NormPlacement::Pre } else { NormPlacement::Post };
    architecture.final_norm = before && !fields.flag("_remove_final_layer_norm", false)?;
    Ok(Decoded { architecture, context: Some(context) })
}
