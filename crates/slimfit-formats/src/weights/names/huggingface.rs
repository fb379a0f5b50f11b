//! The names that classes of `transformers` give their parameters, without the prefixes in which checkpoints differ.
//!
//! A plain name is `3/self_attn.q_proj.weight` inside a layer and `embed_tokens.weight` outside. Families share most
//! names, so each tensor has a list of places; what one name means in some families only is decided here.

use super::{Place, Rows};
use crate::config_out::{CUSTOM_MODEL_TYPE, Class};
use slimfit_arch::{Architecture, Attention, Moe, Tensor, TensorPart, TensorRole};
use slimfit_arch::{FeedForward, QkNorm};

/// Before the name proper, outermost first.
const PREFIXES: &[&str] = &["model.", "transformer.", "gpt_neox.", "decoder.", "backbone."];
/// Where the layers are.
const LAYERS: &[&str] = &["layers.", "h.", "blocks."];

/// The plain form of a checkpoint's name.
pub(crate) fn plain(name: &str) -> String {
    let mut rest = name;
    while let Some(inner) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = inner;
    }
    let layer = LAYERS.iter().find_map(|prefix| rest.strip_prefix(prefix)?.split_once('.'));
    match layer {
        Some((number, inner)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{number}/{inner}")
        }
        _ => rest.to_owned(),
    }
}

/// The name that a file of this `model_type` has for a plain one, where slimfit writes such files.
pub(crate) fn whole(family: &str, plain: &str) -> String {
    match plain.split_once('/') {
        Some((layer, name)) if family == CUSTOM_MODEL_TYPE => format!("layers.{layer}.{name}"),
        Some((layer, name)) => format!("model.layers.{layer}.{name}"),
        None if family == CUSTOM_MODEL_TYPE || plain.starts_with("lm_head.") => plain.to_owned(),
        None => format!("model.{plain}"),
    }
}

/// Why the weights of a family are not read, where its config is.
pub(crate) fn refused(family: &str) -> Option<&'static str> {
    match family {
        "codegen" => Some("query, key and value lie in an order that depends on how the model was trained"),
        _ => None,
    }
}

/// Where a checkpoint of this `model_type` may have a tensor; the first is where the classes of [`Class`] have it.
pub(crate) fn places(family: &str, architecture: &Architecture, tensor: &Tensor) -> Vec<Place> {
    if family == CUSTOM_MODEL_TYPE {
        // slimfit's own class calls its parameters as slimfit does.
        return vec![Place::whole(plain(&tensor.name()))];
    }
    let mut places = every_place(family, architecture, tensor);
    if let Some(stem) = stem_of_class(family, tensor.role) {
        let layer = tensor.layer.map_or_else(String::new, |layer| format!("{layer}/"));
        let own = |place: &Place| {
            place.names.first().and_then(|name| name.strip_prefix(&layer)?.strip_prefix(stem)).is_some()
        };
        if let Some(index) = places.iter().position(own) {
            places[..=index].rotate_right(1);
        }
    }
    places
}

/// What the parameters of a role begin with in a class that slimfit writes, where other families have them elsewhere.
fn stem_of_class(family: &str, role: TensorRole) -> Option<&'static str> {
    let class = Class::ALL.into_iter().find(|class| class.model_type() == family)?;
    let mixture = if class == Class::Mixtral { "block_sparse_moe." } else { "mlp." };
    match role {
        TensorRole::AttentionNorm => Some("input_layernorm"),
        TensorRole::AttentionPostNorm => Some("post_attention_layernorm"),
        TensorRole::FfnNorm if matches!(class, Class::Gemma2 | Class::Gemma3) => {
            Some("pre_feedforward_layernorm")
        }
        TensorRole::FfnNorm => Some("post_attention_layernorm"),
        TensorRole::Router => Some(mixture),
        role if role.is_expert() => Some(mixture),
        _ => None,
    }
}

