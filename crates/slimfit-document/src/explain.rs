//! Turns what serde says into an error with a place, the values allowed and the nearest name.

use crate::document::Document;
use crate::path::{self, Step};
use crate::{DocumentError, nearest::suggestion};
use serde_path_to_error::Segment;

/// The error for serde's `message` at `path`. `fallback` is the parser's own line and column.
pub(crate) fn explain(
    document: &Document,
    path: &serde_path_to_error::Path,
    message: &str,
    fallback: Option<(u64, u64)>,
) -> DocumentError {
    let mut steps: Vec<Step> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let message = plain_message(message);
    let root = document.root();
    let error = if let Some(rest) = message.strip_prefix("unknown field ") {
        let names = quoted(rest);
        let (name, known) = names.split_first().map_or(("", &[][..]), |(name, known)| (*name, known));
        if steps.last() == Some(&Step::Key(name.to_owned()))
            && root.get(&steps[..steps.len() - 1]).is_some_and(|parent| parent.key_place(name).is_some())
        {
            steps.pop();
        }
        // Buffered content (tagged and untagged enums) loses the path below the enum: look the name up.
        let below = root.get(&steps).and_then(|parent| parent.search_key(name));
        steps.extend(below.unwrap_or_else(|| vec![Step::Key(name.to_owned())]));
        let parent = root.get(&steps[..steps.len() - 1]);
        let place = parent.and_then(|parent| parent.key_place(name)).unwrap_or_else(|| root.find(&steps));
        let error = DocumentError::new("unknown-field", format!("unknown field `{name}`"))
            .found(format!("`{name}`"))
            .at(place.line, place.column);
        if known.is_empty() {
            error.allowed("no field at all")
        } else {
            error.allowed(list(known)).maybe_hint(suggestion(name, known.iter().copied()))
        }
    } else if let Some(rest) = message.strip_prefix("missing field ") {
        let name = quoted(rest).first().copied().unwrap_or("").to_owned();
        let place = root.find(&steps);
        steps.push(Step::Key(name.clone()));
        DocumentError::new("missing-field", format!("missing field `{name}`"))
            .at(place.line, place.column)
            .hint(format!("add `{name}:` here"))
    } else if let Some(rest) = message.strip_prefix("unknown variant ") {
        let names = quoted(rest);
        let (name, known) = names.split_first().map_or(("", &[][..]), |(name, known)| (*name, known));
        let place = root.find(&steps);
        DocumentError::new("unknown-variant", "unknown value")
            .found(format!("`{name}`"))
            .allowed(list(known))
            .maybe_hint(suggestion(name, known.iter().copied()))
            .at(place.line, place.column)
    } else if let Some((code, rest)) = message
        .strip_prefix("invalid type: ")
        .map(|rest| ("wrong-type", rest))
        .or_else(|| message.strip_prefix("invalid value: ").map(|rest| ("wrong-value", rest)))
        .or_else(|| message.strip_prefix("invalid length ").map(|rest| ("wrong-length", rest)))
    {
        let place = root.find(&steps);
        let (found, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
        let what = match code {
            "wrong-type" => "wrong type",
            "wrong-value" => "wrong value",
            _ => "wrong length",
        };
        let error = DocumentError::new(code, what).found(found_words(found)).at(place.line, place.column);
        if expected.is_empty() { error } else { error.allowed(expected_words(expected)) }
    } else {
        let error = DocumentError::new("invalid", message.clone());
        match fallback {
            Some((line, column)) if steps.is_empty() => error.at(line, column),
            _ => {
                let place = root.find(&steps);
                error.at(place.line, place.column)
            }
        }
    };
    let error = error.file(document.origin());
    if steps.is_empty() { error } else { error.field(path::format(&steps)) }
}

/// Without the place that the parsers append and the path that `serde_yaml` puts first.
fn plain_message(message: &str) -> String {
    let mut text = message;
    if let Some(index) = text.rfind(" at line ")
        && text[index..].contains(" column ")
    {
        text = &text[..index];
    }
    for start in [
        "unknown field ",
        "missing field ",
        "unknown variant ",
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
    ] {
        if let Some(index) = text.find(start) {
            let before = &text[..index];
            if before.is_empty()
                || before.ends_with(": ") && !before.contains(' ')
                || before.trim_end().ends_with(':')
            {
                return text[index..].to_owned();
            }
        }
    }
    text.to_owned()
}

/// The names between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// serde's names for what it found, in the words of the files.
fn found_words(found: &str) -> String {
    match found {
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" | "null" | "Option value" => "nothing".to_owned(),
        _ => found
            .strip_prefix("integer ")
            .or_else(|| found.strip_prefix("floating point "))
            .or_else(|| found.strip_prefix("boolean "))
            .map_or_else(|| found.to_owned(), str::to_owned),
    }
}

/// serde's names for what it wants, in the words of the files.
fn expected_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "u128" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "string" | "identifier" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        _ if expected.starts_with("struct ") => "a mapping of fields".to_owned(),
        _ => expected.to_owned(),
    }
}
