//! What keeps an architecture out of a family.

use super::Family;
use super::families::{Ffn, Part, Scaling, Softcaps, Spec, Windows, spec};
use crate::obstacles::{Constants, Obstacle, Obstacles, SAME, first_axis, scale_of, write_list};
use slimfit_arch::{
    Architecture, FeedForward, LayerRun, NormKind, NormPlacement, Positions, QkNorm, Rope, RopeScaling,
};
use std::fmt;

/// No architecture of llama.cpp computes a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFamily {
    /// The family with the fewest obstacles.
    pub nearest: Family,
    /// What stands in its way.
    pub obstacles: Vec<Obstacle>,
}

impl NoFamily {
    /// The first axis that stands in the way.
    pub fn axis(&self) -> &'static str {
        first_axis(&self.obstacles)
    }
}

impl fmt::Display for NoFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "llama.cpp has no architecture for this model; `{}` comes nearest", self.nearest.name())?;
        write_list(f, &self.obstacles)
    }
}

impl std::error::Error for NoFamily {}

/// `LLAMA_MAX_LAYERS`.
const MOST_LAYERS: u64 = 512;
/// `LLAMA_MAX_EXPERTS` since September 2025.
const MOST_EXPERTS: u64 = 512;

pub(super) fn obstacles(family: Family, model: &Architecture) -> Vec<Obstacle> {
    let spec = spec(family);
    let mut found = Obstacles::default();
    if model.layers.is_empty() {
        found.require(false, "layers", "present");
        return found.into_list();
    }
    whole_model(&mut found, model, &spec);
    attention(&mut found, model, &spec);
    windows(&mut found, model, &spec);
    rotation(&mut found, model, &spec);
    feed_forward(&mut found, model, &spec);
    found.into_list()
}

fn whole_model(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    found.require_plain_trunk(model);
    found.require(model.depth() <= MOST_LAYERS, "layers", "at most 512");
    if spec.learned_positions {
        let learned = matches!(model.positions, Positions::Learned { offset: 0, .. });
        found.require(learned, "positions", "learned");
    } else {
        found.require(model.positions == Positions::None, "positions", "rotary");
    }
    found.require(model.norm.kind == spec.norm, "norm.kind", norm_name(spec.norm));
    found.require(spec.placements.contains(&model.norm_placement), "norm_placement", placements(spec));
    found.require_final_norm_alone(model);
    found.require(spec.head_bias.allows(model.head_bias), "head_bias", spec.head_bias.allowed());
    found.require(spec.tied.allows(model.tied_embeddings), "tied_embeddings", spec.tied.allowed());
    found.require_scales(
        model,
        Constants { said: spec.constants, zero_is_absent: true, root_embedding: spec.root_embedding },
    );
    let capped = spec.softcaps == Softcaps::Both;
    let allowed = if capped { "present" } else { "absent" };
    found.require(model.scales.logit_softcap.is_some() == capped, "scales.logit_softcap", allowed);
}

fn norm_name(kind: NormKind) -> &'static str {
    match kind {
        NormKind::Rms => "rms",
        NormKind::Layer => "layer",
        NormKind::LayerNoBias => "layer_no_bias",
        NormKind::LayerPlain => "layer_plain",
    }
}

fn placements(spec: &Spec) -> &'static str {
    match spec.placements {
        [NormPlacement::PostBranch] => "post_branch",
        [NormPlacement::Sandwich] => "sandwich",
        [NormPlacement::ParallelOneNorm] => "parallel_one_norm",
        [_, NormPlacement::ParallelOneNorm] => "pre or parallel_one_norm",
        [_, NormPlacement::ParallelTwoNorms] => "pre or parallel_two_norms",
        _ => "pre",
    }
}

fn qk_norms(spec: &Spec) -> &'static str {
    match spec.qk_norms {
        [QkNorm::PerHead] => "per_head",
        [QkNorm::AllHeads] => "all_heads",
        [_, QkNorm::EachHead] => "none or each_head",
        _ => "none",
    }
}

