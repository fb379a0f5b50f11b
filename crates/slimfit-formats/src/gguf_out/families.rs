//! What each family's loader asks for, what its graph fixes, and what both let vary.

use super::Family;
use slimfit_arch::{Activation, NormKind, NormPlacement, QkNorm};

/// A part that files may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// No tensor of this name is loaded, and one that is left over is refused.
    Never,
    /// The loader insists on it.
    Always,
    /// Loaded where it is.
    Either,
}

impl Part {
    pub(super) fn allows(self, present: bool) -> bool {
        match self {
            Self::Never => !present,
            Self::Always => present,
            Self::Either => true,
        }
    }

    /// How a yes or no must be.
    pub(super) fn allowed(self) -> &'static str {
        match self {
            Self::Never => "false",
            Self::Always => "true",
            Self::Either => "true or false",
        }
    }
}

/// Where the windows are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Windows {
    /// The graph has none.
    None,
    /// On all layers but every this-many-th.
    AllBut(u64),
    /// The same, or none at all.
    AllButOrNone(u64),
}

/// Which changes to rotary frequencies the graph makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scaling {
    /// None that all layers share.
    None,
    /// One divisor, or YaRN with the usual constants.
    Metadata,
    /// The same, or a divisor for each frequency.
    Factors,
}

/// Constants on scores and logits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Softcaps {
    None,
    /// Always applied to both.
    Both,
}

/// The feed-forward part of all layers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ffn {
    /// Dense, or experts without a shared part whose weights sum to 1.
    DenseOrExperts,
    Dense,
    /// Experts without a shared part, whose weights sum to 1.
    Experts,
    /// Experts whose weights are left as they are, and a shared part behind a sigmoid.
    SharedExperts,
}

/// A family as data.
#[derive(Clone, Copy)]
pub(super) struct Spec {
    pub(super) norm: NormKind,
    pub(super) placements: &'static [NormPlacement],
    pub(super) qk_norms: &'static [QkNorm],
    pub(super) windows: Windows,
    pub(super) tied: Part,
    pub(super) qkv_bias: Part,
    pub(super) output_bias: Part,
    pub(super) ffn_bias: Part,
    pub(super) head_bias: Part,
    pub(super) ffn: Ffn,
    pub(super) gated: bool,
    pub(super) activation: Activation,
    /// The positions are a learned table; otherwise they are rotary.
    pub(super) learned_positions: bool,
    /// Part of each head may rotate.
    pub(super) partial_rotation: bool,
    pub(super) scaling: Scaling,
    /// Every this-many-th layer has no positions.
    pub(super) rope_gaps: Option<u64>,
    /// Layers with a window rotate by this base, the others by one of their own.
    pub(super) window_base: Option<f64>,
    /// Projections are square: the heads together are as wide as the model.
    pub(super) heads_are_hidden: bool,
    /// As many key heads as query heads.
    pub(super) multi_head: bool,
    /// The factor on the scores can be said.
    pub(super) score_scale: bool,
    /// The depth at which the factor on the scores is that of `hidden / heads`.
    pub(super) scale_of_hidden_at: Option<u64>,
    pub(super) softcaps: Softcaps,
    /// Embedding, branch and logit constants can be said.
    pub(super) constants: bool,
    /// Embeddings are always scaled by √hidden.
    pub(super) root_embedding: bool,
}

const LLAMA: Spec = Spec {
    norm: NormKind::Rms,
    placements: &[NormPlacement::Pre],
    qk_norms: &[QkNorm::None],
    windows: Windows::None,
    tied: Part::Either,
    qkv_bias: Part::Either,
    output_bias: Part::Either,
    ffn_bias: Part::Either,
    head_bias: Part::Never,
    ffn: Ffn::DenseOrExperts,
    gated: true,
    activation: Activation::Silu,
    learned_positions: false,
    partial_rotation: false,
    scaling: Scaling::Factors,
    rope_gaps: None,
    window_base: None,
    heads_are_hidden: false,
    multi_head: false,
    score_scale: false,
    scale_of_hidden_at: None,
    softcaps: Softcaps::None,
    constants: false,
    root_embedding: false,
};

