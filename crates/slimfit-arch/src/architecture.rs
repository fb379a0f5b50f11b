//! What a decoder-only language model is: every shape that its counts, its bytes and its logits depend on.

use crate::ArchitectureError;
use serde::{Deserialize, Serialize};

/// A decoder-only transformer, layer by layer.
///
/// It says everything that counts and logits need, and nothing about weights, tokenizers or devices. Values here are
/// only *written down*; [`Architecture::validate`](crate::Architecture::validate) says whether they fit together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Rows of the embedding table.
    pub vocabulary_size: u64,
    /// Whether the output head is the embedding table itself.
    #[serde(default)]
    pub tied_embeddings: bool,
    /// Width of the embedding table where it differs from `hidden_size` (factorised embeddings: two projections).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<u64>,
    /// The layers, first to last, equal neighbours folded into one entry.
    pub layers: Vec<LayerRun>,
    /// How positions enter outside the attention.
    #[serde(default, skip_serializing_if = "is_default")]
    pub positions: Positions,
    /// The kind of normalisation, everywhere in the model.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: Norm,
    /// Where each layer's norms stand.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm_placement: NormPlacement,
    /// A norm right after the embedding table (BLOOM).
    #[serde(default, skip_serializing_if = "is_default")]
    pub embedding_norm: bool,
    /// Whether a norm stands before the output head. False only where it is missing (OPT-350m).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub final_norm: bool,
    /// A bias on the output head (Phi-2).
    #[serde(default, skip_serializing_if = "is_default")]
    pub head_bias: bool,
    /// Constants that scale activations and logits; 1 and absent for most models.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scales: Scales,
    /// Layers that run more than once (recurrent depth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loops: Option<Loops>,
}

/// `repeat` equal layers in a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRun {
    /// How many.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: u64,
    /// Their attention.
    pub attention: Attention,
    /// Their feed-forward part.
    pub ffn: FeedForward,
}

/// Self-attention of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Query heads.
    pub heads: u64,
    /// Key and value heads: `heads` is MHA, 1 is MQA, between them GQA.
    pub kv_heads: u64,
    /// Size of one head; `heads * head_size` may differ from the hidden size.
    pub head_size: u64,
    /// Keys a query sees, itself included; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// Rotary positions; absent: none (GPT-2, OPT, layers without positions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope: Option<Rope>,
    /// Biases of the projections.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias: AttentionBias,
    /// Norm of queries and keys.
    #[serde(default, skip_serializing_if = "is_default")]
    pub qk_norm: QkNorm,
    /// Factor on query·key; absent: 1/√head_size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Scores become cap·tanh(score/cap) (Gemma 2), before an ALiBi bias is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softcap: Option<f64>,
    /// Queries, keys and values are clamped to ±this after the projection (OLMo).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qkv_clip: Option<f64>,
}

/// Which attention projections have a bias.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionBias {
    /// Query, key and value.
    #[serde(default)]
    pub qkv: bool,
    /// Output.
    #[serde(default)]
    pub output: bool,
}

/// Norms of queries and keys, of the model's norm kind, before the rotation unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// None.
    #[default]
    None,
    /// One weight of `head_size` values shared by all heads (Qwen 3, Gemma 3).
    PerHead,
    /// The same, after the rotation (Hunyuan).
    PerHeadAfterRotation,
    /// A weight for each head: `heads * head_size` values, normalised head by head, never a bias (StableLM 2 12B,
    /// Cohere).
    EachHead,
    /// One norm over all heads together: `heads * head_size` values (OLMo 2).
    AllHeads,
}

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rope {
    /// The base θ: 10 000, 500 000, 1 000 000 …
    pub base: f64,
    /// The part of each head that rotates, in values; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<u64>,
    /// Whether pairs are neighbours (GPT-J) rather than halves (GPT-NeoX, Llama in Hugging Face's layout).
    #[serde(default, skip_serializing_if = "is_default")]
    pub interleaved: bool,
    /// Changes to the frequencies for long contexts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<RopeScaling>,
}

