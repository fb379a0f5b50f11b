//! What keeps an architecture out of a class.

use super::Class;
use super::classes::{Biases, Ffn, NORM, Spec, Windows, spec};
use crate::obstacles::{Constants, Obstacle, Obstacles, SAME, first_axis, scale_of, write_list};
use slimfit_arch::{Activation, Architecture, FeedForward, LayerRun, Moe, Positions, Rope, RopeScaling};
use std::fmt;

/// No standard class holds an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoClass {
    /// The class with the fewest obstacles.
    pub nearest: Class,
    /// What stands in its way.
    pub obstacles: Vec<Obstacle>,
}

impl NoClass {
    /// The first axis that stands in the way.
    pub fn axis(&self) -> &'static str {
        first_axis(&self.obstacles)
    }
}

impl fmt::Display for NoClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no standard Hugging Face class holds this architecture; {} comes nearest",
            self.nearest.class_name()
        )?;
        write_list(f, &self.obstacles)
    }
}

impl std::error::Error for NoClass {}

pub(super) fn obstacles(class: Class, architecture: &Architecture) -> Vec<Obstacle> {
    let spec = spec(class);
    let mut found = Obstacles::default();
    let Some(first) = architecture.layers.first() else {
        return vec![Obstacle { axis: "layers", allowed: "present" }];
    };
    whole_model(&mut found, architecture, &spec);
    attention(&mut found, architecture, first, &spec);
    positions(&mut found, architecture, &spec);
    feed_forward(&mut found, class, architecture, &spec);
    found.into_list()
}

fn whole_model(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    found.require_plain_trunk(model);
    found.require(model.positions == Positions::None, "positions", "rotary");
    found.require(model.norm.kind == NORM, "norm.kind", "rms");
    let plus_one = if spec.plus_one { "true" } else { "false" };
    found.require(model.norm.weight_plus_one == spec.plus_one, "norm.weight_plus_one", plus_one);
    found.require(model.norm_placement == spec.placement, "norm_placement", placement_name(spec));
    found.require_final_norm_alone(model);
    found.require(!model.head_bias, "head_bias", "false");
    found.require_scales(
        model,
        Constants { said: spec.constants, zero_is_absent: false, root_embedding: spec.root_embedding },
    );
    let capped = model.scales.logit_softcap.is_some();
    found.require(spec.softcaps || !capped, "scales.logit_softcap", "absent");
}

fn placement_name(spec: &Spec) -> &'static str {
    match spec.placement {
        slimfit_arch::NormPlacement::PostBranch => "post_branch",
        slimfit_arch::NormPlacement::Sandwich => "sandwich",
        _ => "pre",
    }
}

fn attention(found: &mut Obstacles, model: &Architecture, first: &LayerRun, spec: &Spec) {
    let heads = first.attention.heads;
    let window = model.layers.iter().find_map(|run| run.attention.window);
    found.require_same_attention(model);
    for LayerRun { attention, .. } in &model.layers {
        let scale = scale_of(attention);
        found.require(attention.qk_norm == spec.qk_norm, "attention.qk_norm", qk_norm_name(spec));
        let usual = 1.0 / (attention.head_size as f64).sqrt();
        found.require(scale == usual || spec.score_scale, "attention.scale", "1/√head_size");
        // Gemma says the number under the root, and only some numbers give the factor back.
        let sayable = !spec.softcaps || 1.0 / under_root(scale).sqrt() == scale;
        found.require(sayable, "attention.scale", "the inverse root of a number");
        found.require(attention.softcap.is_none() || spec.softcaps, "attention.softcap", "absent");
        match spec.windows {
            Windows::None => found.require(attention.window.is_none(), "attention.window", "absent"),
            Windows::Uniform => found.require(attention.window == window, "attention.window", SAME),
            Windows::Some => found.require(
                attention.window.is_none() || attention.window == window,
                "attention.window",
                "the same in all layers that have one",
            ),
        }
    }
    let bias = first.attention.bias;
    match spec.biases {
        Biases::None => found.require(!bias.qkv && !bias.output, "attention.bias", "absent"),
        Biases::AllOrNone => {
            found.require(bias.qkv == bias.output, "attention.bias", "on all projections or none")
        }
        Biases::Qkv => {
            found.require(bias.qkv && !bias.output, "attention.bias", "on query, key and value only")
        }
    }
    let divides = heads != 0 && model.hidden_size.is_multiple_of(heads);
    found.require(divides || !spec.heads_divide, "attention.heads", "a divisor of the hidden size");
}

