//! Falcon: RW (biased scores, one branch after the other), 7B (one key head, parallel) and 40B (grouped heads).

use super::decoder::{Decoded, activation, depth, head_size, layer_norm, model, plain_attention};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, FeedForward, LayerRun, Mlp, NormPlacement, Positions};

/// `falcon` and its older names `RefinedWebModel` and `RefinedWeb`.
pub(super) fn falcon(fields: &Fields) -> Result<Decoded, FormatsError> {
    let either = |first: &'static str, second: &'static str| if fields.has(first) { first } else { second };
    let hidden = fields.size(either("hidden_size", "n_embed"), 4544)?;
    let heads = fields.size(either("num_attention_heads", "n_head"), 71)?;
    let depth = depth(fields, either("num_hidden_layers", "n_layer"), 32)?;
    let head_size = head_size(fields, hidden, heads)?;
    let newer = fields.flag("new_decoder_architecture", false)?;
    let multi_query = fields.flag("multi_query", true)?;
    let named = fields.optional_size(either("num_kv_heads", "n_head_kv"), None)?;
    let kv_heads = match (newer, multi_query) {
        (true, _) => named.unwrap_or(heads),
        (false, true) => 1,
        (false, false) => heads,
    };
    let alibi = fields.flag("alibi", false)?;
    let context = fields.size("max_position_embeddings", 2048)?;
    let theta = RopeDefaults { theta: 10_000.0, partial: 1.0, interleaved: false, head_size, context };
    let bias = fields.flag("bias", false)?;
    let attention = Attention {
        rope: if alibi { None } else { Some(rope::read(fields, theta)?) },
        bias: AttentionBias { qkv: bias, output: bias },
        ..plain_attention(heads, kv_heads, head_size)
    };
    let size = fields.optional_size("ffn_hidden_size", None)?.unwrap_or(hidden.saturating_mul(4));
    let activation = activation(fields, "activation", "gelu")?;
    let ffn = FeedForward::Dense(Mlp { size, gated: false, activation, bias });
    let layers = vec![LayerRun { repeat: depth, attention, ffn }];
    let mut architecture = model(hidden, fields.size("vocab_size", 65_024)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    if alibi {
        architecture.positions = Positions::ScaledAlibi;
        fields.ignore(&["rope_theta", "rope_scaling", "rope_parameters"]);
    }
    let parallel = fields.flag("parallel_attn", true)?;
    let norms = fields.optional_size("num_ln_in_parallel_attn", None)?.unwrap_or(if newer { 2 } else { 1 });
    architecture.norm_placement = match (newer, parallel, norms) {
        (true, _, 2) => NormPlacement::ParallelTwoNorms,
        (_, true, 1) | (false, true, _) => NormPlacement::ParallelOneNorm,
        (false, false, _) => NormPlacement::Pre,
        (true, _, other) => {
            let allowed = "1 or 2 (1 only where `parallel_attn` is true)";
            return Err(fields.refuse("num_ln_in_parallel_attn", other, allowed));
        }
    };
    Ok(Decoded { architecture, context: Some(context) })
}
