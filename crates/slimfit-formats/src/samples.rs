//! Small models of every class of `transformers` and every family of llama.cpp, for the tests of what is written.

use proptest::prelude::*;
use slimfit_arch::{
    Activation, Architecture, Attention, AttentionBias, FeedForward, LayerRun, Mlp, Moe, Norm, NormKind,
    NormPlacement, Positions, QkNorm, Rope, RopeScaling, Scales, Tensor,
};

/// What a model may vary; each class or family takes what it can hold of it.
#[derive(Debug, Clone)]
pub(crate) struct Knobs {
    pub(crate) kv_heads: u64,
    pub(crate) groups: u64,
    pub(crate) half_head: u64,
    pub(crate) hidden: u64,
    pub(crate) vocabulary: u64,
    pub(crate) depth: u64,
    pub(crate) ffn: u64,
    pub(crate) experts: u64,
    pub(crate) shared: u64,
    pub(crate) window: u64,
    pub(crate) every: u64,
    /// Yes or no, asked one after the other.
    pub(crate) flags: [bool; 12],
    pub(crate) scaling: Option<RopeScaling>,
    pub(crate) activation: Activation,
}

impl Knobs {
    pub(crate) fn heads(&self) -> u64 {
        self.kv_heads * self.groups
    }

    pub(crate) fn head_size(&self) -> u64 {
        2 * self.half_head
    }

    pub(crate) fn rope(&self) -> Rope {
        let base = if self.flags[0] { 10_000.0 } else { 500_000.0 };
        Rope { base, rotated: None, interleaved: false, scaling: self.scaling.clone() }
    }

    pub(crate) fn moe(&self, activation: Activation) -> Moe {
        Moe {
            experts: self.experts,
            top_k: 1 + self.experts / 2,
            expert_size: self.ffn,
            gated: true,
            activation,
            shared_size: 0,
            shared_gate: false,
            normalise_top_k: true,
            router_bias: false,
        }
    }

    /// Layers of one kind of attention and feed-forward part, without windows.
    pub(crate) fn uniform(&self, attention: &Attention, ffn: &FeedForward) -> Vec<LayerRun> {
        let run = || LayerRun { repeat: 1, attention: attention.clone(), ffn: ffn.clone() };
        (0..self.depth).map(|_| run()).collect()
    }

    pub(crate) fn attention(&self) -> Attention {
        Attention {
            heads: self.heads(),
            kv_heads: self.kv_heads,
            head_size: self.head_size(),
            window: None,
            rope: Some(self.rope()),
            bias: AttentionBias::default(),
            qk_norm: QkNorm::None,
            scale: None,
            softcap: None,
            qkv_clip: None,
        }
    }

    pub(crate) fn mlp(&self) -> Mlp {
        Mlp { size: self.ffn, gated: true, activation: self.activation, bias: false }
    }

    pub(crate) fn model(&self, layers: Vec<LayerRun>) -> Architecture {
        Architecture {
            hidden_size: self.hidden,
            vocabulary_size: self.vocabulary,
            tied_embeddings: self.flags[1],
            embedding_size: None,
            layers,
            positions: Positions::None,
            norm: Norm {
                kind: NormKind::Rms,
                epsilon: if self.flags[2] { 1e-6 } else { 1e-5 },
                weight_plus_one: false,
            },
            norm_placement: NormPlacement::Pre,
            embedding_norm: false,
            final_norm: true,
            head_bias: false,
            scales: Scales::default(),
            loops: None,
        }
    }
}

prop_compose! {
    pub(crate) fn knobs()(
        (kv_heads, groups, half_head, hidden, vocabulary) in (1_u64..3, 1_u64..4, 1_u64..5, 1_u64..20, 1_u64..40),
        (depth, ffn, experts, shared, window, every) in (1_u64..9, 1_u64..24, 1_u64..5, 1_u64..9, 1_u64..99, 1_u64..5),
        flags in any::<[bool; 12]>(),
        scaling in prop_oneof![
            Just(None),
            Just(Some(RopeScaling::Linear { factor: 2.5 })),
            Just(Some(RopeScaling::Llama3 {
                factor: 8.0, low_frequency_factor: 1.0, high_frequency_factor: 4.0, original_context: 8192,
            })),
            Just(Some(RopeScaling::Yarn {
                factor: 4.0, beta_fast: 32.0, beta_slow: 1.0, original_context: 512, attention_factor: None,
            })),
        ],
        activation in prop::sample::select(vec![
            Activation::Silu, Activation::GeluTanh, Activation::Relu, Activation::ReluSquared,
        ]),
    ) -> Knobs {
        Knobs {
            kv_heads, groups, half_head, hidden, vocabulary, depth, ffn, experts, shared, window, every, flags, scaling,
            activation,
        }
    }
}

/// What stands at the places of a tensor from `first` on: numbers between −1 and 1, each of which hardly any other place
/// has.
pub(crate) fn values_from(tensor: &Tensor, first: u64) -> impl Iterator<Item = f32> {
    let name = tensor.name().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (first..).map(move |place| {
        let mut bits = name.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((bits >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
    })
}

/// [`values_from`] as a source.
pub(crate) fn values(tensor: &Tensor, first: u64, values: &mut [f32]) -> Result<(), crate::FormatsError> {
    values.iter_mut().zip(values_from(tensor, first)).for_each(|(slot, value)| *slot = value);
    Ok(())
}
