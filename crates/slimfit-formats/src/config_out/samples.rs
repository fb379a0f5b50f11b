//! A model that a class holds, from what may vary.

use super::Class;
use super::classes::{Biases, Ffn, Windows, spec};
use crate::samples::Knobs;
use slimfit_arch::{Architecture, FeedForward, LayerRun};

/// Nothing keeps it out of the class; a narrower one may hold it too.
pub(crate) fn sample(class: Class, knobs: &Knobs) -> Architecture {
    let spec = spec(class);
    let flags = knobs.flags;
    let mut attention = knobs.attention();
    attention.qk_norm = spec.qk_norm;
    attention.scale = Some(0.25).filter(|_| spec.score_scale && flags[3]);
    attention.softcap = Some(50.0).filter(|_| spec.softcaps && flags[4]);
    let bias = match spec.biases {
        Biases::None => (false, false),
        Biases::AllOrNone => (flags[5], flags[5]),
        Biases::Qkv => (true, false),
    };
    (attention.bias.qkv, attention.bias.output) = bias;
    let mut mlp = knobs.mlp();
    mlp.gated = spec.ffn != Ffn::Ungated;
    mlp.bias = spec.ffn_bias && flags[6];
    let mut moe = knobs.moe(mlp.activation);
    if class == Class::Qwen2Moe {
        (moe.shared_size, moe.shared_gate) = (knobs.shared, true);
    }
    if class != Class::Mixtral {
        moe.normalise_top_k = flags[7];
    }
    let ffn = |number: u64| match spec.ffn {
        Ffn::Experts => FeedForward::Moe(moe.clone()),
        // At least one layer has experts.
        Ffn::ExpertsOrGated if number == 1 || flags[8] => FeedForward::Moe(moe.clone()),
        _ => FeedForward::Dense(mlp.clone()),
    };
    let layers = (1..=knobs.depth).map(|number| {
        let mut attention = attention.clone();
        let full = number.is_multiple_of(knobs.every);
        attention.window = match spec.windows {
            Windows::None => None,
            Windows::Uniform => Some(knobs.window).filter(|_| flags[9]),
            Windows::Some => Some(knobs.window).filter(|_| flags[9] && !full),
        };
        if let Some(rope) =
            attention.rope.as_mut().filter(|_| spec.rope_by_kind && attention.window.is_some())
        {
            (rope.base, rope.scaling) = (10_000.0, None);
        }
        if spec.rope_gaps && number > 1 && number.is_multiple_of(3) {
            attention.rope = None;
        }
        LayerRun { repeat: 1, attention, ffn: ffn(number) }
    });
    let mut model = knobs.model(layers.collect());
    if spec.heads_divide {
        model.hidden_size *= knobs.heads();
    }
    model.norm.weight_plus_one = spec.plus_one;
    model.norm_placement = spec.placement;
    if spec.root_embedding {
        model.scales.embedding = Some((model.hidden_size as f64).sqrt());
    }
    if spec.softcaps && flags[10] {
        model.scales.logit_softcap = Some(30.0);
    }
    if spec.constants {
        (model.scales.embedding, model.scales.residual) = (Some(12.0), Some(0.22));
        model.scales.logits = Some(0.125);
    }
    model
}
