//! Single values and lists of them: whole numbers, truths, number formats, windows, mixtures of experts.

use super::{Reader, Sources};
use crate::space::{Mixture, Window};
use serde_json::Value;
use slimfit_document::DocumentError;
use slimfit_quantity::NumberFormat;

impl Reader<'_> {
    /// One value, or a list of distinct ones.
    pub(super) fn list<T: PartialEq>(
        &self,
        field: &str,
        value: &Value,
        into: &mut Vec<T>,
        read: impl Fn(&str, &Value) -> Result<T, DocumentError>,
    ) -> Result<(), DocumentError> {
        let one = std::slice::from_ref(value);
        let values = value.as_array().map_or(one, Vec::as_slice);
        if values.is_empty() {
            return Err(self.document.error_at(field, "an empty list leaves no point").code("empty-axis"));
        }
        for (index, value) in values.iter().enumerate() {
            let field = if value_is_list(one) { format!("{field}[{index}]") } else { field.to_owned() };
            let item = read(&field, value)?;
            if into.contains(&item) {
                return Err(self
                    .document
                    .error_at(&field, "the value stands twice")
                    .found(format!("`{value}`")));
            }
            into.push(item);
        }
        Ok(())
    }

    pub(super) fn whole(&self, field: &str, value: &Value) -> Result<u64, DocumentError> {
        let number = value.as_f64().unwrap_or(f64::NAN);
        if number.fract() == 0.0 && number >= 1.0 && number <= (1_u64 << 53) as f64 {
            return Ok(number as u64);
        }
        Err(self.wrong(field, value, "a whole number, 1 or more"))
    }

    /// An axis of which each value is true or false.
    pub(super) fn truths(&self, sources: &Sources<'_>, axis: &str) -> Result<Vec<bool>, DocumentError> {
        let mut found = Vec::new();
        for (field, value) in sources.of(axis) {
            self.list(&field, value, &mut found, |field, value| match value {
                Value::Bool(truth) => Ok(*truth),
                other => Err(self.wrong(field, other, "true, false or a list of them")),
            })?;
        }
        Ok(found)
    }

    /// An axis of number formats.
    pub(super) fn formats(
        &self,
        sources: &Sources<'_>,
        axis: &str,
        allowed: &[NumberFormat],
    ) -> Result<Vec<NumberFormat>, DocumentError> {
        let names: Vec<&str> = allowed.iter().map(|format| format.name()).collect();
        let mut found = Vec::new();
        for (field, value) in sources.of(axis) {
            self.list(&field, value, &mut found, |field, value| {
                let text = value.as_str().unwrap_or_default();
                let known = text.parse().ok().filter(|format| allowed.contains(format));
                known.ok_or_else(|| self.unknown(field, "number format not searchable", text, &names))
            })?;
        }
        Ok(found)
    }

    pub(super) fn window(&self, field: &str, value: &Value) -> Result<Option<Window>, DocumentError> {
        const ALLOWED: &str = "`none`, a number of tokens or `{size, full_every}`";
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text == "none" => Ok(None),
            Value::Number(_) => Ok(Some(Window { size: self.whole(field, value)?, full_every: None })),
            Value::Object(parts) => {
                for key in parts.keys() {
                    if key != "size" && key != "full_every" {
                        let field = format!("{field}.{key}");
                        return Err(self.unknown(
                            &field,
                            "unknown field of a window",
                            key,
                            &["size", "full_every"],
                        ));
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
        const KEYS: [&str; 2] = ["count", "top_k"];
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

pub(super) fn value_is_list(one: &[Value]) -> bool {
    one[0].is_array()
}
