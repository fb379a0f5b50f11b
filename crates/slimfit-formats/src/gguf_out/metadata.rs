//! What a file says of its model, family by family, as llama.cpp's converter says it.

use super::Family;
use super::entry::Value;
use crate::FormatsError;
use crate::obstacles::scale_of;
use slimfit_arch::{
    Architecture, Attention, FeedForward, LayerRun, NormKind, NormPlacement, Positions, Rope, RopeScaling,
};
use slimfit_document::DocumentError;
use slimfit_quantity::NumberFormat;

/// Of the layouts that quantised formats have had.
const QUANTIZATION_VERSION: u32 = 2;

/// Keys and values in the order they are written, those of the tokenizer left out.
pub(super) struct Metadata {
    family: Family,
    pub(super) entries: Vec<(String, Value)>,
}

impl Metadata {
    /// Of a model that the family holds.
    ///
    /// # Errors
    /// A size that 32 bits cannot say, or a context that the model's table of positions does not have.
    pub(super) fn of(
        family: Family,
        name: &str,
        model: &Architecture,
        weights: NumberFormat,
        context: u64,
    ) -> Result<Self, FormatsError> {
        let mut metadata = Self { family, entries: general(family.name(), name, weights) };
        metadata.sizes(model, context_of(model, context)?)?;
        metadata.attention(&model.layers[0].attention)?;
        metadata.norm(model);
        metadata.rotation(model, context)?;
        metadata.windows(model)?;
        metadata.constants(model);
        metadata.feed_forward(&model.layers[0].ffn)?;
        metadata.quirks(model);
        Ok(metadata)
    }

    fn put(&mut self, key: &str, value: Value) {
        self.entries.push((format!("{}.{key}", self.family.name()), value));
    }

    fn size(&mut self, key: &str, size: u64) -> Result<(), FormatsError> {
        self.put(key, unsigned(key, size)?);
        Ok(())
    }

    fn number(&mut self, key: &str, number: f64) {
        self.put(key, Value::Float(number as f32));
    }

    fn sizes(&mut self, model: &Architecture, context: u64) -> Result<(), FormatsError> {
        self.size("vocab_size", model.vocabulary_size)?;
        self.size("context_length", context)?;
        self.size("embedding_length", model.hidden_size)?;
        self.size("block_count", model.depth())
    }

    fn attention(&mut self, attention: &Attention) -> Result<(), FormatsError> {
        self.size("attention.head_count", attention.heads)?;
        self.size("attention.head_count_kv", attention.kv_heads)?;
        self.size("attention.key_length", attention.head_size)?;
        self.size("attention.value_length", attention.head_size)
    }

    fn norm(&mut self, model: &Architecture) {
        let key = match model.norm.kind {
            NormKind::Rms => "attention.layer_norm_rms_epsilon",
            _ => "attention.layer_norm_epsilon",
        };
        self.number(key, model.norm.epsilon);
    }

    fn rotation(&mut self, model: &Architecture, context: u64) -> Result<(), FormatsError> {
        let rotated = |run: &&LayerRun| run.attention.rope.is_some();
        let windowed = |run: &&LayerRun| run.attention.window.is_some();
        let runs = || model.layers.iter().filter(rotated);
        // Where layers with a window rotate by a base of their own, the others' is the one that is said first.
        let main = runs().find(|run| !windowed(run)).or_else(|| runs().next());
        let Some((run, rope)) = main.and_then(|run| Some((run, run.attention.rope.as_ref()?))) else {
            return Ok(());
        };
        self.size("rope.dimension_count", rope.rotated.unwrap_or(run.attention.head_size))?;
        self.number("rope.freq_base", rope.base);
        if self.family == Family::Gemma3
            && let Some(local) = runs().find(windowed).and_then(|run| run.attention.rope.as_ref())
        {
            self.number("rope.freq_base_swa", local.base);
        }
        self.scaling(rope, context)
    }

