//! What a tokenizer puts before and after every text.

use super::file::TokenizerFile;
use super::pipeline::{Step, steps};
use serde_json::Value;
use slimfit_document::{Document, DocumentError};

/// Texts of the tokens around a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

impl Template {
    /// Of the post-processor.
    ///
    /// # Errors
    /// Steps that are no template, and templates of more than a token before the text and one after it: llama.cpp adds no
    /// more.
    pub(super) fn of(document: &Document, file: &TokenizerFile) -> Result<Self, DocumentError> {
        let mut template = Self::default();
        for step in steps(document, &file.post_processor, "post_processor", "processors")? {
            match step.kind {
                // Places in the text, which no id depends on.
                "ByteLevel" => {}
                "TemplateProcessing" => template.read(document, &step)?,
                "RobertaProcessing" | "BertProcessing" => {
                    let name = |part| step.get(part)?.get(0)?.as_str().map(str::to_owned);
                    (template.first, template.last) = (name("cls"), name("sep"));
                }
                _ => {
                    let error = step.error(document, "", "llama.cpp has no such step after the tokens");
                    return Err(error
                        .code("unsupported-tokenizer")
                        .allowed("`TemplateProcessing`, `ByteLevel`"));
                }
            }
        }
        Ok(template)
    }

    fn read(&mut self, document: &Document, step: &Step<'_>) -> Result<(), DocumentError> {
        let wrong = |message: &str| {
            let error = step.error(document, "single", message).code("unsupported-tokenizer");
            error.allowed("the text, at most one token before it, and at most one after it")
        };
        let parts = step.get("single").and_then(Value::as_array);
        let parts = parts.ok_or_else(|| wrong("no template of one text"))?;
        let mut in_text = false;
        for part in parts {
            if part.get("Sequence").is_some() {
                if in_text {
                    return Err(wrong("a template that has the text twice"));
                }
                in_text = true;
                continue;
            }
            let token = part.get("SpecialToken").and_then(|token| token.get("id")).and_then(Value::as_str);
            let token = token.ok_or_else(|| wrong("a template with an unknown part"))?.to_owned();
            let place = if in_text { &mut self.last } else { &mut self.first };
            if place.replace(token).is_some() {
                return Err(wrong("llama.cpp adds one token, not several"));
            }
        }
        if in_text { Ok(()) } else { Err(wrong("a template without the text")) }
    }
}
