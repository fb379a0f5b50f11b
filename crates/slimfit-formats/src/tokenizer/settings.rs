//! What lies beside `tokenizer.json`: which tokens begin and end a text, and how a chat is written.

use super::template::Template;
use super::vocabulary::Vocabulary;
use serde_json::Value;
use slimfit_document::{Document, DocumentError, read_text};
use std::path::Path;

/// Tokens with a meaning, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SpecialTokens {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    pub(crate) separator: Option<u32>,
    pub(crate) padding: Option<u32>,
    pub(crate) mask: Option<u32>,
    /// Further tokens that end an answer, as `generation_config.json` lists them.
    pub(crate) also_end: Vec<u32>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) special: SpecialTokens,
    /// Whether every text begins so.
    pub(super) add_bos: bool,
    /// Whether every text ends so.
    pub(super) add_eos: bool,
    /// By name; the first is the usual one.
    pub(super) chat_templates: Vec<(String, String)>,
}

const CONFIG: &str = "tokenizer_config.json";
/// The name of the chat template that is taken where none is asked for.
pub(crate) const USUAL_TEMPLATE: &str = "default";

impl Settings {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json`, `generation_config.json`, `config.json` and
    /// `chat_template.jinja` of a folder, what each lacks from the next.
    ///
    /// # Errors
    /// Files that cannot be read, tokens that the vocabulary does not have, and no token that ends a text.
    pub(super) fn read(
        folder: &Path,
        tokenizer: &Document,
        vocabulary: &Vocabulary,
        template: &Template,
        unknown: Option<&str>,
    ) -> Result<Self, DocumentError> {
        let mut settings = Self::default();
        let mut said = (None, None);
        for name in [CONFIG, "special_tokens_map.json"] {
            let Some((document, value)) = beside(folder, name)? else { continue };
            settings.name_tokens(&document, &value, vocabulary)?;
            if name == CONFIG {
                let flag = |name: &str| value.get(name).and_then(Value::as_bool);
                said = (flag("add_bos_token"), flag("add_eos_token"));
                settings.chat_templates = chat_templates(&document, &value)?;
            }
        }
        for name in ["generation_config.json", "config.json"] {
            let Some((_, value)) = beside(folder, name)? else { continue };
            settings.number_tokens(&value, vocabulary);
        }
        settings.special.unknown = settings.special.unknown.or_else(|| vocabulary.id(unknown?));
        settings.add_bos =
            around(tokenizer, vocabulary, template.first.as_deref(), &mut settings.special.bos)?;
        settings.add_eos =
            around(tokenizer, vocabulary, template.last.as_deref(), &mut settings.special.eos)?;
        // The library writes the template anew where these are said.
        settings.add_bos = said.0.unwrap_or(settings.add_bos);
        settings.add_eos = said.1.unwrap_or(settings.add_eos);
        let path = folder.join("chat_template.jinja");
        if path.is_file() {
            settings.chat_templates.retain(|(name, _)| name != USUAL_TEMPLATE);
            settings.chat_templates.insert(0, (USUAL_TEMPLATE.to_owned(), read_text(&path)?));
        }
        settings.require_end(tokenizer)?;
        Ok(settings)
    }

    /// Texts of tokens.
    fn name_tokens(
        &mut self,
        document: &Document,
        value: &Value,
        vocabulary: &Vocabulary,
    ) -> Result<(), DocumentError> {
        for (field, place) in self.special.named() {
            let said = value.get(field).filter(|value| !value.is_null());
            let Some(said) = said.filter(|_| place.is_none()) else { continue };
            let text = said.as_str().or_else(|| said.get("content").and_then(Value::as_str));
            let id = text.and_then(|text| vocabulary.id(text)).ok_or_else(|| {
                let error = document.error_at(field, "a token that the tokenizer does not have");
                error.found(format!("`{}`", text.unwrap_or("no text"))).allowed("a token of `tokenizer.json`")
            })?;
            *place = Some(id);
        }
        Ok(())
    }

    /// Ids of tokens. Configs carry those that their class has by default, whatever the tokenizer, so only tokens that are
    /// cut out of the text are believed.
    fn number_tokens(&mut self, value: &Value, vocabulary: &Vocabulary) {
        let ids = |field: &str| -> Vec<u32> {
            let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
            let said = match value.get(field) {
                Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
                Some(one) => id(one).into_iter().collect(),
                None => Vec::new(),
            };
            said.into_iter().filter(|&id| vocabulary.is_added(id)).collect()
        };
        for (field, place) in self.special.named() {
            *place = place.or_else(|| ids(&format!("{field}_id")).first().copied());
        }
        for id in ids("eos_token_id") {
            if self.special.eos != Some(id) && !self.special.also_end.contains(&id) {
                self.special.also_end.push(id);
            }
        }
    }

    /// Without one, llama.cpp takes a token in the middle of the alphabet for the end.
    fn require_end(&mut self, tokenizer: &Document) -> Result<(), DocumentError> {
        let Some(end) = self.special.eos else {
            let error = tokenizer.error_at("", "no token ends a text").code("unsupported-tokenizer");
            return Err(error.allowed("an end token, without which llama.cpp ends answers at an arbitrary one").hint(
                "say `eos_token` in a `tokenizer_config.json` beside it, or write the file without one: `--tokenizer none`",
            ));
        };
        if self.add_bos && self.special.bos.is_none() {
            let error = tokenizer.error_at("", "every text is to begin with a token that is not said");
            return Err(
                error.hint("say `bos_token` in `tokenizer_config.json`, or `\"add_bos_token\": false`")
            );
        }
        // Left out, it would be an arbitrary one, too; it is never added.
        self.special.bos.get_or_insert(end);
        Ok(())
    }
}

