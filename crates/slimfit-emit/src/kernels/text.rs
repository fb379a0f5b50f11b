//! Writing Rust that reads as if a person had: numbers, and lines that are broken where they grow too long.

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
    fn numbers_read_back() {
        assert_eq!(grouped(576), "576");
        assert_eq!(grouped(9999), "9999");
        assert_eq!(grouped(49_152), "49_152");
        assert_eq!(grouped(1_000_000), "1_000_000");
        assert_eq!(float(1e-5), "1e-5");
        assert_eq!(float(1.0), "1.0");
        assert_eq!(double(0.1), "0.1");
    }
}
