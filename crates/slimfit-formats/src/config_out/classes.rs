//! What each class fixes and what it lets vary.

use super::Class;
use slimfit_arch::{NormKind, NormPlacement, QkNorm};

/// Which windows a class can say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    /// None.
    None,
    /// The same on all layers, or none.
    Uniform,
    /// The same on the layers that have one.
    Some,
}

/// Which biases a class can say on the attention.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Biases {
    /// None.
    None,
    /// On all projections or none.
    AllOrNone,
    /// On query, key and value.
    Qkv,
}

/// Which feed-forward parts a class can say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ffn {
    /// Gated, in all layers.
    Gated,
    /// Ungated, in all layers.
    Ungated,
    /// Experts in all layers.
    Experts,
    /// Experts, and gated parts of one other size.
    ExpertsOrGated,
}

/// A class as data.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    pub(super) plus_one: bool,
    pub(super) placement: NormPlacement,
    pub(super) qk_norm: QkNorm,
    pub(super) windows: Windows,
    pub(super) biases: Biases,
    /// A flag for biases on the feed-forward part.
    pub(super) ffn_bias: bool,
    pub(super) ffn: Ffn,
    /// Layers without positions.
    pub(super) rope_gaps: bool,
    /// Windowed layers rotate by a base of their own.
    pub(super) rope_by_kind: bool,
    /// The factor on the scores can be said.
    pub(super) score_scale: bool,
    /// Caps on scores and logits can be said.
    pub(super) softcaps: bool,
    /// Embedding, branch and logit constants can be said.
    pub(super) constants: bool,
    /// Embeddings are always scaled by √hidden.
    pub(super) root_embedding: bool,
    /// The class refuses hidden sizes that its heads do not divide, even beside a head size of its own.
    pub(super) heads_divide: bool,
}

const LLAMA: Spec = Spec {
    plus_one: false,
    placement: NormPlacement::Pre,
    qk_norm: QkNorm::None,
    windows: Windows::None,
    biases: Biases::AllOrNone,
    ffn_bias: true,
    ffn: Ffn::Gated,
    rope_gaps: false,
    rope_by_kind: false,
    score_scale: false,
    softcaps: false,
    constants: false,
    root_embedding: false,
    heads_divide: true,
};

const MISTRAL: Spec =
    Spec { windows: Windows::Uniform, biases: Biases::None, ffn_bias: false, heads_divide: false, ..LLAMA };

const GEMMA: Spec = Spec { plus_one: true, ffn_bias: false, root_embedding: true, ..LLAMA };

pub(super) const fn spec(class: Class) -> Spec {
    match class {
        Class::Llama => LLAMA,
        Class::Mistral => MISTRAL,
        Class::Arcee => Spec { ffn: Ffn::Ungated, ..LLAMA },
        Class::Qwen2 => Spec { windows: Windows::Some, biases: Biases::Qkv, ..MISTRAL },
        Class::Qwen3 => {
            Spec { windows: Windows::Some, biases: Biases::AllOrNone, qk_norm: QkNorm::PerHead, ..MISTRAL }
        }
        Class::Ministral => Spec { windows: Windows::Some, ..MISTRAL },
        Class::SmolLm3 => Spec { windows: Windows::Some, rope_gaps: true, heads_divide: false, ..LLAMA },
        Class::Granite => Spec { score_scale: true, constants: true, heads_divide: false, ..LLAMA },
        Class::Olmo2 => Spec {
            placement: NormPlacement::PostBranch,
            qk_norm: QkNorm::AllHeads,
            ffn_bias: false,
            heads_divide: false,
            ..LLAMA
        },
        Class::Gemma => Spec { heads_divide: false, ..GEMMA },
        Class::Gemma2 => Spec {
            placement: NormPlacement::Sandwich,
            windows: Windows::Some,
            score_scale: true,
            softcaps: true,
            ..GEMMA
        },
        Class::Gemma3 => Spec {
            placement: NormPlacement::Sandwich,
            qk_norm: QkNorm::PerHead,
            windows: Windows::Some,
            rope_by_kind: true,
            score_scale: true,
            softcaps: true,
            ..GEMMA
        },
        Class::Mixtral => Spec { ffn: Ffn::Experts, ..MISTRAL },
        Class::Qwen2Moe => {
            Spec { windows: Windows::Some, biases: Biases::Qkv, ffn: Ffn::ExpertsOrGated, ..MISTRAL }
        }
        Class::Qwen3Moe => {
            Spec { biases: Biases::AllOrNone, qk_norm: QkNorm::PerHead, ffn: Ffn::ExpertsOrGated, ..MISTRAL }
        }
    }
}

/// Every class here norms by the root mean square.
pub(super) const NORM: NormKind = NormKind::Rms;
