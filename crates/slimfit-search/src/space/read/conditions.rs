//! Expressions and conditions, where values carry one, and what is wrong with them.

use super::Reader;
use crate::space::axes::{AnyAxis, Axis};
use crate::space::expression::{Expression, Fault};
use crate::space::rules::{Condition, When};
use serde_json::{Map, Value};
use slimfit_document::DocumentError;
use slimfit_quantity::NumberFormat;
use std::borrow::Cow;

/// A value of an axis as it stands in a file, and when it is offered.
pub(super) struct Item<'v> {
    pub(super) field: String,
    pub(super) value: Cow<'v, Value>,
    pub(super) when: Option<When>,
}

impl Reader<'_> {
    /// An expression of numbers.
    pub(super) fn expression(&self, field: &str, text: &str) -> Result<Expression, DocumentError> {
        Expression::parse(text).map_err(|fault| {
            let known: Vec<&str> = Axis::ALL.iter().map(|axis| axis.name()).collect();
            self.fault(field, text, fault, &known)
        })
    }

    /// A condition, which may name every axis.
    fn condition(&self, field: &str, text: &str) -> Result<Condition, DocumentError> {
        let expression = Expression::condition(text).map_err(|fault| {
            let axes = AnyAxis::all().map(AnyAxis::name);
            let words = ["none", "true", "false"].into_iter();
            let formats = NumberFormat::ALL.map(NumberFormat::name).into_iter();
            let known: Vec<&str> = axes.chain(words).chain(formats).collect();
            self.fault(field, text, fault, &known)
        })?;
        Ok(Condition::new(text.to_owned(), expression))
    }

    fn fault(&self, field: &str, text: &str, fault: Fault, known: &[&str]) -> DocumentError {
        match fault {
            Fault::Name(name) => self.unknown(field, "unknown name in an expression", &name, known),
            Fault::Unlike { found, allowed } => {
                let error = self.document.error_at(field, "what is compared is not alike");
                error.code("unlike").found(format!("`{found}`")).allowed(allowed)
            }
            Fault::Syntax { found, expected } => {
                let error =
                    self.document.error_at(field, format!("`{text}` is no expression")).code("syntax");
                error.found(format!("`{found}`")).allowed(expected)
            }
        }
    }

    /// Combinations that are no points.
    pub(super) fn exclusions(&self, texts: &[String]) -> Result<Vec<Condition>, DocumentError> {
        let condition = |(index, text): (usize, &String)| self.condition(&format!("exclude[{index}]"), text);
        texts.iter().enumerate().map(condition).collect()
    }

    /// A value, which may be `{value, when}`, or have `when` beside its own fields.
    pub(super) fn item<'v>(
        &self,
        axis: AnyAxis,
        field: String,
        value: &'v Value,
    ) -> Result<Item<'v>, DocumentError> {
        let Value::Object(parts) = value else {
            return Ok(Item { field, value: Cow::Borrowed(value), when: None });
        };
        let wrapped = parts.contains_key("value");
        if !wrapped && !parts.contains_key("when") {
            return Ok(Item { field, value: Cow::Borrowed(value), when: None });
        }
        let inner = if wrapped { self.wrapped(&field, parts)? } else { self.unwrapped(&field, parts)? };
        let place = format!("{field}.when");
        let text = match parts.get("when") {
            Some(Value::String(text)) => text,
            Some(other) => {
                return Err(self.wrong(&place, other, "a condition such as `hidden_size >= 1024`"));
            }
            None => {
                let error = self.document.error_at(&field, "missing field `when` beside `value`");
                let hint = "a value that is always offered stands by itself";
                return Err(error.code("missing-field").allowed("`value` and `when`").hint(hint));
            }
        };
        let condition = self.condition(&place, text)?;
        let when = When::new(axis, written(&inner), place, condition);
        let field = if wrapped { format!("{field}.value") } else { field };
        Ok(Item { field, value: Cow::Owned(inner), when: Some(when) })
    }

    /// The value of `{value, when}`.
    fn wrapped(&self, field: &str, parts: &Map<String, Value>) -> Result<Value, DocumentError> {
        if let Some(key) = parts.keys().find(|key| !["value", "when"].contains(&key.as_str())) {
            let error = self.unknown(
                &format!("{field}.{key}"),
                "`value` stands beside nothing but `when`",
                key,
                &["value", "when"],
            );
            return Err(error.hint("ranges, windows and experts have `when` among their own fields"));
        }
        match &parts["value"] {
            wrong @ (Value::Object(_) | Value::Array(_)) => {
                let error = self.wrong(&format!("{field}.value"), wrong, "one number, word or expression");
                let hint = "ranges, windows and experts have `when` among their own fields, and each value of a list its own";
                Err(error.hint(hint))
            }
            value => Ok(value.clone()),
        }
    }

    /// A value without its `when`.
    fn unwrapped(&self, field: &str, parts: &Map<String, Value>) -> Result<Value, DocumentError> {
        let mut rest = parts.clone();
        rest.remove("when");
        if rest.is_empty() {
            let error = self.document.error_at(field, "missing field `value` beside `when`");
            let allowed = "`value` and `when`, or `when` among the fields of a range, a window or experts";
            return Err(error.code("missing-field").allowed(allowed));
        }
        Ok(Value::Object(rest))
    }
}

/// Values in few words: `65536`, `{count: 8, top_k: 2}`, `2 to 4 times hidden_size`.
fn written(value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let Value::Object(parts) = value else { return plain(value) };
    if let (Some(from), Some(to)) = (parts.get("from"), parts.get("to")) {
        let times = parts.get("times").map(|times| format!(" times {}", plain(times)));
        return format!("{} to {}{}", plain(from), plain(to), times.unwrap_or_default());
    }
    let mut fields: Vec<(&String, &Value)> = parts.iter().collect();
    fields.sort_by_key(|(key, _)| ["count", "size"].iter().all(|first| first != key));
    let fields: Vec<String> =
        fields.into_iter().map(|(key, value)| format!("{key}: {}", plain(value))).collect();
    format!("{{{}}}", fields.join(", "))
}
