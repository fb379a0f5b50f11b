//! GGUF metadata and tensor table → [`Architecture`]. Metadata says the sizes, the table says which tensors exist, and
//! both must count to the same number of values.

use super::container::{self, CONTAINER_FAMILY};
use super::{GgufFile, GgufTensor, GgufValue};
use crate::FormatsError;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, MAX_STORED_LAYERS, Mlp, Moe,
    Norm, NormKind, NormPlacement, Positions, QkNorm, Rope, RopeScaling, Scales,
};
use slimfit_quantity::NumberFormat;
use std::collections::BTreeMap;

/// What a GGUF file says about the model itself.
#[derive(Debug, Clone, PartialEq)]
pub struct GgufModel {
    /// `general.name`, where it is.
    pub name: Option<String>,
    /// `general.architecture`.
    pub family: String,
    /// The network, in the layout of Hugging Face (GGUF interleaves the rows of Llama's queries and keys, which changes
    /// neither counts nor results).
    pub architecture: Architecture,
    /// Tokens it was made for.
    pub context: Option<u64>,
    /// The format of most of its values, where slimfit has one of that name.
    pub weights_format: Option<NumberFormat>,
}

/// What a family does that no metadata says.
#[derive(Clone, Copy)]
struct Family {
    activation: Activation,
    placement: NormPlacement,
    /// The model's norm weights are offsets from 1.
    plus_one: bool,
    /// Every how many layers there is a full one, where there is a window.
    full_every: Option<u64>,
}

const PLAIN: Family =
    Family { activation: Activation::Silu, placement: NormPlacement::Pre, plus_one: false, full_every: None };
// Files store these families' norm weights with the 1 added, which `ModelWeights` takes off again.
const GEMMA: Family = Family { activation: Activation::GeluTanh, plus_one: true, ..PLAIN };

const FAMILIES: &[(&str, Family)] = &[
    ("arcee", Family { activation: Activation::ReluSquared, ..PLAIN }),
    ("falcon", Family { activation: Activation::Gelu, placement: NormPlacement::ParallelOneNorm, ..PLAIN }),
    ("gemma", GEMMA),
    ("gemma2", Family { placement: NormPlacement::Sandwich, full_every: Some(2), ..GEMMA }),
    ("gemma3", Family { placement: NormPlacement::Sandwich, full_every: Some(6), ..GEMMA }),
    ("gpt2", Family { activation: Activation::GeluTanh, ..PLAIN }),
    ("gptneox", Family { activation: Activation::Gelu, placement: NormPlacement::ParallelTwoNorms, ..PLAIN }),
    ("granite", PLAIN),
    ("llama", PLAIN),
    ("nemotron", Family { activation: Activation::ReluSquared, plus_one: true, ..PLAIN }),
    ("olmo2", Family { placement: NormPlacement::PostBranch, full_every: Some(4), ..PLAIN }),
    ("phi2", Family { activation: Activation::GeluTanh, placement: NormPlacement::ParallelOneNorm, ..PLAIN }),
    ("phi3", PLAIN),
    ("qwen2", PLAIN),
    ("qwen2moe", PLAIN),
    ("qwen3", PLAIN),
    ("qwen3moe", PLAIN),
    ("smollm3", PLAIN),
    ("stablelm", PLAIN),
    ("starcoder2", Family { activation: Activation::GeluTanh, ..PLAIN }),
];

/// The largest head that anyone has is far smaller.
const MOST_DIVISOR_BYTES: u64 = 1 << 20;

struct Reader<'a> {
    file: &'a GgufFile,
    family: &'a str,
    tensors: BTreeMap<&'a str, &'a GgufTensor>,
}

