//! Which built-in model a file holds: its training and its scores were published.

use slimfit_arch::Architecture;
use slimfit_formats::{PublishedModel, builtin};

/// A built-in model that a file is, or is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) model: &'static PublishedModel,
    /// Whether it is that model, rather than one trained on from it, an instruction-tuned one say.
    pub(super) is_itself: bool,
}

/// The built-in model of the same sizes whose name `name` is or begins with. Sizes alone say nothing of a training, and a
/// name alone may be anyone's.
pub(super) fn known(name: &str, architecture: &Architecture) -> Option<Known> {
    let wanted = plain(name);
    let mut best: Option<(usize, Known)> = None;
    for model in builtin::models().iter().filter(|model| same_sizes(&model.architecture, architecture)) {
        for known in model.names().map(plain) {
            let rest = wanted.strip_prefix(&known);
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('-')) else { continue };
            if best.is_none_or(|(length, _)| known.len() > length) {
                // What follows may only say how the same weights are stored.
                let is_itself = rest.split('-').skip(1).all(says_how_stored);
                best = Some((known.len(), Known { model, is_itself }));
            }
        }
    }
    best.map(|(_, known)| known)
}

/// Lower case, words joined by hyphens: files write the same name with dots, spaces and underscores.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', ' ', '/', '.'], "-")
}

/// `f16`, or `q4`, `k` and `m` of `q4_k_m`: what files of one model are told apart by.
fn says_how_stored(word: &str) -> bool {
    const WORDS: [&str; 18] = [
        "gguf", "hf", "f32", "f16", "fp16", "bf16", "q2", "q3", "q4", "q5", "q6", "q8", "k", "s", "m", "l",
        "0", "1",
    ];
    WORDS.contains(&word)
}

fn same_sizes(one: &Architecture, other: &Architecture) -> bool {
    one.hidden_size == other.hidden_size
        && one.vocabulary_size == other.vocabulary_size
        && one.depth() == other.depth()
        && one.parameters() == other.parameters()
}
