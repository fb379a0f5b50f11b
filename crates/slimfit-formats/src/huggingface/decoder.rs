//! What nearly all families share: the sizes under their usual names, and how layers become an architecture.

use super::fields::Fields;
use super::rope::{self, RopeDefaults};
use crate::FormatsError;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, MAX_STORED_LAYERS, Mlp, Norm,
    NormKind, NormPlacement, Positions, QkNorm, Rope, Scales,
};

/// What a config of a supported family says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoded {
    pub(super) architecture: Architecture,
    /// Tokens that the model was made for.
    pub(super) context: Option<u64>,
}

/// The sizes that a class assumes where a config leaves them out.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    pub(super) vocabulary: u64,
    pub(super) hidden: u64,
    pub(super) ffn: u64,
    pub(super) depth: u64,
    pub(super) heads: u64,
    /// None: as many as heads.
    pub(super) kv_heads: Option<u64>,
    /// None: hidden size / heads.
    pub(super) head_size: Option<u64>,
    pub(super) context: u64,
    pub(super) epsilon: f64,
    pub(super) theta: f64,
    pub(super) tied: bool,
}

/// Llama's class; other families differ from it in a few fields.
pub(super) const LLAMA: Defaults = Defaults {
    vocabulary: 32_000,
    hidden: 4096,
    ffn: 11_008,
    depth: 32,
    heads: 32,
    kv_heads: None,
    head_size: None,
    context: 2048,
    epsilon: 1e-6,
    theta: 10_000.0,
    tied: false,
};

/// The sizes of one config.
pub(super) struct Sizes {
    pub(super) vocabulary: u64,
    pub(super) hidden: u64,
    pub(super) ffn: u64,
    pub(super) depth: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    pub(super) head_size: u64,
    pub(super) context: u64,
    pub(super) tied: bool,
    theta: f64,
}

impl Sizes {
    /// Reads the usual names.
    pub(super) fn read(fields: &Fields, defaults: Defaults) -> Result<Self, FormatsError> {
        let hidden = fields.size("hidden_size", defaults.hidden)?;
        let heads = fields.size("num_attention_heads", defaults.heads)?;
        let kv_heads = fields.optional_size("num_key_value_heads", defaults.kv_heads)?.unwrap_or(heads);
        let head_size = match fields.optional_size("head_dim", defaults.head_size)? {
            Some(size) => size,
            None => head_size(fields, hidden, heads)?,
        };
        Ok(Self {
            vocabulary: fields.size("vocab_size", defaults.vocabulary)?,
            hidden,
            ffn: fields.size("intermediate_size", defaults.ffn)?,
            depth: depth(fields, "num_hidden_layers", defaults.depth)?,
            heads,
            kv_heads,
            head_size,
            context: fields.size("max_position_embeddings", defaults.context)?,
            tied: fields.flag("tie_word_embeddings", defaults.tied)?,
            theta: defaults.theta,
        })
    }

    /// What the rotation needs to know, with all of each head rotating by default.
    pub(super) fn rope_defaults(&self) -> RopeDefaults {
        let Self { theta, head_size, context, .. } = *self;
        RopeDefaults { theta, partial: 1.0, interleaved: false, head_size, context }
    }

    /// The rotation under its usual names.
    pub(super) fn rope(&self, fields: &Fields) -> Result<Rope, FormatsError> {
        rope::read(fields, self.rope_defaults())
    }

    /// Attention without biases, norms or window.
    pub(super) fn attention(&self, rope: Option<Rope>) -> Attention {
        let Self { heads, kv_heads, head_size, .. } = *self;
        Attention { rope, ..plain_attention(heads, kv_heads, head_size) }
    }

    /// Equal layers with a gated feed-forward part.
    pub(super) fn gated(&self, activation: Activation, bias: bool) -> FeedForward {
        FeedForward::Dense(Mlp { size: self.ffn, gated: true, activation, bias })
    }

    /// Equal layers with an ungated feed-forward part.
    pub(super) fn ungated(&self, activation: Activation, bias: bool) -> FeedForward {
        FeedForward::Dense(Mlp { size: self.ffn, gated: false, activation, bias })
    }

    /// A pre-norm model of equal layers.
    pub(super) fn uniform(&self, norm: Norm, attention: Attention, ffn: FeedForward) -> Architecture {
        self.model(norm, vec![LayerRun { repeat: self.depth, attention, ffn }])
    }

    /// A pre-norm model of these layers.
    pub(super) fn model(&self, norm: Norm, layers: Vec<LayerRun>) -> Architecture {
        Architecture { tied_embeddings: self.tied, norm, ..model(self.hidden, self.vocabulary, layers) }
    }

