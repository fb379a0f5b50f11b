//! Exact counts: parameters by block, bytes, operations.

use super::numbers::flops;
use super::{Card, text};
use slimfit_arch::{Architecture, TensorRole};
use slimfit_quantity::{NumberFormat, format_bytes, format_integer};

pub(super) fn section(card: &Card<'_>) -> String {
    let architecture = card.architecture;
    let parameters = architecture.parameters();
    let mut rows = Vec::new();
    let mut row = |what: &str, count: String, note: String| rows.push(vec![what.to_owned(), count, note]);
    row("Parameters", format_integer(parameters.total), "every stored tensor once".to_owned());
    row(
        "of which without embeddings",
        format_integer(parameters.non_embedding),
        "less the input table, the output head and learned positions".to_owned(),
    );
    if parameters.active != parameters.total {
        row(
            "of which a token visits",
            format_integer(parameters.active),
            "less the experts that it is not sent to".to_owned(),
        );
    }
    for (what, count) in by_block(architecture) {
        row(what, format_integer(count), share(count, parameters.total));
    }
    for format in formats(card.weights) {
        if let Ok(bytes) = architecture.weight_bytes(format) {
            let note = if format == card.weights { "the figures below are for this format" } else { "" };
            row(&format!("Weights in {format}"), format_bytes(bytes as f64), note.to_owned());
        }
    }
    if let (Ok(one), Ok(full)) =
        (architecture.kv_bytes_per_token(card.kv), architecture.kv_cache_bytes(card.kv, card.context))
    {
        let note = format!("{} at the context of {}", format_bytes(full as f64), card.context);
        row(&format!("KV cache in {} for a token", card.kv), format_bytes(one as f64), note);
    }
    if let Ok(count) = architecture.decode_flops(card.context) {
        let note = format!("that attends to {} keys; a multiply-add counts 2", card.context);
        row("One decoded token", flops(count as f64), note);
    }
    format!("## Counts\n\n{}", text::table(&["", "Count", ""], &rows))
}

/// The weights' own format, and the one that trained weights come in.
fn formats(weights: NumberFormat) -> Vec<NumberFormat> {
    if weights == NumberFormat::Bf16 { vec![weights] } else { vec![NumberFormat::Bf16, weights] }
}

/// Parameters of kinds of blocks, those that there are.
fn by_block(architecture: &Architecture) -> Vec<(&'static str, u64)> {
    // One layer of each run stands for all of it.
    let mut one_of_each = architecture.clone();
    one_of_each.layers.iter_mut().for_each(|run| run.repeat = 1);
    let mut sums = [("Embeddings and output head", 0), ("Attention", 0), ("Feed-forward", 0), ("Norms", 0)];
    for tensor in one_of_each.tensors() {
        let times = tensor.layer.map_or(1, |run| architecture.layers[run as usize].repeat);
        sums[block(tensor.role)].1 += times * tensor.parameters();
    }
    sums.into_iter().filter(|(_, count)| *count > 0).collect()
}

fn block(role: TensorRole) -> usize {
    use TensorRole as Role;
    match role {
        role if role.is_norm() => 3,
        Role::Query | Role::Key | Role::Value | Role::AttentionOutput => 1,
        role if role.is_embedding() => 0,
        Role::EmbeddingIn | Role::EmbeddingOut => 0,
        _ => 2,
    }
}

fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole as f64 * 100.0;
    if percent < 0.1 { "&lt; 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}