/// The number whose inverse root is `scale`: whole where that gives the same factor.
pub(super) fn under_root(scale: f64) -> f64 {
    let number = scale.powi(-2);
    let whole = number.round();
    if 1.0 / whole.sqrt() == scale { whole } else { number }
}

fn qk_norm_name(spec: &Spec) -> &'static str {
    match spec.qk_norm {
        slimfit_arch::QkNorm::PerHead => "per_head",
        slimfit_arch::QkNorm::AllHeads => "all_heads",
        _ => "none",
    }
}

fn positions(found: &mut Obstacles, model: &Architecture, spec: &Spec) {
    let global = model
        .layers
        .iter()
        .find(|run| run.attention.window.is_none())
        .and_then(|run| run.attention.rope.as_ref());
    let local = model
        .layers
        .iter()
        .find(|run| run.attention.window.is_some())
        .and_then(|run| run.attention.rope.as_ref());
    let any = model.layers.iter().find_map(|run| run.attention.rope.as_ref());
    found.require(any.is_some(), "attention.rope", "present in some layer");
    for LayerRun { attention, .. } in &model.layers {
        let Some(rope) = &attention.rope else {
            found.require(spec.rope_gaps, "attention.rope", "present in all layers");
            continue;
        };
        let expected = match (spec.rope_by_kind, attention.window.is_some()) {
            (false, _) => any,
            (true, true) => local,
            (true, false) => global,
        };
        found.require(Some(rope) == expected, "attention.rope", "the same in all layers of a kind");
        let local_is_plain = attention.window.is_none() || rope.scaling.is_none();
        found.require(
            !spec.rope_by_kind || local_is_plain,
            "attention.rope.scaling",
            "absent where there is a window",
        );
        holdable(found, rope, attention.head_size);
    }
}

fn holdable(found: &mut Obstacles, rope: &Rope, head_size: u64) {
    found.require_rotation(rope, head_size, false);
    // LongRoPE is Phi 3's own, and dynamic scaling takes its original context from the context of the config.
    let known = !matches!(rope.scaling, Some(RopeScaling::LongRope { .. } | RopeScaling::Dynamic { .. }));
    found.require(known, "attention.rope.scaling", "linear, llama3 or yarn");
}

fn feed_forward(found: &mut Obstacles, class: Class, model: &Architecture, spec: &Spec) {
    let mut dense = None;
    let mut mixture: Option<&Moe> = None;
    for LayerRun { ffn, .. } in &model.layers {
        match ffn {
            FeedForward::Dense(mlp) => {
                found.require(spec.ffn != Ffn::Experts, "ffn.kind", "moe");
                let gated = spec.ffn != Ffn::Ungated;
                found.require(mlp.gated == gated, "ffn.gated", if gated { "true" } else { "false" });
                found.require(spec.ffn_bias || !mlp.bias, "ffn.bias", "false");
                let first = *dense.get_or_insert(mlp);
                found.require(first.size == mlp.size, "ffn.size", SAME);
                found.require(first == mlp || first.size != mlp.size, "ffn", SAME);
            }
            FeedForward::Moe(moe) => {
                let holds = matches!(spec.ffn, Ffn::Experts | Ffn::ExpertsOrGated);
                found.require(holds, "ffn.kind", "dense");
                let first = *mixture.get_or_insert(moe);
                found.require(first == moe, "ffn", "the same in all layers with experts");
            }
        }
    }
    if let Some(moe) = mixture {
        found.require(moe.gated, "ffn.gated", "true");
        found.require(!moe.router_bias, "ffn.router_bias", "false");
        let shared = class == Class::Qwen2Moe;
        found.require(
            (moe.shared_size > 0) == shared,
            "ffn.shared_size",
            if shared { "1 or more" } else { "0" },
        );
        found.require(moe.shared_gate == shared, "ffn.shared_gate", if shared { "true" } else { "false" });
        found.require(class != Class::Mixtral || moe.normalise_top_k, "ffn.normalise_top_k", "true");
        let same = dense.is_none_or(|mlp| mlp.activation == moe.activation);
        found.require(same, "ffn.activation", SAME);
    } else {
        // A class for experts with none in it would be a dense model under a wrong name.
        found.require(
            !matches!(spec.ffn, Ffn::Experts | Ffn::ExpertsOrGated),
            "ffn.kind",
            "moe in some layer",
        );
    }
    // Early readers of Gemma take `gelu` for its approximation.
    let exact = matches!(dense, Some(mlp) if mlp.activation == Activation::Gelu);
    found.require(class != Class::Gemma || !exact, "ffn.activation", "another than gelu");
}
