//! [`Architecture`] → the architecture of upstream llama.cpp that computes exactly the same function from a GGUF file.
//!
//! A family is data (`families.rs`): which tensors its loader asks for and what its graph fixes. The facts are those of
//! `src/models/*.cpp` and `src/llama-hparams.cpp` of llama.cpp as of llama-cpp-python 0.3.36, kept to what earlier
//! releases do too: where only a recent one reads a key, the value that all of them take is asked for. Norms whose weight
//! is an offset from 1 are held by every family: files store the sum. [`GgufOutput`] writes the file.
//!
//! What no family holds has a container of slimfit's own, which llama.cpp does not load: [`ContainerOutput`].

mod container;
#[cfg(test)]
mod container_tests;
mod entry;
mod families;
mod file;
mod metadata;
mod obstacles;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod tokenizer;
mod write;

pub use container::ContainerOutput;
pub use obstacles::NoFamily;
pub use write::GgufOutput;

use crate::obstacles::{Obstacle, narrowest};
use slimfit_arch::Architecture;
use slimfit_quantity::NumberFormat;

/// A value of `general.architecture` whose graph is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Pre-norm RMS, gated SiLU, biases on query, key and value, heads as wide as the model.
    Qwen2,
    /// Pre-norm RMS, gated SiLU, any biases, heads of any width; experts in every layer are Mixtral's.
    Llama,
    /// Llama with a norm on queries and keys.
    Qwen3,
    /// Llama without a gate, with ReLU².
    Arcee,
    /// Llama with every 4th layer without positions.
    SmolLm3,
    /// Llama with constants on embeddings, branches, scores and logits.
    Granite,
    /// Llama that rotates a part of each head, heads as wide as the model.
    Phi3,
    /// Norms after the branches, queries and keys normed over all heads; a window on all but every 4th layer, or none.
    Olmo2,
    /// Gated GELU, embeddings scaled by √hidden, tied.
    Gemma,
    /// Gemma with norms on both sides of the branches, capped scores and logits, a window on every 2nd layer.
    Gemma2,
    /// Gemma with norms on both sides of the branches and on queries and keys, a window on all but every 6th layer.
    Gemma3,
    /// LayerNorm, GELU without a gate, learned positions.
    Gpt2,
    /// LayerNorm, GELU without a gate, biases everywhere, rotary.
    StarCoder2,
    /// LayerNorm, gated SiLU, part of each head rotated.
    StableLm,
    /// LayerNorm, ReLU² without a gate, part of each head rotated.
    Nemotron,
    /// LayerNorm, GELU without a gate, both branches from the same stream or one after the other.
    GptNeoX,
    /// LayerNorm, GELU without a gate, both branches from one norm.
    Phi2,
    /// Qwen 2 with experts, and a shared part behind a sigmoid.
    Qwen2Moe,
    /// Qwen 3 with experts.
    Qwen3Moe,
}

impl Family {
    /// Every family, narrowest first: the order in which they are tried.
    pub const ALL: [Self; 19] = [
        Self::Qwen2,
        Self::Llama,
        Self::Qwen3,
        Self::Arcee,
        Self::SmolLm3,
        Self::Granite,
        Self::Phi3,
        Self::Olmo2,
        Self::Gemma,
        Self::Gemma2,
        Self::Gemma3,
        Self::Gpt2,
        Self::StarCoder2,
        Self::StableLm,
        Self::Nemotron,
        Self::GptNeoX,
        Self::Phi2,
        Self::Qwen2Moe,
        Self::Qwen3Moe,
    ];

    /// Its `general.architecture`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Llama => "llama",
            Self::Qwen3 => "qwen3",
            Self::Arcee => "arcee",
            Self::SmolLm3 => "smollm3",
            Self::Granite => "granite",
            Self::Phi3 => "phi3",
            Self::Olmo2 => "olmo2",
            Self::Gemma => "gemma",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Gpt2 => "gpt2",
            Self::StarCoder2 => "starcoder2",
            Self::StableLm => "stablelm",
            Self::Nemotron => "nemotron",
            Self::GptNeoX => "gptneox",
            Self::Phi2 => "phi2",
            Self::Qwen2Moe => "qwen2moe",
            Self::Qwen3Moe => "qwen3moe",
        }
    }
}

/// The narrowest family that computes a (validated) architecture exactly, whatever the format of its weights. Cheap when
/// one does: a search may ask it for every point.
///
/// # Errors
/// [`NoFamily`] names the family that comes nearest and what stands in its way.
pub fn gguf_family(architecture: &Architecture) -> Result<Family, NoFamily> {
    narrowest(&Family::ALL, |family| obstacles::obstacles(family, architecture))
        .map_err(|(nearest, obstacles)| NoFamily { nearest, obstacles })
}

/// [`gguf_family`] of a model whose weights have a format: llama.cpp reads no row that is not a whole number of the blocks
/// it is stored in ([`Tensor::stored_as`](slimfit_arch::Tensor::stored_as)).
///
/// # Errors
/// As [`gguf_family`], or rows that do not divide.
pub fn gguf_family_in(architecture: &Architecture, weights: NumberFormat) -> Result<Family, NoFamily> {
    let family = gguf_family(architecture)?;
    if has_whole_blocks(architecture, weights) {
        return Ok(family);
    }
    let obstacle = Obstacle { axis: "weights", allowed: WHOLE_BLOCKS };
    Err(NoFamily { nearest: family, obstacles: vec![obstacle] })
}

/// Which formats weights may have.
const WHOLE_BLOCKS: &str = "a format whose blocks divide the rows of all matrices";

/// Whether the rows of all matrices are whole blocks in the format that each is stored in.
fn has_whole_blocks(architecture: &Architecture, weights: NumberFormat) -> bool {
    // A layer of each kind stands for all of its run.
    let mut short = architecture.clone();
    short.layers.iter_mut().for_each(|run| run.repeat = 1);
    short.tensors().iter().all(|tensor| {
        let columns = tensor.shape.last().copied().unwrap_or(1);
        columns.is_multiple_of(tensor.stored_as(weights).block_values())
    })
}
