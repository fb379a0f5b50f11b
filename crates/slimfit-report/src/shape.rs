//! An architecture in the few words that fit a table.

use slimfit_arch::{Architecture, FeedForward};

/// Columns of the front table that say what a model is, by key and label.
pub(crate) const SHAPE_COLUMNS: [(&str, &str); 4] = [
    ("layers", "Layers × hidden"),
    ("heads", "Heads / kv × size"),
    ("ffn", "FFN"),
    ("vocabulary", "Vocabulary"),
];

/// The cells of [`SHAPE_COLUMNS`].
pub(crate) fn shape_cells(architecture: &Architecture) -> [String; 4] {
    let runs = &architecture.layers;
    let heads = same(runs.iter().map(|run| {
        let attention = &run.attention;
        let window = attention.window.map_or_else(String::new, |window| format!(", window {window}"));
        format!("{}/{} × {}{window}", attention.heads, attention.kv_heads, attention.head_size)
    }));
    let ffn = same(runs.iter().map(|run| feed_forward(&run.ffn)));
    let tied = if architecture.tied_embeddings { " tied" } else { "" };
    let passes = passes(architecture).map_or_else(String::new, |count| format!(", run {count} times"));
    [
        format!("{} × {}{passes}", architecture.depth(), architecture.hidden_size),
        heads,
        ffn,
        format!("{}{tied}", architecture.vocabulary_size),
    ]
}

/// How often all layers run, where that is several times.
fn passes(architecture: &Architecture) -> Option<u64> {
    let loops = architecture.loops.filter(|loops| loops.count > 1)?;
    (loops.first == 0 && loops.layers == architecture.depth()).then_some(loops.count)
}

/// The number a cell begins with, by which its column sorts.
pub(crate) fn leading(cell: &str) -> Option<u64> {
    let end = cell.find(|character: char| !character.is_ascii_digit()).unwrap_or(cell.len());
    cell[..end].parse().ok()
}

/// One sentence part: `30 layers of width 576, 9 query and 3 key-value heads of 64, gated FFN of 1536`.
pub(crate) fn shape_words(architecture: &Architecture) -> String {
    let depth = architecture.depth();
    let passes = passes(architecture).map_or_else(String::new, |count| format!(", run {count} times,"));
    let mut words = format!("{depth} layers{passes} of width {}", architecture.hidden_size);
    match architecture.layers.as_slice() {
        [run] => {
            let attention = &run.attention;
            words.push_str(&format!(
                ", {} query and {} key-value heads of {}",
                attention.heads, attention.kv_heads, attention.head_size
            ));
            if let Some(window) = attention.window {
                words.push_str(&format!(" within a window of {window}"));
            }
            words.push_str(&format!(", FFN of {}", feed_forward(&run.ffn)));
        }
        _ => words.push_str(", of several kinds"),
    }
    words.push_str(&format!(
        ", vocabulary of {}{}",
        architecture.vocabulary_size,
        if architecture.tied_embeddings { " (tied)" } else { "" }
    ));
    words
}

/// The layers, one entry for each run of equal ones: how many, and what they are.
pub(crate) fn layer_runs(architecture: &Architecture) -> Vec<(u64, String, String)> {
    architecture
        .layers
        .iter()
        .map(|run| {
            let attention = &run.attention;
            let kind = match (attention.kv_heads, attention.heads) {
                (kv, heads) if kv == heads => "MHA",
                (1, _) => "MQA",
                _ => "GQA",
            };
            let reach = attention
                .window
                .map_or_else(|| "sees all keys".to_owned(), |window| format!("sees the last {window} keys"));
            let attention = format!(
                "{kind}: {} query heads, {} key-value heads of {}; {reach}",
                attention.heads, attention.kv_heads, attention.head_size
            );
            (run.repeat, attention, feed_forward(&run.ffn))
        })
        .collect()
}

fn feed_forward(part: &FeedForward) -> String {
    match part {
        FeedForward::Dense(mlp) => format!("{}{}", mlp.size, if mlp.gated { " gated" } else { "" }),
        FeedForward::Moe(moe) => {
            let shared =
                if moe.shared_size > 0 { format!(" + {} shared", moe.shared_size) } else { String::new() };
            format!("{} of {} experts of {}{shared}", moe.top_k, moe.experts, moe.expert_size)
        }
    }
}

fn same(mut texts: impl Iterator<Item = String>) -> String {
    let Some(first) = texts.next() else { return "none".to_owned() };
    if texts.all(|text| text == first) { first } else { format!("{first} and others") }
}
