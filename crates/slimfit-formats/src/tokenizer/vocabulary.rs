//! The tokens of a tokenizer by their ids, and what each is for.

use super::file::TokenizerFile;
use slimfit_document::{Document, DocumentError};
use std::collections::{HashMap, HashSet};

/// What a token is for, as `tokenizer.ggml.token_type` numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Normal = 1,
    Unknown = 2,
    /// Never text: begin, end, roles.
    Control = 3,
    /// Cut out of the text before anything is merged.
    UserDefined = 4,
    Unused = 5,
    /// One byte of what no token says.
    Byte = 6,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) kind: TokenKind,
}

/// All tokens.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// By id; ids that no token has are left out by some files.
    pub(super) tokens: Vec<Option<Token>>,
    ids: HashMap<String, u32>,
    /// Those that are cut out of the text.
    pub(super) added: HashSet<String>,
}

/// More than any model has; an id near 2³² would make a list that fills the memory.
const MOST_TOKENS: u32 = 1 << 24;

impl Vocabulary {
    /// Of a file. Those of the model are normal tokens, those that are cut out of the text control or user-defined ones.
    ///
    /// # Errors
    /// Two tokens of one id, one token of two ids, ids beyond any vocabulary, texts that no file of llama.cpp holds.
    pub(super) fn of(document: &Document, file: &TokenizerFile) -> Result<Self, DocumentError> {
        let mut vocabulary = Self { tokens: Vec::new(), ids: HashMap::new(), added: HashSet::new() };
        // In the order of ids, so that of two faults the same one is told every time.
        let mut model: Vec<(&String, u32)> = file.model.vocab.iter().map(|(text, &id)| (text, id)).collect();
        model.sort_by_key(|&(text, id)| (id, text));
        for (text, id) in model {
            vocabulary.put(document, "model.vocab", text, id, TokenKind::Normal)?;
        }
        for (index, token) in file.added_tokens.iter().enumerate() {
            let field = format!("added_tokens[{index}]");
            let kind = if token.special { TokenKind::Control } else { TokenKind::UserDefined };
            vocabulary.put(document, &field, &token.content, token.id, kind)?;
            vocabulary.added.insert(token.content.clone());
        }
        if vocabulary.tokens.is_empty() {
            return Err(document.error_at("model.vocab", "a vocabulary without tokens"));
        }
        Ok(vocabulary)
    }

    fn put(
        &mut self,
        document: &Document,
        field: &str,
        text: &str,
        id: u32,
        kind: TokenKind,
    ) -> Result<(), DocumentError> {
        let wrong = |message: &str| document.error_at(field, message).found(format!("`{text}` as {id}"));
        if id >= MOST_TOKENS {
            return Err(wrong("an id beyond any vocabulary").allowed(format!("0 to {}", MOST_TOKENS - 1)));
        }
        // Its texts end at a zero byte.
        if text.is_empty() || text.contains('\0') {
            let error = wrong("a token that llama.cpp cannot hold").code("unsupported-tokenizer");
            return Err(error.allowed("text without zero bytes, not empty"));
        }
        if let Some(&other) = self.ids.get(text).filter(|&&other| other != id) {
            return Err(wrong("a token with two ids").allowed(other));
        }
        let place = id as usize;
        if self.tokens.len() <= place {
            self.tokens.resize(place + 1, None);
        }
        if let Some(other) = self.tokens[place].as_ref().filter(|other| other.text != text) {
            return Err(wrong("an id of two tokens").allowed(format!("`{}` as {id}", other.text)));
        }
        self.tokens[place] = Some(Token { text: text.to_owned(), kind });
        self.ids.insert(text.to_owned(), id);
        Ok(())
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    pub(super) fn set_kind(&mut self, id: u32, kind: TokenKind) {
        if let Some(Some(token)) = self.tokens.get_mut(id as usize) {
            token.kind = kind;
        }
    }

    /// Whether this id is of a token that is cut out of the text.
    pub(super) fn is_added(&self, id: u32) -> bool {
        let token = self.tokens.get(id as usize).and_then(Option::as_ref);
        token.is_some_and(|token| self.added.contains(&token.text))
    }
}