impl SpecialTokens {
    /// The fields of configs and where their tokens go.
    fn named(&mut self) -> [(&'static str, &mut Option<u32>); 6] {
        [
            ("bos_token", &mut self.bos),
            ("eos_token", &mut self.eos),
            ("unk_token", &mut self.unknown),
            ("sep_token", &mut self.separator),
            ("pad_token", &mut self.padding),
            ("mask_token", &mut self.mask),
        ]
    }
}

/// Whether the template adds this token, which is the one it adds where no config says another.
fn around(
    tokenizer: &Document,
    vocabulary: &Vocabulary,
    added: Option<&str>,
    token: &mut Option<u32>,
) -> Result<bool, DocumentError> {
    let Some(text) = added else { return Ok(false) };
    let wrong = |message: &str| {
        let error = tokenizer.error_at("post_processor", message).code("unsupported-tokenizer");
        error.found(format!("`{text}`"))
    };
    let id =
        vocabulary.id(text).ok_or_else(|| wrong("a token that the vocabulary does not have is added"))?;
    if *token.get_or_insert(id) == id {
        return Ok(true);
    }
    let error = wrong("llama.cpp adds no other tokens to a text than its begin and its end");
    Err(error
        .allowed("`bos_token` before it, `eos_token` after it")
        .hint("say so in `tokenizer_config.json`"))
}

/// A JSON file of the folder, where it has it.
fn beside(folder: &Path, name: &str) -> Result<Option<(Document, Value)>, DocumentError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let document = Document::read(&path)?;
    let value = document.value()?;
    Ok(Some((document, value)))
}

/// One text, or a list of named ones.
fn chat_templates(document: &Document, value: &Value) -> Result<Vec<(String, String)>, DocumentError> {
    const FIELD: &str = "chat_template";
    let named = |template: &Value| {
        let text = |field| template.get(field).and_then(Value::as_str).map(str::to_owned);
        Some((text("name")?, text("template")?))
    };
    let read = match value.get(FIELD) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::String(text)) => Some(vec![(USUAL_TEMPLATE.to_owned(), text.clone())]),
        Some(Value::Array(list)) => list.iter().map(named).collect(),
        Some(_) => None,
    };
    let mut templates = read.ok_or_else(|| {
        let error = document.error_at(FIELD, "no chat template");
        error.allowed("a text, or a list of mappings with `name` and `template`")
    })?;
    templates.sort_by_key(|(name, _)| name != USUAL_TEMPLATE);
    Ok(templates)
}
