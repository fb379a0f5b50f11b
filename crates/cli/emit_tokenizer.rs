//! The tokenizer that `slimfit emit` writes into GGUF and lays beside a config: the model's own, or one that is named.

use crate::failure::Failure;
use serde_json::{Value, json};
use slimfit_document::{WrittenFile, read_text};
use slimfit_formats::gguf::{GgufFile, GgufValue, Tokenizer};
use slimfit_formats::{HuggingFaceTokenizer, LoadedModel, Origin};
use slimfit_quantity::Warning;
use std::path::{Path, PathBuf};

/// What `--tokenizer` says for no tokenizer at all.
const NONE: &str = "none";

/// The tokenizer's own file.
const FILE: &str = "tokenizer.json";

/// What the transformers library reads beside it.
const COMPANIONS: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// Where a model's tokenizer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerSource {
    /// Nowhere.
    None,
    /// In a `tokenizer.json`, with what lies beside it.
    File(PathBuf),
    /// In a GGUF file, and stays as it is there.
    Gguf(PathBuf),
}

/// A tokenizer as a GGUF file has it.
pub struct GgufTokenizer {
    /// Absent: the file has none.
    pub entries: Option<Tokenizer>,
    /// What llama.cpp calls it, and how many tokens it has.
    about: Value,
    /// For people.
    words: String,
    /// What llama.cpp does a little differently.
    pub warnings: Vec<Warning>,
}

impl TokenizerSource {
    /// The one that is named, else the model's own.
    pub fn of(named: Option<&str>, model: Option<&LoadedModel>) -> Self {
        match (named, model.map(|model| &model.origin)) {
            (Some(NONE), _) => Self::None,
            (Some(path), _) => {
                let path = PathBuf::from(path);
                Self::File(if path.is_dir() { path.join(FILE) } else { path })
            }
            (None, Some(Origin::HuggingFace(config))) => {
                let file = config.with_file_name(FILE);
                if file.is_file() { Self::File(file) } else { Self::None }
            }
            (None, Some(Origin::Gguf(path))) => Self::Gguf(path.clone()),
            (None, _) => Self::None,
        }
    }

    /// As a GGUF file of a model with so many rows of embeddings has it.
    ///
    /// # Errors
    /// Files that cannot be read, a tokenizer that llama.cpp has no like of or that has more tokens than rows.
    pub fn in_gguf(&self, rows: u64) -> Result<GgufTokenizer, Failure> {
        match self {
            Self::None => Ok(GgufTokenizer::none()),
            Self::File(path) => {
                let read = HuggingFaceTokenizer::read(path)?;
                let (model, pre) = read.names();
                Ok(GgufTokenizer {
                    entries: Some(read.to_gguf(rows)?),
                    about: json!({ "model": model, "pre": pre, "tokens": read.size() }),
                    words: format!("tokenizer `{model}`, `{pre}`: {} tokens of {rows} rows", read.size()),
                    warnings: read.warnings().to_vec(),
                })
            }
            Self::Gguf(path) => {
                let file = GgufFile::open(path)?;
                let text = |key: &str| match file.metadata.get(key) {
                    Some(GgufValue::Text(text)) => Some(text.as_str()),
                    _ => None,
                };
                let entries = file.tokenizer()?;
                let tokens = entries.as_ref().and_then(Tokenizer::tokens);
                let Some(tokens) = tokens else {
                    return Ok(GgufTokenizer { entries, ..GgufTokenizer::none() });
                };
                let (model, pre) = (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre"));
                let name = model.unwrap_or("unnamed");
                Ok(GgufTokenizer {
                    about: json!({ "model": name, "pre": pre, "tokens": tokens }),
                    words: format!("tokenizer `{name}` as the file has it: {tokens} tokens"),
                    entries,
                    warnings: Vec::new(),
                })
            }
        }
    }

    /// Lays it and what belongs to it beside a config. A GGUF file's is no such file, and none is made of it.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn copy(&self, folder: &Path) -> Result<Vec<WrittenFile>, Failure> {
        let Self::File(path) = self else { return Ok(Vec::new()) };
        let beside = COMPANIONS.iter().map(|name| (*name, path.with_file_name(name)));
        let files = std::iter::once((FILE, path.clone())).chain(beside.filter(|(_, path)| path.is_file()));
        let copied = files.map(|(name, path)| {
            let text = read_text(&path)?;
            Ok(WrittenFile::write(&folder.join(name), "huggingface-tokenizer", text.as_bytes())?)
        });
        copied.collect()
    }
}

impl GgufTokenizer {
    fn none() -> Self {
        let words = "no tokenizer in the GGUF file: llama.cpp takes token ids alone; name one with `--tokenizer FILE`";
        Self { entries: None, about: Value::Null, words: words.to_owned(), warnings: Vec::new() }
    }

    /// Whether llama.cpp can read text with it.
    pub fn reads_text(&self) -> bool {
        !self.about.is_null()
    }

    /// `{model, pre, tokens}`; null where there is none.
    pub fn about(&self) -> &Value {
        &self.about
    }

    /// A line for people.
    pub fn words(&self) -> &str {
        &self.words
    }
}
