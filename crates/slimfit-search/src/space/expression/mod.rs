//! Expressions over axes: `hidden_size / head_size`, `2.75 * hidden_size round 64`, and conditions: `hidden_size % heads != 0`,
//! `weights == q4_k and experts != none`.

mod kind;
mod parser;
mod tokens;

use super::assignment::{Assignment, truth};
use super::axes::{AnyAxis, AxisSet};
use parser::{Parser, Words};

/// An expression whose names are axes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Axis(AnyAxis),
    /// Whether an axis has no value.
    IsNone(AnyAxis),
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
    /// A name that means nothing there.
    Name(String),
    /// Things that do not go together, and what would.
    Unlike { found: String, allowed: String },
    /// Anything else: what stands there and what was expected.
    Syntax { found: String, expected: &'static str },
}

impl Expression {
    /// The product of two expressions.
    pub(crate) fn times(left: Self, right: Self) -> Self {
        Self::Binary(Box::new(left), Operator::Multiply, Box::new(right))
    }

    /// Reads an expression of numbers.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        Parser::read(text, Words::Numbers)
    }

    /// Reads a condition, which may name every axis and the words that they take.
    pub(crate) fn condition(text: &str) -> Result<Self, Fault> {
        Parser::read(text, Words::All)
    }

    /// Its value; comparisons give 1 or 0. Not finite where it divides by 0.
    pub(crate) fn value(&self, point: &Assignment) -> f64 {
        match self {
            Self::Number(value) => *value,
            Self::Axis(axis) => point.number(*axis),
            Self::IsNone(axis) => truth(point.is_none(*axis)),
            Self::Round(inner, unit) => (inner.value(point) / unit).round().max(1.0) * unit,
            Self::Binary(left, operator, right) => {
                let (left, right) = (left.value(point), right.value(point));
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
                    Operator::And => truth(is_true(left) && is_true(right)),
                    Operator::Or => truth(is_true(left) || is_true(right)),
                }
            }
        }
    }

    /// Whether it holds of a point.
    pub(crate) fn holds(&self, point: &Assignment) -> bool {
        is_true(self.value(point))
    }

    /// The axes that it names.
    pub(crate) fn axes(&self) -> AxisSet {
        match self {
            Self::Number(_) => AxisSet::default(),
            Self::Axis(axis) | Self::IsNone(axis) => {
                let mut axes = AxisSet::default();
                axes.insert(*axis);
                axes
            }
            Self::Round(inner, _) => inner.axes(),
            Self::Binary(left, _, right) => left.axes().with(right.axes()),
        }
    }
}

/// What is no number is not true either.
fn is_true(value: f64) -> bool {
    value != 0.0 && !value.is_nan()
}

#[cfg(test)]
mod tests;
