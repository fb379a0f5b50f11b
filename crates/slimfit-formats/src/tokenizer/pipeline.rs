//! The steps that a text passes on its way to the model, as a file lists them.

use serde_json::Value;
use slimfit_document::{Document, DocumentError};

/// One step and where the file has it.
#[derive(Debug, Clone)]
pub(super) struct Step<'a> {
    /// Its `type`.
    pub(super) kind: &'a str,
    value: &'a Value,
    field: String,
}

impl<'a> Step<'a> {
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.value.get(name).and_then(Value::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    /// A truth value, or what the library takes where the file says none.
    pub(super) fn flag(&self, name: &str, usual: bool) -> bool {
        self.value.get(name).and_then(Value::as_bool).unwrap_or(usual)
    }

    /// The field of one of its parts; its own for `""`.
    pub(super) fn field(&self, name: &str) -> String {
        if name.is_empty() { self.field.clone() } else { format!("{}.{name}", self.field) }
    }

    /// An error about one of its parts, with what stands there.
    pub(super) fn error(&self, document: &Document, name: &str, message: &str) -> DocumentError {
        let value = if name.is_empty() { Some(self.value) } else { self.value.get(name) };
        let found = value.map_or_else(|| "nothing".to_owned(), |value| format!("`{}`", shortened(value)));
        document.error_at(&self.field(name), message).found(found)
    }
}

/// All steps in order, sequences opened; `parts` is what a sequence calls its list.
///
/// # Errors
/// What stands there is no step.
pub(super) fn steps<'a>(
    document: &Document,
    value: &'a Value,
    field: &str,
    parts: &str,
) -> Result<Vec<Step<'a>>, DocumentError> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let Some(kind) = value.get("type").and_then(Value::as_str) else {
        let error =
            document.error_at(field, "no step of a tokenizer").found(format!("`{}`", shortened(value)));
        return Err(error.allowed("a mapping with a `type`"));
    };
    if kind != "Sequence" {
        return Ok(vec![Step { kind, value, field: field.to_owned() }]);
    }
    let list_field = format!("{field}.{parts}");
    let Some(list) = value.get(parts).and_then(Value::as_array) else {
        return Err(document.error_at(&list_field, "a sequence without steps").allowed("a list of steps"));
    };
    let mut all = Vec::new();
    for (index, step) in list.iter().enumerate() {
        all.extend(steps(document, step, &format!("{list_field}[{index}]"), parts)?);
    }
    Ok(all)
}

/// A value as one line that fits one.
fn shortened(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= 120 { text } else { text.chars().take(117).chain("...".chars()).collect() }
}
