//! Vocabularies like SentencePiece's: spaces are `▁`, what no token says becomes bytes such as `<0x0A>`.
//!
//! llama.cpp has no list of merges for them. It joins whatever two neighbours make a token, the highest score first
//! (`llm_tokenizer_spm` of its `src/llama-vocab.cpp`), as SentencePiece does. That is what a list of merges does if it has
//! every way in which a token comes of two others, and all ways of one token stand together; then each token's place in the
//! list is its score.

use super::file::{Bpe, Merge, TokenizerFile};
use super::pipeline::{Step, steps};
use super::pre_tokenizer::PARTS;
use super::vocabulary::{Token, TokenKind, Vocabulary};
use slimfit_document::{Document, DocumentError};
use slimfit_quantity::Warning;
use std::collections::{HashMap, HashSet};

/// A space as tokens have it.
pub(super) const SPACE: char = '▁';
const WITHOUT: &str = "train a byte-level tokenizer, or write the file without one: `--tokenizer none`";

/// How spaces become `▁`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spaces {
    /// One is put before every text.
    pub(super) prefix: bool,
    /// Words end before each, so that no token has one inside.
    apart: bool,
}

impl Spaces {
    /// Of the steps before the model; what llama.cpp does a little differently is warned of.
    ///
    /// # Errors
    /// Steps that it does not do.
    pub(super) fn of(
        document: &Document,
        file: &TokenizerFile,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, DocumentError> {
        let (mut replaced, mut prefix, mut apart) = (false, false, false);
        let is = |step: &Step<'_>, name: &str, text: &str| step.text(name) == Some(text);
        let mark = SPACE.to_string();
        for step in steps(document, &file.normalizer, "normalizer", "normalizers")? {
            let of_spaces =
                || step.get("pattern").and_then(|pattern| pattern.get("String")?.as_str()) == Some(" ");
            match step.kind {
                "Replace" if of_spaces() && is(&step, "content", &mark) => replaced = true,
                "Prepend" if is(&step, "prepend", &mark) => prefix = true,
                _ => return Err(unknown(document, &step)),
            }
        }
        for step in steps(document, &file.pre_tokenizer, "pre_tokenizer", PARTS)? {
            match step.kind {
                // Without spaces left there is nothing to split at.
                "Split"
                    if replaced && step.get("pattern").is_some_and(|pattern| pattern["String"] == " ") => {}
                "Metaspace" if !replaced && !prefix && is(&step, "replacement", &mark) => {
                    replaced = true;
                    apart = step.flag("split", true);
                    let usual = if step.flag("add_prefix_space", true) { "always" } else { "never" };
                    let scheme = step.text("prepend_scheme").unwrap_or(usual);
                    prefix = scheme != "never";
                    if prefix {
                        warnings.push(Warning::new(
                            "tokenizer-differs",
                            "llama.cpp puts a space before a text that begins with one, too, which this tokenizer does not",
                        ));
                    }
                    if scheme == "first" {
                        warnings.push(Warning::new(
                            "tokenizer-differs",
                            "llama.cpp puts a space after every special token, this tokenizer only at the beginning of a text",
                        ));
                    }
                }
                _ => return Err(unknown(document, &step)),
            }
        }
        if replaced {
            return Ok(Self { prefix, apart });
        }
        let error = document.error_at("normalizer", "spaces stay as they are").code("unsupported-tokenizer");
        Err(error.found("no step that replaces spaces").allowed("spaces that become `▁`").hint(WITHOUT))
    }
}

fn unknown(document: &Document, step: &Step<'_>) -> DocumentError {
    let error = step.error(document, "", "llama.cpp has no such step for a vocabulary with byte fallback");
    let error = error.code("unsupported-tokenizer").hint(WITHOUT);
    error.allowed("`Replace` of spaces by `▁`, `Prepend` of `▁`, `Metaspace`")
}

/// The kinds of its tokens beside normal and added ones, and each token's score.
///
/// # Errors
/// Bytes that are missing, and merges that no scores say.
pub(super) fn scores(
    document: &Document,
    model: &Bpe,
    spaces: &Spaces,
    vocabulary: &mut Vocabulary,
) -> Result<Vec<f32>, DocumentError> {
    if model.ignore_merges {
        let error = document.error_at("model.ignore_merges", "llama.cpp takes no word whole here");
        return Err(error.code("unsupported-tokenizer").found("`true`").allowed("`false`").hint(WITHOUT));
    }
    for byte in 0..=u8::MAX {
        let text = format!("<0x{byte:02X}>");
        let id = vocabulary.id(&text).ok_or_else(|| {
            let error = document.error_at("model.vocab", "byte fallback without all bytes");
            error.code("unsupported-tokenizer").found(format!("no `{text}`")).allowed("`<0x00>` to `<0xFF>`")
        })?;
        vocabulary.set_kind(id, TokenKind::Byte);
    }
    if let Some(id) = model.unk_token.as_ref().and_then(|token| vocabulary.id(token)) {
        vocabulary.set_kind(id, TokenKind::Unknown);
    }
    // Those that are cut out of a text never come of merges.
    let merges: Vec<&Merge> =
        model.merges.iter().filter(|merge| !vocabulary.added.contains(&merge.result())).collect();
    let ranks = ranks(document, &merges)?;
    require_every_way(document, &merges, vocabulary)?;
    if spaces.apart {
        require_no_space_inside(document, vocabulary)?;
    }
    let lowest = ranks.len();
    let score = |token: &Option<Token>| match token {
        Some(token) if token.kind == TokenKind::Normal => {
            -(ranks.get(&token.text).map_or(lowest, |rank| *rank) as f32)
        }
        _ => 0.0,
    };
    Ok(vocabulary.tokens.iter().map(score).collect())
}

/// The place of each token among those that come of merges.
fn ranks(document: &Document, merges: &[&Merge]) -> Result<HashMap<String, usize>, DocumentError> {
    let mut ranks: HashMap<String, usize> = HashMap::new();
    let mut last = String::new();
    for merge in merges {
        let result = merge.result();
        if result != last {
            let rank = ranks.len();
            if ranks.insert(result.clone(), rank).is_some() {
                let message =
                    "its merges cannot be said as scores: the ways of one token do not stand together";
                let error = document.error_at("model.merges", message).code("unsupported-tokenizer");
                let found = format!("`{} {}` after merges of other tokens", merge.0, merge.1);
                return Err(error
                    .found(found)
                    .allowed("all ways of a token one after another")
                    .hint(WITHOUT));
            }
            last = result;
        }
    }
    Ok(ranks)
}

/// llama.cpp joins any two neighbours that make a token, listed or not.
fn require_every_way(
    document: &Document,
    merges: &[&Merge],
    vocabulary: &Vocabulary,
) -> Result<(), DocumentError> {
    let listed: HashSet<(&str, &str)> =
        merges.iter().map(|merge| (merge.0.as_str(), merge.1.as_str())).collect();
    let normal = |text: &str| vocabulary.id(text).is_some() && !vocabulary.added.contains(text);
    let stands = |text: &str| text.chars().nth(1).is_none() || normal(text);
    for token in vocabulary.tokens.iter().flatten().filter(|token| !vocabulary.added.contains(&token.text)) {
        for (place, _) in token.text.char_indices().skip(1) {
            let (left, right) = token.text.split_at(place);
            if stands(left) && stands(right) && !listed.contains(&(left, right)) {
                let message = "its merges cannot be said as scores: a way in which a token comes of two others is missing";
                let error = document.error_at("model.merges", message).code("unsupported-tokenizer");
                let error = error.found(format!("no `{left} {right}` for the token `{}`", token.text));
                return Err(error.allowed("all ways, as SentencePiece has them").hint(WITHOUT));
            }
        }
    }
    Ok(())
}

fn require_no_space_inside(document: &Document, vocabulary: &Vocabulary) -> Result<(), DocumentError> {
    let inside = |token: &&Token| {
        !vocabulary.added.contains(&token.text) && token.text.chars().skip(1).any(|letter| letter == SPACE)
    };
    match vocabulary.tokens.iter().flatten().find(inside) {
        None => Ok(()),
        Some(token) => {
            let message = "a token of several words, although words are kept apart before";
            let error = document.error_at("model.vocab", message).code("unsupported-tokenizer");
            let error =
                error.found(format!("`{}`", token.text)).allowed("`▁` at the beginning of tokens alone");
            Err(error.hint(WITHOUT))
        }
    }
}
