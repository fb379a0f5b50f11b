//! Single values and lists of them: whole numbers, truths, number formats, windows, mixtures of experts.

use super::conditions::Item;
use super::{Reader, Sources};
use crate::space::rules::Offers;
use crate::space::{AnyAxis, Mixture, Window};
use serde_json::Value;
use slimfit_document::DocumentError;
use slimfit_quantity::NumberFormat;

impl Reader<'_> {
    /// The values of an axis, each of them once, and when they are offered.
    pub(super) fn list<T: PartialEq>(
        &self,
        sources: &Sources<'_>,
        axis: AnyAxis,
        always: Option<T>,
        read: impl Fn(&str, &Value) -> Result<T, DocumentError>,
    ) -> Result<(Vec<T>, Offers), DocumentError> {
        let (mut found, mut offers) = (Vec::from_iter(always), Offers::new(axis));
        for (field, value) in sources.of(axis.name()) {
            for (field, value) in self.each(&field, value)? {
                let Item { field, value, when } = self.item(axis, field, value)?;
                let value_read = read(&field, &value)?;
                if found.contains(&value_read) {
                    let error = self.document.error_at(&field, "the value stands twice");
                    let hint = when.map(|_| "one condition may be several, joined by `or`".to_owned());
                    return Err(error.found(format!("`{value}`")).maybe_hint(hint));
                }
                found.push(value_read);
                offers.note(found.len() - 1, found.len(), when);
            }
        }
        Ok((found, offers))
    }

    /// The values of a list with their fields; of a single value, that.
    pub(super) fn each<'v>(
        &self,
        field: &str,
        value: &'v Value,
    ) -> Result<Vec<(String, &'v Value)>, DocumentError> {
        let Value::Array(values) = value else { return Ok(vec![(field.to_owned(), value)]) };
        if values.is_empty() {
            return Err(self.document.error_at(field, "an empty list leaves no point").code("empty-axis"));
        }
        Ok(values.iter().enumerate().map(|(index, value)| (format!("{field}[{index}]"), value)).collect())
    }

    pub(super) fn whole(&self, field: &str, value: &Value) -> Result<u64, DocumentError> {
        let number = value.as_f64().unwrap_or(f64::NAN);
        if number.fract() == 0.0 && number >= 1.0 && number <= (1_u64 << 53) as f64 {
            return Ok(number as u64);
        }
        Err(self.wrong(field, value, "a whole number, 1 or more"))
    }

    pub(super) fn truth(&self, field: &str, value: &Value) -> Result<bool, DocumentError> {
        value.as_bool().ok_or_else(|| self.wrong(field, value, "true, false or a list of them"))
    }

    pub(super) fn format(
        &self,
        field: &str,
        value: &Value,
        allowed: &[NumberFormat],
    ) -> Result<NumberFormat, DocumentError> {
        let text = value.as_str().unwrap_or_default();
        let known = text.parse().ok().filter(|format| allowed.contains(format));
        known.ok_or_else(|| {
            let names: Vec<&str> = allowed.iter().map(|format| format.name()).collect();
            self.unknown(field, "number format not searchable", text, &names)
        })
    }

    pub(super) fn window(&self, field: &str, value: &Value) -> Result<Option<Window>, DocumentError> {
        const KEYS: [&str; 4] = ["size", "full_every", "value", "when"];
        const ALLOWED: &str = "`none`, a number of tokens or `{size, full_every}`";
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text == "none" => Ok(None),
            Value::Number(_) => Ok(Some(Window { size: self.whole(field, value)?, full_every: None })),
            Value::Object(parts) => {
                for key in parts.keys() {
                    if !KEYS.contains(&key.as_str()) {
                        let field = format!("{field}.{key}");
                        return Err(self.unknown(&field, "unknown field of a window", key, &KEYS));
                    }
                }
                let size = parts
                    .get("size")
                    .ok_or_else(|| self.document.error_at(field, "missing field `size` of a window"))?;
                let size = self.whole(&format!("{field}.size"), size)?;
                let full_every = match parts.get("full_every") {
                    None => None,
                    Some(every) => Some(self.whole(&format!("{field}.full_every"), every)?),
                };
                Ok(Some(Window { size, full_every }))
            }
            other => Err(self.wrong(field, other, ALLOWED)),
        }
    }

    pub(super) fn mixture(&self, field: &str, value: &Value) -> Result<Option<Mixture>, DocumentError> {
        const KEYS: [&str; 4] = ["count", "top_k", "value", "when"];
        let parts = match value {
            Value::Null => return Ok(None),
            Value::String(text) if text == "none" => return Ok(None),
            Value::Object(parts) => parts,
            other => return Err(self.wrong(field, other, "`none` or `{count, top_k}`")),
        };
        for key in parts.keys() {
            if !KEYS.contains(&key.as_str()) {
                let field = format!("{field}.{key}");
                return Err(self.unknown(&field, "unknown field of a mixture of experts", key, &KEYS));
            }
        }
        let number = |key: &str| match parts.get(key) {
            Some(value) => self.whole(&format!("{field}.{key}"), value),
            None => Err(self
                .document
                .error_at(field, format!("missing field `{key}` of a mixture of experts"))
                .code("missing-field")),
        };
        let (count, top_k) = (number("count")?, number("top_k")?);
        if top_k > count {
            let error = self.document.error_at(&format!("{field}.top_k"), "more experts than there are");
            return Err(error.found(top_k).allowed(format!("1 to `count`, which is {count}")));
        }
        Ok(Some(Mixture { count, top_k }))
    }
}