    fn scaling(&mut self, rope: &Rope, context: u64) -> Result<(), FormatsError> {
        match &rope.scaling {
            Some(RopeScaling::Linear { factor }) => {
                self.put("rope.scaling.type", Value::Text("linear".to_owned()));
                self.number("rope.scaling.factor", *factor);
            }
            Some(RopeScaling::Yarn { factor, original_context, .. }) => {
                self.put("rope.scaling.type", Value::Text("yarn".to_owned()));
                self.number("rope.scaling.factor", *factor);
                self.size("rope.scaling.original_context_length", *original_context)?;
            }
            // The divisors are a tensor. Phi 3 always says which context it was trained on first.
            _ if self.family == Family::Phi3 => {
                self.size("rope.scaling.original_context_length", context)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn windows(&mut self, model: &Architecture) -> Result<(), FormatsError> {
        let Some(window) = model.layers.iter().find_map(|run| run.attention.window) else {
            // Phi 3 always says its window.
            return if self.family == Family::Phi3 {
                self.size("attention.sliding_window", 0)
            } else {
                Ok(())
            };
        };
        self.size("attention.sliding_window", window)?;
        if self.family == Family::Olmo2 {
            let pattern = model.each_layer().map(|run| run.attention.window.is_some()).collect();
            self.put("attention.sliding_window_pattern", Value::Bools(pattern));
        }
        Ok(())
    }

    fn constants(&mut self, model: &Architecture) {
        let (attention, scales) = (&model.layers[0].attention, &model.scales);
        if let Some(cap) = attention.softcap {
            self.number("attn_logit_softcapping", cap);
        }
        if let Some(cap) = scales.logit_softcap {
            self.number("final_logit_softcapping", cap);
        }
        if self.family == Family::Granite {
            let scale = scale_of(attention);
            // Left out, it is this one to the last bit.
            if scale != 1.0 / (attention.head_size as f64).sqrt() {
                self.number("attention.scale", scale);
            }
            self.number("embedding_scale", scales.embedding.unwrap_or(1.0));
            self.number("residual_scale", scales.residual.unwrap_or(1.0));
            // Logits are divided by it.
            self.number("logit_scale", scales.logits.map_or(1.0, |factor| 1.0 / factor));
        }
    }

    fn feed_forward(&mut self, ffn: &FeedForward) -> Result<(), FormatsError> {
        let moe = match ffn {
            FeedForward::Dense(mlp) => return self.size("feed_forward_length", mlp.size),
            FeedForward::Moe(moe) => moe,
        };
        self.size("feed_forward_length", moe.expert_size)?;
        self.size("expert_count", moe.experts)?;
        self.size("expert_used_count", moe.top_k)?;
        if matches!(self.family, Family::Qwen2Moe | Family::Qwen3Moe) {
            self.size("expert_feed_forward_length", moe.expert_size)?;
        }
        if self.family == Family::Qwen2Moe {
            self.size("expert_shared_feed_forward_length", moe.shared_size)?;
        }
        Ok(())
    }

    fn quirks(&mut self, model: &Architecture) {
        if matches!(self.family, Family::GptNeoX | Family::StableLm) {
            let parallel = model.norm_placement != NormPlacement::Pre;
            self.put("use_parallel_residual", Value::Bool(parallel));
        }
        if self.family == Family::GptNeoX {
            // llama.cpp computes the approximation whatever a file says, and published models are the exact function:
            // readers that can tell them apart are told.
            self.put("hidden_activation", Value::Text("gelu_pytorch_tanh".to_owned()));
        }
    }
}

/// What every file says.
pub(super) fn general(architecture: &str, name: &str, weights: NumberFormat) -> Vec<(String, Value)> {
    let text = |value: &str| Value::Text(value.to_owned());
    let entries = [
        ("general.architecture", text(architecture)),
        ("general.type", text("model")),
        ("general.name", text(name)),
        ("general.quantization_version", Value::Unsigned(QUANTIZATION_VERSION)),
        ("general.file_type", Value::Unsigned(file_type(weights))),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A size as files say them.
///
/// # Errors
/// More than 32 bits.
pub(super) fn unsigned(key: &str, size: u64) -> Result<Value, FormatsError> {
    let value = u32::try_from(size).map_err(|_| {
        DocumentError::new("no-gguf", format!("`{key}` is larger than a GGUF file can say"))
            .found(size)
            .allowed(format!("up to {}", u32::MAX))
    })?;
    Ok(Value::Unsigned(value))
}

/// The tokens that a file promises: those asked for, or the rows of its table.
///
/// # Errors
/// More than the table has.
pub(super) fn context_of(model: &Architecture, asked: u64) -> Result<u64, FormatsError> {
    match model.positions {
        Positions::Learned { context, .. } if asked > context => {
            let message = "the model's table of positions has fewer rows than the context asked for";
            let error = DocumentError::new("no-gguf", message).found(format!("{asked} tokens"));
            Err(error.allowed(format!("up to {context}")).into())
        }
        Positions::Learned { context, .. } => Ok(context),
        _ => Ok(asked),
    }
}

/// What llama.cpp calls a file most of whose values have a format (`llama_ftype`).
fn file_type(weights: NumberFormat) -> u32 {
    match weights {
        NumberFormat::F32 => 0,
        NumberFormat::F16 => 1,
        NumberFormat::Q4_0 => 2,
        NumberFormat::Q8_0 => 7,
        // Every matrix alike, which is its "small" kind.
        NumberFormat::Q4_K => 14,
        NumberFormat::Q6_K => 18,
        NumberFormat::Bf16 => 32,
    }
}
