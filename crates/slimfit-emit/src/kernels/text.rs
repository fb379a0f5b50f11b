//! Writing Rust that reads as if a person had: numbers, and lines that are broken where they grow too long.

/// Words that end neither a line nor a string nor a comment.
pub(super) fn one_line(text: &str) -> String {
    let ends = |letter: char| letter.is_control() || "{}\"\\*/`".contains(letter);
    text.chars().map(|letter| if ends(letter) { ' ' } else { letter }).collect()
}

/// A whole number with its digits in groups.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// An f32 that reads back as itself.
pub(super) fn float(value: f32) -> String {
    format!("{value:?}")
}

/// An f64 that reads back as itself.
pub(super) fn double(value: f64) -> String {
    format!("{value:?}")
}

/// An option.
pub(super) fn option(value: Option<String>) -> String {
    value.map_or_else(|| "None".to_owned(), |value| format!("Some({value})"))
}

/// The longest line.
pub(super) const WIDTH: usize = 110;

/// `head`, some items and `tail` on one line where they fit, else an item a line. `indent` is that of the line that `head`
/// stands on, `column` where `head` begins, and something of one letter follows.
pub(super) fn list(head: &str, items: &[String], tail: &str, (indent, column): (usize, usize)) -> String {
    let line = format!("{head}{}{tail}", items.join(", "));
    if !line.contains('\n') && column + line.len() < WIDTH {
        return line;
    }
    let inner = " ".repeat(indent + 4);
    let items: String = items.iter().map(|item| format!("{inner}{item},\n")).collect();
    format!("{head}\n{items}{}{tail}", " ".repeat(indent))
}

/// The same text with signatures of functions broken that a long name has made too long.
pub(super) fn with_broken_signatures(text: &str) -> String {
    let broken = |line: &str| -> Option<String> {
        let (head, rest) = line.split_once('(')?;
        let (arguments, result) = rest.rsplit_once(") ->")?;
        let is_long = line.len() > WIDTH && head.starts_with("pub unsafe extern");
        let arguments: Vec<String> = arguments.split(", ").map(str::to_owned).collect();
        is_long.then(|| list(&format!("{head}("), &arguments, &format!(") ->{result}"), (0, WIDTH)))
    };
    text.lines().map(|line| broken(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// A structure's literal on one line where it fits, `column` columns from the left, and something of one letter follows.
pub(super) fn short_literal(
    name: &str,
    fields: &[(&str, String)],
    (indent, column): (usize, usize),
) -> String {
    let inside: Vec<String> = fields.iter().map(|(field, value)| format!("{field}: {value}")).collect();
    let line = format!("{name} {{ {} }}", inside.join(", "));
    if column + line.len() < WIDTH { line } else { literal(name, fields, indent) }
}

/// A structure's literal with one field a line, the first line's indentation left to the caller.
pub(super) fn literal(name: &str, fields: &[(&str, String)], indent: usize) -> String {
    let inner = " ".repeat(indent + 4);
    let mut text = format!("{name} {{\n");
    for (field, value) in fields {
        if field == value {
            text += &format!("{inner}{field},\n");
        } else if field.is_empty() {
            text += &format!("{inner}{value}\n");
        } else {
            text += &format!("{inner}{field}: {value},\n");
        }
    }
    text + &" ".repeat(indent) + "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_no_line_no_string_and_no_comment() {
        let cleaned = one_line("a\nfn main() {} */ \"b\\");
        assert_eq!(cleaned.split_whitespace().collect::<Vec<_>>(), ["a", "fn", "main()", "b"]);
        assert!(!cleaned.contains('\n'));
        assert_eq!(one_line("SmolLM2-135M (mine)"), "SmolLM2-135M (mine)");
    }

    #[test]
    fn numbers_read_back() {
        assert_eq!(grouped(576), "576");
        assert_eq!(grouped(9999), "9999");
        assert_eq!(grouped(49_152), "49_152");
        assert_eq!(grouped(1_000_000), "1_000_000");
        assert_eq!(float(1e-5), "1e-5");
        assert_eq!(float(1.0), "1.0");
        assert_eq!(double(0.1), "0.1");
    }

    #[test]
    fn lists_break_where_they_grow_too_long() {
        let items = ["first".to_owned(), "second".to_owned()];
        assert_eq!(list("call(", &items, ")", (4, 4)), "call(first, second)");
        let long = ["a".repeat(60), "b".repeat(60)];
        let expected = format!("call(\n        {},\n        {},\n    )", long[0], long[1]);
        assert_eq!(list("call(", &long, ")", (4, 4)), expected);
    }
}
