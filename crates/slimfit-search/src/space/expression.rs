//! Expressions over axes: `hidden_size / head_size`, `2.75 * hidden_size round 64`, `hidden_size % heads != 0`.

use super::axes::Axis;

/// An expression whose names are axes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Axis(Axis),
    Binary(Box<Expression>, Operator, Box<Expression>),
    /// The nearest multiple, at least one.
    Round(Box<Expression>, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// What is wrong with an expression's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A name that is no axis, or an axis that has no number.
    Name(String),
    /// Anything else: what stands there and what was expected.
    Syntax { found: String, expected: &'static str },
}

/// Nested parentheses that are read.
const MAXIMUM_DEPTH: usize = 32;

impl Expression {
    /// The product of two expressions.
    pub(crate) fn times(left: Self, right: Self) -> Self {
        Self::Binary(Box::new(left), Operator::Multiply, Box::new(right))
    }

    /// Reads an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, next: 0, depth: 0 };
        let expression = parser.binary(0)?;
        match parser.peek() {
            None => Ok(expression),
            Some(token) => Err(token.unexpected("an operator or the end")),
        }
    }

    /// Its value; comparisons give 1 or 0. Not finite where it divides by 0.
    pub(crate) fn value(&self, axes: &[f64; Axis::COUNT]) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Axis(axis) => axes[*axis as usize],
            Self::Round(inner, unit) => (inner.value(axes) / unit).round().max(1.0) * unit,
            Self::Binary(left, operator, right) => {
                let (left, right) = (left.value(axes), right.value(axes));
                let truth = |holds: bool| f64::from(u8::from(holds));
                match operator {
                    Operator::Add => left + right,
                    Operator::Subtract => left - right,
                    Operator::Multiply => left * right,
                    Operator::Divide => left / right,
                    Operator::Remainder => left % right,
                    Operator::Equal => truth(left == right),
                    Operator::NotEqual => truth(left != right),
                    Operator::Less => truth(left < right),
                    Operator::LessOrEqual => truth(left <= right),
                    Operator::Greater => truth(left > right),
                    Operator::GreaterOrEqual => truth(left >= right),
                    Operator::And => truth(left != 0.0 && right != 0.0),
                    Operator::Or => truth(left != 0.0 || right != 0.0),
                }
            }
        }
    }

    /// Calls `visit` with every axis it names.
    pub(crate) fn each_axis(&self, visit: &mut impl FnMut(Axis)) {
        match self {
            Self::Number(_) => {}
            Self::Axis(axis) => visit(*axis),
            Self::Round(inner, _) => inner.each_axis(visit),
            Self::Binary(left, _, right) => {
                left.each_axis(visit);
                right.each_axis(visit);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Word(String),
    Symbol(&'static str),
}

impl Token {
    fn unexpected(&self, expected: &'static str) -> Fault {
        let found = match self {
            Self::Number(value) => value.to_string(),
            Self::Word(word) => word.clone(),
            Self::Symbol(symbol) => (*symbol).to_owned(),
        };
        Fault::Syntax { found, expected }
    }
}

const SYMBOLS: [&str; 13] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "(", ")"];

fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
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

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    /// Operators of at least `level`, left to right.
    fn binary(&mut self, level: u8) -> Result<Expression, Fault> {
        let mut left = self.factor()?;
        loop {
            // `round` binds weaker than arithmetic: `2.5 * hidden_size round 64` rounds the product.
            if level <= ROUND && self.peek() == Some(&Token::Word("round".to_owned())) {
                left = self.round_of(left)?;
                continue;
            }
            let Some((operator, strength)) =
                self.peek().and_then(operator_of).filter(|(_, strength)| *strength >= level)
            else {
                return Ok(left);
            };
            self.next += 1;
            let right = self.binary(strength + 1)?;
            left = Expression::Binary(Box::new(left), operator, Box::new(right));
        }
    }

    fn round_of(&mut self, inner: Expression) -> Result<Expression, Fault> {
        self.next += 1;
        match self.peek() {
            Some(&Token::Number(unit)) if unit > 0.0 => {
                self.next += 1;
                Ok(Expression::Round(Box::new(inner), unit))
            }
            other => Err(unexpected(other, "a number above 0 after `round`")),
        }
    }

    fn factor(&mut self) -> Result<Expression, Fault> {
        let token = self.peek().cloned();
        self.next += 1;
        match token {
            Some(Token::Number(value)) => Ok(Expression::Number(value)),
            Some(Token::Word(word)) => Axis::numeric(&word).map(Expression::Axis).ok_or(Fault::Name(word)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> f64 {
        let mut axes = [0.0; Axis::COUNT];
        axes[Axis::HiddenSize as usize] = 576.0;
        axes[Axis::Heads as usize] = 9.0;
        Expression::parse(text).unwrap().value(&axes)
    }

    #[test]
    fn arithmetic_binds_as_on_paper_and_round_takes_the_product() {
        assert_eq!(value("1 + 2 * 3 - 4 / 2"), 5.0);
        assert_eq!(value("(1 + 2) * 3"), 9.0);
        assert_eq!(value("2.75 * hidden_size round 64"), 1600.0);
        assert_eq!(value("hidden_size / heads"), 64.0);
        assert_eq!(value("8 - 4 - 2"), 2.0);
        assert_eq!(value("1 round 64"), 64.0);
        assert_eq!(value("hidden_size % heads != 0"), 0.0);
        assert_eq!(value("hidden_size > 500 and heads < 4 or heads == 9"), 1.0);
    }

    #[test]
    fn faults_name_what_was_found() {
        assert_eq!(Expression::parse("hiden_size / 2"), Err(Fault::Name("hiden_size".to_owned())));
        for wrong in ["", "1 +", "(1", "1 1", "* 2", "1 round 0", "1 $ 2", "1..2", "weights"] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Expression::parse(&"(".repeat(100_000)).is_err());
    }
}