fn attention(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    let first = &model.layers[0].attention;
    found.require_same_attention(model);
    for LayerRun { attention, .. } in &model.layers {
        found.require(attention.qk_norm == first.qk_norm, "attention.qk_norm", SAME);
    }
    found.require(spec.qk_norms.contains(&first.qk_norm), "attention.qk_norm", qk_norms(spec));
    found.require(spec.qkv_bias.allows(first.bias.qkv), "attention.bias.qkv", spec.qkv_bias.allowed());
    let output = spec.output_bias;
    found.require(output.allows(first.bias.output), "attention.bias.output", output.allowed());
    let wide = first.heads.checked_mul(first.head_size) == Some(model.hidden_size);
    found.require(wide || !spec.heads_are_hidden, "attention.heads", "the hidden size over the head size");
    let multi_head = first.kv_heads == first.heads;
    found.require(multi_head || !spec.multi_head, "attention.kv_heads", "as many as heads");
    if spec.scale_of_hidden_at == Some(model.depth()) {
        let usual = 1.0 / ((model.hidden_size / first.heads.max(1)) as f64).sqrt();
        found.require(scale_of(first) == usual, "attention.scale", "1/√(hidden_size / heads)");
    } else {
        let usual = scale_of(first) == 1.0 / (first.head_size as f64).sqrt();
        // In a file 0 stands for absent.
        let said = spec.score_scale && first.scale != Some(0.0);
        found.require(usual || said, "attention.scale", "1/√head_size");
    }
    let capped = spec.softcaps == Softcaps::Both;
    let allowed = if capped { "present" } else { "absent" };
    found.require(first.softcap.is_some() == capped, "attention.softcap", allowed);
}

fn windows(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    let window = model.layers.iter().find_map(|run| run.attention.window);
    let (every, needed, allowed) = match spec.windows {
        Windows::None => {
            found.require(window.is_none(), "attention.window", "absent");
            return;
        }
        Windows::AllBut(2) => (2, true, "the same in all layers but every 2nd, which has none"),
        Windows::AllBut(every) => (every, true, "the same in all layers but every 6th, which has none"),
        Windows::AllButOrNone(every) => {
            (every, false, "absent, or the same in all layers but every 4th, which has none")
        }
    };
    if window.is_none() {
        found.require(!needed, "attention.window", allowed);
        return;
    }
    let mut number = 0;
    for run in &model.layers {
        let last = number + run.repeat;
        let full = last / every - number / every;
        let holds = match run.attention.window {
            None => full == run.repeat,
            own => full == 0 && own == window,
        };
        found.require(holds, "attention.window", allowed);
        number = last;
    }
}

fn rotation(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    if spec.learned_positions {
        let plain = model.layers.iter().all(|run| run.attention.rope.is_none());
        found.require(plain, "attention.rope", "absent");
        return;
    }
    let windowed = |run: &&LayerRun| run.attention.window.is_some();
    let rope_of = |run: &LayerRun| run.attention.rope.clone();
    let any = model.layers.iter().find_map(rope_of);
    let full = model.layers.iter().filter(|run| !windowed(run)).find_map(rope_of);
    found.require(any.is_some(), "attention.rope", "present");
    let has_windows = model.layers.iter().any(|run| windowed(&run));
    let mut number = 0;
    for run in &model.layers {
        let last = number + run.repeat;
        let attention = &run.attention;
        if let Some(every) = spec.rope_gaps {
            let gaps = last / every - number / every;
            let holds = if attention.rope.is_none() { gaps == run.repeat } else { gaps == 0 };
            found.require(holds, "attention.rope", "absent in every 4th layer alone");
        } else {
            found.require(attention.rope.is_some(), "attention.rope", "present in all layers");
        }
        number = last;
        let Some(rope) = &attention.rope else { continue };
        match spec.window_base {
            Some(base) if attention.window.is_some() => {
                found.require(rope.base == base, "attention.rope.base", "10000 where there is a window");
                found.require(
                    rope.scaling.is_none(),
                    "attention.rope.scaling",
                    "absent where there is a window",
                );
            }
            Some(_) => found.require(Some(rope) == full.as_ref(), "attention.rope", SAME),
            None => {
                found.require(Some(rope) == any.as_ref(), "attention.rope", SAME);
                // Layers with a window are not scaled.
                let holds = rope.scaling.is_none() || !has_windows;
                found.require(holds, "attention.rope.scaling", "absent beside windows");
            }
        }
        holdable(found, rope, attention.head_size, spec);
    }
}

