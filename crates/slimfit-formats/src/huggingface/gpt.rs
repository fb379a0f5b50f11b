//! The GPT line: GPT-2, GPT-Neo, GPT-J, CodeGen, GPT-NeoX (Pythia) and GPT-BigCode.

use super::decoder::{Decoded, activation, depth, fold, head_size, layer_norm, model, plain_attention};
use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{Attention, AttentionBias, FeedForward, LayerRun, Mlp, NormPlacement, Positions, Rope};

/// The sizes under the names of GPT-2, with the general names as a second choice.
struct Gpt {
    vocabulary: u64,
    hidden: u64,
    depth: u64,
    heads: u64,
    head_size: u64,
    inner: u64,
    context: u64,
}

impl Gpt {
    fn read(
        fields: &Fields,
        vocabulary: u64,
        [hidden, layers, heads, context]: [u64; 4],
    ) -> Result<Self, FormatsError> {
        let either =
            |first: &'static str, second: &'static str| if fields.has(first) { first } else { second };
        let hidden = fields.size(either("n_embd", "hidden_size"), hidden)?;
        let heads = fields.size(either("n_head", "num_attention_heads"), heads)?;
        let inner = fields.optional_size("n_inner", None)?;
        fields.must_be("add_cross_attention", false, "a decoder alone")?;
        Ok(Self {
            vocabulary: fields.size("vocab_size", vocabulary)?,
            hidden,
            depth: depth(fields, either("n_layer", "num_hidden_layers"), layers)?,
            heads,
            head_size: head_size(fields, hidden, heads)?,
            inner: inner.unwrap_or(hidden.saturating_mul(4)),
            context: fields.size(either("n_positions", "max_position_embeddings"), context)?,
        })
    }

    fn mlp(&self, fields: &Fields, default: &'static str) -> Result<FeedForward, FormatsError> {
        let activation = activation(fields, "activation_function", default)?;
        Ok(FeedForward::Dense(Mlp { size: self.inner, gated: false, activation, bias: true }))
    }
}

const ALL_BIASES: AttentionBias = AttentionBias { qkv: true, output: true };

