//! The lines that an evaluator prints. `evaluators/README.md` says what each field means.

use serde_json::{Map, Value};
use slimfit_document::{DocumentError, suggestion};
use slimfit_search::Metric;

const FIELDS: [&str; 3] = ["id", "values", "error"];
const ALLOWED: &str = "`{\"id\": …, \"values\": {…}}` or `{\"id\": …, \"error\": …}`";

/// Reads the answers to one batch, line by line.
#[derive(Debug)]
pub(super) struct Answers<'a> {
    measures: &'a [Metric],
    ids: Vec<&'a str>,
    answered: Vec<bool>,
    line: u64,
}

/// What one line says: the point's place in the batch, and its values or why there are none.
pub(super) type Answered = (usize, Result<Vec<f64>, String>);

impl<'a> Answers<'a> {
    pub(super) fn to(ids: Vec<&'a str>, measures: &'a [Metric]) -> Self {
        Self { measures, answered: vec![false; ids.len()], ids, line: 0 }
    }

    /// A point that has no answer yet.
    pub(super) fn open(&self) -> Option<&'a str> {
        let place = self.answered.iter().position(|answered| !answered)?;
        Some(self.ids[place])
    }

    /// Reads the next line; empty ones say nothing.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Option<Answered>, DocumentError> {
        self.line += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
            let error = self.broken("the evaluator printed a line that is no JSON object");
            let error = error.found(quoted(text)).allowed(ALLOWED);
            return Err(error.hint("what is for people belongs on standard error"));
        };
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            let error = self.broken("the evaluator's answer has a field that nothing reads").field(unknown);
            return Err(error.allowed(FIELDS.join(", ")).maybe_hint(suggestion(unknown, FIELDS)));
        }
        let place = self.place(&fields)?;
        let answer = match (fields.get("values"), fields.get("error")) {
            (Some(values), None) => Ok(self.values(values)?),
            (None, Some(Value::String(reason))) if !reason.trim().is_empty() => Err(reason.trim().to_owned()),
            (None, Some(other)) => {
                let error = self.broken("the evaluator says no reason").field("error");
                return Err(error.found(quoted(&other.to_string())).allowed("a sentence"));
            }
            (Some(_), Some(_)) => {
                let error = self.broken("a point has values or an error, not both").field("error");
                return Err(error.allowed(ALLOWED));
            }
            (None, None) => {
                let error = self.broken("the evaluator's answer has neither values nor an error");
                return Err(error.field("values").found("nothing").allowed(ALLOWED));
            }
        };
        self.answered[place] = true;
        Ok(Some((place, answer)))
    }

    fn broken(&self, message: &str) -> DocumentError {
        DocumentError::new("evaluator-answer", message).file("the evaluator's output").on_line(self.line)
    }

    /// Which point of the batch a line is about.
    fn place(&self, fields: &Map<String, Value>) -> Result<usize, DocumentError> {
        let allowed = "an `id` of the batch";
        let id = match fields.get("id") {
            Some(Value::String(id)) => id,
            other => {
                let error = self.broken("the evaluator's answer does not say which point it is about");
                let found = other.map_or_else(|| "nothing".to_owned(), |other| quoted(&other.to_string()));
                return Err(error.field("id").found(found).allowed(allowed));
            }
        };
        let Some(place) = self.ids.iter().position(|known| known == id) else {
            let error = self.broken("the evaluator answers a point that it was not asked about");
            return Err(error.field("id").found(quoted(id)).allowed(self.ids.join(", ")));
        };
        if self.answered[place] {
            let error = self.broken("the evaluator answers a point twice");
            return Err(error.field("id").found(quoted(id)).allowed("one answer to each point"));
        }
        Ok(place)
    }

    /// The values in the order of what was asked for.
    fn values(&self, values: &Value) -> Result<Vec<f64>, DocumentError> {
        let names: Vec<&str> = self.measures.iter().map(|metric| metric.name()).collect();
        let Value::Object(values) = values else {
            let error = self.broken("the evaluator's values have no names").field("values");
            return Err(error.found(quoted(&values.to_string())).allowed("`{\"loss\": 2.31}` and the like"));
        };
        if let Some(unknown) = values.keys().find(|name| !names.contains(&name.as_str())) {
            let error = self.broken("the evaluator measures what it was not asked for");
            let error = error.field(format!("values.{unknown}")).found(quoted(unknown));
            return Err(error
                .allowed(names.join(", "))
                .maybe_hint(suggestion(unknown, names.iter().copied())));
        }
        names
            .iter()
            .map(|name| {
                let found = values.get(*name);
                let number = found.and_then(Value::as_f64).filter(|value| value.is_finite() && *value > 0.0);
                number.ok_or_else(|| {
                    let found =
                        found.map_or_else(|| "nothing".to_owned(), |value| quoted(&value.to_string()));
                    let error =
                        self.broken("the evaluator gives no such value").field(format!("values.{name}"));
                    error.found(found).allowed("a number above 0")
                })
            })
            .collect()
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.chars().take(120).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURES: [Metric; 2] = [Metric::Loss, Metric::TpotSeconds];

    fn answers() -> Answers<'static> {
        Answers::to(vec!["a", "b"], &MEASURES)
    }

    #[test]
    fn values_and_errors_are_read_in_any_order() {
        let mut answers = answers();
        assert_eq!(answers.read(b"\n").unwrap(), None);
        let line = br#"{"values": {"tpot_seconds": 1, "loss": 2.5}, "id": "b"}"#;
        assert_eq!(answers.read(line).unwrap(), Some((1, Ok(vec![2.5, 1.0]))));
        assert_eq!(answers.open(), Some("a"));
        let line = br#"{"id": "a", "error": " it diverged "}"#;
        assert_eq!(answers.read(line).unwrap(), Some((0, Err("it diverged".to_owned()))));
        assert_eq!(answers.open(), None);
    }

    #[test]
    fn each_way_to_break_the_protocol_is_told_with_line_and_field() {
        let broken = |line: &str| {
            let mut answers = answers();
            answers.read(br#"{"id": "b", "error": "no"}"#).unwrap();
            let error = answers.read(line.as_bytes()).unwrap_err();
            assert_eq!((error.code.as_str(), error.line), ("evaluator-answer", Some(2)), "{line}");
            (error.field.clone().unwrap_or_default(), error.to_string())
        };
        for (line, field, said) in [
            ("loss 2.3", "", "`loss 2.3`"),
            ("[1]", "", "`[1]`"),
            (r#"{"id": "a", "value": {}}"#, "value", "did you mean `values`"),
            (r#"{"values": {"loss": 2}}"#, "id", "nothing"),
            (r#"{"id": 3, "values": {"loss": 2}}"#, "id", "`3`"),
            (r#"{"id": "c", "values": {"loss": 2}}"#, "id", "allowed: a, b"),
            (r#"{"id": "b", "error": "again"}"#, "id", "twice"),
            (r#"{"id": "a"}"#, "values", "neither"),
            (r#"{"id": "a", "error": "x", "values": {}}"#, "error", "not both"),
            (r#"{"id": "a", "error": null}"#, "error", "`null`"),
            (r#"{"id": "a", "values": 2.3}"#, "values", "`2.3`"),
            (r#"{"id": "a", "values": {"los": 2.3}}"#, "values.los", "did you mean `loss`"),
            (r#"{"id": "a", "values": {"loss": 2.3}}"#, "values.tpot_seconds", "found nothing"),
            (r#"{"id": "a", "values": {"loss": "2.3", "tpot_seconds": 1}}"#, "values.loss", "`\"2.3\"`"),
            (r#"{"id": "a", "values": {"loss": -2.3, "tpot_seconds": 1}}"#, "values.loss", "above 0"),
            (r#"{"id": "a", "values": {"loss": NaN, "tpot_seconds": 1}}"#, "", "no JSON object"),
        ] {
            let (found, message) = broken(line);
            assert_eq!(found, field, "{line}: {message}");
            assert!(message.contains(said) && message.contains(":2:"), "{line}: {message}");
        }
    }
}
