//! A model that a family holds, from what may vary.

use super::Family;
use super::families::{Ffn, Part, Scaling, Softcaps, Spec, Windows, spec};
use crate::samples::Knobs;
use slimfit_arch::{Architecture, Attention, FeedForward, Positions, RopeScaling};

fn pick(part: Part, flag: bool) -> bool {
    match part {
        Part::Never => false,
        Part::Always => true,
        Part::Either => flag,
    }
}

/// Nothing keeps it out of the family; a narrower one may hold it too.
pub(super) fn sample(family: Family, knobs: &Knobs) -> Architecture {
    let spec = spec(family);
    let flags = knobs.flags;
    let mut attention = knobs.attention();
    if spec.multi_head {
        attention.kv_heads = attention.heads;
    }
    attention.qk_norm = spec.qk_norms[usize::from(flags[3]) % spec.qk_norms.len()];
    attention.bias.qkv = pick(spec.qkv_bias, flags[4]);
    attention.bias.output = pick(spec.output_bias, flags[5]);
    attention.scale = Some(0.2).filter(|_| spec.score_scale && flags[6]);
    attention.softcap = (spec.softcaps == Softcaps::Both).then_some(50.0);
    rotate(&mut attention, &spec, knobs);
    let moe = match spec.ffn {
        Ffn::Dense => false,
        Ffn::DenseOrExperts => flags[7],
        Ffn::Experts | Ffn::SharedExperts => true,
    };
    let ffn = if moe {
        let mut moe = knobs.moe(spec.activation);
        if spec.ffn == Ffn::SharedExperts {
            (moe.shared_size, moe.shared_gate, moe.normalise_top_k) = (knobs.shared, true, false);
        }
        FeedForward::Moe(moe)
    } else {
        let mut mlp = knobs.mlp();
        (mlp.gated, mlp.activation) = (spec.gated, spec.activation);
        mlp.bias = pick(spec.ffn_bias, flags[8]);
        FeedForward::Dense(mlp)
    };
    let mut model = knobs.model(knobs.uniform(&attention, &ffn));
    if spec.heads_are_hidden {
        model.hidden_size = attention.heads * attention.head_size;
    }
    model.tied_embeddings = pick(spec.tied, model.tied_embeddings);
    model.norm.kind = spec.norm;
    model.norm.weight_plus_one = flags[9];
    model.norm_placement = spec.placements[usize::from(flags[10]) % spec.placements.len()];
    model.head_bias = pick(spec.head_bias, true);
    if spec.learned_positions {
        model.positions = Positions::Learned { context: 16, offset: 0 };
    }
    if spec.root_embedding {
        model.scales.embedding = Some((model.hidden_size as f64).sqrt());
    }
    if spec.softcaps == Softcaps::Both {
        model.scales.logit_softcap = Some(30.0);
    }
    if spec.constants {
        (model.scales.embedding, model.scales.residual) = (Some(12.0), Some(0.22));
        model.scales.logits = Some(0.125);
    }
    window(&mut model, &spec, knobs);
    model
}

fn rotate(attention: &mut Attention, spec: &Spec, knobs: &Knobs) {
    if spec.learned_positions {
        attention.rope = None;
    }
    let Some(rope) = &mut attention.rope else { return };
    if spec.partial_rotation && knobs.half_head > 1 {
        rope.rotated = Some(2 * (knobs.half_head / 2));
    }
    match (&rope.scaling, spec.scaling) {
        (_, Scaling::None) | (Some(RopeScaling::Llama3 { .. }), Scaling::Metadata) => rope.scaling = None,
        _ => {}
    }
}

fn window(model: &mut Architecture, spec: &Spec, knobs: &Knobs) {
    let every = match spec.windows {
        Windows::AllBut(every) => Some(every),
        Windows::AllButOrNone(every) => Some(every).filter(|_| knobs.flags[11]),
        Windows::None => None,
    };
    // Beside windows only Gemma 3 scales, and only where there is none.
    let plain = every.is_some() && spec.window_base.is_none();
    for (number, run) in (1..).zip(&mut model.layers) {
        let full = every.is_none_or(|every| u64::is_multiple_of(number, every));
        run.attention.window = (!full).then_some(knobs.window);
        if spec.rope_gaps.is_some_and(|every| u64::is_multiple_of(number, every)) {
            run.attention.rope = None;
        }
        let Some(rope) = &mut run.attention.rope else { continue };
        match spec.window_base {
            Some(base) if !full => (rope.base, rope.scaling) = (base, None),
            _ if plain => rope.scaling = None,
            _ => {}
        }
    }
}
