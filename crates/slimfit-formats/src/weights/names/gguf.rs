//! The names of ggml's tools.

use super::{Place, Rows};
use crate::gguf::CONTAINER_FAMILY;
use slimfit_arch::{Architecture, Attention, FeedForward, Tensor, TensorPart, TensorRole};

/// What the tools of GGUF call a tensor of a family that stores it by itself.
pub(crate) fn tensor_name(family: &str, tensor: &Tensor) -> String {
    named(tensor, stem(family, tensor.role))
}

fn prefix(tensor: &Tensor) -> String {
    tensor.layer.map_or_else(String::new, |layer| format!("blk.{layer}."))
}

fn named(tensor: &Tensor, stem: &str) -> String {
    let part = match tensor.part {
        TensorPart::Weight => "weight",
        TensorPart::Bias => "bias",
    };
    format!("{}{stem}.{part}", prefix(tensor))
}

/// Families whose converter writes query, key and value as one matrix.
const FUSED: &[&str] = &["gpt2", "gptneox", "phi3"];
/// Families whose graph rotates neighbouring values of a head together (`LLAMA_ROPE_TYPE_NORM`); everyone else's rotates
/// the halves of a head.
const NEIGHBOURS: &[&str] = &["arcee", "granite", "llama", "smollm3"];

/// Where a file of this family may have a tensor; llama.cpp's converter writes it to the first place.
pub(crate) fn places(family: &str, architecture: &Architecture, tensor: &Tensor) -> Vec<Place> {
    let prefix = prefix(tensor);
    let name = |stem: &str| named(tensor, stem);
    let run = tensor.layer.and_then(|layer| architecture.each_layer().nth(layer as usize));
    let own = Place::whole(tensor_name(family, tensor));
    let (Some(run), role) = (run, tensor.role) else { return vec![own] };
    if family == CONTAINER_FAMILY {
        return vec![own];
    }
    match (role, &run.ffn) {
        (TensorRole::Query | TensorRole::Key | TensorRole::Value, _) => {
            let first = match role {
                TensorRole::Query => 0,
                TensorRole::Key => run.attention.query_size(),
                _ => run.attention.query_size() + run.attention.kv_size(),
            };
            let rows = order(family, &run.attention, role);
            let mut places = vec![Place { rows, ..own }, Place::rows(name("attn_qkv"), Rows::from(first))];
            if FUSED.contains(&family) {
                places.reverse();
            }
            places
        }
        // Where Falcon has two norms, the second stands before the attention.
        (TensorRole::AttentionNorm, _) if family == "falcon" => vec![Place::whole(name("attn_norm_2")), own],
        // One matrix holds the gate and, below it, the up projection.
        (TensorRole::Gate, _) if family == "phi3" => vec![Place::whole(name("ffn_up")), own],
        (TensorRole::Gate, _) => vec![own, Place::whole(name("ffn_up"))],
        (TensorRole::Up, FeedForward::Dense(mlp)) if family == "phi3" && mlp.gated => {
            vec![Place::rows(name("ffn_up"), Rows::from(mlp.size))]
        }
        (TensorRole::ExpertGate | TensorRole::ExpertUp | TensorRole::ExpertDown, FeedForward::Moe(moe)) => {
            let single = match role {
                TensorRole::ExpertGate => "ffn_gate",
                TensorRole::ExpertUp => "ffn_up",
                _ => "ffn_down",
            };
            // As the first files with experts had them.
            let apart = (0..moe.experts).map(|expert| format!("{prefix}{single}.{expert}.weight"));
            vec![own, Place::pieces(apart)]
        }
        _ => vec![own],
    }
}

/// What files of this family hold added to the weights of norms: the converter adds the 1 that the model adds.
pub(crate) fn norm_offset(family: &str, architecture: &Architecture) -> f32 {
    if architecture.norm.weight_plus_one && family != CONTAINER_FAMILY { 1.0 } else { 0.0 }
}

/// Where a file that slimfit writes has a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlace {
    /// The stored tensor.
    pub name: String,
    /// Its row where the tensor begins: past 0 where several lie in one.
    pub first: u64,
    /// The rows of a head, where its first half lies on even rows and its second half on odd ones.
    pub interleaved: Option<u64>,
}

/// Where a written file of this family has a tensor. Matrices of all experts lie above each other in one.
pub fn stored_place(family: &str, architecture: &Architecture, tensor: &Tensor) -> StoredPlace {
    let place = places(family, architecture, tensor).into_iter().next();
    let Place { names, rows, .. } = place.expect("every tensor has a place");
    let (first, interleaved) = match rows {
        Rows::Runs { first, .. } => (first, None),
        Rows::Interleaved { head } => (0, Some(head)),
    };
    StoredPlace { name: names.into_iter().next().expect("a place has a name"), first, interleaved }
}

/// What rotates together lies together.
fn order(family: &str, attention: &Attention, role: TensorRole) -> Rows {
    match role {
        TensorRole::Query | TensorRole::Key if NEIGHBOURS.contains(&family) => {
            Rows::Interleaved { head: attention.head_size }
        }
        _ => Rows::from(0),
    }
}

fn stem(family: &str, role: TensorRole) -> &'static str {
    match role {
        TensorRole::Embedding => "token_embd",
        TensorRole::PositionTable => "position_embd",
        TensorRole::EmbeddingNorm => "token_embd_norm",
        // No family of llama.cpp factorises its embeddings; slimfit's own container does.
        TensorRole::EmbeddingIn => "token_embd_in",
        TensorRole::EmbeddingOut => "token_embd_out",
        TensorRole::FfnNorm if family == "falcon" => "attn_norm",
        TensorRole::AttentionNorm => "attn_norm",
        TensorRole::Query => "attn_q",
        TensorRole::Key => "attn_k",
        TensorRole::Value => "attn_v",
        TensorRole::AttentionOutput => "attn_output",
        TensorRole::QueryNorm => "attn_q_norm",
        TensorRole::KeyNorm => "attn_k_norm",
        TensorRole::AttentionPostNorm => "post_attention_norm",
        TensorRole::FfnNorm => "ffn_norm",
        TensorRole::FfnPostNorm => "post_ffw_norm",
        TensorRole::Gate => "ffn_gate",
        TensorRole::Up => "ffn_up",
        TensorRole::Down => "ffn_down",
        TensorRole::Router => "ffn_gate_inp",
        TensorRole::ExpertGate => "ffn_gate_exps",
        TensorRole::ExpertUp => "ffn_up_exps",
        TensorRole::ExpertDown => "ffn_down_exps",
        TensorRole::SharedGate => "ffn_gate_shexp",
        TensorRole::SharedUp => "ffn_up_shexp",
        TensorRole::SharedDown => "ffn_down_shexp",
        TensorRole::SharedExpertGate => "ffn_gate_inp_shexp",
        TensorRole::FinalNorm => "output_norm",
        TensorRole::Head => "output",
    }
}
