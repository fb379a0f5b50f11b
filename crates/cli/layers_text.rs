//! The layers of a model in one line: how many there are of each kind.

use slimfit_arch::{Architecture, Attention, FeedForward};

/// Kinds of layers that are spelled out.
const SPELLED: usize = 6;

/// `30 layers alike: 9/3 heads of 64, FFN of 1536`, or `6 layers of 2 kinds: 4 with 8/4 heads of 64, FFN of 1024, window 512; 2
/// with …`. Kinds stand in the order of their first layer.
pub fn layers_text(architecture: &Architecture) -> String {
    let mut kinds: Vec<(u64, &Attention, &FeedForward)> = Vec::new();
    for run in &architecture.layers {
        let alike = |(_, attention, ffn): &&mut (u64, &Attention, &FeedForward)| {
            **attention == run.attention && **ffn == run.ffn
        };
        match kinds.iter_mut().find(alike) {
            Some((count, ..)) => *count += run.repeat,
            None => kinds.push((run.repeat, &run.attention, &run.ffn)),
        }
    }
    let depth = architecture.depth();
    if let [(_, attention, ffn)] = kinds.as_slice() {
        return format!("{depth} layers alike: {}", kind(attention, ffn));
    }
    let mut spelled: Vec<String> = kinds
        .iter()
        .take(SPELLED)
        .map(|(count, attention, ffn)| format!("{count} with {}", kind(attention, ffn)))
        .collect();
    if kinds.len() > SPELLED {
        spelled.push(format!("{} kinds more", kinds.len() - SPELLED));
    }
    format!("{depth} layers of {} kinds: {}", kinds.len(), spelled.join("; "))
}

fn kind(attention: &Attention, ffn: &FeedForward) -> String {
    let ffn = match ffn {
        FeedForward::Dense(mlp) => format!("FFN of {}", mlp.size),
        FeedForward::Moe(moe) => format!("{} of {} experts of {}", moe.top_k, moe.experts, moe.expert_size),
    };
    let window = attention.window.map_or_else(String::new, |window| format!(", window {window}"));
    format!("{}/{} heads of {}, {ffn}{window}", attention.heads, attention.kv_heads, attention.head_size)
}
