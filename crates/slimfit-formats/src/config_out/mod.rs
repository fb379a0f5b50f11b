//! [`Architecture`] → Hugging Face `config.json`, in the narrowest standard class that holds it, or as slimfit's own model
//! type.
//!
//! A class is data (`classes.rs`): what it lets vary and what it fixes. `write.rs` writes the fields; a test reads every
//! written config back and wants the same architecture.

mod classes;
mod custom;
mod obstacles;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
mod write;

pub use crate::obstacles::Obstacle;
pub use custom::{
    CUSTOM_CLASS, CUSTOM_MODEL_TYPE, CUSTOM_MODULE, custom_config_json, generation_config_json,
};
pub use obstacles::NoClass;

pub(crate) use custom::summary;

use crate::obstacles::narrowest;
use slimfit_arch::Architecture;

/// A class of the `transformers` library that exists without code of its own beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// One pre-norm RMS transformer: gated, rotary, no windows.
    Llama,
    /// Llama with one window on all layers.
    Mistral,
    /// Llama without a gate.
    Arcee,
    /// Biases on query, key and value; windows on some layers.
    Qwen2,
    /// A norm on queries and keys; windows on some layers.
    Qwen3,
    /// Mistral with windows on some layers.
    Ministral,
    /// Llama with layers without positions, and windows on some.
    SmolLm3,
    /// Llama with constants on embeddings, branches, scores and logits.
    Granite,
    /// Norms after the branches, queries and keys normed over all heads.
    Olmo2,
    /// Norm weights as offsets from 1, embeddings scaled by √hidden.
    Gemma,
    /// Gemma with norms on both sides of the branches, windows, and capped scores and logits.
    Gemma2,
    /// Gemma 2 with a norm on queries and keys and a base of its own for windowed layers.
    Gemma3,
    /// Mistral with experts in every layer.
    Mixtral,
    /// Qwen 2 with experts, and a shared part behind a sigmoid.
    Qwen2Moe,
    /// Qwen 3 with experts.
    Qwen3Moe,
}

impl Class {
    /// Every class, narrowest first: the order in which they are tried.
    pub const ALL: [Self; 15] = [
        Self::Llama,
        Self::Mistral,
        Self::Arcee,
        Self::Qwen2,
        Self::Qwen3,
        Self::Ministral,
        Self::SmolLm3,
        Self::Granite,
        Self::Olmo2,
        Self::Gemma,
        Self::Gemma2,
        Self::Gemma3,
        Self::Mixtral,
        Self::Qwen2Moe,
        Self::Qwen3Moe,
    ];

    /// The `model_type` in the config.
    pub const fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Arcee => "arcee",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Ministral => "ministral",
            Self::SmolLm3 => "smollm3",
            Self::Granite => "granite",
            Self::Olmo2 => "olmo2",
            Self::Gemma => "gemma",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3_text",
            Self::Mixtral => "mixtral",
            Self::Qwen2Moe => "qwen2_moe",
            Self::Qwen3Moe => "qwen3_moe",
        }
    }

    /// The class in `architectures`.
    pub const fn class_name(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Arcee => "ArceeForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Ministral => "MinistralForCausalLM",
            Self::SmolLm3 => "SmolLM3ForCausalLM",
            Self::Granite => "GraniteForCausalLM",
            Self::Olmo2 => "Olmo2ForCausalLM",
            Self::Gemma => "GemmaForCausalLM",
            Self::Gemma2 => "Gemma2ForCausalLM",
            Self::Gemma3 => "Gemma3ForCausalLM",
            Self::Mixtral => "MixtralForCausalLM",
            Self::Qwen2Moe => "Qwen2MoeForCausalLM",
            Self::Qwen3Moe => "Qwen3MoeForCausalLM",
        }
    }
}

/// The narrowest class that holds a (validated) architecture with exactly its tensors and arithmetic. Cheap when one
/// does: a search may ask it for every point.
///
/// # Errors
/// [`NoClass`] names the class that comes nearest and what stands in its way.
pub fn standard_class(architecture: &Architecture) -> Result<Class, NoClass> {
    narrowest(&Class::ALL, |class| obstacles::obstacles(class, architecture))
        .map_err(|(nearest, obstacles)| NoClass { nearest, obstacles })
}

/// The `config.json` of [`standard_class`]. `context` becomes `max_position_embeddings`; absent: 2048.
///
/// # Errors
/// [`NoClass`] when no class holds the architecture.
pub fn config_json(architecture: &Architecture, context: Option<u64>) -> Result<serde_json::Value, NoClass> {
    let class = standard_class(architecture)?;
    Ok(write::config(class, &architecture.normalised(), context.unwrap_or(2048)))
}

/// The class that a model's files are written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
    /// One of the library's own.
    Standard(Class),
    /// slimfit's, whose code lies beside the config; and what keeps the architecture out of the others.
    Custom(NoClass),
}

impl HeldBy {
    /// The narrowest class that holds a (validated) architecture; slimfit's holds every one.
    pub fn narrowest(architecture: &Architecture) -> Self {
        standard_class(architecture).map_or_else(Self::Custom, Self::Standard)
    }

    /// The class in `architectures`.
    pub const fn class_name(&self) -> &'static str {
        match self {
            Self::Standard(class) => class.class_name(),
            Self::Custom(_) => CUSTOM_CLASS,
        }
    }

    /// Why no standard class would do.
    pub const fn reason(&self) -> Option<&NoClass> {
        match self {
            Self::Standard(_) => None,
            Self::Custom(reason) => Some(reason),
        }
    }

    /// The `config.json` of a (validated) architecture in this class. `context` becomes `max_position_embeddings`.
    pub fn config_json(&self, architecture: &Architecture, context: u64) -> serde_json::Value {
        match self {
            Self::Standard(class) => write::config(*class, &architecture.normalised(), context),
            Self::Custom(_) => custom_config_json(architecture, Some(context)),
        }
    }
}