/// How rotary frequencies are stretched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RopeScaling {
    /// All frequencies divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Dynamic NTK: up to `original_context` tokens nothing changes; a longer sequence of n tokens raises the base by
    /// `(factor * n / original_context - factor + 1)^(rotated / (rotated - 2))`.
    Dynamic {
        /// The factor.
        factor: f64,
        /// The context the model was trained on.
        original_context: u64,
    },
    /// Llama 3.1: low frequencies divided, high kept, smooth between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths longer than context / this are divided.
        low_frequency_factor: f64,
        /// Wavelengths shorter than context / this are kept.
        high_frequency_factor: f64,
        /// The context the model was first trained on.
        original_context: u64,
    },
    /// YaRN (arXiv 2309.00071).
    Yarn {
        /// The divisor.
        factor: f64,
        /// Rotations above which a frequency is kept.
        beta_fast: f64,
        /// Rotations below which a frequency is divided.
        beta_slow: f64,
        /// The context the model was first trained on.
        original_context: u64,
        /// Factor on queries and keys; absent: 0.1 ln(factor) + 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attention_factor: Option<f64>,
    },
    /// Phi-3 LongRoPE: one divisor for each frequency, one list for short and one for long contexts.
    LongRope {
        /// Divisors within the original context.
        short_factor: Vec<f64>,
        /// Divisors past it.
        long_factor: Vec<f64>,
        /// The context the model was first trained on.
        original_context: u64,
        /// Factor on cos and sin.
        attention_factor: f64,
    },
}

/// The feed-forward part of one layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeedForward {
    /// Every token goes through the same matrices.
    Dense(Mlp),
    /// Every token goes through `top_k` of `experts` and through the shared part.
    Moe(Moe),
}

/// Two matrices, or three when gated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Inner width.
    pub size: u64,
    /// Whether a gate multiplies the inner activations (SwiGLU, GeGLU): three matrices.
    #[serde(default = "yes")]
    pub gated: bool,
    /// The non-linearity.
    #[serde(default)]
    pub activation: Activation,
    /// Biases on all of its matrices.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bias: bool,
}

/// A mixture of experts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moe {
    /// Experts to choose from.
    pub experts: u64,
    /// Experts each token visits.
    pub top_k: u64,
    /// Inner width of one expert.
    pub expert_size: u64,
    /// Whether experts are gated.
    #[serde(default = "yes")]
    pub gated: bool,
    /// The non-linearity.
    #[serde(default)]
    pub activation: Activation,
    /// Inner width of the part every token visits (shared experts together); 0: none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared_size: u64,
    /// Whether a learned sigmoid scales the shared part (Qwen 1.5 MoE).
    #[serde(default, skip_serializing_if = "is_default")]
    pub shared_gate: bool,
    /// Whether the chosen weights are scaled to sum to 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub normalise_top_k: bool,
    /// A bias on the router.
    #[serde(default, skip_serializing_if = "is_default")]
    pub router_bias: bool,
}

/// The non-linearity of a feed-forward part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x·sigmoid(x).
    #[default]
    Silu,
    /// x·Φ(x), exact.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// max(x, 0)².
    ReluSquared,
}

/// Normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Norm {
    /// The formula.
    pub kind: NormKind,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether the stored weight is an offset from 1 (Gemma).
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight_plus_one: bool,
}

impl Default for Norm {
    fn default() -> Self {
        Self { kind: NormKind::Rms, epsilon: 1e-5, weight_plus_one: false }
    }
}

/// The formula of a norm and what it stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// Root mean square, one weight.
    #[default]
    Rms,
    /// Mean and variance, weight and bias.
    Layer,
    /// Mean and variance, weight only.
    LayerNoBias,
    /// Mean and variance, nothing stored (OLMo).
    LayerPlain,
}

