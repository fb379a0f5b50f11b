//! What the blocks of the picture say.

use crate::unit::Unit;
use slimfit_arch::{
    Activation, Architecture, Attention, FeedForward, LayerRun, Mlp, Moe, NormKind, NormPlacement, Positions,
    QkNorm, RopeScaling,
};

/// Lines of one block, the most important first.
pub(super) struct Block {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
}

pub(super) fn attention(attention: &Attention, hidden: u64) -> Block {
    let Attention { heads, kv_heads, head_size, window, bias, .. } = attention;
    let kind = match (kv_heads, heads) {
        (kv, heads) if kv == heads => "MHA",
        (1, _) => "MQA",
        _ => "GQA",
    };
    let (query, kv) = (heads * head_size, kv_heads * head_size);
    let mut how = vec![
        window.map_or_else(|| "sees all keys".to_owned(), |window| format!("sees the last {window} keys")),
        rotation(attention),
    ];
    how.extend(
        match attention.qk_norm {
            QkNorm::None => None,
            QkNorm::PerHead => Some("query-key norm"),
            QkNorm::PerHeadAfterRotation => Some("query-key norm after rotation"),
            QkNorm::EachHead => Some("query-key norm of each head"),
            QkNorm::AllHeads => Some("query-key norm over all heads"),
        }
        .map(str::to_owned),
    );
    how.extend(match (bias.qkv, bias.output) {
        (true, true) => Some("biases".to_owned()),
        (true, false) => Some("biases on q, k, v".to_owned()),
        (false, true) => Some("bias on the output".to_owned()),
        (false, false) => None,
    });
    how.extend(attention.softcap.map(|cap| format!("scores capped at {cap}")));
    Block {
        title: format!("{kind}: {heads} query, {kv_heads} key-value heads of {head_size}"),
        lines: vec![
            format!("q {query}×{hidden}, k and v {kv}×{hidden}, out {hidden}×{query}"),
            how.join(", "),
        ],
    }
}

fn rotation(attention: &Attention) -> String {
    let Some(rope) = &attention.rope else { return "no rotation".to_owned() };
    let part =
        rope.rotated.map_or_else(String::new, |rotated| format!(" on {rotated} of {}", attention.head_size));
    let scaling = match &rope.scaling {
        None => "",
        Some(RopeScaling::Linear { .. }) => ", linear scaling",
        Some(RopeScaling::Dynamic { .. }) => ", dynamic NTK",
        Some(RopeScaling::Llama3 { .. }) => ", Llama 3 scaling",
        Some(RopeScaling::Yarn { .. }) => ", YaRN",
        Some(RopeScaling::LongRope { .. }) => ", LongRoPE",
    };
    format!("RoPE {}{part}{scaling}", rope.base)
}

pub(super) fn feed_forward(part: &FeedForward, hidden: u64) -> Block {
    match part {
        FeedForward::Dense(mlp) => dense(mlp, hidden),
        FeedForward::Moe(moe) => mixture(moe, hidden),
    }
}

fn dense(mlp: &Mlp, hidden: u64) -> Block {
    let (size, up) = (mlp.size, if mlp.gated { "gate and up" } else { "up" });
    let mut lines = vec![format!("{up} {size}×{hidden}, down {hidden}×{size}")];
    if mlp.bias {
        lines.push("biases".to_owned());
    }
    Block {
        title: format!("{}: {hidden} → {size} → {hidden}", non_linearity(mlp.activation, mlp.gated)),
        lines,
    }
}

fn mixture(moe: &Moe, hidden: u64) -> Block {
    let size = moe.expert_size;
    let up = if moe.gated { "gate and up" } else { "up" };
    let mut lines = vec![format!("an expert: {up} {size}×{hidden}, down {hidden}×{size}")];
    let mut more = vec![format!("router {}×{hidden}", moe.experts)];
    if moe.shared_size > 0 {
        let gate = if moe.shared_gate { " behind a sigmoid" } else { "" };
        more.push(format!("shared part of {}{gate}", moe.shared_size));
    }
    lines.push(more.join(", "));
    let name = non_linearity(moe.activation, moe.gated);
    Block { title: format!("{name}: {} of {} experts of {size}", moe.top_k, moe.experts), lines }
}

