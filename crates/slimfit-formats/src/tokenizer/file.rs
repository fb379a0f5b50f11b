//! `tokenizer.json` as the `tokenizers` library writes it (`Tokenizer::to_string`, versions 0.13 and later).

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// The whole file. What text passes through is kept as it is written: a pipeline is judged step by step.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenizerFile {
    #[serde(default, rename = "version")]
    _version: Value,
    /// Of its last training batch: encoding a text for a model cuts and fills nothing.
    #[serde(default, rename = "truncation")]
    _truncation: Value,
    #[serde(default, rename = "padding")]
    _padding: Value,
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    #[serde(default)]
    pub(super) normalizer: Value,
    #[serde(default)]
    pub(super) pre_tokenizer: Value,
    #[serde(default)]
    pub(super) post_processor: Value,
    /// Tokens to text, which llama.cpp does by the kind of its vocabulary.
    #[serde(default, rename = "decoder")]
    _decoder: Value,
    pub(super) model: Bpe,
}

/// A token that is cut out of the text before the model sees it.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddedToken {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default, rename = "normalized")]
    _normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

/// Pairs that are merged, first come first.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bpe {
    /// Files of 2019 leave it out.
    #[serde(default, rename = "type")]
    _kind: Option<String>,
    #[serde(default)]
    pub(super) dropout: Option<f64>,
    #[serde(default)]
    pub(super) unk_token: Option<String>,
    #[serde(default)]
    pub(super) continuing_subword_prefix: Option<String>,
    #[serde(default)]
    pub(super) end_of_word_suffix: Option<String>,
    /// Of unknown characters, which no vocabulary that is written has.
    #[serde(default, rename = "fuse_unk")]
    _fuse_unk: bool,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
    pub(super) vocab: HashMap<String, u32>,
    pub(super) merges: Vec<Merge>,
}

/// Two tokens that become one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Merge(pub(super) String, pub(super) String);

impl Merge {
    pub(super) fn result(&self) -> String {
        format!("{}{}", self.0, self.1)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two tokens: a list of two, or a text with one space between them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Merge, E> {
                match text.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => {
                        Ok(Merge(left.to_owned(), right.to_owned()))
                    }
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let mut next =
                    |place| list.next_element()?.ok_or_else(|| A::Error::invalid_length(place, &self));
                let merge = Merge(next(0)?, next(1)?);
                match list.next_element::<String>()? {
                    None => Ok(merge),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
