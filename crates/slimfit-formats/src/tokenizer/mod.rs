//! The tokenizer of a model in the format of Hugging Face's `tokenizers` library, and what llama.cpp needs to know of it.
//!
//! llama.cpp reimplements tokenizers. What is read here is held only where it gives the same tokens: bytes merged by a list
//! whose pre-tokenizer it knows by name, and vocabularies like SentencePiece's whose merges can be said as scores. Anything
//! else is refused by what stands in its way, since a tokenizer that is nearly right makes a good model talk nonsense.

mod byte_fallback;
mod byte_level;
mod file;
mod pipeline;
mod pre_tokenizer;
mod settings;
mod template;
#[cfg(test)]
mod tests;
mod vocabulary;

pub(crate) use settings::{SpecialTokens, USUAL_TEMPLATE};
pub(crate) use vocabulary::{Token, TokenKind};

use crate::FormatsError;
use byte_fallback::Spaces;
use file::{AddedToken, Bpe, TokenizerFile};
use settings::Settings;
use slimfit_document::{Document, DocumentError};
use slimfit_quantity::Warning;
use std::path::Path;
use template::Template;
use vocabulary::Vocabulary;

/// A tokenizer that llama.cpp has the like of.
#[derive(Debug, Clone, PartialEq)]
pub struct HuggingFaceTokenizer {
    /// The file, in errors.
    pub(crate) origin: String,
    /// By id; none where no token has it.
    pub(crate) tokens: Vec<Option<Token>>,
    pub(crate) algorithm: Algorithm,
    pub(crate) special: SpecialTokens,
    pub(crate) add_bos: bool,
    pub(crate) add_eos: bool,
    /// Names and texts, the usual one first.
    pub(crate) chat_templates: Vec<(String, String)>,
    warnings: Vec<Warning>,
}

/// How text becomes tokens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Algorithm {
    /// Bytes are merged by a list.
    ByteLevel {
        /// llama.cpp's name of what cuts words.
        pre_tokenizer: &'static str,
        /// Two tokens and a space between, first come first.
        merges: Vec<String>,
    },
    /// Letters are merged by the score of what they become.
    ByteFallback {
        /// Of each id.
        scores: Vec<f32>,
        /// Whether a space is put before every text.
        space_prefix: bool,
    },
}

/// The `type` of a model and nothing else of it.
#[derive(serde::Deserialize)]
struct AnyModel {
    model: AnyKind,
}

#[derive(serde::Deserialize)]
struct AnyKind {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl HuggingFaceTokenizer {
    /// Reads a `tokenizer.json` and, from the files beside it, which tokens begin and end a text, and its chat templates.
    ///
    /// # Errors
    /// Files that cannot be read, and what llama.cpp would turn into other tokens: the code `unsupported-tokenizer`, with
    /// the field.
    pub fn read(path: &Path) -> Result<Self, FormatsError> {
        let document = Document::read(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self::from_document(&document, folder.unwrap_or(Path::new(".")))?)
    }

    fn from_document(document: &Document, folder: &Path) -> Result<Self, DocumentError> {
        require_merges(document)?;
        let file: TokenizerFile = document.parse()?;
        require_plain(document, &file.model)?;
        let mut vocabulary = Vocabulary::of(document, &file)?;
        require_known(document, &file.model, &vocabulary)?;
        let mut warnings = strips(&file.added_tokens);
        let algorithm = if file.model.byte_fallback {
            let spaces = Spaces::of(document, &file, &mut warnings)?;
            let scores = byte_fallback::scores(document, &file.model, &spaces, &mut vocabulary)?;
            Algorithm::ByteFallback { scores, space_prefix: spaces.prefix }
        } else if pre_tokenizer::is_byte_level(document, &file.pre_tokenizer)? {
            let merges = byte_level::merges(document, &file, &vocabulary, &mut warnings)?;
            let name = pre_tokenizer::name(document, &file.pre_tokenizer, file.model.ignore_merges)?;
            Algorithm::ByteLevel { pre_tokenizer: name, merges }
        } else {
            let message = "neither a tokenizer of bytes nor one that falls back to bytes";
            let error = document.error_at("model.byte_fallback", message).code("unsupported-tokenizer");
            let error = error.found("`false`, and no `ByteLevel` step").allowed("either");
            return Err(
                error.hint("train a byte-level tokenizer, or write the file without one: `--tokenizer none`")
            );
        };
        let template = Template::of(document, &file)?;
        let unknown = file.model.unk_token.as_deref();
        let settings = Settings::read(folder, document, &vocabulary, &template, unknown)?;
        Ok(Self {
            origin: document.origin().to_owned(),
            tokens: vocabulary.tokens,
            algorithm,
            special: settings.special,
            add_bos: settings.add_bos,
            add_eos: settings.add_eos,
            chat_templates: settings.chat_templates,
            warnings,
        })
    }

