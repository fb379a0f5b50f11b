//! From text to an expression.

use super::super::assignment::format_number;
use super::super::axes::{AnyAxis, Axis};
use super::kind::{Kind, joined, rounded};
use super::tokens::{Token, tokens};
use super::{Expression, Fault, Operator};
use slimfit_quantity::NumberFormat;

/// Nested parentheses that are read.
const MAXIMUM_DEPTH: usize = 32;

/// Which words an expression may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Axes with numbers.
    Numbers,
    /// All axes and what they are compared with.
    All,
}

pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
    words: Words,
}

type Typed = (Expression, Kind);

impl Parser<'_> {
    pub(super) fn read(text: &str, words: Words) -> Result<Expression, Fault> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, next: 0, depth: 0, words };
        let (expression, kind) = parser.binary(0)?;
        if let Some(token) = parser.peek() {
            return Err(token.unexpected("an operator or the end"));
        }
        if words == Words::All && !kind.is_condition() {
            let allowed = "a comparison such as `experts == none`, `weights != q4_k` or `layers >= 12`";
            return Err(Fault::Unlike { found: parser.text_from(0), allowed: allowed.to_owned() });
        }
        Ok(expression)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    /// The tokens from one to where it reads.
    fn text_from(&self, start: usize) -> String {
        let each: Vec<String> = self.tokens[start..self.next].iter().map(Token::to_string).collect();
        each.join(" ")
    }

    /// Operators of at least `level`, left to right.
    fn binary(&mut self, level: u8) -> Result<Typed, Fault> {
        let start = self.next;
        let mut left = self.factor()?;
        loop {
            // `round` binds weaker than arithmetic: `2.5 * hidden_size round 64` rounds the product.
            if level <= ROUND && self.peek() == Some(&Token::Word("round".to_owned())) {
                let unit = self.unit()?;
                left = rounded(left, unit, || self.text_from(start))?;
                continue;
            }
            let Some((operator, strength)) =
                self.peek().and_then(operator_of).filter(|(_, strength)| *strength >= level)
            else {
                return Ok(left);
            };
            self.next += 1;
            let right = self.binary(strength + 1)?;
            left = joined(left, operator, right, || self.text_from(start))?;
        }
    }

    fn unit(&mut self) -> Result<f64, Fault> {
        self.next += 1;
        match self.peek() {
            Some(&Token::Number(unit)) if unit > 0.0 => {
                self.next += 1;
                Ok(unit)
            }
            other => Err(unexpected(other, "a number above 0 after `round`")),
        }
    }

    fn factor(&mut self) -> Result<Typed, Fault> {
        let token = self.peek().cloned();
        self.next += 1;
        match token {
            Some(Token::Number(value)) => Ok((Expression::Number(value), Kind::Number)),
            Some(Token::Word(word)) => self.word(word),
            Some(Token::Symbol("(")) => {
                self.depth += 1;
                if self.depth > MAXIMUM_DEPTH {
                    return Err(Fault::Syntax {
                        found: "(".to_owned(),
                        expected: "at most 32 nested parentheses",
                    });
                }
                let inner = self.binary(0)?;
                self.depth -= 1;
                match self.peek() {
                    Some(Token::Symbol(")")) => {
                        self.next += 1;
                        Ok(inner)
                    }
                    other => Err(unexpected(other, "`)`")),
                }
            }
            other => Err(unexpected(other.as_ref(), "a number, an axis or `(`")),
        }
    }

    fn word(&self, word: String) -> Result<Typed, Fault> {
        if self.words == Words::Numbers {
            let axis = Axis::numeric(&word).ok_or(Fault::Name(word))?;
            return Ok((Expression::Axis(AnyAxis::Number(axis)), Kind::Number));
        }
        if let Some(axis) = AnyAxis::named(&word) {
            let kind = match axis {
                AnyAxis::Experts | AnyAxis::Window | AnyAxis::Number(Axis::Loops) => Kind::Optional(axis),
                AnyAxis::Number(_) => Kind::Number,
                AnyAxis::Gated | AnyAxis::TiedEmbeddings => Kind::Truth,
                AnyAxis::Weights | AnyAxis::Kv => Kind::Format,
            };
            return Ok((Expression::Axis(axis), kind));
        }
        if let Some(format) = NumberFormat::ALL.into_iter().find(|format| format.name() == word) {
            return Ok((Expression::Number(format_number(format)), Kind::Format));
        }
        match word.as_str() {
            "true" => Ok((Expression::Number(1.0), Kind::Truth)),
            "false" => Ok((Expression::Number(0.0), Kind::Truth)),
            "none" => Ok((Expression::Number(f64::NAN), Kind::None)),
            _ => Err(Fault::Name(word)),
        }
    }
}

fn unexpected(token: Option<&Token>, expected: &'static str) -> Fault {
    token.map_or(Fault::Syntax { found: "the end".to_owned(), expected }, |token| token.unexpected(expected))
}

/// Strengths: comparisons bind weaker than rounding, arithmetic stronger.
const ROUND: u8 = 3;
const SUM: u8 = 4;

fn operator_of(token: &Token) -> Option<(Operator, u8)> {
    Some(match token {
        Token::Word(word) if word == "or" => (Operator::Or, 0),
        Token::Word(word) if word == "and" => (Operator::And, 1),
        Token::Symbol("==") => (Operator::Equal, 2),
        Token::Symbol("!=") => (Operator::NotEqual, 2),
        Token::Symbol("<") => (Operator::Less, 2),
        Token::Symbol("<=") => (Operator::LessOrEqual, 2),
        Token::Symbol(">") => (Operator::Greater, 2),
        Token::Symbol(">=") => (Operator::GreaterOrEqual, 2),
        Token::Symbol("+") => (Operator::Add, SUM),
        Token::Symbol("-") => (Operator::Subtract, SUM),
        Token::Symbol("*") => (Operator::Multiply, SUM + 1),
        Token::Symbol("/") => (Operator::Divide, SUM + 1),
        Token::Symbol("%") => (Operator::Remainder, SUM + 1),
        _ => return None,
    })
}
