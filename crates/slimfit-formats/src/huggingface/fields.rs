//! Typed access to the fields of a `config.json`, which remembers what was read: what stays unread and looks like a
//! shape is refused rather than ignored.

use super::harmless;
use crate::FormatsError;
use serde_json::{Map, Value};
use slimfit_document::{Document, DocumentError};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;

/// The fields of one configuration object.
///
/// A missing field takes the default of its Hugging Face class, as `transformers` would; `null` is a value of its own.
pub(super) struct Fields<'a> {
    document: &'a Document,
    map: &'a Map<String, Value>,
    seen: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(document: &'a Document, map: &'a Map<String, Value>) -> Self {
        Self { document, map, seen: RefCell::default() }
    }

    /// The whole file.
    pub(super) fn document(&self) -> &'a Document {
        self.document
    }

    /// The value, marked as read; absent and `null` look the same.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        let (key, value) = self.map.get_key_value(name)?;
        self.seen.borrow_mut().insert(key);
        (!value.is_null()).then_some(value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Marks fields that say nothing about the architecture in this family.
    pub(super) fn ignore(&self, names: &[&str]) {
        for name in names {
            self.value(name);
        }
    }

    /// A count or size of 1 or more; `null` is refused.
    pub(super) fn size(&self, name: &str, default: u64) -> Result<u64, FormatsError> {
        match self.map.get(name) {
            None => Ok(default),
            Some(_) => {
                self.optional_size(name, None)?.ok_or_else(|| self.refuse(name, "null", "a whole number"))
            }
        }
    }

    /// A count or size; absent gives `default`, `null` gives none.
    pub(super) fn optional_size(
        &self,
        name: &str,
        default: Option<u64>,
    ) -> Result<Option<u64>, FormatsError> {
        if !self.has(name) {
            return Ok(default);
        }
        self.value(name).map(|value| self.whole(name, value)).transpose()
    }

    /// A finite number; `null` is refused.
    pub(super) fn number(&self, name: &str, default: f64) -> Result<f64, FormatsError> {
        match self.map.get(name) {
            None => Ok(default),
            Some(_) => self.optional_number(name, None)?.ok_or_else(|| self.refuse(name, "null", "a number")),
        }
    }

    /// A finite number; absent gives `default`, `null` gives none.
    pub(super) fn optional_number(
        &self,
        name: &str,
        default: Option<f64>,
    ) -> Result<Option<f64>, FormatsError> {
        if !self.has(name) {
            return Ok(default);
        }
        match self.value(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.refuse(name, value, "a finite number")),
            },
        }
    }

    /// A truth value; `null` is false.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, FormatsError> {
        if !self.has(name) {
            return Ok(default);
        }
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.refuse(name, other, "true or false")),
        }
    }

    /// A text; absent and `null` give `default`.
    pub(super) fn text(&self, name: &str, default: &'a str) -> Result<&'a str, FormatsError> {
        match self.value(name) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.refuse(name, other, "a text")),
        }
    }

    /// A list; absent and `null` give none.
    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, FormatsError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(self.refuse(name, other, "a list")),
        }
    }

    /// A list of whole numbers; absent and `null` give none.
    pub(super) fn sizes(&self, name: &str) -> Result<Option<Vec<u64>>, FormatsError> {
        let Some(values) = self.list(name)? else { return Ok(None) };
        let whole = |(index, value)| self.whole(&format!("{name}[{index}]"), value);
        values.iter().enumerate().map(whole).collect::<Result<_, _>>().map(Some)
    }

    /// A list of numbers; absent and `null` give none.
    pub(super) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, FormatsError> {
        let Some(values) = self.list(name)? else { return Ok(None) };
        let number = |(index, value): (usize, &Value)| {
            value.as_f64().ok_or_else(|| self.refuse(&format!("{name}[{index}]"), value, "a number"))
        };
        values.iter().enumerate().map(number).collect::<Result<_, _>>().map(Some)
    }

    /// A nested object with reads of its own; absent and `null` give none.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, FormatsError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Fields::new(self.document, map))),
            Some(other) => Err(self.refuse(name, other, "an object")),
        }
    }

    /// Refuses a field that says something slimfit cannot hold, unless it has the value `only`.
    pub(super) fn must_be(&self, name: &str, only: impl Into<Value>, why: &str) -> Result<(), FormatsError> {
        let only = only.into();
        match self.value(name) {
            Some(found) if *found != only => Err(self.refuse(name, found, format!("{only} ({why})"))),
            _ => Ok(()),
        }
    }

    /// An error at a field of this object.
    pub(super) fn refuse(&self, name: &str, found: impl Display, allowed: impl Display) -> FormatsError {
        self.error(name, "unsupported value").found(found).allowed(allowed).into()
    }

    /// An error at a field of this object, to be completed.
    pub(super) fn error(&self, name: &str, message: impl Into<String>) -> DocumentError {
        self.document.error_at(name, message).code("config")
    }

    /// Refuses the first unread field that looks as if it changed the shape or the arithmetic.
    pub(super) fn refuse_unread(&self, family: &str) -> Result<(), FormatsError> {
        let seen = self.seen.borrow();
        let unread = self
            .map
            .iter()
            .find(|(name, value)| !seen.contains(name.as_str()) && harmless::changes_the_model(name, value));
        match unread {
            None => Ok(()),
            Some((name, value)) => {
                let message = format!(
                    "a field that `{family}` models do not have, and whose name says that it changes the model"
                );
                Err(self.error(name, message).code("unknown_field").found(harmless::short(value)).into())
            }
        }
    }

    fn whole(&self, name: &str, value: &Value) -> Result<u64, FormatsError> {
        let integral = |number: &f64| *number >= 0.0 && number.fract() == 0.0 && *number <= 9.0e15;
        value
            .as_u64()
            .or_else(|| value.as_f64().filter(integral).map(|number| number as u64))
            .ok_or_else(|| self.refuse(name, harmless::short(value), "a whole number, 0 or above"))
    }
}
