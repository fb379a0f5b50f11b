//! Requirements that Hugging Face classes and families of llama.cpp have in common.

use super::{Obstacles, SAME};
use slimfit_arch::{Architecture, Attention, LayerRun, Rope};

/// How a model's constants are said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constants {
    /// Whether they can be said at all.
    pub(crate) said: bool,
    /// Whether a 0 reads as absent.
    pub(crate) zero_is_absent: bool,
    /// Whether embeddings are scaled by the root of the hidden size, whatever is said.
    pub(crate) root_embedding: bool,
}

impl Obstacles {
    /// Layers run once, as wide as what enters them.
    pub(crate) fn require_plain_trunk(&mut self, model: &Architecture) {
        self.require(model.loops.is_none_or(|loops| loops.count == 1), "loops", "absent");
        let as_wide = model.embedding_size.is_none_or(|size| size == model.hidden_size);
        self.require(as_wide, "embedding_size", "the hidden size");
    }

    /// One norm before the head, none after the embeddings.
    pub(crate) fn require_final_norm_alone(&mut self, model: &Architecture) {
        self.require(!model.embedding_norm, "embedding_norm", "false");
        self.require(model.final_norm, "final_norm", "true");
    }

    /// Constants on embeddings, branches and logits.
    pub(crate) fn require_scales(&mut self, model: &Architecture, constants: Constants) {
        let scales = &model.scales;
        let is_one = |scale: Option<f64>| scale.is_none_or(|scale| scale == 1.0);
        let said = |scale: Option<f64>| {
            constants.said && !(constants.zero_is_absent && scale == Some(0.0)) || is_one(scale)
        };
        if constants.root_embedding {
            let root = (model.hidden_size as f64).sqrt();
            // A scale of 1 is none.
            let holds = scales.embedding.unwrap_or(1.0) == root;
            self.require(holds, "scales.embedding", "the root of the hidden size");
        } else {
            self.require(said(scales.embedding), "scales.embedding", "1");
        }
        self.require(said(scales.residual), "scales.residual", "1");
        // A file says the divisor, and only divisors that divide back to the same factor keep the logits the same.
        let divides_back = scales.logits.is_none_or(|scale| 1.0 / (1.0 / scale) == scale);
        self.require((constants.said && divides_back) || is_one(scales.logits), "scales.logits", "1");
    }

    /// Attention of one shape.
    pub(crate) fn require_same_attention(&mut self, model: &Architecture) {
        let Some(LayerRun { attention: first, .. }) = model.layers.first() else { return };
        for LayerRun { attention, .. } in &model.layers {
            self.require(attention.heads == first.heads, "attention.heads", SAME);
            self.require(attention.kv_heads == first.kv_heads, "attention.kv_heads", SAME);
            self.require(attention.head_size == first.head_size, "attention.head_size", SAME);
            self.require(attention.bias == first.bias, "attention.bias", SAME);
            self.require(scale_of(attention) == scale_of(first), "attention.scale", SAME);
            self.require(attention.softcap == first.softcap, "attention.softcap", SAME);
            self.require(attention.qkv_clip.is_none(), "attention.qkv_clip", "absent");
        }
    }

    /// Rotation of halves of a head, of all of it unless `partial`.
    pub(crate) fn require_rotation(&mut self, rope: &Rope, head_size: u64, partial: bool) {
        self.require(!rope.interleaved, "attention.rope.interleaved", "false");
        let whole = rope.rotated.is_none_or(|rotated| rotated == head_size);
        self.require(whole || partial, "attention.rope.rotated", "the head size");
    }
}

/// The factor on an attention's scores.
pub(crate) fn scale_of(attention: &Attention) -> f64 {
    attention.scale.unwrap_or_else(|| 1.0 / (attention.head_size as f64).sqrt())
}