/// `gpt2`.
pub(super) fn gpt2(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Gpt::read(fields, 50_257, [768, 12, 12, 1024])?;
    let by_index = fields.flag("scale_attn_by_inverse_layer_idx", false)?;
    let by_size = fields.flag("scale_attn_weights", true)?;
    fields.ignore(&["reorder_and_upcast_attn"]);
    let ffn = sizes.mlp(fields, "gelu_new")?;
    let layers = fold(sizes.depth, |index| {
        let size_scale = if by_size { 1.0 / (sizes.head_size as f64).sqrt() } else { 1.0 };
        let scale = size_scale / if by_index { index as f64 + 1.0 } else { 1.0 };
        let scale = (!by_size || by_index).then_some(scale);
        let plain = plain_attention(sizes.heads, sizes.heads, sizes.head_size);
        Ok((Attention { bias: ALL_BIASES, scale, ..plain }, ffn.clone()))
    })?;
    let mut architecture = model(sizes.hidden, sizes.vocabulary, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.positions = Positions::Learned { context: sizes.context, offset: 0 };
    Ok(Decoded { architecture, context: Some(sizes.context) })
}

/// `gpt_bigcode`: GPT-2 with one key and value head (SantaCoder, StarCoder).
pub(super) fn gpt_bigcode(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Gpt::read(fields, 50_257, [768, 12, 12, 1024])?;
    let kv_heads = if fields.flag("multi_query", true)? { 1 } else { sizes.heads };
    fields.must_be("num_key_value_heads", kv_heads, "as `multi_query` says")?;
    let scale = if fields.flag("scale_attn_weights", true)? { None } else { Some(1.0) };
    let attention =
        Attention { bias: ALL_BIASES, scale, ..plain_attention(sizes.heads, kv_heads, sizes.head_size) };
    let ffn = sizes.mlp(fields, "gelu_pytorch_tanh")?;
    let layers = vec![LayerRun { repeat: sizes.depth, attention, ffn }];
    let mut architecture = model(sizes.hidden, sizes.vocabulary, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.positions = Positions::Learned { context: sizes.context, offset: 0 };
    Ok(Decoded { architecture, context: Some(sizes.context) })
}

/// `gptj` and `codegen`: parallel branches behind one norm, neighbouring pairs rotated, a bias on the head.
pub(super) fn gptj(fields: &Fields) -> Result<Decoded, FormatsError> {
    let sizes = Gpt::read(fields, 50_400, [4096, 28, 16, 2048])?;
    let rotated = fields.optional_size("rotary_dim", Some(64))?.unwrap_or(sizes.hidden);
    fields.must_be("rotary", true, "this family rotates")?;
    let rope = Rope {
        base: 10_000.0,
        rotated: (rotated != sizes.head_size).then_some(rotated),
        interleaved: true,
        scaling: None,
    };
    let attention =
        Attention { rope: Some(rope), ..plain_attention(sizes.heads, sizes.heads, sizes.head_size) };
    let ffn = sizes.mlp(fields, "gelu_new")?;
    let layers = vec![LayerRun { repeat: sizes.depth, attention, ffn }];
    let mut architecture = model(sizes.hidden, sizes.vocabulary, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", false)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.norm_placement = NormPlacement::ParallelOneNorm;
    architecture.head_bias = true;
    Ok(Decoded { architecture, context: Some(sizes.context) })
}

/// `gpt_neo`: unscaled scores, a window on every second layer.
pub(super) fn gpt_neo(fields: &Fields) -> Result<Decoded, FormatsError> {
    let hidden = fields.size("hidden_size", 2048)?;
    let heads_name = if fields.has("num_attention_heads") { "num_attention_heads" } else { "num_heads" };
    let heads = fields.size(heads_name, 16)?;
    let depth_name = if fields.has("num_hidden_layers") { "num_hidden_layers" } else { "num_layers" };
    let depth = depth(fields, depth_name, 24)?;
    let head_size = head_size(fields, hidden, heads)?;
    let inner = fields.optional_size("intermediate_size", None)?.unwrap_or(hidden.saturating_mul(4));
    let context = fields.size("max_position_embeddings", 2048)?;
    let window = fields.size("window_size", 256)?;
    let local = neo_layers(fields, depth)?;
    let activation = activation(fields, "activation_function", "gelu_new")?;
    let ffn = FeedForward::Dense(Mlp { size: inner, gated: false, activation, bias: true });
    let layers = fold(depth, |index| {
        let attention = Attention {
            window: local[index as usize].then_some(window),
            bias: AttentionBias { qkv: false, output: true },
            scale: Some(1.0),
            ..plain_attention(heads, heads, head_size)
        };
        Ok((attention, ffn.clone()))
    })?;
    let mut architecture = model(hidden, fields.size("vocab_size", 50_257)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", true)?;
    architecture.norm = layer_norm(fields, "layer_norm_epsilon", 1e-5)?;
    architecture.positions = Positions::Learned { context, offset: 0 };
    Ok(Decoded { architecture, context: Some(context) })
}

/// Which layers are local: `attention_layers` lists them, or `attention_types` repeats a pattern, such as
/// `[[["global", "local"], 12]]`.
fn neo_layers(fields: &Fields, depth: u64) -> Result<Vec<bool>, FormatsError> {
    let local = |name: &str, kind: &serde_json::Value| match kind.as_str() {
        Some("local") => Ok(true),
        Some("global") => Ok(false),
        _ => Err(fields.refuse(name, kind, "`global` or `local`")),
    };
    let listed = fields.list("attention_layers")?;
    let mut layers = Vec::new();
    match fields.list("attention_types")? {
        Some(patterns) => {
            for pattern in patterns {
                let parts = pattern.as_array().map(Vec::as_slice);
                let Some([serde_json::Value::Array(kinds), times]) = parts else {
                    return Err(fields.refuse("attention_types", pattern, "a list of kinds and a count"));
                };
                let Some(times) = times.as_u64().filter(|&times| times <= depth) else {
                    return Err(fields.refuse("attention_types", times, format!("a count up to {depth}")));
                };
                for _ in 0..times {
                    for kind in kinds {
                        layers.push(local("attention_types", kind)?);
                    }
                    if layers.len() as u64 > depth {
                        break;
                    }
                }
            }
        }
        None => match listed {
            Some(kinds) => {
                layers =
                    kinds.iter().map(|kind| local("attention_layers", kind)).collect::<Result<_, _>>()?;
            }
            None => layers = (0..24).map(|index| index % 2 == 1).collect(),
        },
    }
    if layers.len() as u64 != depth {
        let found = format!("{} layers", layers.len());
        return Err(fields.refuse("attention_types", found, format!("the {depth} layers of the model")));
    }
    Ok(layers)
}

/// `gpt_neox`: Pythia and GPT-NeoX.
pub(super) fn gpt_neox(fields: &Fields) -> Result<Decoded, FormatsError> {
    let hidden = fields.size("hidden_size", 6144)?;
    let heads = fields.size("num_attention_heads", 64)?;
    let depth = depth(fields, "num_hidden_layers", 44)?;
    let head_size = head_size(fields, hidden, heads)?;
    let context = fields.size("max_position_embeddings", 2048)?;
    let theta = fields.number("rotary_emb_base", 10_000.0)?;
    let partial = fields.number("rotary_pct", 0.25)?;
    let rope = rope::read(fields, RopeDefaults { theta, partial, interleaved: false, head_size, context })?;
    let bias = fields.flag("attention_bias", true)?;
    let attention = Attention {
        rope: Some(rope),
        bias: AttentionBias { qkv: bias, output: bias },
        ..plain_attention(heads, heads, head_size)
    };
    let size = fields.size("intermediate_size", 24_576)?;
    let activation = activation(fields, "hidden_act", "gelu")?;
    let ffn = FeedForward::Dense(Mlp { size, gated: false, activation, bias: true });
    let layers = vec![LayerRun { repeat: depth, attention, ffn }];
    let mut architecture = model(hidden, fields.size("vocab_size", 50_432)?, layers);
    architecture.tied_embeddings = fields.flag("tie_word_embeddings", false)?;
    architecture.norm = layer_norm(fields, "layer_norm_eps", 1e-5)?;
    let parallel = fields.flag("use_parallel_residual", true)?;
    architecture.norm_placement = if parallel { NormPlacement::ParallelTwoNorms } else { NormPlacement::Pre };
    Ok(Decoded { architecture, context: Some(context) })
}
