//! Field paths: `axes.hidden[2]`.

use std::fmt::Write;

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// Reads `axes.hidden[2]["odd.name"]`. Nothing is refused: text that is no index counts as a key.
pub(crate) fn parse(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[\"")
            && let Some(end) = inner.find("\"]")
        {
            steps.push(Step::Key(inner[..end].to_owned()));
            rest = &inner[end + 2..];
        } else if let Some(inner) = rest.strip_prefix('[')
            && let Some(end) = inner.find(']')
            && let Ok(index) = inner[..end].parse()
        {
            steps.push(Step::Index(index));
            rest = &inner[end + 1..];
        } else {
            let start = usize::from(rest.starts_with('['));
            let end = rest[start..].find(['.', '[']).map_or(rest.len(), |end| end + start);
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    steps
}

/// Writes what [`parse`] reads.
pub(crate) fn format(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if key.is_empty() || key.contains(['.', '[', '"']) => {
                let _ = write!(text, "[\"{key}\"]");
            }
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_round_trip() {
        for text in ["a", "axes.hidden[2]", "a[0][1].b", "[3].x", "a[\"odd.name\"].b"] {
            assert_eq!(format(&parse(text)), text);
        }
        assert_eq!(parse("a[0].b"), [Step::Key("a".into()), Step::Index(0), Step::Key("b".into())]);
    }
}
