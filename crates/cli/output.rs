//! Standard output: data, and nothing else.

use crate::failure::Failure;
use serde_json::{Map, Value};
use slimfit_document::DocumentError;
use slimfit_quantity::Warning;
use std::io::{ErrorKind, IsTerminal, Write};

/// The largest whole number that every JSON reader holds exactly.
const EXACT: u64 = 1 << 53;

/// Where a command's result goes, and in which form.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text for people, or one JSON object.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the result is to be one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints `{"schema": "slimfit/<kind>/v1", "version", "command", "warnings", …fields}`. `fields` must be an object;
    /// its own `warnings` are kept.
    pub fn object(&self, kind: &str, command: &str, fields: Value) -> Result<(), Failure> {
        let mut object = Map::new();
        object.insert("schema".to_owned(), format!("slimfit/{kind}/v1").into());
        object.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        object.insert("command".to_owned(), command.into());
        object.insert("warnings".to_owned(), Value::Array(Vec::new()));
        if let Value::Object(fields) = fields {
            object.extend(fields.into_iter().filter(|(name, _)| name != "schema"));
        }
        let mut value = Value::Object(object);
        spell_large_numbers(&mut value);
        let text = serde_json::to_string(&value).map_err(|error| Failure::internal(error.to_string()))?;
        print(&text)?;
        print("\n")
    }

    /// Prints a refusal among the lines of a table: the object that ends every other command.
    pub fn error_line(&self, error: &DocumentError) -> Result<(), Failure> {
        print(&format!("{}\n", error.to_json()))
    }

    /// Prints text for people; a missing line end is added.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        print(text)?;
        if text.ends_with('\n') { Ok(()) } else { print("\n") }
    }

    /// Shows warnings to people, on stderr.
    pub fn warnings(&self, warnings: &[Warning]) {
        for warning in warnings {
            note(&format!("warning: {}", warning.message));
        }
    }
}

/// A sentence for people, on stderr. A reader who closed it loses only this.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether stderr may be coloured and redrawn.
pub fn is_live() -> bool {
    std::io::stderr().is_terminal()
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::environment("write-failed", format!("standard output cannot be written: {error}")),
    })
}

/// Whole numbers past 2⁵³ become decimal strings: most JSON readers would round them.
fn spell_large_numbers(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(spell_large_numbers),
        Value::Object(fields) => fields.values_mut().for_each(spell_large_numbers),
        Value::Number(number) => {
            let large = number.as_u64().is_some_and(|number| number > EXACT)
                || number.as_i64().is_some_and(|number| number.unsigned_abs() > EXACT);
            if large {
                *value = Value::String(number.to_string());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn large_whole_numbers_are_spelled_and_floats_stay() {
        let mut value =
            json!({ "a": [9_007_199_254_740_993_u64], "b": 1e300, "c": 9_007_199_254_740_992_u64 });
        spell_large_numbers(&mut value);
        assert_eq!(value, json!({ "a": ["9007199254740993"], "b": 1e300, "c": 9_007_199_254_740_992_u64 }));
    }
}