fn every_place(family: &str, architecture: &Architecture, tensor: &Tensor) -> Vec<Place> {
    let part = match tensor.part {
        TensorPart::Weight => "weight",
        TensorPart::Bias => "bias",
    };
    let prefix = tensor.layer.map_or_else(String::new, |layer| format!("{layer}/"));
    let context = Context { family, prefix, part, role: tensor.role };
    let Some(run) = tensor.layer.and_then(|layer| architecture.each_layer().nth(layer as usize)) else {
        return context.all(outside(tensor.role));
    };
    match (tensor.role, &run.ffn) {
        (TensorRole::Query | TensorRole::Key | TensorRole::Value, _) => context.attention(&run.attention),
        (TensorRole::QueryNorm | TensorRole::KeyNorm, _) => context.qk_norm(&run.attention),
        (TensorRole::Gate | TensorRole::Up, FeedForward::Dense(mlp)) => {
            let mut places = context.all(dense(tensor.role));
            if mlp.gated {
                let first = if tensor.role == TensorRole::Gate { 0 } else { mlp.size };
                places.extend(context.part_of(FUSED_GATE_UP, Rows::from(first)));
            }
            places
        }
        (_, FeedForward::Moe(moe)) if tensor.role.is_expert() => {
            context.experts(moe, architecture.hidden_size)
        }
        (TensorRole::SharedGate | TensorRole::SharedUp, FeedForward::Moe(moe)) => {
            let first = if tensor.role == TensorRole::SharedGate { 0 } else { moe.shared_size };
            let mut places = context.all(inside(tensor.role));
            places.extend(context.part_of(&["shared_mlp.input_linear"], Rows::from(first)));
            places
        }
        (role, _) => context.all(inside(role)),
    }
}

const FUSED_GATE_UP: &[&str] = &["mlp.gate_up_proj", "ffn.proj_1"];

struct Context<'a> {
    family: &'a str,
    prefix: String,
    part: &'a str,
    role: TensorRole,
}

impl Context<'_> {
    fn name(&self, stem: &str) -> String {
        format!("{}{stem}.{}", self.prefix, self.part)
    }

    fn all(&self, stems: &[&str]) -> Vec<Place> {
        // GPT-2's products take (inputs, outputs).
        let transposed = self.family == "gpt2" && !self.prefix.is_empty();
        stems.iter().map(|stem| Place { transposed, ..Place::whole(self.name(stem)) }).collect()
    }

    fn part_of(&self, stems: &[&str], rows: Rows) -> Vec<Place> {
        stems.iter().map(|stem| Place::rows(self.name(stem), rows)).collect()
    }

    fn attention(&self, attention: &Attention) -> Vec<Place> {
        let Attention { heads, kv_heads, head_size, .. } = *attention;
        let (query, kv) = (attention.query_size(), attention.kv_size());
        let letter = match self.role {
            TensorRole::Query => "q",
            TensorRole::Key => "k",
            _ => "v",
        };
        let apart = ["self_attn", "attn.attention", "attn", "attention", "self_attention"];
        let apart: Vec<String> = apart.iter().map(|place| format!("{place}.{letter}_proj")).collect();
        let mut places = self.all(&apart.iter().map(String::as_str).collect::<Vec<_>>());
        // All queries, below them all keys, below them all values.
        let below = Rows::from(match self.role {
            TensorRole::Query => 0,
            TensorRole::Key => query,
            _ => query + kv,
        });
        // For each key head its queries, itself, its values.
        let group = heads.checked_div(kv_heads).unwrap_or(1) * head_size;
        let stride = group + 2 * head_size;
        let grouped = match self.role {
            TensorRole::Query => Rows::Runs { first: 0, size: group, stride },
            TensorRole::Key => Rows::Runs { first: group, size: head_size, stride },
            _ => Rows::Runs { first: group + head_size, size: head_size, stride },
        };
        places.extend(self.part_of(&["self_attn.qkv_proj", "attn.qkv_proj", "attn.Wqkv"], below));
        let grouped_stems = [
            "attention.query_key_value",
            "self_attention.query_key_value",
            "self_attn.query_key_value",
            "attention.wqkv",
        ];
        places.extend(self.part_of(&grouped_stems, grouped));
        let conv = match self.family {
            // Several query heads with one key head lie below each other, one with one apart.
            "gpt_bigcode" if kv_heads == heads => Place::rows(self.name("attn.c_attn"), grouped),
            family => Place { transposed: family == "gpt2", ..Place::rows(self.name("attn.c_attn"), below) },
        };
        places.push(conv);
        places
    }

    fn qk_norm(&self, attention: &Attention) -> Vec<Place> {
        let (short, long, heads) = match self.role {
            TensorRole::QueryNorm => ("q", "query", attention.heads),
            _ => ("k", "key", attention.kv_heads),
        };
        let stems = [
            format!("self_attn.{short}_norm"),
            format!("self_attn.{short}_layernorm"),
            format!("self_attn.{long}_layernorm"),
            format!("attn.{short}_norm"),
        ];
        let mut places = self.all(&stems.iter().map(String::as_str).collect::<Vec<_>>());
        if attention.qk_norm == QkNorm::EachHead {
            let of = |head| self.name(&format!("self_attn.{short}_layernorm.norms.{head}"));
            places.push(Place::pieces((0..heads).map(of)));
        }
        places
    }

    fn experts(&self, moe: &Moe, hidden: u64) -> Vec<Place> {
        let (letter, word) = match self.role {
            TensorRole::ExpertGate => ("w1", "gate_proj"),
            TensorRole::ExpertUp => ("w3", "up_proj"),
            _ => ("w2", "down_proj"),
        };
        let apart = |place: &str, name: &str| {
            let of = |expert| self.name(&format!("{place}.experts.{expert}.{name}"));
            Place::pieces((0..moe.experts).map(of))
        };
        let mut places = vec![apart("block_sparse_moe", letter), apart("mlp", word), apart("mlp", letter)];
        // Stacked: the parameter itself, without `.weight`; gate and up projection of an expert below each other.
        let (fused, stride) = (2 * moe.expert_size, moe.expert_size);
        let rows = match self.role {
            TensorRole::ExpertDown => Rows::Runs { first: 0, size: hidden, stride: hidden },
            TensorRole::ExpertGate => Rows::Runs { first: 0, size: stride, stride: fused },
            _ => Rows::Runs { first: stride, size: stride, stride: fused },
        };
        let (parameter, linear) = match self.role {
            TensorRole::ExpertDown => ("mlp.experts.down_proj", "block_sparse_moe.output_linear"),
            _ => ("mlp.experts.gate_up_proj", "block_sparse_moe.input_linear"),
        };
        places.push(Place::rows(format!("{}{parameter}", self.prefix), rows));
        places.push(Place::rows(self.name(linear), rows));
        places
    }
}