pub(super) fn read(file: &GgufFile) -> Result<GgufModel, FormatsError> {
    let family = file.family()?;
    let parts = file.metadata.get("split.count").and_then(GgufValue::as_size).unwrap_or(1);
    if parts > 1 {
        return Err(file
            .error(format!("one of {parts} parts of a model; merge them with `llama-gguf-split --merge`")));
    }
    let tensors = file.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let reader = Reader { file, family, tensors };
    let (architecture, context) = if family == CONTAINER_FAMILY {
        container::read(file)?
    } else {
        let Some((_, traits)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
            let known: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).chain([CONTAINER_FAMILY]).collect();
            let known = known.join(", ");
            return Err(
                file.error(format!("unsupported `general.architecture` `{family}`; supported: {known}"))
            );
        };
        let architecture = reader.architecture(*traits)?.normalised();
        architecture.validate().map_err(|error| file.error(format!("no such model can exist: {error}")))?;
        (architecture, reader.optional("context_length")?)
    };
    reader.compare(&architecture)?;
    let name = match file.metadata.get("general.name") {
        Some(GgufValue::Text(name)) if !name.is_empty() => Some(name.clone()),
        _ => None,
    };
    Ok(GgufModel {
        name,
        family: family.to_owned(),
        architecture,
        context,
        weights_format: reader.main_format(),
    })
}