    /// The architecture with its context.
    pub(super) fn decoded(&self, architecture: Architecture) -> Decoded {
        Decoded { architecture, context: Some(self.context) }
    }
}

/// Attention without positions, biases, norms or window.
pub(super) fn plain_attention(heads: u64, kv_heads: u64, head_size: u64) -> Attention {
    Attention {
        heads,
        kv_heads,
        head_size,
        window: None,
        rope: None,
        bias: AttentionBias::default(),
        qk_norm: QkNorm::None,
        scale: None,
        softcap: None,
        qkv_clip: None,
    }
}

/// A pre-norm model with an untied head and the default norm.
pub(super) fn model(hidden_size: u64, vocabulary_size: u64, layers: Vec<LayerRun>) -> Architecture {
    Architecture {
        hidden_size,
        vocabulary_size,
        tied_embeddings: false,
        embedding_size: None,
        layers,
        positions: Positions::None,
        norm: Norm::default(),
        norm_placement: NormPlacement::Pre,
        embedding_norm: false,
        final_norm: true,
        head_bias: false,
        scales: Scales::default(),
        loops: None,
    }
}

/// Hidden size / heads, where that is whole.
pub(super) fn head_size(fields: &Fields, hidden: u64, heads: u64) -> Result<u64, FormatsError> {
    if heads == 0 || !hidden.is_multiple_of(heads) {
        let allowed = format!("a divisor of the hidden size {hidden} where no head size is given");
        return Err(fields.refuse("num_attention_heads", heads, allowed));
    }
    Ok(hidden / heads)
}

/// A number of layers: at least one, and few enough to be walked one by one.
pub(super) fn depth(fields: &Fields, name: &str, default: u64) -> Result<u64, FormatsError> {
    let depth = fields.size(name, default)?;
    if depth == 0 {
        return Err(fields.refuse(name, depth, "at least 1 layer"));
    }
    if depth > MAX_STORED_LAYERS {
        return Err(fields.refuse(name, depth, format!("at most {MAX_STORED_LAYERS} layers")));
    }
    Ok(depth)
}

/// Layers made one by one, equal neighbours folded.
pub(super) fn fold(
    depth: u64,
    mut layer: impl FnMut(u64) -> Result<(Attention, FeedForward), FormatsError>,
) -> Result<Vec<LayerRun>, FormatsError> {
    let mut runs: Vec<LayerRun> = Vec::new();
    for index in 0..depth {
        let (attention, ffn) = layer(index)?;
        match runs.last_mut() {
            Some(last) if last.attention == attention && last.ffn == ffn => last.repeat += 1,
            _ => runs.push(LayerRun { repeat: 1, attention, ffn }),
        }
    }
    Ok(runs)
}

/// An RMS norm with the usual field.
pub(super) fn rms(fields: &Fields, default: f64) -> Result<Norm, FormatsError> {
    let epsilon = fields.number("rms_norm_eps", default)?;
    Ok(Norm { kind: NormKind::Rms, epsilon, weight_plus_one: false })
}

/// A norm of mean and variance with weight and bias.
pub(super) fn layer_norm(fields: &Fields, name: &str, default: f64) -> Result<Norm, FormatsError> {
    Ok(Norm { kind: NormKind::Layer, epsilon: fields.number(name, default)?, weight_plus_one: false })
}

/// The non-linearity under a field's name.
pub(super) fn activation(
    fields: &Fields,
    name: &str,
    default: &'static str,
) -> Result<Activation, FormatsError> {
    match fields.text(name, default)? {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "relu2" => Ok(Activation::ReluSquared),
        other => {
            let allowed = "silu, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, relu2";
            Err(fields.refuse(name, other, allowed))
        }
    }
}

/// Whether each layer has a window, from `layer_types` where the config lists them, else from `sliding` by index.
pub(super) fn sliding_layers(
    fields: &Fields,
    depth: u64,
    sliding: impl Fn(u64) -> bool,
) -> Result<Vec<bool>, FormatsError> {
    let Some(kinds) = fields.list("layer_types")? else { return Ok((0..depth).map(sliding).collect()) };
    if kinds.len() as u64 != depth {
        let found = format!("a list of {}", kinds.len());
        return Err(fields.refuse("layer_types", found, format!("{depth} kinds, one for each layer")));
    }
    let kind = |(index, kind): (usize, &serde_json::Value)| match kind.as_str() {
        Some("sliding_attention") => Ok(true),
        Some("full_attention") => Ok(false),
        _ => {
            let allowed = "`full_attention` or `sliding_attention`";
            Err(fields.refuse(&format!("layer_types[{index}]"), kind, allowed))
        }
    };
    kinds.iter().enumerate().map(kind).collect()
}