fn outside(role: TensorRole) -> &'static [&'static str] {
    match role {
        TensorRole::Embedding => {
            &["embed_tokens", "wte", "word_embeddings", "embed_in", "token_embeddings", "tok_embeddings"]
        }
        TensorRole::PositionTable => &["embed_positions", "wpe"],
        TensorRole::EmbeddingNorm => &["word_embeddings_layernorm"],
        TensorRole::EmbeddingIn => &["project_in"],
        TensorRole::EmbeddingOut => &["project_out"],
        TensorRole::FinalNorm => &["norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f"],
        TensorRole::Head => &["lm_head", "embed_out", "output"],
        _ => &[],
    }
}

fn dense(role: TensorRole) -> &'static [&'static str] {
    match role {
        TensorRole::Gate => &["mlp.gate_proj", "feed_forward.w1", "mlp.c_fc_0"],
        _ => &[
            "mlp.up_proj",
            "feed_forward.w3",
            "mlp.c_fc_1",
            "mlp.c_fc",
            "mlp.dense_h_to_4h",
            "mlp.fc1",
            "mlp.fc_in",
            "fc1",
            "ffn.up_proj",
        ],
    }
}

fn inside(role: TensorRole) -> &'static [&'static str] {
    match role {
        TensorRole::AttentionNorm => &[
            "ln_attn",
            "input_layernorm",
            "ln_1",
            "self_attn_layer_norm",
            "attn_norm",
            "attention_norm",
            "norm_1",
        ],
        TensorRole::AttentionOutput => &[
            "self_attn.o_proj",
            "self_attn.out_proj",
            "self_attn.dense",
            "attn.attention.out_proj",
            "attn.out_proj",
            "attn.c_proj",
            "attention.dense",
            "self_attention.dense",
            "attention.wo",
        ],
        TensorRole::AttentionPostNorm => &["post_self_attn_layernorm", "post_attention_layernorm"],
        TensorRole::FfnNorm => &[
            "pre_feedforward_layernorm",
            "ln_mlp",
            "post_attention_layernorm",
            "ln_2",
            "final_layer_norm",
            "ffn_norm",
            "norm_2",
        ],
        TensorRole::FfnPostNorm => &["post_feedforward_layernorm", "post_mlp_layernorm"],
        TensorRole::Down => &[
            "mlp.down_proj",
            "feed_forward.w2",
            "mlp.c_proj",
            "mlp.dense_4h_to_h",
            "mlp.fc2",
            "mlp.fc_out",
            "fc2",
            "ffn.down_proj",
            "ffn.proj_2",
        ],
        TensorRole::Router => &["block_sparse_moe.gate", "mlp.gate", "block_sparse_moe.router.layer"],
        TensorRole::SharedGate => &["mlp.shared_expert.gate_proj", "mlp.shared_experts.gate_proj"],
        TensorRole::SharedUp => &["mlp.shared_expert.up_proj", "mlp.shared_experts.up_proj"],
        TensorRole::SharedDown => {
            &["mlp.shared_expert.down_proj", "mlp.shared_experts.down_proj", "shared_mlp.output_linear"]
        }
        TensorRole::SharedExpertGate => &["mlp.shared_expert_gate"],
        _ => &[],
    }
}
