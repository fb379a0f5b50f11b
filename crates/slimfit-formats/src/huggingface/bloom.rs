//! BLOOM and MPT: positions as a bias on the scores.

use super::decoder::{Decoded, depth, head_size, layer_norm, model, plain_attention};
use super::fields::Fields;
use crate::FormatsError;
use slimfit_arch::{Activation, Attention, AttentionBias, FeedForward, LayerRun, Mlp, NormKind, Positions};

/// `bloom`.
pub(super) fn bloom(fields: &Fields) -> Result<Decoded, FormatsError> {
    let either = |first: &'static str, second: &'static str| if fields.has(first) { first } else { second };
    let hidden = fields.size(either("hidden_size", "n_embed"), 64)?;
    fields.ignore(&[
        "n_embed",
        "seq_length",
        "n_inner",
        "unk_token_id",
        "offset_alibi",
        "skip_bias_add",
        "skip_bias_add_qkv",
    ]);
    let heads = fields.size(either("n_head", "num_attention_heads"), 8)?;
    fields.ignore(&["num_attention_heads"]);
    let depth = depth(fields, either("n_layer", "num_hidden_layers"), 2)?;
    fields.must_be(
        "apply_residual_connection_post_layernorm",
        false,
        "the residual is the unnormed stream",
    )?;
    let attention = Attention {
        bias: AttentionBias { qkv: true, output: true },
        ..plain_attention(heads, heads, head_size(fields, hidden, heads)?)
    };
    let ffn = FeedForward::Dense(Mlp {
        size: hidden.saturating_mul(4),
        gated: false,
        activation: Activation::GeluTanh,
        bias: true,
    });
    let layers = vec![LayerRun { repeat: depth, attention, ffn }];
    let mut architecture = model(hidden, fields.size("vocab_size", 250_880)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.positions = Positions::Alibi;
    architecture.embedding_norm = true;
    // Positions have no end; the published models were trained at 2048.
    Ok(Decoded { architecture, context: None })
}

/// `mpt`.
pub(super) fn mpt(fields: &Fields) -> Result<Decoded, FormatsError> {
    let hidden = fields.size("d_model", 2048)?;
    let heads = fields.size("n_heads", 16)?;
    let depth = depth(fields, "n_layers", 24)?;
    let context = fields.size("max_seq_len", 2048)?;
    if !heads.is_power_of_two() {
        return Err(fields.refuse("n_heads", heads, "a power of two (other slopes are MPT's own)"));
    }
    fields.must_be("no_bias", true, "the reference implementation has no biases")?;
    // 4 in every published model, and fixed in the reference implementation.
    fields.must_be("expansion_ratio", 4, "the only ratio of the reference implementation")?;
    fields.must_be("embedding_fraction", 1.0, "embeddings keep their gradient")?;
    fields.must_be("logit_scale", serde_json::Value::Null, "logits are not scaled")?;
    // Ignored by the reference implementation, which always biases the scores.
    fields.ignore(&["learned_pos_emb", "emb_pdrop", "resid_pdrop", "norm_type", "init_config"]);
    let mut attention = plain_attention(heads, heads, head_size(fields, hidden, heads)?);
    if let Some(config) = fields.object("attn_config")? {
        config.must_be("alibi", true, "positions are a bias on the scores")?;
        config.must_be("alibi_bias_max", 8, "the slopes of the reference")?;
        config.must_be("attn_type", "multihead_attention", "as many key as query heads")?;
        config.must_be("qk_ln", false, "no norm of queries and keys")?;
        config.must_be("prefix_lm", false, "a causal model")?;
        attention.qkv_clip = config.optional_number("clip_qkv", None)?.filter(|&clip| clip != 0.0);
        attention.scale = config.optional_number("softmax_scale", None)?;
        config.refuse_unread("mpt")?;
    }
    let size = hidden.saturating_mul(4);
    let ffn = FeedForward::Dense(Mlp { size, gated: false, activation: Activation::Gelu, bias: false });
    let layers = vec![LayerRun { repeat: depth, attention, ffn }];
    let mut architecture = model(hidden, fields.size("vocab_size", 50_368)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.norm.kind = NormKind::LayerNoBias;
    architecture.positions = Positions::Alibi;
    Ok(Decoded { architecture, context: Some(context) })
}