impl Reader<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.family)
    }

    fn optional(&self, name: &str) -> Result<Option<u64>, FormatsError> {
        let key = self.key(name);
        match self.file.metadata.get(&key) {
            None => Ok(None),
            Some(value) => match value.as_size() {
                Some(size) => Ok(Some(size)),
                None => Err(self.file.error(format!("`{key}` is not a whole number"))),
            },
        }
    }

    fn needed(&self, name: &str) -> Result<u64, FormatsError> {
        self.optional(name)?.ok_or_else(|| self.file.error(format!("`{}` is missing", self.key(name))))
    }

    /// One value for all layers, or a list with one for each.
    fn per_layer(&self, name: &str, depth: u64) -> Result<Option<Vec<u64>>, FormatsError> {
        let key = self.key(name);
        match self.file.metadata.get(&key) {
            Some(GgufValue::List(values)) => {
                let sizes: Option<Vec<u64>> = values.iter().map(GgufValue::as_size).collect();
                let sizes = sizes.filter(|sizes| sizes.len() as u64 == depth);
                let message = || format!("`{key}` is not a list of {depth} whole numbers");
                sizes.map(Some).ok_or_else(|| self.file.error(message()))
            }
            _ => Ok(self.optional(name)?.map(|size| vec![size; depth as usize])),
        }
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.file.metadata.get(&self.key(name)).and_then(GgufValue::as_number)
    }

    /// Numbers that are stored as f32, as the decimal that was meant (1e-5, not 0.0000099999997…).
    fn decimal(&self, name: &str) -> Option<f64> {
        self.number(name).map(|number| (number as f32).to_string().parse().unwrap_or(number))
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn in_layer(&self, layer: u64, name: &str) -> Option<&GgufTensor> {
        self.tensors.get(format!("blk.{layer}.{name}").as_str()).copied()
    }

    fn architecture(&self, traits: Family) -> Result<Architecture, FormatsError> {
        let hidden = self.needed("embedding_length")?;
        let depth = self.needed("block_count")?;
        if depth == 0 || depth > MAX_STORED_LAYERS {
            return Err(self.file.error(format!("`{}` is {depth}", self.key("block_count"))));
        }
        let Some(table) = self.tensors.get("token_embd.weight").filter(|table| table.sizes.len() == 2) else {
            return Err(self.file.error("the tensor `token_embd.weight` is missing or no matrix"));
        };
        let heads = self.per_layer("attention.head_count", depth)?;
        let heads = heads
            .ok_or_else(|| self.file.error(format!("`{}` is missing", self.key("attention.head_count"))))?;
        let kv_heads = self.per_layer("attention.head_count_kv", depth)?.unwrap_or_else(|| heads.clone());
        let mut layers: Vec<LayerRun> = Vec::new();
        for index in 0..depth {
            let (heads, kv_heads) = (heads[index as usize], kv_heads[index as usize]);
            let attention = self.attention(traits, hidden, index, (heads, kv_heads), depth)?;
            let ffn = self.feed_forward(traits, index)?;
            match layers.last_mut() {
                Some(last) if last.attention == attention && last.ffn == ffn => last.repeat += 1,
                _ => layers.push(LayerRun { repeat: 1, attention, ffn }),
            }
        }
        let positions = match self.tensors.get("position_embd.weight") {
            Some(table) if table.sizes.len() == 2 => {
                Positions::Learned { context: table.sizes[1], offset: 0 }
            }
            _ => Positions::None,
        };
        Ok(Architecture {
            hidden_size: hidden,
            vocabulary_size: table.sizes[1],
            tied_embeddings: !self.has("output.weight"),
            embedding_size: None,
            layers,
            positions,
            norm: self.norm(traits)?,
            norm_placement: self.placement(traits),
            embedding_norm: self.has("token_embd_norm.weight"),
            final_norm: self.has("output_norm.weight"),
            head_bias: self.has("output.bias"),
            scales: self.scales(hidden),
            loops: None,
        })
    }

    fn scales(&self, hidden: u64) -> Scales {
        let logit_softcap = self.decimal("final_logit_softcapping").filter(|&cap| cap != 0.0);
        // A constant of 0 is none.
        let constant =
            |name: &str| self.decimal(name).filter(|&constant| self.family == "granite" && constant != 0.0);
        let root = self.family.starts_with("gemma").then(|| (hidden as f64).sqrt());
        Scales {
            embedding: root.or_else(|| constant("embedding_scale")),
            residual: constant("residual_scale"),
            // Logits are divided by what the file says.
            logits: constant("logit_scale").map(|divisor| 1.0 / divisor),
            logit_softcap,
        }
    }

    fn norm(&self, traits: Family) -> Result<Norm, FormatsError> {
        let rms = self.decimal("attention.layer_norm_rms_epsilon");
        let layer = self.decimal("attention.layer_norm_epsilon");
        let Some(epsilon) = rms.or(layer) else {
            return Err(self
                .file
                .error(format!("`{}` is missing", self.key("attention.layer_norm_rms_epsilon"))));
        };
        let kind = match (rms.is_some(), self.has("output_norm.bias")) {
            (true, _) => NormKind::Rms,
            (false, true) => NormKind::Layer,
            (false, false) => NormKind::LayerNoBias,
        };
        Ok(Norm { kind, epsilon, weight_plus_one: traits.plus_one })
    }

    fn placement(&self, traits: Family) -> NormPlacement {
        let serial =
            self.file.metadata.get(&self.key("use_parallel_residual")) == Some(&GgufValue::Bool(false));
        let two = self.in_layer(0, "attn_norm_2.weight").is_some();
        let none_before_ffn = self.in_layer(0, "ffn_norm.weight").is_none();
        match self.family {
            "gptneox" if serial => NormPlacement::Pre,
            "falcon" if two => NormPlacement::ParallelTwoNorms,
            "stablelm" if none_before_ffn => NormPlacement::ParallelOneNorm,
            _ => traits.placement,
        }
    }

    fn attention(
        &self,
        traits: Family,
        hidden: u64,
        layer: u64,
        (heads, kv_heads): (u64, u64),
        depth: u64,
    ) -> Result<Attention, FormatsError> {
        let named = self.optional("attention.key_length")?;
        let head_size = match named {
            Some(size) => size,
            None if heads != 0 && hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                return Err(self.file.error(format!("{heads} heads do not divide the hidden size {hidden}")));
            }
        };
        if self.optional("attention.value_length")?.is_some_and(|value| value != head_size) {
            return Err(self.file.error("keys and values of different sizes are not supported"));
        }
        let window = self.optional("attention.sliding_window")?.filter(|&window| window > 0);
        let windowed = traits.full_every.is_none_or(|every| {
            if every == 2 { layer.is_multiple_of(2) } else { !(layer + 1).is_multiple_of(every) }
        });
        // Qwen's configs name a window that is not used.
        let window = window.filter(|_| windowed && !self.family.starts_with("qwen"));
        let bias = |name: &str| self.in_layer(layer, name).is_some();
        let qk_norm = match self.in_layer(layer, "attn_q_norm.weight") {
            None => QkNorm::None,
            // Of one head it is as long as a head's.
            Some(_) if self.family == "olmo2" => QkNorm::AllHeads,
            Some(norm) if norm.sizes == [head_size] => QkNorm::PerHead,
            Some(norm) if norm.sizes.len() == 2 => QkNorm::EachHead,
            Some(_) => QkNorm::AllHeads,
        };
        let scale = self.decimal("attention.scale").filter(|&scale| scale != 0.0);
        // The largest Gemma 2 and 3 scale by the hidden size's share of a head; their files do not say so.
        let largest = matches!((self.family, depth), ("gemma2", 46) | ("gemma3", 62));
        let scale = scale.or_else(|| largest.then(|| 1.0 / (hidden as f64 / heads as f64).sqrt()));
        Ok(Attention {
            heads,
            kv_heads,
            head_size,
            window,
            rope: if self.family == "smollm3" && (layer + 1).is_multiple_of(4) {
                None
            } else {
                self.rope(head_size, window.is_some())?
            },
            bias: AttentionBias {
                qkv: bias("attn_q.bias") || bias("attn_qkv.bias"),
                output: bias("attn_output.bias"),
            },
            qk_norm,
            scale,
            softcap: self.decimal("attn_logit_softcapping").filter(|&cap| cap != 0.0),
            qkv_clip: self.decimal("attention.clamp_kqv").filter(|&clip| clip != 0.0),
        })
    }

    fn rope(&self, head_size: u64, windowed: bool) -> Result<Option<Rope>, FormatsError> {
        if self.family == "gpt2" {
            return Ok(None);
        }
        let local = windowed && self.family == "gemma3";
        let usual = if self.family == "gemma3" && !windowed { 1_000_000.0 } else { 10_000.0 };
        let stored = if local { None } else { self.decimal("rope.freq_base") };
        let rotated = self.optional("rope.dimension_count")?.filter(|&rotated| rotated != head_size);
        let scaling = if local { None } else { self.rope_scaling()? };
        Ok(Some(Rope { base: stored.unwrap_or(usual), rotated, interleaved: false, scaling }))
    }

    fn rope_scaling(&self) -> Result<Option<RopeScaling>, FormatsError> {
        let context = self.optional("context_length")?.unwrap_or(0);
        let original = self.optional("rope.scaling.original_context_length")?;
        let lists = (self.divisors("rope_factors_short.weight")?, self.divisors("rope_factors_long.weight")?);
        if let (Some(short_factor), Some(long_factor)) = lists {
            let original_context = original.unwrap_or(context);
            let stretch = context as f64 / original_context.max(1) as f64;
            let computed = (1.0 + stretch.ln() / (original_context as f64).ln()).sqrt();
            let attention_factor = self.decimal("rope.scaling.attn_factor");
            let attention_factor = attention_factor.unwrap_or(if stretch <= 1.0 { 1.0 } else { computed });
            return Ok(Some(RopeScaling::LongRope {
                short_factor,
                long_factor,
                original_context,
                attention_factor,
            }));
        }
        if let Some(divisors) = self.divisors("rope_freqs.weight")? {
            // Llama 3's smooth divisors are stored one by one; the formula they came from is not.
            let (short_factor, long_factor) = (divisors.clone(), divisors);
            let (original_context, attention_factor) = (context.max(1), 1.0);
            return Ok(Some(RopeScaling::LongRope {
                short_factor,
                long_factor,
                original_context,
                attention_factor,
            }));
        }
        let factor = self.decimal("rope.scaling.factor").unwrap_or(1.0);
        match self.file.metadata.get(&self.key("rope.scaling.type")) {
            None => Ok(None),
            Some(GgufValue::Text(kind)) => match kind.as_str() {
                "none" => Ok(None),
                "linear" => Ok((factor != 1.0).then_some(RopeScaling::Linear { factor })),
                "yarn" => Ok(Some(RopeScaling::Yarn {
                    factor,
                    beta_fast: self.decimal("rope.scaling.yarn_beta_fast").unwrap_or(32.0),
                    beta_slow: self.decimal("rope.scaling.yarn_beta_slow").unwrap_or(1.0),
                    original_context: original.unwrap_or(context),
                    attention_factor: self.decimal("rope.scaling.attn_factor"),
                })),
                other => Err(self
                    .file
                    .error(format!("unsupported rotary scaling `{other}`; supported: linear, yarn"))),
            },
            Some(_) => Err(self.file.error(format!("`{}` is not a text", self.key("rope.scaling.type")))),
        }
    }

    /// A vector of f32, one for each rotated pair.
    fn divisors(&self, name: &str) -> Result<Option<Vec<f64>>, FormatsError> {
        let Some(tensor) = self.tensors.get(name) else { return Ok(None) };
        if tensor.kind.name != "f32" || tensor.bytes > MOST_DIVISOR_BYTES {
            let found = format!("{} values of {}", tensor.values(), tensor.kind.name);
            return Err(self.file.error(format!("`{name}` is no short vector of f32: {found}")));
        }
        let mut bytes = vec![0; tensor.bytes as usize];
        self.file.read_data(tensor, 0, &mut bytes)?;
        let values = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into());
        Ok(Some(values.collect()))
    }

    fn feed_forward(&self, traits: Family, layer: u64) -> Result<FeedForward, FormatsError> {
        // Files of published models do not say that they mean the exact function; a few others say what they mean.
        let approximate = GgufValue::Text("gelu_pytorch_tanh".to_owned());
        let approximate = self.file.metadata.get(&self.key("hidden_activation")) == Some(&approximate);
        let activation = match traits.activation {
            Activation::Gelu if approximate => Activation::GeluTanh,
            activation => activation,
        };
        let stacked = self.in_layer(layer, "ffn_up_exps.weight");
        let single = self.in_layer(layer, "ffn_up.0.weight");
        if let Some(up) = stacked.or(single) {
            let shared = self
                .in_layer(layer, "ffn_up_shexp.weight")
                .map_or(0, |tensor| tensor.sizes.get(1).copied().unwrap_or(0));
            return Ok(FeedForward::Moe(Moe {
                experts: self.needed("expert_count")?,
                top_k: self.needed("expert_used_count")?,
                expert_size: up.sizes.get(1).copied().unwrap_or(0),
                gated: true,
                activation,
                shared_size: shared,
                shared_gate: self.in_layer(layer, "ffn_gate_inp_shexp.weight").is_some(),
                normalise_top_k: self.family != "qwen2moe",
                router_bias: self.in_layer(layer, "ffn_gate_inp.bias").is_some(),
            }));
        }
        let Some(down) = self.in_layer(layer, "ffn_down.weight") else {
            return Err(self.file.error(format!("the tensor `blk.{layer}.ffn_down.weight` is missing")));
        };
        // Phi 3 stores gate and up as one matrix, so the input of the down projection says the size.
        let gated = self.in_layer(layer, "ffn_gate.weight").is_some() || self.family == "phi3";
        let bias = self.in_layer(layer, "ffn_down.bias").is_some();
        Ok(FeedForward::Dense(Mlp { size: down.sizes[0], gated, activation, bias }))
    }

    /// The count must agree with the table, so that nothing was misunderstood or left unread.
    fn compare(&self, architecture: &Architecture) -> Result<(), FormatsError> {
        let is_weight = |tensor: &&GgufTensor| !tensor.name.starts_with("rope_f");
        let stored = self
            .file
            .tensors
            .iter()
            .filter(is_weight)
            .map(|tensor| u128::from(tensor.values()))
            .sum::<u128>();
        let counted = u128::from(architecture.parameters().total);
        if stored == counted {
            return Ok(());
        }
        let message = format!(
            "the metadata describes {counted} parameters, but the tensors have {stored}: a variant of `{}` that is not supported",
            self.family
        );
        Err(self.file.error(message))
    }

    fn main_format(&self) -> Option<NumberFormat> {
        let mut values: BTreeMap<u32, u128> = BTreeMap::new();
        for tensor in &self.file.tensors {
            *values.entry(tensor.kind.id).or_default() += u128::from(tensor.values());
        }
        let (id, _) = values.into_iter().max_by_key(|(_, count)| *count)?;
        super::GgufType::from_id(id)?.number_format()
    }
}