    /// What llama.cpp does a little differently.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// llama.cpp's names of the kind of vocabulary and of what cuts words: `gpt2` and `qwen2`, or `llama` and `default`.
    pub fn names(&self) -> (&'static str, &'static str) {
        match &self.algorithm {
            Algorithm::ByteLevel { pre_tokenizer, .. } => ("gpt2", pre_tokenizer),
            Algorithm::ByteFallback { .. } => ("llama", "default"),
        }
    }

    /// One more than the largest id.
    pub fn size(&self) -> u64 {
        self.tokens.len() as u64
    }
}

/// Refuses models that merge nothing by the name of their kind, before fields are read that only they have.
fn require_merges(document: &Document) -> Result<(), DocumentError> {
    let AnyModel { model } = document.parse()?;
    match model.kind.as_deref() {
        None | Some("BPE") => Ok(()),
        Some(kind) => {
            let error = document.error_at("model.type", "this kind of tokenizer is not written to GGUF");
            let error = error.code("unsupported-tokenizer").found(format!("`{kind}`")).allowed("`BPE`");
            Err(error.hint("write the file without one: `--tokenizer none`"))
        }
    }
}

/// Refuses what changes how pairs are merged.
fn require_plain(document: &Document, model: &Bpe) -> Result<(), DocumentError> {
    let refused = |field: &str, found: String, allowed: &str| {
        let error = document.error_at(&format!("model.{field}"), "llama.cpp merges without it");
        Err(error.code("unsupported-tokenizer").found(found).allowed(allowed.to_owned()))
    };
    if let Some(dropout) = model.dropout.filter(|&dropout| dropout != 0.0) {
        return refused("dropout", dropout.to_string(), "`null`: text is always cut the same way");
    }
    for (field, text) in [
        ("continuing_subword_prefix", &model.continuing_subword_prefix),
        ("end_of_word_suffix", &model.end_of_word_suffix),
    ] {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            return refused(field, format!("`{text}`"), "`null`");
        }
    }
    Ok(())
}

/// Merges are of tokens and make tokens.
fn require_known(document: &Document, model: &Bpe, vocabulary: &Vocabulary) -> Result<(), DocumentError> {
    for (index, merge) in model.merges.iter().enumerate() {
        let result = merge.result();
        if let Some(missing) =
            [&merge.0, &merge.1, &result].into_iter().find(|text| vocabulary.id(text).is_none())
        {
            let error = document.error_at(&format!("model.merges[{index}]"), "a merge of unknown tokens");
            return Err(error.found(format!("`{missing}`")).allowed("tokens of `model.vocab`"));
        }
    }
    Ok(())
}

/// Tokens that take spaces with them, which llama.cpp leaves.
fn strips(added: &[AddedToken]) -> Vec<Warning> {
    let odd = |token: &&AddedToken| token.lstrip || token.rstrip || token.single_word;
    let names: Vec<String> = added.iter().filter(odd).map(|token| format!("`{}`", token.content)).collect();
    let Some(first) = names.first() else { return Vec::new() };
    let more = if names.len() > 1 { format!(" (and {} more)", names.len() - 1) } else { String::new() };
    let message = format!(
        "llama.cpp finds {first}{more} everywhere and leaves the spaces around; this tokenizer takes them away or wants a word of its own"
    );
    vec![Warning::new("tokenizer-differs", message)]
}
