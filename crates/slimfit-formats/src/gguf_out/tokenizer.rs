//! A tokenizer as the metadata that llama.cpp's converter writes.

use super::entry::{Value, put_entry};
use crate::FormatsError;
use crate::gguf::Tokenizer;
use crate::tokenizer::{Algorithm, HuggingFaceTokenizer, TokenKind, USUAL_TEMPLATE};
use slimfit_document::DocumentError;
use std::collections::HashSet;

impl HuggingFaceTokenizer {
    /// Its entries in a file of a model with so many rows of embeddings. Rows that no token has are said to be unused.
    ///
    /// # Errors
    /// It has more tokens than rows.
    pub fn to_gguf(&self, rows: u64) -> Result<Tokenizer, FormatsError> {
        if self.size() > rows {
            let message = "the tokenizer has more tokens than the model";
            let error = DocumentError::new("unsupported-tokenizer", message).file(&self.origin);
            let error = error.found(format!("{} tokens", self.size())).allowed(format!("up to {rows}"));
            return Err(error
                .hint("a model needs the vocabulary of the tokenizer that it is trained with")
                .into());
        }
        let mut entries = Vec::new();
        let mut count = 0;
        for (key, value) in self.entries(rows) {
            put_entry(&mut entries, &format!("tokenizer.{key}"), &value);
            count += 1;
        }
        Ok(Tokenizer::of_entries(entries, count, rows))
    }

    fn entries(&self, rows: u64) -> Vec<(String, Value)> {
        let text = |text: &str| Value::Text(text.to_owned());
        let (model, pre) = self.names();
        let (texts, kinds) = self.padded(rows);
        let mut entries = vec![
            ("ggml.model".to_owned(), text(model)),
            ("ggml.pre".to_owned(), text(pre)),
            ("ggml.tokens".to_owned(), Value::Texts(texts)),
        ];
        let mut put = |key: &str, value: Value| entries.push((format!("ggml.{key}"), value));
        match &self.algorithm {
            Algorithm::ByteLevel { merges, .. } => {
                put("token_type", Value::Integers(kinds));
                put("merges", Value::Texts(merges.clone()));
            }
            Algorithm::ByteFallback { scores, space_prefix } => {
                let mut scores = scores.clone();
                scores.resize(rows as usize, UNUSED_SCORE);
                put("scores", Value::Floats(scores));
                put("token_type", Value::Integers(kinds));
                put("add_space_prefix", Value::Bool(*space_prefix));
            }
        }
        let special = &self.special;
        let mut ends = special.also_end.iter().copied();
        for (key, id) in [
            ("bos_token_id", special.bos),
            ("eos_token_id", special.eos),
            ("eot_token_id", ends.next()),
            ("eom_token_id", ends.next()),
            ("unknown_token_id", special.unknown),
            // The format's own spelling.
            ("seperator_token_id", special.separator),
            ("padding_token_id", special.padding),
            ("mask_token_id", special.mask),
        ] {
            if let Some(id) = id {
                put(key, Value::Unsigned(id));
            }
        }
        put("add_bos_token", Value::Bool(self.add_bos));
        put("add_eos_token", Value::Bool(self.add_eos));
        let mut more = Vec::new();
        for (name, template) in &self.chat_templates {
            if name == USUAL_TEMPLATE {
                entries.push(("chat_template".to_owned(), text(template)));
            } else {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
                let name: String = name.chars().map(plain).collect();
                if !more.contains(&name) {
                    entries.push((format!("chat_template.{name}"), text(template)));
                    more.push(name);
                }
            }
        }
        if !more.is_empty() {
            entries.push(("chat_templates".to_owned(), Value::Texts(more)));
        }
        entries
    }

    /// Texts and kinds of all rows.
    fn padded(&self, rows: u64) -> (Vec<String>, Vec<i32>) {
        let taken: HashSet<&str> = self.tokens.iter().flatten().map(|token| token.text.as_str()).collect();
        let user_defined = |text: &str| text.replace('▁', " ");
        let row = |id: usize| match self.tokens.get(id).and_then(Option::as_ref) {
            Some(token) => {
                // It is looked for in the text before spaces are replaced.
                let fallback = matches!(self.algorithm, Algorithm::ByteFallback { .. });
                let raw = fallback && token.kind == TokenKind::UserDefined;
                (if raw { user_defined(&token.text) } else { token.text.clone() }, token.kind as i32)
            }
            None => {
                let mut text = format!("[PAD{id}]");
                while taken.contains(text.as_str()) {
                    text = format!("[{text}]");
                }
                (text, TokenKind::Unused as i32)
            }
        };
        (0..rows as usize).map(row).unzip()
    }
}

/// As the converter gives it.
const UNUSED_SCORE: f32 = -10_000.0;
