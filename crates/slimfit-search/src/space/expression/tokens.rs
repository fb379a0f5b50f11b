//! What the text of an expression is made of.

use super::Fault;
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Word(String),
    Symbol(&'static str),
}

impl Token {
    pub(super) fn unexpected(&self, expected: &'static str) -> Fault {
        Fault::Syntax { found: self.to_string(), expected }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(formatter, "{value}"),
            Self::Word(word) => formatter.write_str(word),
            Self::Symbol(symbol) => formatter.write_str(symbol),
        }
    }
}

const SYMBOLS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "(", ")"];

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = |keep: fn(char) -> bool| rest.find(|other| !keep(other)).unwrap_or(rest.len());
        let used = if first.is_ascii_digit() || first == '.' {
            let end = length(|other| other.is_ascii_digit() || other == '.' || other == '_');
            let number = rest[..end]
                .replace('_', "")
                .parse()
                .map_err(|_| Fault::Syntax { found: rest[..end].to_owned(), expected: "a number" })?;
            tokens.push(Token::Number(number));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end = length(|other| other.is_alphanumeric() || other == '_');
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            tokens.push(Token::Symbol(symbol));
            symbol.len()
        } else {
            return Err(Fault::Syntax {
                found: first.to_string(),
                expected: "a number, an axis or an operator",
            });
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}
