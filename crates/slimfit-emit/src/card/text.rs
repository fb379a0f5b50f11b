//! Words of others in Markdown: escaped, so that a name can neither break a table nor bring markup of its own.

use std::fmt::Write as _;

/// Text for a paragraph, a heading, or the cell of a table: on one line, every character as itself.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            // `www.` and `http:` would become links.
            ':' if escaped.ends_with("http") || escaped.ends_with("https") => escaped.push_str("&#58;"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A sentence of our own that quotes literals in backticks: the quoted parts as code, the rest escaped.
pub(super) fn sentence(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return markdown(text);
    }
    let mut written = String::with_capacity(text.len());
    for (place, part) in parts.iter().enumerate() {
        if place % 2 == 0 {
            written.push_str(&markdown(part));
        } else {
            // A pipe ends the cell of a table even inside code.
            let code: String = part.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = write!(written, "`{}`", code.replace('|', "\\|"));
        }
    }
    written
}

/// A block of code; the fence is longer than any in it.
pub(super) fn code(language: &str, text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// A table: a header, then rows. Cells must be Markdown already.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", header.join(" | "), " --- |".repeat(header.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_bring_no_markup() {
        for (given, written) in [
            ("smollm2-135m", "smollm2-135m"),
            ("a|b", "a\\|b"),
            ("<img src=x onerror=y>", "&lt;img src=x onerror=y&gt;"),
            ("[x](javascript:y)", "\\[x\\](javascript:y)"),
            ("**bold** _it_", "\\*\\*bold\\*\\* \\_it\\_"),
            ("two\nlines\t", "two lines "),
            ("`a` & b", "\\`a\\` &amp; b"),
            ("https://evil", "https&#58;//evil"),
        ] {
            assert_eq!(markdown(given), written);
        }
    }

    #[test]
    fn sentences_keep_their_literals() {
        assert_eq!(sentence("`ffn` must be *one* of `a|b`"), "`ffn` must be \\*one\\* of `a\\|b`");
        assert_eq!(sentence("one ` alone"), "one \\` alone");
    }

    #[test]
    fn fences_are_longer_than_what_they_hold() {
        assert_eq!(code("sh", "ls\n"), "```sh\nls\n```\n");
        assert!(code("", "a ```` b").starts_with("`````\n"));
    }
}
