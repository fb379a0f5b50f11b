//! What an expression gives, so that only what is alike is compared.

use super::super::axes::AnyAxis;
use super::{Expression, Fault, Operator};
use slimfit_quantity::NumberFormat;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// 1 or 0: also a truth.
    Comparison,
    Truth,
    /// The number of an axis that may be `none`.
    Optional(AnyAxis),
    Format,
    None,
}

impl Kind {
    const fn is_number(self) -> bool {
        matches!(self, Self::Number | Self::Comparison | Self::Optional(_))
    }

    const fn is_truth(self) -> bool {
        matches!(self, Self::Comparison | Self::Truth)
    }

    /// Whether it can be asked whether it holds.
    pub(super) const fn is_condition(self) -> bool {
        matches!(self, Self::Number | Self::Comparison | Self::Truth)
    }

    /// What may stand beside it.
    fn beside(self) -> Option<String> {
        match self {
            Self::Number | Self::Comparison | Self::Optional(_) => None,
            Self::Truth => Some("`==` or `!=` with `true` or `false`".to_owned()),
            Self::Format => {
                let names = NumberFormat::ALL.map(NumberFormat::name).join(", ");
                Some(format!("`==` or `!=` with a number format: {names}"))
            }
            Self::None => Some("`none` after `==` or `!=` of `experts`, `window` or `loops`".to_owned()),
        }
    }
}

/// An operator and what stands on both sides; `text` tells it in words.
///
/// # Errors
/// When the sides do not go together.
pub(super) fn joined(
    (left, left_kind): (Expression, Kind),
    operator: Operator,
    (right, right_kind): (Expression, Kind),
    text: impl FnOnce() -> String,
) -> Result<(Expression, Kind), Fault> {
    let both = |is: fn(Kind) -> bool| is(left_kind) && is(right_kind);
    let (alike, kind) = match operator {
        Operator::Equal | Operator::NotEqual => {
            if let (Kind::Optional(axis), Kind::None) | (Kind::None, Kind::Optional(axis)) =
                (left_kind, right_kind)
            {
                let is_none = Expression::IsNone(axis);
                let expression = match operator {
                    Operator::Equal => is_none,
                    _ => Expression::Binary(
                        Box::new(is_none),
                        Operator::Equal,
                        Box::new(Expression::Number(0.0)),
                    ),
                };
                return Ok((expression, Kind::Comparison));
            }
            let formats = both(|kind| kind == Kind::Format);
            (both(Kind::is_number) || both(Kind::is_truth) || formats, Kind::Comparison)
        }
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            (both(Kind::is_number), Kind::Comparison)
        }
        Operator::And | Operator::Or => (both(Kind::is_condition), Kind::Comparison),
        _ => (both(Kind::is_number), Kind::Number),
    };
    if !alike {
        let allowed = match operator {
            Operator::And | Operator::Or => Some("comparisons on both sides".to_owned()),
            _ => left_kind.beside().or_else(|| right_kind.beside()),
        };
        let allowed = allowed.unwrap_or_else(|| "numbers on both sides".to_owned());
        return Err(Fault::Unlike { found: text(), allowed });
    }
    Ok((Expression::Binary(Box::new(left), operator, Box::new(right)), kind))
}

/// The nearest multiple of something.
///
/// # Errors
/// When that is no number.
pub(super) fn rounded(
    (inner, kind): (Expression, Kind),
    unit: f64,
    text: impl FnOnce() -> String,
) -> Result<(Expression, Kind), Fault> {
    if kind.is_number() {
        return Ok((Expression::Round(Box::new(inner), unit), Kind::Number));
    }
    Err(Fault::Unlike { found: text(), allowed: "a number before `round`".to_owned() })
}
