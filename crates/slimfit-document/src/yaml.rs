//! Reads the positions of a YAML text, refusing what would be misunderstood: duplicate keys, NaN, deep nesting, tags,
//! several documents, and aliases that unfold into more than the file could hold.

use crate::DocumentError;
use crate::document::MAXIMUM_DEPTH;
use crate::json::{not_finite, too_deep};
use crate::position::{Entry, Kind, Node, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::{HashMap, HashSet};

/// Nodes that all aliases of a document may unfold into.
const MAXIMUM_UNFOLDED: u64 = 100_000;

/// The positions of a YAML text.
pub(crate) fn scan(text: &str) -> Result<Node, DocumentError> {
    let mut scanner = Scanner { parser: Parser::new_from_str(text), sizes: HashMap::new(), unfolded: 0 };
    let mut root = None;
    loop {
        let (event, span) = scanner.next()?;
        match event {
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if root.is_some() => {
                return Err(at(span, DocumentError::new("syntax", "a second document begins here"))
                    .allowed("one document per file")
                    .hint("remove the line `---`"));
            }
            event => root = Some(scanner.node(event, span, 0)?.0),
        }
    }
    root.ok_or_else(empty)
}

/// A document without content.
pub(crate) fn empty() -> DocumentError {
    DocumentError::new("empty", "the file is empty").at(1, 1)
}

/// A key that stands twice in one mapping.
pub(crate) fn duplicate(key: &str, place: Place) -> DocumentError {
    DocumentError::new("duplicate-key", format!("`{key}` stands twice in the same mapping"))
        .at(place.line, place.column)
        .hint("keep one of them")
}

struct Scanner<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Nodes below each anchor.
    sizes: HashMap<usize, u64>,
    unfolded: u64,
}

fn place(span: Span) -> Place {
    Place { line: span.start.line() as u64, column: span.start.col() as u64 + 1 }
}

fn at(span: Span, error: DocumentError) -> DocumentError {
    let place = place(span);
    error.at(place.line, place.column)
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), DocumentError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The node that `event` begins, and how many nodes it unfolds into.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Node, u64), DocumentError> {
        if depth > MAXIMUM_DEPTH {
            return Err(at(span, too_deep()));
        }
        let mut size = 1_u64;
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                if style == ScalarStyle::Plain && is_not_finite(&text) {
                    return Err(at(span, not_finite(&text)));
                }
                (Kind::Scalar, anchor)
            }
            Event::Alias(anchor) => {
                // An alias inside its own anchor has no size yet: it would unfold for ever.
                let Some(unfolds) = self.sizes.get(&anchor) else {
                    return Err(at(span, DocumentError::new("too-many-aliases", "an alias contains itself")));
                };
                size = *unfolds;
                self.unfolded = self.unfolded.saturating_add(size);
                if self.unfolded > MAXIMUM_UNFOLDED {
                    return Err(at(
                        span,
                        DocumentError::new("too-many-aliases", "the aliases unfold into too much"),
                    )
                    .allowed(format!("{MAXIMUM_UNFOLDED} values in all")));
                }
                (Kind::Scalar, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    let (node, unfolds) = self.node(event, span, depth + 1)?;
                    size = size.saturating_add(unfolds);
                    items.push(node);
                }
                (Kind::List(items), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag.is_some(), span)?;
                let mut entries = Vec::new();
                let mut names = HashSet::new();
                loop {
                    let (event, key_span) = self.next()?;
                    let key = match event {
                        Event::MappingEnd => break,
                        Event::Scalar(text, _, 0, None) => text.into_owned(),
                        _ => {
                            return Err(at(
                                key_span,
                                DocumentError::new("syntax", "a key must be plain text"),
                            ));
                        }
                    };
                    if !names.insert(key.clone()) {
                        return Err(duplicate(&key, place(key_span)));
                    }
                    let (event, span) = self.next()?;
                    let (value, unfolds) = self.node(event, span, depth + 1)?;
                    size = size.saturating_add(unfolds);
                    entries.push(Entry { key, place: place(key_span), value });
                }
                (Kind::Mapping(entries), anchor)
            }
            _ => {
                return Err(at(
                    span,
                    DocumentError::new("syntax", "not valid YAML: a value is missing here"),
                ));
            }
        };
        if anchor != 0 {
            self.sizes.insert(anchor, size);
        }
        Ok((Node { place: place(span), kind }, size))
    }
}

fn refuse_tag(tagged: bool, span: Span) -> Result<(), DocumentError> {
    if tagged {
        return Err(at(span, DocumentError::new("syntax", "tags (`!name`) have no meaning here"))
            .hint("write the value without its tag"));
    }
    Ok(())
}

/// YAML's own spellings of the numbers that are none.
fn is_not_finite(text: &str) -> bool {
    matches!(text.trim_start_matches(['+', '-']), ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF")
        || matches!(text, "NaN" | "Infinity" | "-Infinity" | "+Infinity")
}

fn syntax_error(error: &ScanError) -> DocumentError {
    let marker = error.marker();
    let column = marker.col() as u64 + 1;
    let line = (marker.line() as u64).max(1);
    // The parser looks ahead, so its own limit can come first.
    if error.info().contains("recursion limit") {
        return too_deep().at(line, column);
    }
    let mut found =
        DocumentError::new("syntax", format!("not valid YAML: {}", error.info())).at(line, column);
    if error.info().contains("tab") {
        found = found.hint("indent with spaces");
    }
    found
}