/// Llama without biases, and nothing but dense parts.
const BARE: Spec = Spec {
    qkv_bias: Part::Never,
    output_bias: Part::Never,
    ffn_bias: Part::Never,
    ffn: Ffn::Dense,
    scaling: Scaling::Metadata,
    ..LLAMA
};

const GEMMA: Spec =
    Spec { tied: Part::Always, activation: Activation::GeluTanh, root_embedding: true, ..BARE };

/// LayerNorm with a bias, and square projections.
const CLASSIC: Spec = Spec { norm: NormKind::Layer, heads_are_hidden: true, ..BARE };

/// The same with a GELU, no gate, and biases everywhere.
const BIASED: Spec = Spec {
    qkv_bias: Part::Always,
    output_bias: Part::Always,
    ffn_bias: Part::Always,
    gated: false,
    activation: Activation::GeluTanh,
    ..CLASSIC
};

pub(super) const fn spec(family: Family) -> Spec {
    match family {
        Family::Llama => LLAMA,
        Family::Qwen2 => Spec { qkv_bias: Part::Always, heads_are_hidden: true, ..BARE },
        Family::Qwen3 => Spec { qk_norms: &[QkNorm::PerHead], ..BARE },
        Family::Arcee => {
            Spec { gated: false, activation: Activation::ReluSquared, scaling: Scaling::Factors, ..BARE }
        }
        Family::SmolLm3 => Spec { rope_gaps: Some(4), ..BARE },
        Family::Granite => Spec { ffn: Ffn::Dense, score_scale: true, constants: true, ..LLAMA },
        Family::Phi3 => Spec { partial_rotation: true, heads_are_hidden: true, ..BARE },
        Family::Olmo2 => Spec {
            placements: &[NormPlacement::PostBranch],
            qk_norms: &[QkNorm::AllHeads],
            windows: Windows::AllButOrNone(4),
            tied: Part::Never,
            heads_are_hidden: true,
            ..BARE
        },
        Family::Gemma => GEMMA,
        Family::Gemma2 => Spec {
            placements: &[NormPlacement::Sandwich],
            windows: Windows::AllBut(2),
            scaling: Scaling::None,
            scale_of_hidden_at: Some(46),
            softcaps: Softcaps::Both,
            ..GEMMA
        },
        Family::Gemma3 => Spec {
            placements: &[NormPlacement::Sandwich],
            qk_norms: &[QkNorm::PerHead],
            windows: Windows::AllBut(6),
            window_base: Some(10_000.0),
            scale_of_hidden_at: Some(62),
            ..GEMMA
        },
        Family::Gpt2 => Spec { learned_positions: true, multi_head: true, ..BIASED },
        Family::StarCoder2 => BIASED,
        Family::StableLm => Spec {
            placements: &[NormPlacement::Pre, NormPlacement::ParallelOneNorm],
            qk_norms: &[QkNorm::None, QkNorm::EachHead],
            tied: Part::Never,
            qkv_bias: Part::Either,
            partial_rotation: true,
            ..CLASSIC
        },
        Family::Nemotron => Spec {
            tied: Part::Never,
            qkv_bias: Part::Either,
            output_bias: Part::Either,
            ffn_bias: Part::Either,
            gated: false,
            activation: Activation::ReluSquared,
            partial_rotation: true,
            ..CLASSIC
        },
        Family::GptNeoX => Spec {
            placements: &[NormPlacement::Pre, NormPlacement::ParallelTwoNorms],
            tied: Part::Never,
            partial_rotation: true,
            multi_head: true,
            ..BIASED
        },
        Family::Phi2 => Spec {
            placements: &[NormPlacement::ParallelOneNorm],
            tied: Part::Never,
            head_bias: Part::Always,
            partial_rotation: true,
            ..BIASED
        },
        Family::Qwen2Moe => Spec {
            tied: Part::Never,
            qkv_bias: Part::Always,
            ffn: Ffn::SharedExperts,
            heads_are_hidden: true,
            ..BARE
        },
        Family::Qwen3Moe => Spec { qk_norms: &[QkNorm::PerHead], ffn: Ffn::Experts, ..BARE },
    }
}