fn holdable(found: &mut Obstacles, rope: &Rope, head_size: u64, spec: &Spec) {
    found.require_rotation(rope, head_size, spec.partial_rotation);
    let (known, allowed) = match &rope.scaling {
        None => (true, ""),
        Some(RopeScaling::Linear { .. }) => (spec.scaling != Scaling::None, "absent"),
        // Only recent releases read other constants.
        Some(RopeScaling::Yarn { beta_fast, beta_slow, attention_factor, .. }) => {
            let usual = (*beta_fast, *beta_slow, *attention_factor) == (32.0, 1.0, None);
            (usual && spec.scaling != Scaling::None, "absent, linear or yarn with the usual constants")
        }
        Some(RopeScaling::Llama3 { .. }) => {
            (spec.scaling == Scaling::Factors, "absent, linear or yarn with the usual constants")
        }
        // One divisor for each frequency at every length, as which a file of Llama 3's is read.
        Some(RopeScaling::LongRope { short_factor, long_factor, attention_factor, .. })
            if short_factor == long_factor && *attention_factor == 1.0 =>
        {
            (spec.scaling == Scaling::Factors, "absent, linear or yarn with the usual constants")
        }
        // LongRoPE's list is chosen by the size of the cache there, not by the length of the text; dynamic scaling is not
        // computed at all.
        Some(RopeScaling::LongRope { .. } | RopeScaling::Dynamic { .. }) => {
            (false, "absent, linear, llama3 or yarn with the usual constants")
        }
    };
    found.require(known, "attention.rope.scaling", allowed);
}

fn feed_forward(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    let first = &model.layers[0].ffn;
    found.require(model.layers.iter().all(|run| run.ffn == *first), "ffn", SAME);
    let activation = match spec.activation {
        slimfit_arch::Activation::Silu => "silu",
        slimfit_arch::Activation::Gelu => "gelu",
        slimfit_arch::Activation::GeluTanh => "gelu_tanh",
        slimfit_arch::Activation::Relu => "relu",
        slimfit_arch::Activation::ReluSquared => "relu_squared",
    };
    let gated = if spec.gated { Part::Always } else { Part::Never };
    match first {
        FeedForward::Dense(mlp) => {
            let holds = matches!(spec.ffn, Ffn::Dense | Ffn::DenseOrExperts);
            found.require(holds, "ffn.kind", "moe");
            found.require(gated.allows(mlp.gated), "ffn.gated", gated.allowed());
            found.require(mlp.activation == spec.activation, "ffn.activation", activation);
            found.require(spec.ffn_bias.allows(mlp.bias), "ffn.bias", spec.ffn_bias.allowed());
        }
        FeedForward::Moe(moe) => {
            let shared = spec.ffn == Ffn::SharedExperts;
            found.require(spec.ffn != Ffn::Dense, "ffn.kind", "dense");
            found.require(gated.allows(moe.gated), "ffn.gated", gated.allowed());
            found.require(moe.activation == spec.activation, "ffn.activation", activation);
            found.require(moe.experts <= MOST_EXPERTS, "ffn.experts", "at most 512");
            found.require(!moe.router_bias, "ffn.router_bias", "false");
            let sizes = if shared { "1 or more" } else { "0" };
            found.require((moe.shared_size > 0) == shared, "ffn.shared_size", sizes);
            let either = if shared { Part::Always } else { Part::Never };
            found.require(either.allows(moe.shared_gate), "ffn.shared_gate", either.allowed());
            let normed = if shared { Part::Never } else { Part::Always };
            found.require(normed.allows(moe.normalise_top_k), "ffn.normalise_top_k", normed.allowed());
        }
    }
}