/// Where the norms of a layer stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// x + attention(norm(x)), then x + ffn(norm(x)): two norms.
    #[default]
    Pre,
    /// norm(x + attention(x)), norm(x + ffn(x)): two norms (OPT-350m).
    Post,
    /// x + norm(attention(x)), x + norm(ffn(x)): two norms (OLMo 2).
    PostBranch,
    /// x + norm(attention(norm(x))), the same for the ffn: four norms (Gemma 2 and 3).
    Sandwich,
    /// x + attention(norm(x)) + ffn(norm(x)): one norm (Phi, Falcon 7B, GPT-J).
    ParallelOneNorm,
    /// x + attention(norm_a(x)) + ffn(norm_b(x)): two norms (GPT-NeoX).
    ParallelTwoNorms,
}

/// How positions enter outside the attention's rotation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Positions {
    /// They do not (rotary models).
    #[default]
    None,
    /// A learned table added to the embeddings.
    Learned {
        /// Rows that can be used as positions.
        context: u64,
        /// Rows stored before the first position (2 in OPT).
        #[serde(default)]
        offset: u64,
    },
    /// A bias on the scores that falls with distance (BLOOM); stores nothing.
    Alibi,
    /// The same bias, added before the scores are scaled by 1/√head_size (Falcon RW).
    ScaledAlibi,
}

/// Constants on activations and logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scales {
    /// Embeddings are multiplied by this (Gemma: √hidden).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<f64>,
    /// Each branch is multiplied by this before it is added (Granite, MiniCPM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual: Option<f64>,
    /// Logits are multiplied by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<f64>,
    /// Logits become cap·tanh(logit/cap) (Gemma 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_softcap: Option<f64>,
}

/// Layers `first..first + layers` run `count` times before the model goes on; their weights are stored once, their KV
/// cache once per pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loops {
    /// The first looped layer, from 0.
    pub first: u64,
    /// How many layers loop.
    pub layers: u64,
    /// Passes through them.
    pub count: u64,
    /// Whether each layer repeats at once (0 0 1 1, MobileLLM-LS) instead of the whole block (0 1 0 1).
    #[serde(default, skip_serializing_if = "is_default")]
    pub immediate: bool,
}

impl Architecture {
    /// Stored layers.
    pub fn depth(&self) -> u64 {
        self.layers.iter().fold(0, |depth: u64, run| depth.saturating_add(run.repeat))
    }

    /// Stored layers one by one, first to last.
    pub fn each_layer(&self) -> impl Iterator<Item = &LayerRun> {
        self.layers.iter().flat_map(|run| std::iter::repeat_n(run, run.repeat as usize))
    }

    /// The same model with another number of passes through its looped layers: how long it thinks is a choice at
    /// inference, its weights stay the same.
    ///
    /// # Errors
    /// It has no looped layers, or so many passes are impossible.
    pub fn with_loop_count(&self, count: u64) -> Result<Self, ArchitectureError> {
        let Some(loops) = self.loops else {
            return Err(ArchitectureError::NotLooped { count });
        };
        let looped = Self { loops: Some(Loops { count, ..loops }), ..self.clone() };
        looped.validate()?;
        Ok(looped)
    }

    /// Indices of stored layers in the order they run, loops unrolled.
    pub fn execution_order(&self) -> Vec<u64> {
        let depth = self.depth();
        let Some(Loops { first, layers, count, immediate }) = self.loops else { return (0..depth).collect() };
        let after = first.saturating_add(layers).min(depth);
        let mut order: Vec<u64> = (0..first.min(depth)).collect();
        if immediate {
            order.extend((first..after).flat_map(|layer| std::iter::repeat_n(layer, count as usize)));
        } else {
            order.extend((0..count).flat_map(|_| first..after));
        }
        order.extend(after..depth);
        order
    }
}

impl Attention {
    /// Values of all query heads.
    pub fn query_size(&self) -> u64 {
        self.heads.saturating_mul(self.head_size)
    }

    /// Values of all key heads, which is also those of all value heads.
    pub fn kv_size(&self) -> u64 {
        self.kv_heads.saturating_mul(self.head_size)
    }
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

fn one() -> u64 {
    1
}

fn is_one(value: &u64) -> bool {
    *value == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