fn non_linearity(activation: Activation, gated: bool) -> &'static str {
    match (activation, gated) {
        (Activation::Silu, true) => "SwiGLU",
        (Activation::Silu, false) => "SiLU",
        (Activation::Gelu, true) => "GeGLU",
        (Activation::Gelu, false) => "GELU",
        (Activation::GeluTanh, true) => "GeGLU (tanh)",
        (Activation::GeluTanh, false) => "GELU (tanh)",
        (Activation::Relu, true) => "ReGLU",
        (Activation::Relu, false) => "ReLU",
        (Activation::ReluSquared, true) => "gated ReLU²",
        (Activation::ReluSquared, false) => "ReLU²",
    }
}

/// How a layer puts its parts together.
pub(super) fn layer(architecture: &Architecture) -> String {
    let norm = norm(architecture);
    let parts = match architecture.norm_placement {
        NormPlacement::Pre => "x + attention(norm(x)), then x + ffn(norm(x))",
        NormPlacement::Post => "norm(x + attention(x)), then norm(x + ffn(x))",
        NormPlacement::PostBranch => "x + norm(attention(x)), then x + norm(ffn(x))",
        NormPlacement::Sandwich => "x + norm(attention(norm(x))), then x + norm(ffn(norm(x)))",
        NormPlacement::ParallelOneNorm => "x + attention(norm(x)) + ffn(norm(x)), one norm for both",
        NormPlacement::ParallelTwoNorms => "x + attention(norm(x)) + ffn(norm(x)), a norm for each",
    };
    format!("Each layer: {parts}; {norm}.")
}

pub(super) fn norm(architecture: &Architecture) -> &'static str {
    match architecture.norm.kind {
        NormKind::Rms => "RMS norm",
        NormKind::Layer => "LayerNorm",
        NormKind::LayerNoBias => "LayerNorm without bias",
        NormKind::LayerPlain => "LayerNorm without weights",
    }
}

/// How positions enter, where not by rotation alone.
pub(super) fn positions(positions: Positions) -> Option<String> {
    match positions {
        Positions::None => None,
        Positions::Learned { context, .. } => Some(format!("plus {context} learned positions")),
        Positions::Alibi | Positions::ScaledAlibi => Some("positions by ALiBi".to_owned()),
    }
}

/// One layer in half a line, for models of many kinds of layers.
pub(super) fn short(run: &LayerRun) -> [String; 2] {
    let Attention { heads, kv_heads, head_size, window, rope, .. } = &run.attention;
    let window = window.map_or_else(String::new, |window| format!(", window {window}"));
    let rope = if rope.is_none() { ", no rotation" } else { "" };
    let ffn = match &run.ffn {
        FeedForward::Dense(mlp) => format!("{} of {}", non_linearity(mlp.activation, mlp.gated), mlp.size),
        FeedForward::Moe(moe) => format!("{} of {} experts of {}", moe.top_k, moe.experts, moe.expert_size),
    };
    [format!("{heads}/{kv_heads} heads of {head_size}{window}{rope}"), ffn]
}

/// A whole number with spaces between thousands. The narrow no-break spaces of pages are not in the bundled font.
pub(super) fn whole(count: u64) -> String {
    slimfit_quantity::format_integer(count).replace('\u{202f}', " ")
}

/// A share of all parameters.
pub(super) fn share(part: u64, all: u64) -> String {
    let share = part as f64 / all.max(1) as f64;
    if share < 0.001 { "< 0.1 %".to_owned() } else { Unit::Fraction.show(share) }
}
