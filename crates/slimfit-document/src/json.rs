//! Reads the positions of a JSON text, refusing what would be misunderstood: duplicate keys, NaN, deep nesting.

use crate::document::MAXIMUM_DEPTH;
use crate::position::{Entry, Kind, Node, Place};
use crate::{DocumentError, yaml::duplicate};
use serde::de::IgnoredAny;

/// The positions of a JSON text.
pub(crate) fn scan(text: &str) -> Result<Node, DocumentError> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(syntax_error(text, &error));
    }
    let mut scanner = Scanner { rest: text, line: 1, column: 1 };
    let node = scanner.value(0)?;
    Ok(node)
}

/// The error that `serde_json` found, in our words.
pub(crate) fn syntax_error(text: &str, error: &serde_json::Error) -> DocumentError {
    let (line, column) = (error.line() as u64, (error.column() as u64).max(1));
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    if message.starts_with("recursion limit") {
        return too_deep().at(line, column);
    }
    let here = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or("");
    // serde_json counts bytes and stops after the byte that disturbed it.
    let before = (column as usize).saturating_sub(2);
    let around = here.get(before..).or_else(|| here.get(before + 1..)).unwrap_or("");
    if let Some(word) =
        ["-Infinity", "Infinity", "NaN", "nan", "inf"].iter().find(|word| around.contains(**word))
    {
        return not_finite(word).at(line, column);
    }
    DocumentError::new("syntax", format!("not valid JSON: {message}")).at(line, column)
}

/// A number that is none.
pub(crate) fn not_finite(found: &str) -> DocumentError {
    DocumentError::new("not-finite", "not a finite number")
        .found(format!("`{found}`"))
        .allowed("finite numbers")
        .hint("leave the field out, or write `null`, where there is no value")
}

/// Nesting past the limit.
pub(crate) fn too_deep() -> DocumentError {
    DocumentError::new("too-deep", "nested too deeply").allowed(format!("{MAXIMUM_DEPTH} levels"))
}

/// Walks a text that is known to be valid JSON.
struct Scanner<'a> {
    rest: &'a str,
    line: u64,
    column: u64,
}

impl Scanner<'_> {
    fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(character)
    }

    fn peek(&mut self) -> Option<char> {
        while self.rest.starts_with([' ', '\t', '\n', '\r']) {
            self.next();
        }
        self.rest.chars().next()
    }

    fn value(&mut self, depth: usize) -> Result<Node, DocumentError> {
        let first = self.peek();
        let place = self.place();
        if depth > MAXIMUM_DEPTH {
            return Err(too_deep().at(place.line, place.column));
        }
        let kind = match first {
            Some('{') => {
                self.next();
                let mut entries: Vec<Entry> = Vec::new();
                let mut names = std::collections::HashSet::new();
                while self.peek().is_some_and(|character| character != '}') {
                    let place = self.place();
                    let key = self.string();
                    if !names.insert(key.clone()) {
                        return Err(duplicate(&key, place));
                    }
                    self.peek();
                    self.next();
                    let value = self.value(depth + 1)?;
                    entries.push(Entry { key, place, value });
                    if self.peek() == Some(',') {
                        self.next();
                    }
                }
                self.next();
                Kind::Mapping(entries)
            }
            Some('[') => {
                self.next();
                let mut items = Vec::new();
                while self.peek().is_some_and(|character| character != ']') {
                    items.push(self.value(depth + 1)?);
                    if self.peek() == Some(',') {
                        self.next();
                    }
                }
                self.next();
                Kind::List(items)
            }
            Some('"') => {
                self.string();
                Kind::Scalar
            }
            _ => {
                let start = self.rest;
                while self.rest.starts_with(|character: char| !",]} \t\r\n".contains(character)) {
                    self.next();
                }
                let word = &start[..start.len() - self.rest.len()];
                if word.parse::<f64>().is_ok_and(f64::is_infinite) {
                    return Err(not_finite(word).at(place.line, place.column));
                }
                Kind::Scalar
            }
        };
        Ok(Node { place, kind })
    }

    /// The string that begins here, escapes resolved.
    fn string(&mut self) -> String {
        let start = self.rest;
        self.next();
        loop {
            match self.next() {
                Some('\\') => {
                    self.next();
                }
                Some('"') | None => break,
                Some(_) => {}
            }
        }
        let raw = &start[..start.len() - self.rest.len()];
        serde_json::from_str(raw).unwrap_or_else(|_| raw.trim_matches('"').to_owned())
    }
}
